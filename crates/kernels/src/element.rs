//! What one code stands for: the numbers of `lowbit-scalar`, named at run time.
//!
//! Whatever differs from element to element is matched exhaustively here, or follows from the [`Codec`]: a new element is a variant,
//! its place in [`ALL`](Element::ALL), and what the compiler then asks for.

use lowbit_scalar::{
    E2M1, E2M3, E3M0, E3M2, E3M4, E4M3, E4M3B11FNUZ, E4M3FNUZ, E4M3Ieee, E5M2, E5M2FNUZ, FloatFormat, Fp4,
    Int, MxInt8, Nf4, Overflow, Rounding, UE5M3, Uint, pack,
};

/// The kind of number that a code is. One value per type of `lowbit-scalar` that has a sign or counts from zero.
///
/// ```
/// use lowbit_kernels::Element;
/// assert_eq!((Element::E2m1.bits(), Element::E2m1.max()), (4, 6.0));
/// assert_eq!(Element::E4m3.decode_one(0b0_0111_100), 1.5); // 2^0 * (1 + 4/8)
/// assert_eq!(Element::Int { bits: 4 }.encode_one(-2.5), 0b1110); // ties to even: -2
/// assert_eq!(Element::E3m2.packed_len(5), 4); // 5 * 6 bits = 30 bits
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Element {
    /// OCP MX FP4: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and a sign.
    E2m1,
    /// FP4 of powers of two: 0, 0.25, 0.5, 1, 2, 4, 8, 16 and a sign.
    E3m0,
    /// OCP MX FP6 with 3 exponent bits, up to 28.
    E3m2,
    /// OCP MX FP6 with 3 mantissa bits, up to 7.5.
    E2m3,
    /// OCP FP8 with 3 mantissa bits ("E4M3FN"), up to 448, NaN but no infinities.
    E4m3,
    /// OCP FP8 with 2 mantissa bits, up to 57344, with infinities and NaNs as in IEEE 754.
    E5m2,
    /// E4M3 with bias 8, one NaN and no negative zero, up to 240.
    E4m3Fnuz,
    /// E5M2 with bias 16, one NaN and no negative zero, up to 57344.
    E5m2Fnuz,
    /// E4M3 with bias 11, one NaN and no negative zero, up to 30.
    E4m3B11Fnuz,
    /// E4M3 with infinities and NaNs as in IEEE 754, up to 240.
    E4m3Ieee,
    /// E3M4 with infinities and NaNs as in IEEE 754, up to 15.5.
    E3m4,
    /// FP8 without a sign: 5 exponent bits, 3 mantissa bits, up to 114688, one NaN. Negative numbers become 0.
    Ue5m3,
    /// Two's complement integer of 1 to 8 bits.
    Int {
        /// Width, 1 to 8.
        bits: u8,
    },
    /// Unsigned integer of 1 to 8 bits.
    Uint {
        /// Width, 1 to 8.
        bits: u8,
    },
    /// OCP MXINT8: a two's complement byte times 2^-6.
    MxInt8,
    /// NormalFloat of QLoRA: 16 quantiles of the normal distribution in [-1, 1].
    Nf4,
    /// FP4 of bitsandbytes: 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 and a sign.
    Fp4,
}

/// The type of `lowbit-scalar` that encodes and decodes an element.
#[derive(Clone, Copy)]
pub(crate) enum Codec {
    Float(FloatFormat),
    Int(u8),
    Uint(u8),
    MxInt8,
    Nf4,
    Fp4,
}

/// Calls `$body` with `$type` naming the integer type of `$bits` bits.
macro_rules! integer {
    ($bits:expr, $family:ident as $type:ident => $body:expr) => {
        integer!(@ $bits, $family, $type, $body, 1 2 3 4 5 6 7 8)
    };
    (@ $bits:expr, $family:ident, $type:ident, $body:expr, $($width:literal)*) => {
        match $bits {
            $($width => { type $type = $family<$width>; $body })*
            _ => panic!("integers have 1 to 8 bits"),
        }
    };
}

