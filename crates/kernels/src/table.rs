//! Elements of up to 16 values: NF4 and bitsandbytes' FP4 encode by comparing with the cuts between neighbours, and any
//! element of up to 4 bits decodes by looking its values up.

use crate::Element;
use crate::decode::{Affine, Decoder};
use crate::encode::Encoder;
use crate::lanes::{CHUNK, Lanes};
use lowbit_scalar::{Fp4, Nf4};

/// The cuts of an element and the codes between them. A number above a cut, and only above, has passed it.
#[derive(Clone, Copy)]
struct Cuts {
    cuts: &'static [f32],
    /// What passing each cut changes in the code, as an exclusive or.
    changes: [u8; 15],
    /// The code below all cuts.
    first: u8,
    /// Whether magnitudes are cut, and the sign is a bit of the code.
    sign_code: u8,
}

impl Cuts {
    const NF4: Self = Self::new(Element::Nf4, &Nf4::CUTS, 0);
    const FP4: Self = Self::new(Element::Fp4, &Fp4::CUTS, 0b1000);

    const fn new(e: Element, cuts: &'static [f32], sign_code: u8) -> Self {
        let first = e.encode_one(if sign_code == 0 { f32::MIN } else { 0.0 });
        let mut changes = [0; 15];
        let (mut code, mut i) = (first, 0);
        while i < cuts.len() {
            let next = e.encode_one(cuts[i].next_up());
            changes[i] = code ^ next;
            (code, i) = (next, i + 1);
        }
        Self { cuts, changes, first, sign_code }
    }
}

/// Quotients to codes of NF4 or FP4.
#[derive(Clone, Copy)]
pub(crate) struct TableEncoder<L: Lanes> {
    table: Cuts,
    magnitude: L::U,
    zero: L::U,
}

impl<L: Lanes> TableEncoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        Self {
            table: if matches!(e, Element::Nf4) { Cuts::NF4 } else { Cuts::FP4 },
            magnitude: l.splat_bits(u32::MAX >> 1),
            zero: l.splat_bits(0),
        }
    }

    #[inline(always)]
    fn vector(self, l: L, x: L::F) -> L::U {
        let magnitude = l.bits(x) & self.magnitude;
        let measured = if self.table.sign_code == 0 { x } else { l.float(magnitude) };
        let mut code = l.splat_bits(self.table.first.into());
        for (&cut, &change) in self.table.cuts.iter().zip(&self.table.changes) {
            let passed = l.gt_f32(measured, l.splat(cut));
            code = code ^ l.select(passed, l.splat_bits(change.into()), self.zero);
        }
        let negative = l.gt_f32(l.splat(0.0), x);
        code | l.select(negative, l.splat_bits(self.table.sign_code.into()), self.zero)
    }
}

impl<L: Lanes> Encoder<L> for TableEncoder<L> {
    #[inline(always)]
    fn encode(self, l: L, x: [L::F; 4]) -> L::B {
        let [a, b, c, d] = x;
        l.bytes_at([self.vector(l, a), self.vector(l, b), self.vector(l, c), self.vector(l, d)], 0)
    }
}

/// The values of the codes of 4 bits, found by the compiler: at run time it would take as long as decoding a thousand of them.
const fn values(e: Element) -> [f32; 16] {
    assert!(e.bits() == 4);
    let mut values = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        values[code] = e.decode_one(code as u8);
        code += 1;
    }
    values
}

/// Codes of 4 bits to values.
#[derive(Clone, Copy)]
pub(crate) struct NibbleDecoder<L: Lanes>(L::Table);

impl<L: Lanes> NibbleDecoder<L> {
    #[inline(always)]
    pub(crate) fn new(l: L, e: Element) -> Self {
        Self(l.table(match e {
            Element::Nf4 => const { &values(Element::Nf4) },
            Element::Fp4 => const { &values(Element::Fp4) },
            Element::Int { .. } => const { &values(Element::Int { bits: 4 }) },
            Element::Uint { .. } => const { &values(Element::Uint { bits: 4 }) },
            _ => const { &values(Element::E2m1) },
        }))
    }
}

impl<L: Lanes> Decoder<L> for NibbleDecoder<L> {
    #[inline(always)]
    fn bytes(self) -> usize {
        CHUNK / 2
    }
    #[inline(always)]
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4] {
        l.lookup_nibbles(self.0, codes.first_chunk().unwrap())
    }
    /// Zero point and scale are applied to the sixteen values, not to each that is looked up: the same operations.
    #[inline(always)]
    fn in_block(self, l: L, block: Affine<L>) -> impl Fn(&[u8]) -> [L::F; 4] {
        let folds = l.folds();
        let folded = if folds { l.fold(self.0, |values| block.apply(values)) } else { self.0 };
        #[inline(always)]
        move |codes| {
            let [a, b, c, d] = Self(folded).decode(l, codes);
            if folds {
                [a, b, c, d]
            } else {
                [block.apply(a), block.apply(b), block.apply(c), block.apply(d)]
            }
        }
    }
}
