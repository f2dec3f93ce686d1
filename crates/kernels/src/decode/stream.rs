//! Stores that go past the caches.
//!
//! An ordinary store reads the cache line that it is about to overwrite; one that goes past the caches does not, which saves a third
//! of the traffic where the output is larger than the caches, and costs a read later where it is not.
//!
//! This is the only unsafe code of the crate, and it is compiled only with the feature `streaming` on x86-64. Elsewhere stores are ordinary.

use crate::lanes::LANES;

/// Whether anything is stored past the caches.
pub(crate) const STREAMS: bool = cfg!(all(feature = "streaming", target_arch = "x86_64"));

/// Permission to store past the caches, given out by [`scope`] alone.
#[derive(Clone, Copy)]
pub(crate) struct Stream(());

/// Calls `work` with the permission and waits for its stores.
pub(crate) fn scope(work: impl FnOnce(Stream)) {
    /// Waits when dropped, so after a panic, too.
    struct Fence;
    impl Drop for Fence {
        fn drop(&mut self) {
            past::fence();
        }
    }
    let fence = Fence;
    work(Stream(()));
    drop(fence);
}

impl Stream {
    /// Stores sixteen values, past the caches where `out` lies on a multiple of 16 bytes.
    #[inline(always)]
    pub(crate) fn store(self, values: [f32; LANES], out: &mut [f32; LANES]) {
        past::store(values, out);
    }
}

#[cfg(not(all(feature = "streaming", target_arch = "x86_64")))]
mod past {
    use crate::lanes::LANES;

    pub(super) fn fence() {}

    #[inline(always)]
    pub(super) fn store(values: [f32; LANES], out: &mut [f32; LANES]) {
        *out = values;
    }
}

#[cfg(all(feature = "streaming", target_arch = "x86_64"))]
mod past {
    use crate::lanes::LANES;
    use core::arch::x86_64::{__m128, _mm_sfence, _mm_stream_ps};

    #[allow(unsafe_code)]
    pub(super) fn fence() {
        // SAFETY: it needs SSE, which is part of x86-64.
        unsafe { _mm_sfence() };
    }

    #[inline(always)]
    pub(super) fn store(values: [f32; LANES], out: &mut [f32; LANES]) {
        let quarters: [__m128; 4] = bytemuck::cast(values);
        for (quarter, out) in quarters.into_iter().zip(out.as_chunks_mut().0) {
            store_quarter(quarter, out);
        }
    }

    /// Stores four values, past the caches where `out` lies on a multiple of 16 bytes.
    #[inline(always)]
    #[allow(unsafe_code)]
    fn store_quarter(value: __m128, out: &mut [f32; 4]) {
        let to = out.as_mut_ptr();
        if to.addr().is_multiple_of(align_of_val(&value)) {
            // SAFETY: `to` is valid for writing sixteen bytes, since it comes from a unique reference to four f32, and it is aligned to
            // sixteen, as was just tested. SSE, which the instruction needs, is part of x86-64. Non-temporal stores are not ordered with
            // other stores, so a fence must follow before another thread may look: this function is reached through a `Stream` alone,
            // which only `scope` hands out, and `scope` ends with one, by a panic too. Its callers hold the unique reference to the
            // output until it has returned. The thread itself sees its own stores in order.
            unsafe { _mm_stream_ps(to, value) };
        } else {
            *out = bytemuck::cast(value);
        }
    }
}
