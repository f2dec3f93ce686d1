//! Stores that go past the caches.

/// Permission to do so.
#[derive(Clone, Copy)]
pub(crate) enum Stream {}
