//! The operations that kernels are written in: sixteen lanes of f32 or u32, sixty-four of bytes.
//!
//! A level is an implementation of [`Lanes`]; the kernels are generic over it and written once. Whatever the registers
//! of the machine, a vector has 16 lanes (one AVX-512 register, two AVX2, four SSE or NEON), so that every level visits
//! the same values in the same order, and a chunk of 64 values is four vectors and one vector of bytes.
//!
//! Add, subtract, multiply and divide are IEEE 754 operations, each rounded; nothing here fuses, flushes or estimates.
//! Integers wrap, and compare as *signed*: that is what SSE2 and AVX2 have, and the kernels' integers are below 2^31.

use core::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Shl, Shr, Sub};

/// Lanes in a vector.
pub(crate) const LANES: usize = 16;
/// Values in a chunk, the unit of the kernels: its codes fill whole bytes at any width.
pub(crate) const CHUNK: usize = 4 * LANES;
/// Bytes that come into the cache together.
pub(crate) const LINE: usize = 64;

/// `$path`, one of several that a kernel can take, as a function of its own in debug builds. Where nothing is optimised, a frame has room
/// for every temporary of all that is inlined into the function, and with all paths in one that is megabytes.
macro_rules! apart {
    ($l:ident, $path:expr) => {
        $crate::lanes::Lanes::apart(
            $l,
            #[inline(always)]
            move || $path,
        )
    };
}

pub(crate) use apart;

/// One SIMD level. Everything is inlined into the caller, which must be compiled for the level's instructions.
pub(crate) trait Lanes: Copy {
    /// Sixteen f32.
    type F: Copy
        + Add<Output = Self::F>
        + Sub<Output = Self::F>
        + Mul<Output = Self::F>
        + Div<Output = Self::F>;
    /// Sixteen u32.
    type U: Copy
        + Add<Output = Self::U>
        + Sub<Output = Self::U>
        + BitAnd<Output = Self::U>
        + BitOr<Output = Self::U>
        + BitXor<Output = Self::U>
        + Shl<u32, Output = Self::U>
        + Shr<u32, Output = Self::U>;
    /// Sixteen truth values.
    type M: Copy;
    /// Sixty-four bytes.
    type B: Copy;
    /// Sixteen f32 to look up by code.
    type Table: Copy;

    /// Whether one loop serves every shape of blocks. Few machines need the levels for which it does, and special cases are much code.
    const COMPACT: bool;
    /// Whether [`fold`](Self::fold) takes no longer than scaling a vector.
    const FOLDS: bool;

    /// Does `work` in a function of its own, compiled for the level's instructions.
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R;

    /// See [`apart!`](apart). Optimised builds gain nothing by it, and where they do not inline it again, what is captured is read from memory.
    #[inline(always)]
    fn apart<R>(self, path: impl FnOnce() -> R) -> R {
        if cfg!(debug_assertions) { self.vectorize(path) } else { path() }
    }

    /// Asks for the cache line of something that is read later. It changes nothing but the time.
    #[inline(always)]
    fn prefetch<T>(self, _: &T) {}

    fn load(self, x: &[f32; LANES]) -> Self::F;
    fn store(self, x: Self::F, out: &mut [f32; LANES]);
    fn splat(self, x: f32) -> Self::F;
    fn splat_bits(self, x: u32) -> Self::U;

    fn bits(self, x: Self::F) -> Self::U;
    fn float(self, x: Self::U) -> Self::F;

    /// The larger, as signed integers.
    fn max(self, a: Self::U, b: Self::U) -> Self::U;
    /// The smaller, as signed integers.
    fn min(self, a: Self::U, b: Self::U) -> Self::U;
    /// `a > b`, as signed integers.
    fn gt(self, a: Self::U, b: Self::U) -> Self::M;
    /// `a > b`, as floats: false where either is NaN.
    fn gt_f32(self, a: Self::F, b: Self::F) -> Self::M;
    fn select(self, mask: Self::M, if_true: Self::U, if_false: Self::U) -> Self::U;
    fn any(self, mask: Self::M) -> bool;
    fn any_nan(self, x: [Self::F; 4]) -> bool;
    /// `x`, but not below `min` nor above `max`; any number for NaN.
    fn clamp(self, x: Self::F, min: Self::F, max: Self::F) -> Self::F;
    /// The larger, as unsigned integers.
    fn max_unsigned(self, a: Self::U, b: Self::U) -> Self::U;
    /// The smaller, as unsigned integers.
    fn min_unsigned(self, a: Self::U, b: Self::U) -> Self::U;
    /// Half of the lanes of `a` and of `b`, and the others, so that four rounds of an operation on both, 0 to 3, fold sixteen vectors to one:
    /// each round joins neighbours, and lane `i` of the last result is of vector `i`.
    fn part(self, round: usize, a: Self::U, b: Self::U) -> (Self::U, Self::U);

    fn load_bytes(self, x: &[u8; CHUNK]) -> Self::B;
    fn store_bytes(self, x: Self::B, out: &mut [u8; CHUNK]);
    fn splat_byte(self, x: u8) -> Self::B;
    /// The sum, wrapped.
    fn add_bytes(self, a: Self::B, b: Self::B) -> Self::B;
    fn and_bytes(self, a: Self::B, b: Self::B) -> Self::B;
    fn xor_bytes(self, a: Self::B, b: Self::B) -> Self::B;
    /// Eight bits of each lane from bit `bit` on, in the level's own order of lanes. Beyond the highest bit they can be any.
    fn bytes_at(self, x: [Self::U; 4], bit: u32) -> Self::B;
    /// From the level's own order to that of the lanes.
    fn in_order(self, x: Self::B) -> Self::B;
    fn widen(self, x: Self::B) -> [Self::U; 4];
    /// Closes the gaps between codes of `bits` bits, one a byte: the first `8 * bits` bytes of `out`, the others can be any.
    fn close_gaps(self, bits: u32, x: Self::B, out: &mut [u8; CHUNK]);
    /// Two bytes below 16 in one, the first in the low half.
    fn join_nibbles(self, x: Self::B, out: &mut [u8; CHUNK / 2]);
    fn split_nibbles(self, x: &[u8; CHUNK / 2]) -> Self::B;

