//! The tables of the OCP specifications, written out by hand: MX 1.0 section 5.3 and 5.4, OFP8 1.0 section 5; and those of
//! E3M0 and UE5M3, which it does not have.

#![allow(clippy::unusual_byte_groupings)] // digits are grouped as sign, exponent, mantissa

use lowbit_scalar::*;

/// MX 1.0 table 5 (E2M1).
#[test]
fn e2m1_has_the_sixteen_values_of_the_standard() {
    let magnitudes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    for (code, magnitude) in magnitudes.into_iter().enumerate() {
        assert_eq!(E2M1::from_bits(code as u8).to_f32(), magnitude);
        let negative = E2M1::from_bits(code as u8 | 0b1000).to_f32();
        assert!(negative == -magnitude && negative.is_sign_negative());
    }
}

/// MX 1.0 table 4 (FP6): the 32 magnitudes of each, by the binades they lie in.
#[test]
fn fp6_has_the_magnitudes_of_the_standard() {
    let e3m2 = [
        [0.0, 0.0625, 0.125, 0.1875],
        [0.25, 0.3125, 0.375, 0.4375],
        [0.5, 0.625, 0.75, 0.875],
        [1.0, 1.25, 1.5, 1.75],
        [2.0, 2.5, 3.0, 3.5],
        [4.0, 5.0, 6.0, 7.0],
        [8.0, 10.0, 12.0, 14.0],
        [16.0, 20.0, 24.0, 28.0],
    ];
    assert_eq!(E3M2::VALUES[..32], *e3m2.as_flattened());
    let e2m3 = [
        [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875],
        [1.0, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 1.875],
        [2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75],
        [4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5],
    ];
    assert_eq!(E2M3::VALUES[..32], *e2m3.as_flattened());
    assert!(E3M2::VALUES[32..].iter().zip(&E3M2::VALUES).all(|(n, p)| n.to_bits() == (-p).to_bits()));
    assert!(E2M3::VALUES[32..].iter().zip(&E2M3::VALUES).all(|(n, p)| n.to_bits() == (-p).to_bits()));
}

/// OFP8 1.0 table 2, as code and value.
#[test]
fn fp8_has_the_landmarks_of_the_standard() {
    let e4m3 = [
        (0b0_0000_001, 2f32.powi(-9)),
        (0b0_0000_111, 7.0 * 2f32.powi(-9)),
        (0b0_0001_000, 2f32.powi(-6)),
        (0b0_0111_000, 1.0),
        (0b0_1111_110, 448.0),
        (0b1_1111_110, -448.0),
        (0b1_0000_000, -0.0),
    ];
    for (code, value) in e4m3 {
        assert_eq!(E4M3::from_bits(code).to_f32().to_bits(), value.to_bits(), "{code:#010b}");
    }
    assert!(E4M3::from_bits(0b0_1111_111).is_nan() && E4M3::from_bits(0b1_1111_111).is_nan());

    let e5m2 = [
        (0b0_00000_01, 2f32.powi(-16)),
        (0b0_00000_11, 3.0 * 2f32.powi(-16)),
        (0b0_00001_00, 2f32.powi(-14)),
        (0b0_01111_00, 1.0),
        (0b0_11110_11, 57344.0),
        (0b0_11111_00, f32::INFINITY),
        (0b1_11111_00, f32::NEG_INFINITY),
        (0b1_00000_00, -0.0),
    ];
    for (code, value) in e5m2 {
        assert_eq!(E5M2::from_bits(code).to_f32().to_bits(), value.to_bits(), "{code:#010b}");
    }
    for mantissa in 1..4 {
        assert!(E5M2::from_bits(0b0_11111_00 | mantissa).is_nan());
    }
}

/// Every code, and every midpoint between neighbours: it goes to the even code.
#[test]
fn e3m0_has_its_sixteen_values_and_rounds_ties_to_the_even_code() {
    let magnitudes = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
    for (code, magnitude) in (0u8..).zip(magnitudes) {
        assert_eq!(E3M0::from_bits(code).to_f32(), magnitude);
        let negative = E3M0::from_bits(code | 0b1000).to_f32();
        assert!(negative == -magnitude && negative.is_sign_negative());
    }
    let ties = [(0.125, 0.0), (0.375, 0.5), (0.75, 0.5), (1.5, 2.0), (3.0, 2.0), (6.0, 8.0), (12.0, 8.0)];
    for (low, (midpoint, even)) in (0u8..).zip(ties) {
        assert_eq!(E3M0::from_f32(midpoint).to_f32(), even);
        assert_eq!(E3M0::from_f32(-midpoint).to_f32(), -even);
        assert_eq!(E3M0::from_f32(midpoint.next_down()).to_bits(), low);
        assert_eq!(E3M0::from_f32(midpoint.next_up()).to_bits(), low + 1);
    }
    assert_eq!((E3M0::from_f32(f32::INFINITY), E3M0::from_f32(-24.0)), (E3M0::MAX, E3M0::MIN));
}

