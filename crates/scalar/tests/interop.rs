//! What each feature adds.

#[allow(unused_imports)]
use lowbit_scalar::*;

#[cfg(feature = "half")]
mod half_floats {
    use super::*;
    use half::{bf16, f16};

    /// Exactness shown by going there and back for every code.
    #[test]
    fn every_value_fits() {
        macro_rules! check {
            ($($type:ident)*) => {$(
                for code in 0..=$type::FORMAT.mask() {
                    let x = $type::from_bits(code);
                    if !x.is_nan() {
                        assert_eq!(x.to_f16().to_f32().to_bits(), x.to_f32().to_bits());
                        assert_eq!(x.to_bf16().to_f32().to_bits(), x.to_f32().to_bits());
                        assert_eq!(f16::from(x), x.to_f16());
                    }
                    assert_eq!(x.to_f16().is_nan(), x.is_nan());
                }
            )*};
        }
        check!(E2M1 E3M2 E2M3 E4M3 E5M2 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 E3M0);
        for code in 0..0xFF {
            assert_eq!(UE5M3::from_bits(code).to_bf16().to_f32(), UE5M3::from_bits(code).to_f32());
            assert_eq!(E8M0::from_bits(code).to_bf16().to_f32(), E8M0::from_bits(code).to_f32());
        }
        for code in 0..=u8::MAX {
            assert_eq!(MxInt8::from_bits(code).to_f16().to_f32(), MxInt8::from_bits(code).to_f32());
            assert_eq!(MxInt8::from_bits(code).to_bf16().to_f32(), MxInt8::from_bits(code).to_f32());
            assert_eq!(bf16::from(Uint8::from_bits(code)).to_f32(), f32::from(code));
            assert_eq!(f16::from(Int8::from_bits(code)).to_f32(), f32::from(code as i8));
        }
    }

    #[test]
    fn rounding_from_them_is_const_and_that_of_f32() {
        const SIX: E2M1 = E2M1::from_bf16(bf16::from_f32_const(100.0));
        assert_eq!(SIX, E2M1::MAX);
        for bits in 0..=u16::MAX {
            let (x, y) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(E4M3::from_f16(x).to_bits(), E4M3::from_f32(x.to_f32()).to_bits());
            assert_eq!(E4M3::from_bf16(y).to_bits(), E4M3::from_f32(y.to_f32()).to_bits());
            assert_eq!(Nf4::from_bf16(y).to_bits(), Nf4::from_f32(y.to_f32()).to_bits());
            assert_eq!(Int4::from_f16(x).to_bits(), Int4::from_f32(x.to_f32()).to_bits());
        }
    }
}

#[cfg(feature = "bytemuck")]
#[test]
fn a_slice_of_bytes_is_a_slice_of_codes() {
    use bytemuck::{TransparentWrapper, Zeroable};
    let bytes = [0x00, 0x38, 0xFE];
    let codes: &[E4M3] = bytemuck::cast_slice(&bytes);
    assert_eq!(codes.iter().map(|x| x.to_f32()).collect::<Vec<_>>(), [0.0, 1.0, -448.0]);
    let wrapped: &[Int4] = Int4::wrap_slice(&bytes);
    assert_eq!(wrapped.iter().map(|x| x.to_i8()).collect::<Vec<_>>(), [0, -8, -2], "upper bits are ignored");
    assert_eq!(Uint3::zeroed(), Uint3::ZERO);
    assert_eq!(E2M1::peel(E2M1::wrap(0x7)), 7);
}

#[cfg(feature = "num-traits")]
mod numbers {
    use super::*;
    use num_traits::{AsPrimitive, Bounded, FromPrimitive, ToPrimitive};

    #[test]
    fn bounds_and_conversions() {
        assert_eq!((E4M3::min_value().to_f32(), E4M3::max_value().to_f32()), (-448.0, 448.0));
        assert_eq!((Int4::min_value().to_i8(), Uint4::max_value().to_u8()), (-8, 15));
        assert_eq!(<E2M1 as FromPrimitive>::from_i32(-100), Some(E2M1::MIN));
        assert_eq!(Int8::from_u64(u64::MAX), Some(Int8::MAX));
        assert_eq!(Uint8::from_i64(i64::MIN), Some(Uint8::MIN));
        assert_eq!(<E4M3 as FromPrimitive>::from_f64(17.000000000000004), Some(E4M3::from_f32(18.0)));
        assert_eq!((E2M1::from_f32(1.5).to_i64(), E2M1::from_f32(-6.0).to_u8()), (Some(1), None));
        assert_eq!((E4M3::NAN.to_i64(), E5M2::INFINITY.to_u64()), (None, None));
        assert_eq!(E8M0::MAX.to_u128(), Some(1 << 127));
        assert_eq!((E8M0::MAX.to_u64(), E8M0::MAX.to_i128()), (None, None));
        let code: E3M2 = 9.5f32.as_();
        let value: f64 = code.as_();
        assert_eq!(value, 10.0);
    }

