//! Equality and order by value, the total order of codes, signs and classes.

mod floats;

use floats::for_each_float;
use lowbit_scalar::*;
use std::cmp::Ordering;

#[test]
fn equality_and_order_are_those_of_the_values() {
    for_each_float!(T => {
        for a in (0..=T::FORMAT.mask()).map(T::from_bits) {
            for b in (0..=T::FORMAT.mask()).map(T::from_bits) {
                assert_eq!(a == b, a.to_f64() == b.to_f64());
                assert_eq!(a.partial_cmp(&b), a.to_f64().partial_cmp(&b.to_f64()));
            }
        }
    });
    assert_eq!(E2M1::NEG_ZERO, E2M1::ZERO);
    assert_ne!(E4M3::NAN, E4M3::NAN);
    assert!(Int4::MIN < Int4::ZERO && Nf4::MIN < Nf4::ZERO && Fp4::from_f32(0.5) > Fp4::from_f32(0.3));
}

#[test]
fn total_order_agrees_with_that_of_f32_and_tells_all_codes_apart() {
    for_each_float!(T => {
        for a in (0..=T::FORMAT.mask()).map(T::from_bits) {
            for b in (0..=T::FORMAT.mask()).map(T::from_bits) {
                let order = a.total_cmp(&b);
                assert_eq!(order == Ordering::Equal, a.to_bits() == b.to_bits());
                assert_eq!(order.reverse(), b.total_cmp(&a));
                if !(a.is_nan() && b.is_nan()) {
                    assert_eq!(order, a.to_f32().total_cmp(&b.to_f32()), "{a:?} {b:?}");
                }
            }
        }
    });
    let mut specials =
        [E5M2::NAN, E5M2::INFINITY, E5M2::ZERO, E5M2::NEG_ZERO, E5M2::NEG_INFINITY, E5M2::NAN.neg()];
    specials.sort_by(E5M2::total_cmp);
    assert_eq!(specials.map(E5M2::to_bits), [0xFE, 0xFC, 0x80, 0x00, 0x7C, 0x7E]);
}

/// Types without NaN and with one zero are totally ordered: sorted codes have rising values, and equal codes are one key.
#[test]
fn integers_and_nf4_are_ordered_and_hashed_by_value() {
    macro_rules! check {
        ($($type:ident)*) => {$(
            let mut all: Vec<$type> = (0..=u8::MAX).map($type::from_bits).collect();
            all.sort();
            assert!(all.windows(2).all(|pair| pair[0].to_f32() <= pair[1].to_f32()));
            all.dedup();
            assert_eq!(all.len(), 1 << $type::BITS, stringify!($type));
            let keys: std::collections::HashSet<$type> = (0..=u8::MAX).map($type::from_bits).collect();
            assert_eq!(keys.len(), 1 << $type::BITS, stringify!($type));
        )*};
    }
    check!(Int1 Int2 Int3 Int4 Int5 Int6 Int7 Int8 Uint1 Uint2 Uint3 Uint4 Uint5 Uint6 Uint7 Uint8 MxInt8 Nf4);
}

#[test]
fn total_order_of_fp4_tells_both_zeros_apart() {
    let mut all: Vec<Fp4> = (0..16).map(Fp4::from_bits).collect();
    all.sort_by(Fp4::total_cmp);
    // -1, -2/3, -1/2, -1/3, -1/4, -1/6, -1/192, -0, then the same up.
    let want = [0xb, 0xa, 0xd, 0xc, 0xf, 0xe, 0x9, 0x8, 0x0, 0x1, 0x6, 0x7, 0x4, 0x5, 0x2, 0x3];
    assert_eq!(all.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want);
}

#[test]
fn neg_and_abs_change_the_sign_of_every_code_that_has_one() {
    macro_rules! check {
        ($($type:ident)*) => {$(
            for x in (0..=$type::FORMAT.mask()).map($type::from_bits) {
                let one_sign = $type::FORMAT.specials == Specials::NanNegativeZero && (x.is_nan() || x.to_f32() == 0.0);
                if one_sign {
                    assert_eq!((x.neg().to_bits(), x.abs().to_bits()), (x.to_bits(), x.to_bits()));
                } else {
                    assert_eq!((-x).to_f32().to_bits(), (-x.to_f32()).to_bits(), "{x:?}");
                    assert_eq!(x.abs().to_f32().to_bits(), x.to_f32().abs().to_bits(), "{x:?}");
                    assert_eq!(x.neg().neg().to_bits(), x.to_bits());
                }
                assert_eq!(x.is_sign_negative(), x.to_f32().is_sign_negative());
            }
            assert_eq!($type::NEG_ONE.to_f32(), -1.0);
        )*};
    }
    check!(E2M1 E3M2 E2M3 E4M3 E5M2 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 E3M0);
}