    /// Sixteen codes of `bits` bits, 1 to 7 but not 4, from the first bytes.
    fn spread(self, bits: u32, bytes: &[u8; LANES]) -> Self::U;

    fn load_u16(self, x: &[u16; 2 * LANES]) -> [Self::U; 2];
    /// Each lane must be below 2^16.
    fn store_u16(self, x: [Self::U; 2], out: &mut [u16; 2 * LANES]);

    /// f16 to f32, exactly; each lane is below 2^16.
    fn widen_f16(self, x: Self::U) -> Self::F;
    /// f16 to f32, exactly.
    #[inline(always)]
    fn load_f16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        let [a, b] = self.load_u16(x);
        [self.widen_f16(a), self.widen_f16(b)]
    }
    /// bf16 to f32, of which it is the upper half.
    #[inline(always)]
    fn load_bf16(self, x: &[u16; 2 * LANES]) -> [Self::F; 2] {
        let [a, b] = self.load_u16(x);
        [self.float(a << u16::BITS), self.float(b << u16::BITS)]
    }
    /// f32 to f16, to nearest even; the result is in the lower half of each lane.
    fn narrow_f16(self, x: Self::F) -> Self::U;
    /// The upper half becomes the nearest bf16, ties to even: adding just under half a unit of it, and one more if it is odd, does that.
    /// The lower half is of no use. A NaN can become anything.
    #[inline(always)]
    fn round_upper(self, x: Self::F) -> Self::F {
        round_upper(self, x)
    }
    /// Upper halves, as they are.
    #[inline(always)]
    fn store_upper(self, x: [Self::F; 4], out: &mut [u16; CHUNK]) {
        store_upper(self, x, out);
    }
    /// f32 to bf16, to nearest even.
    #[inline(always)]
    fn store_bf16(self, x: [Self::F; 4], out: &mut [u16; CHUNK]) {
        let mut x = x;
        if self.any_nan(x) {
            let (magnitude, infinity) =
                (self.splat_bits(u32::MAX >> 1), self.splat_bits(f32::INFINITY.to_bits()));
            for x in &mut x {
                // A NaN whose payload fills the lower half would carry.
                let bits = self.bits(*x);
                let is_nan = self.gt(bits & magnitude, infinity);
                *x = self.float(self.select(is_nan, self.splat_bits(f32::NAN.to_bits()), bits));
            }
        }
        let [a, b, c, d] = x;
        self.store_upper(
            [self.round_upper(a), self.round_upper(b), self.round_upper(c), self.round_upper(d)],
            out,
        );
    }

    fn table(self, values: &[f32; 16]) -> Self::Table;
    /// The table of `map(value)`.
    fn fold(self, table: Self::Table, map: impl Fn(Self::F) -> Self::F) -> Self::Table;
    /// The table's value for each byte, all below 16.
    fn lookup(self, table: Self::Table, codes: Self::B) -> [Self::F; 4];
    /// The table's value for each nibble, the low one of a byte first.
    #[inline(always)]
    fn lookup_nibbles(self, table: Self::Table, codes: &[u8; CHUNK / 2]) -> [Self::F; 4] {
        self.lookup(table, self.split_nibbles(codes))
    }

    /// Eight lanes each: of the first two, and of the last two.
    #[inline(always)]
    fn pairs(self, [a, b, c, d]: &[f32; 4]) -> [Self::F; 2] {
        let eight = |x: &f32, y: &f32| [*x, *x, *x, *x, *x, *x, *x, *x, *y, *y, *y, *y, *y, *y, *y, *y];
        [self.load(&eight(a, b)), self.load(&eight(c, d))]
    }
    /// The upper half of the table's value for each nibble, where that takes less than narrowing each, or false. Sixteen values are for 32 nibbles;
    /// or, if it is `signed`, eight magnitudes are for 16, and the fourth bit is a sign.
    #[inline(always)]
    fn store_nibble_words(
        self,
        _signed: bool,
        _tables: [Self::F; 2],
        _codes: &[u8; CHUNK / 2],
        _out: &mut [u16; CHUNK],
    ) -> bool {
        false
    }
}

/// [`Lanes::round_upper`] in portable operations.
#[inline(always)]
pub(crate) fn round_upper<L: Lanes>(l: L, x: L::F) -> L::F {
    let bits = l.bits(x);
    let odd = (bits >> u16::BITS) & l.splat_bits(1);
    l.float(bits + l.splat_bits(0x7fff) + odd)
}

/// [`Lanes::store_upper`] in portable operations.
#[inline(always)]
pub(crate) fn store_upper<L: Lanes>(l: L, [a, b, c, d]: [L::F; 4], out: &mut [u16; CHUNK]) {
    let [low, high] = out.as_chunks_mut::<{ 2 * LANES }>().0 else { unreachable!() };
    l.store_u16([l.bits(a) >> u16::BITS, l.bits(b) >> u16::BITS], low);
    l.store_u16([l.bits(c) >> u16::BITS, l.bits(d) >> u16::BITS], high);
}
