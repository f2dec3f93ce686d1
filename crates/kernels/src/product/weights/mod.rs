//! Elements that are whole numbers of steps, as unsigned bytes: a value in steps plus an offset.
//!
//! ```text
//! 4 bits             a table of sixteen bytes                    E2M1: 2 * value + 12; INT4: value + 8; UINT4: value
//! 8 bits             code ^ flip                                 INT8, MXINT8: flip and offset 128; UINT8: 0
//! any width          unpacked to bytes, then the same            E2M3: a table of 64
//! E4M3               three bytes of a magnitude              e4m3.rs
//! NF4                four digits                             nf4.rs
//! ```

pub(super) mod e4m3;
pub(super) mod exact;
pub(super) mod nf4;

use super::lanes::{LOW_BITS, SumLanes};
use super::tables::NF4_BITS;
use crate::Element;
use crate::codes::unpack;
use crate::lanes::CHUNK;
use exact::{Exact, One};

/// How the codes of one vector become bytes, and are multiplied with activations.
pub(super) trait Weights<L: SumLanes>: Copy {
    /// Activations that one vector of codes is multiplied with.
    type X: Activations;
    /// A vector of codes as bytes.
    type Loaded: Copy;
    /// How sums of neighbouring products are held.
    type Exact: Exact<L>;
    /// Values in a vector of codes.
    const VALUES: usize = size_of::<Self::X>();

    /// Bytes of a vector of codes.
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK
    }
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded;
    /// Sixteen sums of neighbouring products.
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> <Self::Exact as Exact<L>>::Sums;

    /// Whether codes can be NaN. Then so are all products of their row.
    const NAN: bool = false;
    /// The largest bytes so far, zeros at first, and of more weights: NaN leaves a byte above 0x7e.
    #[inline(always)]
    fn track_nan(self, _: L, largest: L::B, _: Self::Loaded) -> L::B {
        largest
    }
    /// Whether [`track_nan`](Self::track_nan) finds every NaN.
    #[inline(always)]
    fn tracks_nan(self) -> bool {
        true
    }
    /// Whether one of the codes is NaN.
    #[inline(always)]
    fn has_nan(self, _: &[u8]) -> bool {
        false
    }
}

/// The activations of one vector of codes.
pub(super) trait Activations: Copy {
    /// Those that add nothing.
    const ZEROS: Self;
    /// Bytes of codes to prefetch ahead.
    const AHEAD: usize;

    /// Those of a column, in the order of its two that such vectors have.
    fn of_column(x: &[i8]) -> &[Self];
}

/// For codes that are bytes: in order.
impl Activations for [i8; CHUNK] {
    const ZEROS: Self = [0; CHUNK];
    const AHEAD: usize = 8192;

    #[inline(always)]
    fn of_column(x: &[i8]) -> &[Self] {
        x[..x.len() / 2].as_chunks().0
    }
}

/// For codes that are nibbles: those of low nibbles, then those of high ones.
impl Activations for [i8; 2 * CHUNK] {
    const ZEROS: Self = [0; 2 * CHUNK];
    const AHEAD: usize = 12288;

    #[inline(always)]
    fn of_column(x: &[i8]) -> &[Self] {
        x[x.len() / 2..].as_chunks().0
    }
}

/// The offset of an element in steps: what makes its least value 0, or a code's flipped sign bit. Of NF4, in high parts of its sums.
pub(super) const fn offset(e: Element) -> i32 {
    match e {
        Element::E2m1 => const { least(Element::E2m1) },
        Element::E2m3 => const { least(Element::E2m3) },
        Element::Int { .. } | Element::MxInt8 => 1 << (e.bits() - 1),
        Element::Nf4 => 1 << (NF4_BITS - LOW_BITS),
        Element::Uint { .. } | Element::E4m3 | Element::E4m3Fnuz => 0,
        _ => panic!("not summed exactly"),
    }
}

const fn least(e: Element) -> i32 {
    (-e.min() / step(e)) as i32
}

const fn step(e: Element) -> f32 {
    match e.step() {
        Some(step) => step,
        None => panic!("not whole numbers of steps"),
    }
}

/// Bytes of all codes of an element of at most 6 bits, made when this is compiled: a minifloat takes long to decode by itself.
const fn table<const N: usize>(e: Element) -> [u8; N] {
    let (mut table, mut code) = ([0; N], 0);
    while code < N {
        table[code] = ((e.decode_one(code as u8) / step(e)) as i32 + offset(e)) as u8;
        code += 1;
    }
    table
}

/// Codes of 4 bits.
#[derive(Clone, Copy)]
pub(super) struct Nibbles<L: SumLanes>(L::Bytes);

impl<L: SumLanes> Nibbles<L> {
    #[inline(always)]
    pub(super) fn new(l: L, e: Element) -> Self {
        Self(l.byte_table(match e {
            Element::E2m1 => const { &table(Element::E2m1) },
            Element::Int { .. } => const { &table(Element::Int { bits: 4 }) },
            Element::Uint { .. } => const { &table(Element::Uint { bits: 4 }) },
            _ => unreachable!("{e} has no table of bytes"),
        }))
    }
}

impl<L: SumLanes> Weights<L> for Nibbles<L> {
    type X = [i8; 2 * CHUNK];
    type Loaded = [L::B; 2];
    type Exact = One;

    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        l.halves(self.0, codes.try_into().unwrap())
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> L::I {
        l.dot_halves(weights, x)
    }
}

/// Codes of 8 bits.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    flip: u8,
}

impl Bytes {
    pub(super) fn new(e: Element) -> Self {
        Self { flip: offset(e) as u8 }
    }
}

impl<L: SumLanes> Weights<L> for Bytes {
    type X = [i8; CHUNK];
    type Loaded = L::B;
    type Exact = One;

    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        l.xor_bytes(l.load_bytes(codes.try_into().unwrap()), l.splat_byte(self.flip))
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> L::I {
        l.dot(weights, x)
    }
}

/// Codes of any width; what levels without loops of their own use for all.
#[derive(Clone, Copy)]
pub(super) struct Packed {
    e: Element,
    flip: u8,
}

impl Packed {
    pub(super) fn new(e: Element) -> Self {
        Self { e, flip: offset(e) as u8 }
    }
}

impl<L: SumLanes> Weights<L> for Packed {
    type X = [i8; CHUNK];
    type Loaded = L::B;
    type Exact = One;

    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 8 * self.e.bits() as usize
    }
    #[inline(always)]
    fn load(self, l: L, codes: &[u8]) -> Self::Loaded {
        let codes = unpack(l, self.e.bits(), codes);
        let table = match self.e {
            Element::E2m1 => const { &table(Element::E2m1) },
            Element::E2m3 => const { &table(Element::E2m3) },
            _ => return l.xor_bytes(codes, l.splat_byte(self.flip)),
        };
        let mut bytes = [0; CHUNK];
        l.store_bytes(codes, &mut bytes);
        l.load_bytes(&look_up(table, &bytes))
    }
    #[inline(always)]
    fn dot(self, l: L, weights: Self::Loaded, x: &Self::X) -> L::I {
        l.dot(weights, x)
    }
}

#[inline(never)]
fn look_up(table: &[u8; 64], codes: &[u8; CHUNK]) -> [u8; CHUNK] {
    codes.map(|code| table[usize::from(code % 64)])
}