impl Element {
    /// Every element, integers of every width.
    pub const ALL: [Element; 31] = {
        use Element::*;
        let mut all = [E2m1; 31];
        let others = [
            E2m1,
            E3m0,
            E3m2,
            E2m3,
            E4m3,
            E5m2,
            E4m3Fnuz,
            E5m2Fnuz,
            E4m3B11Fnuz,
            E4m3Ieee,
            E3m4,
            Ue5m3,
            MxInt8,
            Nf4,
            Fp4,
        ];
        let mut at = 0;
        while at < others.len() {
            all[at] = others[at];
            at += 1;
        }
        let mut bits = 1;
        while bits <= 8 {
            all[at] = Int { bits };
            all[at + 8] = Uint { bits };
            (at, bits) = (at + 1, bits + 1);
        }
        all
    };

    pub(crate) const fn codec(self) -> Codec {
        match self {
            Element::E2m1 => Codec::Float(E2M1::FORMAT),
            Element::E3m0 => Codec::Float(E3M0::FORMAT),
            Element::E3m2 => Codec::Float(E3M2::FORMAT),
            Element::E2m3 => Codec::Float(E2M3::FORMAT),
            Element::E4m3 => Codec::Float(E4M3::FORMAT),
            Element::E5m2 => Codec::Float(E5M2::FORMAT),
            Element::E4m3Fnuz => Codec::Float(E4M3FNUZ::FORMAT),
            Element::E5m2Fnuz => Codec::Float(E5M2FNUZ::FORMAT),
            Element::E4m3B11Fnuz => Codec::Float(E4M3B11FNUZ::FORMAT),
            Element::E4m3Ieee => Codec::Float(E4M3Ieee::FORMAT),
            Element::E3m4 => Codec::Float(E3M4::FORMAT),
            Element::Ue5m3 => Codec::Float(UE5M3::FORMAT),
            Element::Int { bits } => Codec::Int(bits),
            Element::Uint { bits } => Codec::Uint(bits),
            Element::MxInt8 => Codec::MxInt8,
            Element::Nf4 => Codec::Nf4,
            Element::Fp4 => Codec::Fp4,
        }
    }

    /// Width of a code.
    ///
    /// # Panics
    /// If an integer's width is not 1 to 8.
    pub const fn bits(self) -> u32 {
        match self {
            Element::E2m1 | Element::E3m0 | Element::Nf4 | Element::Fp4 => 4,
            Element::E3m2 | Element::E2m3 => 6,
            Element::E4m3
            | Element::E5m2
            | Element::E4m3Fnuz
            | Element::E5m2Fnuz
            | Element::E4m3B11Fnuz
            | Element::E4m3Ieee
            | Element::E3m4
            | Element::Ue5m3
            | Element::MxInt8 => 8,
            Element::Int { bits } | Element::Uint { bits } => {
                assert!(1 <= bits && bits <= 8, "integers have 1 to 8 bits");
                bits as u32
            }
        }
    }

    /// The largest finite value: 6 for E2M1, 448 for E4M3, 127 for INT8, 255 for UINT8, 127/64 for MXINT8, 1 for NF4.
    pub const fn max(self) -> f32 {
        match self.codec() {
            Codec::Float(format) => format.max(),
            Codec::Int(bits) => ((1 << (bits - 1)) - 1) as f32,
            Codec::Uint(bits) => ((1 << bits) - 1) as f32,
            Codec::MxInt8 => MxInt8::MAX.to_f32(),
            Codec::Nf4 => Nf4::MAX.to_f32(),
            Codec::Fp4 => Fp4::MAX.to_f32(),
        }
    }

    /// The lowest finite value: -6 for E2M1, -128 for INT8, 0 for UINT8 and UE5M3, -127/64 for MXINT8 (which decodes -2, too), -1 for NF4.
    pub const fn min(self) -> f32 {
        match self.codec() {
            Codec::Float(format) => format.min(),
            Codec::Int(_) => -self.max() - 1.0,
            Codec::Uint(_) => 0.0,
            Codec::MxInt8 => MxInt8::MIN.to_f32(),
            Codec::Nf4 => Nf4::MIN.to_f32(),
            Codec::Fp4 => Fp4::MIN.to_f32(),
        }
    }