    /// Sums and products round once; finite ones saturate, infinities stay.
    #[test]
    fn zero_and_one_and_the_arithmetic_that_they_ask_for() {
        use num_traits::{One, Zero};
        assert!(E4M3::NEG_ZERO.is_zero() && !E4M3::NAN.is_zero() && E3M0::zero().to_bits() == 0);
        assert_eq!((E2M1::one().to_bits(), Int4::one().to_i8(), MxInt8::one().to_f32()), (0b0010, 1, 1.0));
        let x = E4M3::from_f32;
        assert_eq!((x(16.0) + x(1.0)).to_f32(), 16.0); // halfway between 16 and 18: the even code
        assert_eq!((x(1.125) * x(1.125)).to_f32(), 1.25); // 1.265625
        assert_eq!((x(448.0) + x(448.0), x(448.0) * x(-448.0)), (E4M3::MAX, E4M3::MIN));
        assert_eq!(E5M2::INFINITY + E5M2::ONE, E5M2::INFINITY);
        assert!((E5M2::INFINITY + E5M2::NEG_INFINITY).is_nan());
        assert_eq!((Int4::MAX + Int4::MAX, Uint4::MAX * Uint4::MAX), (Int4::MAX, Uint4::MAX));
    }

    /// f64 has 53 bits, an i64 beside a midpoint of E8M0 needs 63.
    #[test]
    fn an_integer_beside_a_midpoint_rounds_once() {
        let midpoint = 3i64 << 60; // 1.5 * 2^61
        let exponent = |n| E8M0::from_i64(n).map(E8M0::exponent);
        assert_eq!([midpoint - 1, midpoint, midpoint + 1].map(exponent), [Some(61), Some(62), Some(62)]);
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_value_is_its_code_and_a_code_too_wide_is_an_error() {
    let json = serde_json::to_string(&[E2M1::from_f32(1.5), E2M1::NEG_ZERO]).expect("serializes");
    assert_eq!(json, "[3,8]");
    let back: [E2M1; 2] = serde_json::from_str(&json).expect("deserializes");
    assert_eq!(back.map(E2M1::to_bits), [3, 8]);
    let error = serde_json::from_str::<E2M1>("19").expect_err("19 has five bits");
    assert_eq!(error.to_string(), "invalid value: integer `19`, expected a code of 4 bits");
    assert_eq!(serde_json::from_str::<Int4>("15").expect("fits").to_i8(), -1);
    assert!(serde_json::from_str::<E4M3>("256").is_err());
}

#[cfg(feature = "zerocopy")]
#[test]
fn zerocopy_reads_codes_in_place() {
    use zerocopy::{FromBytes, IntoBytes};
    let bytes = [0x00, 0x38, 0xFE];
    let codes = <[E4M3]>::ref_from_bytes(&bytes).expect("bytes are codes");
    assert_eq!(codes.iter().map(|x| x.to_f32()).collect::<Vec<_>>(), [0.0, 1.0, -448.0]);
    assert_eq!(codes.as_bytes(), bytes);
    assert_eq!(Int4::read_from_bytes(&[0xF8]).expect("one byte").to_i8(), -8, "upper bits are ignored");
}

#[cfg(feature = "rand")]
mod random {
    use super::*;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// 16 codes, 4096 draws: 256 each, give or take five standard deviations of 15.5.
    #[test]
    fn every_finite_code_is_drawn_as_often() {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 16];
        (0..4096).for_each(|_| counts[generator.random::<E2M1>().to_bits() as usize] += 1);
        assert!(counts.iter().all(|count| (178..=334).contains(count)), "{counts:?}");
        assert!((0..4096).all(|_| generator.random::<E5M2>().is_finite()));
        assert!((0..4096).all(|_| !generator.random::<UE5M3>().is_nan()));
    }

    /// 2.25 is a quarter of the way from 2 to 3: 1024 of 4096, give or take five standard deviations of 27.7.
    #[test]
    fn the_mean_of_stochastic_rounding_is_the_number() {
        let mut generator = ChaCha8Rng::seed_from_u64(2);
        let up =
            (0..4096).filter(|_| E2M1::from_f32_stochastic(2.25, &mut generator).to_f32() == 3.0).count();
        assert!((886..=1162).contains(&up), "{up}");
    }
}