/// The values are those of E4M3 moved by 8 binades as far as that goes, and go on where E4M3 has its sign.
#[test]
fn ue5m3_is_e4m3_with_its_sign_bit_in_the_exponent() {
    for code in 0..0x7F {
        assert_eq!(UE5M3::from_bits(code).to_f64(), E4M3::from_bits(code).to_f64() * 2f64.powi(-8));
    }
    let landmarks = [
        (0b00000_000, 0.0),
        (0b00000_001, 2f32.powi(-17)),
        (0b00000_111, 7.0 * 2f32.powi(-17)),
        (0b00001_000, 2f32.powi(-14)),
        (0b01111_000, 1.0),
        (0b10000_001, 2.25),
        (0b11110_111, 61440.0),
        (0b11111_110, 114688.0),
    ];
    for (code, value) in landmarks {
        assert_eq!(UE5M3::from_bits(code).to_f32(), value, "{code:#010b}");
    }
    assert!(UE5M3::from_bits(0xFF).is_nan() && UE5M3::NAN_COUNT == 1);
    // Every midpoint goes to the even code; f32 is exact here.
    for low in 0..0xFE {
        let (below, above) = (UE5M3::from_bits(low).to_f32(), UE5M3::from_bits(low + 1).to_f32());
        let midpoint = (below + above) / 2.0;
        assert_eq!(UE5M3::from_f32(midpoint).to_bits(), low + low % 2, "{midpoint}");
        assert_eq!(UE5M3::from_f32(midpoint.next_down()).to_bits(), low);
        assert_eq!(UE5M3::from_f32(midpoint.next_up()).to_bits(), low + 1);
    }
    // 118784 is halfway to 122880, which would be the next value: even is 114688. Any more overflows.
    let with = |x| UE5M3::from_f32_with(x, Rounding::NearestEven, Overflow::NonFinite);
    assert_eq!(with(118_784.0), UE5M3::MAX);
    assert!(with(118_784.01).is_nan() && with(f32::INFINITY).is_nan());
    assert_eq!(UE5M3::from_f32(f32::INFINITY), UE5M3::MAX);
}

/// MX 1.0 section 5.4.1.
#[test]
fn e8m0_has_the_extremes_of_the_standard() {
    assert_eq!(E8M0::from_bits(0x00).to_f32(), 2f32.powi(-127));
    assert_eq!(E8M0::from_bits(0x7F).to_f32(), 1.0);
    assert_eq!(E8M0::from_bits(0xFE).to_f32(), 2f32.powi(127));
    assert!(E8M0::from_bits(0xFF).is_nan());
    for code in 0..0xFF {
        let exponent = i32::from(code) - 127;
        assert_eq!(E8M0::from_bits(code).to_f64(), 2f64.powi(exponent));
        assert_eq!(E8M0::from_bits(code).exponent(), exponent);
        assert_eq!(E8M0::from_exponent(exponent).to_bits(), code);
    }
    assert_eq!(E8M0::from_exponent(i32::MIN), E8M0::MIN);
    assert_eq!(E8M0::from_exponent(i32::MAX), E8M0::MAX);
    assert_eq!(E8M0::NAN.exponent(), 128);
}

/// Powers of two are exact, their neighbours go to the next one in the direction asked for.
#[test]
fn e8m0_floor_and_ceil_are_exact_at_every_power_of_two() {
    for exponent in -127..=127 {
        let (x, code) = (2f64.powi(exponent) as f32, E8M0::from_exponent(exponent));
        let (below, above) = (x.next_down(), x.next_up());
        let (previous, next) = (E8M0::from_exponent(exponent - 1), E8M0::from_exponent(exponent + 1));
        assert_eq!((E8M0::from_f32_floor(x), E8M0::from_f32_ceil(x)), (code, code));
        assert_eq!((E8M0::from_f32_floor(below), E8M0::from_f32_ceil(below)), (previous, code));
        assert_eq!((E8M0::from_f32_floor(above), E8M0::from_f32_ceil(above)), (code, next));
    }
    for from_f32 in [E8M0::from_f32, E8M0::from_f32_floor, E8M0::from_f32_ceil] {
        for nothing in [0.0, -0.0, -1.0, f32::MIN, f32::NEG_INFINITY, f32::from_bits(1)] {
            assert_eq!(from_f32(nothing), E8M0::MIN, "{nothing}");
        }
        assert_eq!(from_f32(f32::INFINITY), E8M0::MAX);
        assert_eq!(from_f32(f32::MAX), E8M0::MAX);
        assert!(from_f32(f32::NAN).is_nan());
    }
}

