//! Where scales lie on their way from a file to a loop.

/// What a [`Room`] for `S` scales lies in. Vectors that cross cache lines take twice as long to load.
#[repr(align(64))]
pub(crate) struct Laid<const S: usize> {
    wide: [f32; S],
    window: [f32; S],
}

impl<const S: usize> Laid<S> {
    pub(crate) const EMPTY: Self = Self { wide: [0.0; S], window: [0.0; S] };

    pub(crate) fn room(&mut self) -> Room<'_> {
        Room { wide: &mut self.wide, window: Window { room: &mut self.window, from: 0, to: 0 } }
    }
}

/// Room for scales on their way to a loop.
pub(crate) struct Room<'a> {
    /// One for each block, where each is that of several.
    pub(super) wide: &'a mut [f32],
    pub(crate) window: Window<'a>,
}

/// Those of `from..to` of all rows, as f32; short rows share it.
pub(crate) struct Window<'a> {
    pub(super) room: &'a mut [f32],
    pub(super) from: usize,
    pub(super) to: usize,
}