    /// Whether some value is negative.
    ///
    /// ```
    /// use lowbit_kernels::Element;
    /// assert!(Element::Int { bits: 4 }.is_signed() && !Element::Uint { bits: 4 }.is_signed());
    /// assert!(!Element::Ue5m3.is_signed());
    /// ```
    pub const fn is_signed(self) -> bool {
        match self.codec() {
            Codec::Float(format) => format.signed,
            Codec::Int(_) | Codec::MxInt8 | Codec::Nf4 | Codec::Fp4 => true,
            Codec::Uint(_) => false,
        }
    }

    /// The width of an integer, signed or not; `None` for all that is not a whole number.
    ///
    /// ```
    /// use lowbit_kernels::Element;
    /// assert_eq!(Element::Uint { bits: 4 }.int_bits(), Some(4));
    /// assert_eq!(Element::MxInt8.int_bits(), None); // a step is 1/64
    /// ```
    pub const fn int_bits(self) -> Option<u8> {
        match self.codec() {
            Codec::Int(bits) | Codec::Uint(bits) => Some(bits),
            Codec::Float(_) | Codec::MxInt8 | Codec::Nf4 | Codec::Fp4 => None,
        }
    }

    /// Whether this is a two's complement integer.
    pub const fn is_int(self) -> bool {
        self.int_bits().is_some() && self.is_signed()
    }

    /// Whether this is an unsigned integer.
    pub const fn is_uint(self) -> bool {
        self.int_bits().is_some() && !self.is_signed()
    }

    /// Whether the values are a table with its own values, neither evenly spaced nor powers of two: NF4 and FP4.
    pub const fn is_codebook(self) -> bool {
        match self.codec() {
            Codec::Nf4 | Codec::Fp4 => true,
            Codec::Float(_) | Codec::Int(_) | Codec::Uint(_) | Codec::MxInt8 => false,
        }
    }

    /// A short name in lower case: `e2m1`, `e4m3fnuz`, `int4`, `uint8`, `mxint8`, `nf4`.
    pub const fn name(self) -> &'static str {
        const INT: [&str; 8] = ["int1", "int2", "int3", "int4", "int5", "int6", "int7", "int8"];
        const UINT: [&str; 8] = ["uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "uint8"];
        match self {
            Element::E2m1 => "e2m1",
            Element::E3m0 => "e3m0",
            Element::E3m2 => "e3m2",
            Element::E2m3 => "e2m3",
            Element::E4m3 => "e4m3",
            Element::E5m2 => "e5m2",
            Element::E4m3Fnuz => "e4m3fnuz",
            Element::E5m2Fnuz => "e5m2fnuz",
            Element::E4m3B11Fnuz => "e4m3b11fnuz",
            Element::E4m3Ieee => "e4m3ieee",
            Element::E3m4 => "e3m4",
            Element::Ue5m3 => "ue5m3",
            Element::Int { .. } => INT[self.bits() as usize - 1],
            Element::Uint { .. } => UINT[self.bits() as usize - 1],
            Element::MxInt8 => "mxint8",
            Element::Nf4 => "nf4",
            Element::Fp4 => "fp4",
        }
    }

    /// The element of this [`name`](Element::name).
    ///
    /// ```
    /// use lowbit_kernels::Element;
    /// assert_eq!(Element::named("int4"), Some(Element::Int { bits: 4 }));
    /// assert_eq!(Element::named("int9"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }

    /// Bytes that the codes of `n` values take in one dense stream: `ceil(n * bits / 8)`.
    pub const fn packed_len(self, n: usize) -> usize {
        pack::packed_len(self.bits(), n)
    }

    /// The value of a code, exactly. Bits above the code's width are ignored.
    pub const fn decode_one(self, code: u8) -> f32 {
        match self.codec() {
            Codec::Float(format) => format.decode_f32(code),
            Codec::Int(bits) => integer!(bits, Int as T => T::from_bits(code).to_f32()),
            Codec::Uint(bits) => integer!(bits, Uint as T => T::from_bits(code).to_f32()),
            Codec::MxInt8 => MxInt8::from_bits(code).to_f32(),
            Codec::Nf4 => Nf4::from_bits(code).to_f32(),
            Codec::Fp4 => Fp4::from_bits(code).to_f32(),
        }
    }