/// MX 1.0 section 5.3.4.
#[test]
fn mxint8_is_a_byte_in_64ths() {
    for code in 0..=u8::MAX {
        let value = MxInt8::from_bits(code);
        assert_eq!(value.to_f64(), f64::from(code as i8) / 64.0);
        let again = MxInt8::from_f32(value.to_f32()).to_bits();
        assert_eq!(again, if code == 0x80 { 0x81 } else { code }, "-2 is left unused");
    }
    // Every midpoint between neighbours goes to the even code; f32 is exact here.
    for low in -127i8..127 {
        let midpoint = (f32::from(low) + 0.5) / 64.0;
        let even = if low % 2 == 0 { low } else { low + 1 };
        assert_eq!(MxInt8::from_f32(midpoint).to_bits() as i8, even);
        assert_eq!(MxInt8::from_f32(midpoint.next_down()).to_bits() as i8, low);
        assert_eq!(MxInt8::from_f32(midpoint.next_up()).to_bits() as i8, low + 1);
    }
    assert_eq!(MxInt8::from_f32(f32::INFINITY), MxInt8::MAX);
    assert_eq!(MxInt8::from_f32(-3e38), MxInt8::MIN);
    assert_eq!(MxInt8::from_f32(f32::NAN).to_bits(), 0);
    assert_eq!(MxInt8::from_f32_with(-0.999 / 64.0, Rounding::TowardZero).to_bits(), 0);
}

/// The constants that the standards print, derived here from field widths.
#[test]
fn constants_are_those_of_the_standards() {
    const { assert!(E2M1::MAX.to_f32() == 6.0 && E4M3::MAX_F32 == 448.0) }
    macro_rules! constants {
        ($($type:ident: $bits:expr, $max:expr, $min_normal:expr, $min:expr, $epsilon:expr, $nans:expr;)*) => {$(
            let name = stringify!($type);
            assert_eq!($type::BITS, $bits, "{name}");
            assert_eq!($type::MAX.to_f32(), $max, "{name}");
            assert_eq!($type::MIN_POSITIVE.to_f32(), $min_normal, "{name}");
            assert_eq!($type::MIN_POSITIVE_SUBNORMAL.to_f32(), $min, "{name}");
            assert_eq!($type::EPSILON.to_f32(), $epsilon, "{name}");
            assert_eq!($type::ONE.to_f32(), 1.0, "{name}");
            assert_eq!(($type::MAX_F32, $type::MIN_POSITIVE_F32), ($max, $min_normal), "{name}");
            assert_eq!($type::MIN_POSITIVE_SUBNORMAL_F32, $min, "{name}");
            assert_eq!($type::NAN_COUNT, $nans, "{name}");
            let codes = 0..=$type::FORMAT.mask();
            assert_eq!(codes.filter(|&code| $type::from_bits(code).is_nan()).count(), $nans, "{name}");
            assert_eq!($type::MIN_F32, $type::VALUES.into_iter().filter(|x| x.is_finite()).fold(f32::MAX, f32::min));
            assert_eq!($type::MAX_F32, $type::VALUES.into_iter().filter(|x| x.is_finite()).fold(f32::MIN, f32::max));
        )*};
    }
    let p = |exponent| 2f64.powi(exponent) as f32;
    constants! {
        E2M1:        4, 6.0,     1.0,     0.5,     0.5,    0;
        E3M2:        6, 28.0,    0.25,    0.0625,  0.25,   0;
        E2M3:        6, 7.5,     1.0,     0.125,   0.125,  0;
        E4M3:        8, 448.0,   p(-6),   p(-9),   0.125,  2;
        E5M2:        8, 57344.0, p(-14),  p(-16),  0.25,   6;
        E8M0:        8, p(127),  p(-127), p(-127), 1.0,    1;
        E4M3FNUZ:    8, 240.0,   p(-7),   p(-10),  0.125,  1;
        E5M2FNUZ:    8, 57344.0, p(-15),  p(-17),  0.25,   1;
        E4M3B11FNUZ: 8, 30.0,    p(-10),  p(-13),  0.125,  1;
        E4M3Ieee:    8, 240.0,   p(-6),   p(-9),   0.125,  14;
        E3M4:        8, 15.5,    0.25,    p(-6),   0.0625, 30;
        E3M0:        4, 16.0,    0.25,    0.25,    1.0,    0;
        UE5M3:       8, 114688.0, p(-14), p(-17),  0.125,  1;
    }
}
