//! Numbers that break things: specials, ties and their neighbours, random bits.

use lowbit_kernels::Element;

/// Block lengths, short, odd, around vectors and chunks, and one block over everything.
pub(crate) const BLOCKS: [usize; 14] = [1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 64, 128, usize::MAX];

pub(crate) const SPECIALS: [f32; 20] = [
    0.0,
    -0.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::from_bits(0xffc0_0000), // -NaN
    f32::from_bits(0x7f80_0001), // signalling, the smallest NaN
    f32::from_bits(0xffff_ffff),
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    f32::from_bits(1), // the smallest subnormal
    f32::from_bits(0x8000_0001),
    f32::from_bits(0x007f_ffff), // the largest subnormal
    f32::from_bits(0x8040_0000),
    1.0,
    -1.0,
    8_388_607.5, // the largest f32 that is not an integer
    -8_388_607.5,
];

/// Specials, every value of the element, every point halfway between two, and the f32 neighbours of each.
pub(crate) fn edges(e: Element) -> Vec<f32> {
    let mut values: Vec<f32> =
        (0..1 << e.bits()).map(|code| e.decode_one(code as u8)).filter(|x| x.is_finite()).collect();
    values.sort_by(f32::total_cmp);
    let halfway: Vec<f32> = values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    let beyond = [e.max(), e.min()].map(|end| end * (1.0 + 1.0 / 16.0)); // the first tie above E4M3's largest value, and the like
    let mut edges = SPECIALS.to_vec();
    for x in values.into_iter().chain(halfway).chain(beyond) {
        edges.extend([x.next_down(), x, x.next_up(), 1.5 * x]);
    }
    edges
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// Any bits: mostly numbers far out of an element's range.
    pub(crate) fn any(&mut self) -> f32 {
        f32::from_bits(self.bits() as u32)
    }

    /// A number within a few binades of `size`.
    pub(crate) fn near(&mut self, size: f32) -> f32 {
        let unit = self.bits() as i32 as f32 / (1u32 << 31) as f32;
        size * unit * [0.03125, 0.25, 1.0, 1.0, 1.25][self.below(5)]
    }

    /// Numbers for an element, one in eight of them special or of any bits.
    pub(crate) fn mixed(&mut self, n: usize, size: f32) -> Vec<f32> {
        (0..n)
            .map(|_| match self.below(16) {
                0 => SPECIALS[self.below(SPECIALS.len())],
                1 => self.any(),
                _ => self.near(size),
            })
            .collect()
    }
}