    /// The step that every value of an element of evenly spaced codes is a whole number of: 1/2 for E2M1, 1/8 for E2M3, 1/64 for
    /// MXINT8, 1 for integers. Products of two of them are summed exactly, as integers. `None` for what spans too many
    /// binades (FP8, E3M0, E3M2) or has no step to speak of (NF4, FP4).
    ///
    /// ```
    /// use lowbit_kernels::Element;
    /// assert_eq!(Element::E2m1.step(), Some(0.5)); // 6 is 12 of them
    /// assert_eq!(Element::E4m3.step(), None);
    /// ```
    pub const fn step(self) -> Option<f32> {
        match self {
            Element::E2m1 => Some(1.0 / 2.0),
            Element::E2m3 => Some(1.0 / 8.0),
            Element::MxInt8 => Some(1.0 / 64.0),
            Element::Int { .. } | Element::Uint { .. } => Some(1.0),
            Element::E3m0
            | Element::E3m2
            | Element::E4m3
            | Element::E5m2
            | Element::E4m3Fnuz
            | Element::E5m2Fnuz
            | Element::E4m3B11Fnuz
            | Element::E4m3Ieee
            | Element::E3m4
            | Element::Ue5m3
            | Element::Nf4
            | Element::Fp4 => None,
        }
    }

    /// The step in which products with signed bytes are summed exactly in blocks of `block` values: [`step`](Self::step), and
    ///
    /// - for E4M3 and its FNUZ variant the least number, 2^-9 and 2^-10, in blocks of up to 64. The largest are 448 * 512 and 240 * 1024 steps, below
    ///   2^18, and 64 products of that and -128 are below 2^31;
    /// - for NF4 2^-27, the last place of its values next to 0, in blocks of up to 1024: 1024 products of 2^27 and -128 are 2^44, two numbers of 32 bits.
    ///
    /// ```
    /// use lowbit_kernels::Element;
    /// assert_eq!(Element::E2m1.exact_step(usize::MAX), Some(0.5));
    /// assert_eq!(Element::E4m3.exact_step(64), Some(1.0 / 512.0));
    /// assert_eq!(Element::E4m3.exact_step(65), None);
    /// let step = Element::Nf4.exact_step(64).unwrap();
    /// assert_eq!(Element::Nf4.decode_one(8) / step, 10_681_087.0); // 0.0796, the least above 0
    /// ```
    pub const fn exact_step(self, block: usize) -> Option<f32> {
        match self {
            Element::E4m3 if block <= 64 => Some(1.0 / 512.0),
            Element::E4m3Fnuz if block <= 64 => Some(1.0 / 1024.0),
            Element::Nf4 if block <= 1024 => Some(1.0 / 134_217_728.0),
            _ => self.step(),
        }
    }

    /// The code of `x`, rounded to nearest even and saturating; `from_f32` of the type in `lowbit-scalar`.
    pub const fn encode_one(self, x: f32) -> u8 {
        match self.codec() {
            Codec::Float(format) => format.encode_f32(x, Rounding::NearestEven, Overflow::Saturate),
            Codec::Int(bits) => integer!(bits, Int as T => T::from_f32(x).to_bits()),
            Codec::Uint(bits) => integer!(bits, Uint as T => T::from_f32(x).to_bits()),
            Codec::MxInt8 => MxInt8::from_f32(x).to_bits(),
            Codec::Nf4 => Nf4::from_f32(x).to_bits(),
            Codec::Fp4 => Fp4::from_f32(x).to_bits(),
        }
    }

    /// The descriptor of an element with exponent and mantissa.
    pub const fn float_format(self) -> Option<FloatFormat> {
        match self.codec() {
            Codec::Float(format) => Some(format),
            Codec::Int(_) | Codec::Uint(_) | Codec::MxInt8 | Codec::Nf4 | Codec::Fp4 => None,
        }
    }
}

impl core::fmt::Display for Element {
    /// The [`name`](Element::name).
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}