#[test]
fn every_code_is_in_one_class() {
    macro_rules! check {
        ($($type:ident)*) => {$(
            for x in (0..=$type::FORMAT.mask()).map($type::from_bits) {
                let zero = x.to_f32() == 0.0;
                let classes = [x.is_nan(), x.is_infinite(), zero, x.is_subnormal(), x.is_normal()];
                assert_eq!(classes.iter().filter(|&&class| class).count(), 1, "{x:?} {classes:?}");
                assert_eq!(x.is_finite(), x.to_f32().is_finite());
                assert_eq!(x.is_normal(), x.is_finite() && x.to_f32().abs() >= $type::MIN_POSITIVE_F32, "{x:?}");
            }
            assert!($type::MIN_POSITIVE.is_normal());
            assert_eq!($type::default().to_bits(), 0);
        )*};
    }
    check!(E2M1 E3M2 E2M3 E4M3 E5M2 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 E3M0 UE5M3);
    macro_rules! check_subnormals {
        ($($type:ident)*) => {$(
            assert!($type::MAX_SUBNORMAL.is_subnormal());
            assert_eq!($type::MAX_SUBNORMAL.to_bits() + 1, $type::MIN_POSITIVE.to_bits());
        )*};
    }
    check_subnormals!(E2M1 E3M2 E2M3 E4M3 E5M2 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 UE5M3);
    assert!((0..16).all(|code| !E3M0::from_bits(code).is_subnormal()));
}

#[test]
fn signs_of_zeros_and_nans_are_as_documented() {
    for tiny in [-0.0, -1e-30, f32::from_bits(1 << 31 | 1)] {
        assert_eq!(E2M1::from_f32(tiny).to_bits(), 0x8);
        assert_eq!(E4M3::from_f32(tiny).to_bits(), 0x80);
        assert_eq!(E4M3FNUZ::from_f32(tiny).to_bits(), 0);
    }
    let policies =
        [(Rounding::NearestEven, Overflow::Saturate), (Rounding::Stochastic(7), Overflow::NonFinite)];
    for (rounding, overflow) in policies {
        for nan in [f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001)] {
            assert_eq!(E2M1::from_f32_with(nan, rounding, overflow).to_bits(), 0);
            assert_eq!(E3M2::from_f32_with(nan, rounding, overflow).to_bits(), 0);
            assert_eq!(E2M3::from_f32_with(nan, rounding, overflow).to_bits(), 0);
            let sign = (nan.is_sign_negative() as u8) << 7;
            assert_eq!(E4M3::from_f32_with(nan, rounding, overflow).to_bits(), 0x7F | sign);
            assert_eq!(E5M2::from_f32_with(nan, rounding, overflow).to_bits(), 0x7E | sign);
            assert_eq!(E5M2FNUZ::from_f32_with(nan, rounding, overflow).to_bits(), 0x80);
            assert_eq!(E8M0::from_f32_with(nan, rounding, overflow).to_bits(), 0xFF);
            assert_eq!(E3M0::from_f32_with(nan, rounding, overflow).to_bits(), 0);
            assert_eq!(UE5M3::from_f32_with(nan, rounding, overflow).to_bits(), 0xFF);
        }
        for negative in [-0.0, -1e-30, -1.0, f32::MIN, f32::NEG_INFINITY] {
            assert_eq!(UE5M3::from_f32_with(negative, rounding, overflow).to_bits(), 0);
        }
    }
    assert_eq!(E8M0::from_f32_with(0.0, Rounding::NearestEven, Overflow::NonFinite).to_bits(), 0xFF);
    assert_eq!(E8M0::from_f32_with(-2.0, Rounding::NearestEven, Overflow::NonFinite).to_bits(), 0xFF);
    assert_eq!(E8M0::from_f32_with(1e-45, Rounding::NearestEven, Overflow::NonFinite).to_bits(), 0);
}
