//! Values of up to 8 bits as bytes: the upper half of each f32, which is all there is of them, in two tables.
//!
//! ```text
//! E4M3 code 0x3c = 1.5 = 0x3fc00000       high[0x3c] = 0x3f, low[0x3c] = 0xc0
//! ```

use crate::Element;

/// The value of each code, without its sign where the code's uppermost bit is one.
pub(crate) struct Planes {
    /// The sign, the exponent but for its last bit.
    pub(crate) high: [u8; 128],
    /// The last bit of the exponent, seven bits of mantissa.
    pub(crate) low: [u8; 128],
    /// The bit of a code that goes into `high` as it is.
    pub(crate) sign: u8,
    /// Whether code 0x80 is NaN.
    pub(crate) fnuz: bool,
}

impl Planes {
    /// The planes of an element; `None` for 4 bits, where f32 are looked up, for integers of 8 bits, which are converted, and for UE5M3,
    /// whose eight bits of magnitude are too many.
    pub(crate) const fn of(e: Element) -> Option<&'static Self> {
        static INT: [Planes; 8] = ints(true);
        static UINT: [Planes; 8] = ints(false);
        Some(match e {
            Element::E3m2 => const { &Self::new(Element::E3m2) },
            Element::E2m3 => const { &Self::new(Element::E2m3) },
            Element::E4m3 => const { &Self::new(Element::E4m3) },
            Element::E5m2 => const { &Self::new(Element::E5m2) },
            Element::E4m3Fnuz => const { &Self::new(Element::E4m3Fnuz) },
            Element::E5m2Fnuz => const { &Self::new(Element::E5m2Fnuz) },
            Element::E4m3B11Fnuz => const { &Self::new(Element::E4m3B11Fnuz) },
            Element::E4m3Ieee => const { &Self::new(Element::E4m3Ieee) },
            Element::E3m4 => const { &Self::new(Element::E3m4) },
            Element::Int { bits: 8 | 4 } | Element::Uint { bits: 8 | 4 } => return None,
            Element::Int { bits } => &INT[bits as usize - 1],
            Element::Uint { bits } => &UINT[bits as usize - 1],
            Element::E2m1
            | Element::E3m0
            | Element::Ue5m3
            | Element::MxInt8
            | Element::Nf4
            | Element::Fp4 => return None,
        })
    }

    const fn new(e: Element) -> Self {
        let mut planes = Self { high: [0; 128], low: [0; 128], sign: 0, fnuz: false };
        if e.bits() == 8 {
            planes.sign = 0x80;
            planes.fnuz = e.decode_one(0x80).is_nan();
        }
        let mut code = 0;
        while code < 128 {
            // Bits above the width are ignored, so a narrow element's values repeat.
            let [0, 0, low, high] = e.decode_one(code as u8).to_le_bytes() else {
                panic!("more than the upper half of an f32")
            };
            (planes.low[code], planes.high[code]) = (low, high);
            code += 1;
        }
        planes
    }
}

/// Integers of 1 to 8 bits. Of 8 bits only half of the codes are here, and [`Planes::of`] does not give them out.
const fn ints(signed: bool) -> [Planes; 8] {
    let mut all = [const { Planes::new(Element::Int { bits: 1 }) }; 8];
    let mut bits = 1;
    while bits <= 8 {
        all[bits as usize - 1] =
            Planes::new(if signed { Element::Int { bits } } else { Element::Uint { bits } });
        bits += 1;
    }
    all
}
