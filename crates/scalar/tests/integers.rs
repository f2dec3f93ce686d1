//! Integers of every width: codes, midpoints and the ends of the range, each value and both its neighbours in f32.

use lowbit_scalar::*;

/// Round to nearest even in f64, then clamp: no bits involved.
fn nearest(x: f32, min: i32, max: i32) -> i32 {
    (f64::from(x).round_ties_even().clamp(min.into(), max.into())) as i32
}

/// Every multiple of 1/2 around the range, with neighbours, and everything beyond.
fn inputs() -> impl Iterator<Item = f32> {
    let halves = (-600..=600).map(|i| i as f32 / 2.0).flat_map(|x| [x.next_down(), x, x.next_up()]);
    let far =
        [1e9, 2.0f32.powi(30), 2.0f32.powi(31), 2.0f32.powi(63), f32::MAX, f32::INFINITY, f32::MIN_POSITIVE];
    halves.chain(far).chain(far.map(|x| -x)).chain([f32::from_bits(1), -0.0])
}

macro_rules! every_width {
    ($check:ident: $($width:literal)*) => { $($check::<$width>();)* };
}

#[test]
fn signed_codes_are_twos_complement() {
    fn check<const B: u32>() {
        let (min, max) = (-(1i32 << (B - 1)), (1i32 << (B - 1)) - 1);
        assert_eq!((Int::<B>::MIN.to_i8() as i32, Int::<B>::MAX.to_i8() as i32), (min, max));
        for value in -128..=127i32 {
            let clamped = value.clamp(min, max);
            let int = Int::<B>::from_i8(value as i8);
            assert_eq!(int.to_i8() as i32, clamped);
            assert_eq!(int.to_bits(), clamped as u8 & (u8::MAX >> (8 - B)));
            assert_eq!((int.to_f32(), int.to_f64()), (clamped as f32, clamped as f64));
            assert_eq!(i8::from(int) as i32, clamped);
        }
        for byte in 0..=u8::MAX {
            let int = Int::<B>::from_bits(byte);
            assert_eq!(int.to_bits(), byte & (u8::MAX >> (8 - B)));
            assert_eq!(Int::<B>::from_i8(int.to_i8()).to_bits(), int.to_bits());
        }
    }
    every_width!(check: 1 2 3 4 5 6 7 8);
}

#[test]
fn unsigned_codes_are_their_values() {
    fn check<const B: u32>() {
        let max = u8::MAX >> (8 - B);
        assert_eq!((Uint::<B>::MIN.to_u8(), Uint::<B>::MAX.to_u8()), (0, max));
        for value in 0..=u8::MAX {
            assert_eq!(Uint::<B>::from_u8(value).to_bits(), value.min(max));
            assert_eq!(u8::from(Uint::<B>::from_u8(value)), value.min(max));
            assert_eq!(
                (u8::from(Uint8::from(value)), i8::from(Int8::from(value as i8))),
                (value, value as i8)
            );
            assert_eq!(Uint::<B>::from_bits(value).to_u8(), value & max);
            assert_eq!(Uint::<B>::from_bits(value).to_f32(), f32::from(value & max));
        }
    }
    every_width!(check: 1 2 3 4 5 6 7 8);
}

#[test]
fn every_midpoint_goes_to_the_even_number_and_everything_beyond_saturates() {
    fn check<const B: u32>() {
        let (min, max) = (-(1i32 << (B - 1)), (1i32 << (B - 1)) - 1);
        for x in inputs() {
            assert_eq!(Int::<B>::from_f32(x).to_i8() as i32, nearest(x, min, max), "Int{B} of {x}");
            assert_eq!(Int::<B>::from_f64(x.into()).to_i8() as i32, nearest(x, min, max), "Int{B} of {x}");
            assert_eq!(Uint::<B>::from_f32(x).to_u8() as i32, nearest(x, 0, (1 << B) - 1), "Uint{B} of {x}");
            assert_eq!(
                Uint::<B>::from_f64(x.into()).to_u8() as i32,
                nearest(x, 0, (1 << B) - 1),
                "Uint{B} of {x}"
            );
            let truncated = x.trunc().clamp(min as f32, max as f32) as i32;
            assert_eq!(
                Int::<B>::from_f32_with(x, Rounding::TowardZero).to_i8() as i32,
                truncated,
                "Int{B} of {x}"
            );
        }
        for nan in [f32::NAN, -f32::NAN] {
            assert_eq!(Int::<B>::from_f32(nan).to_bits(), 0);
            assert_eq!(Uint::<B>::from_f32(nan).to_bits(), 0);
        }
    }
    every_width!(check: 1 2 3 4 5 6 7 8);
}

/// A midpoint and its neighbours in f64, which f32 cannot tell apart.
#[test]
fn f64_rounds_once() {
    for low in -8i8..7 {
        let midpoint = f64::from(low) + 0.5;
        let even = if low % 2 == 0 { low } else { low + 1 };
        assert_eq!(Int4::from_f64(midpoint).to_i8(), even);
        assert_eq!(Int4::from_f64(midpoint.next_down()).to_i8(), low);
        assert_eq!(Int4::from_f64(midpoint.next_up()).to_i8(), low + 1);
    }
    assert_eq!(Int8::from_f64(1e300).to_i8(), 127);
    assert_eq!(Int8::from_f64(-5e-324).to_i8(), 0);
}

#[test]
fn codes_never_decrease_over_a_dense_walk_of_f32() {
    let walk = || (0..=f32::INFINITY.to_bits()).step_by(4099).map(f32::from_bits);
    assert!(walk().map(|x| Int8::from_f32(x).to_i8()).is_sorted());
    assert!(walk().map(|x| Uint8::from_f32(x).to_u8()).is_sorted());
    assert!(walk().map(|x| -i32::from(Int8::from_f32(-x).to_i8())).is_sorted());
}
