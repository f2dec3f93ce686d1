//! Stochastic rounding is unbiased: shown by counting over random bits, not by drawing them.
//!
//! A number `j / 2^K` of the way between two codes must go up for exactly the fraction `j / 2^K` of all 32-bit strings.
//! Only the top K bits can matter for such a number (a carry needs a nonzero digit to add to below them), which is
//! checked with the low bits all clear and all set; so counting over the top bits counts over all `2^32`.

mod floats;

use floats::{FLOATS, codes};
use lowbit_scalar::*;

const K: u32 = 5;

/// For how many of the `2^K` settings of the top bits `up` holds; it must not depend on the bits below.
fn count_of_top_bits(up: impl Fn(u32) -> bool) -> u32 {
    let low_bits = u32::MAX >> K;
    let mut count = 0;
    for top in 0..1u32 << K {
        let bits = top << (32 - K);
        assert_eq!(up(bits), up(bits | low_bits));
        count += up(bits) as u32;
    }
    count
}

#[test]
fn between_any_two_neighbours_the_mean_is_the_number_itself() {
    for (name, format) in FLOATS {
        let mut pairs = 0;
        for code in 0..format.mask() {
            let (a, b) = (format.decode_f64(code), format.decode_f64(code + 1));
            let one_sign = format.is_sign_negative(code) == format.is_sign_negative(code + 1);
            if !(a.is_finite() && b.is_finite() && one_sign) {
                continue;
            }
            pairs += 1;
            for j in 0..1 << K {
                let x = a + (b - a) * f64::from(j) / f64::from(1 << K);
                let encode = |bits| format.encode_f64(x, Rounding::Stochastic(bits), Overflow::Saturate);
                let narrow =
                    |bits| format.encode_f32(x as f32, Rounding::Stochastic(bits), Overflow::Saturate);
                let up = count_of_top_bits(|bits| {
                    assert!(encode(bits) == code || encode(bits) == code + 1);
                    assert_eq!(encode(bits), narrow(bits));
                    encode(bits) == code + 1
                });
                assert_eq!(up, j, "{name}: {x} between {a} and {b}");
            }
        }
        let finite = codes(&format).filter(|&code| format.decode_f32(code).is_finite()).count();
        // Each sign has one pair less than values. FNUZ: code 0x80 is NaN, so the negative side starts one later.
        assert_eq!(pairs, finite - if format.signed { 2 } else { 1 }, "{name}");
    }
}

#[test]
fn integers_are_unbiased_too() {
    for low in -128i8..127 {
        for j in 0..1u32 << K {
            let x = f32::from(low) + j as f32 / (1 << K) as f32;
            let encode = |bits| Int8::from_f32_with(x, Rounding::Stochastic(bits)).to_i8();
            assert_eq!(count_of_top_bits(|bits| encode(bits) == low + 1), j, "{x}");
            let scaled = |bits| MxInt8::from_f32_with(x / 64.0, Rounding::Stochastic(bits)).to_f32() * 64.0;
            if low > -128 {
                assert_eq!(count_of_top_bits(|bits| scaled(bits) == f32::from(low) + 1.0), j, "{x}");
            }
            if low >= 0 {
                let unsigned = |bits| Uint8::from_f32_with(x, Rounding::Stochastic(bits)).to_u8();
                assert_eq!(count_of_top_bits(|bits| unsigned(bits) == low as u8 + 1), j, "{x}");
            }
        }
    }
}

/// With `k / 2^32` of a step left over, exactly the `k` largest strings round up: all 32 bits count.
#[test]
fn the_threshold_is_exact_to_the_last_random_bit() {
    for k in [1u32, 2, 3, 0x1234_5678, 0x8000_0000, u32::MAX - 1, u32::MAX] {
        let x = 1.0 + f64::from(k) / 2f64.powi(32) * 0.125; // E4M3 has steps of 1/8 above 1
        let encode = |bits| E4M3::from_f64_with(x, Rounding::Stochastic(bits), Overflow::Saturate).to_f32();
        assert_eq!((encode(0u32.wrapping_sub(k)), encode(u32::MAX)), (1.125, 1.125), "{k}");
        assert_eq!((encode(0u32.wrapping_sub(k) - 1), encode(0)), (1.0, 1.0), "{k}");
        let below = -x;
        let negative = E4M3::from_f64_with(below, Rounding::Stochastic(u32::MAX), Overflow::Saturate);
        assert_eq!(negative.to_f32(), -1.125, "away from zero, whatever the sign");
    }
}

#[test]
fn what_is_finer_than_the_random_bits_is_cut_off() {
    let tiny = f32::from_bits(1); // 2^-149, far below 2^-32 of the smallest E4M3
    assert_eq!(E4M3::from_f32_with(tiny, Rounding::Stochastic(u32::MAX), Overflow::Saturate), E4M3::ZERO);
    assert_eq!(
        E4M3::from_f32_with(2f32.powi(-9 - 32), Rounding::Stochastic(u32::MAX), Overflow::Saturate).to_bits(),
        1
    );
}

/// Exactly representable numbers never move.
#[test]
fn values_stay_for_all_random_bits() {
    for (_, format) in FLOATS {
        for code in codes(&format).filter(|&code| format.decode_f32(code).is_finite()) {
            for bits in [0, 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
                let x = format.decode_f32(code);
                assert_eq!(format.encode_f32(x, Rounding::Stochastic(bits), Overflow::NonFinite), code);
            }
        }
    }
}
