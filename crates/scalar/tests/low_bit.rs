//! The trait says what the types say, for every code of every type.

use lowbit_scalar::*;

/// Rounds every value of the type again, one by one and as a slice.
fn check<T: LowBit>(name: &str) {
    assert_eq!(T::NAME, name);
    let codes = 0..=u8::MAX >> (8 - T::BITS);
    let all: Vec<T> = codes.clone().map(T::from_bits).collect();
    let (mut narrow, mut wide) = (vec![0.0f32; all.len()], vec![0.0f64; all.len()]);
    all.convert_to_f32_slice(&mut narrow);
    all.convert_to_f64_slice(&mut wide);
    let (mut from_narrow, mut from_wide) = (all.clone(), all.clone());
    from_narrow.convert_from_f32_slice(&narrow);
    from_wide.convert_from_f64_slice(&wide);
    for (i, code) in codes.enumerate() {
        let x = all[i];
        assert_eq!(x.to_bits(), code, "{name}");
        assert_eq!(
            (x.to_f32().to_bits(), f64::from(x.to_f32()).to_bits()),
            (narrow[i].to_bits(), wide[i].to_bits())
        );
        assert_eq!(format!("{x:?}").split('(').next(), Some(name));
        assert_eq!((from_narrow[i].to_bits(), from_wide[i].to_bits()), {
            let again = T::from_f32(x.to_f32()).to_bits();
            (again, again)
        });
        assert!(x.is_nan() || !x.is_finite() || x.to_f32() <= T::MAX.to_f32(), "{x:?}");
    }
    assert!(T::MIN.to_f32() < T::MAX.to_f32());
    assert_eq!(T::from_f32(f32::INFINITY), T::MAX, "{name}");
}

#[test]
fn every_type_is_a_low_bit_type() {
    macro_rules! check {
        ($($type:ident)*) => {$(check::<$type>(stringify!($type));)*};
    }
    check!(E2M1 E3M0 E3M2 E2M3 E4M3 E5M2 E8M0 UE5M3 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 MxInt8 Nf4 Fp4);
    check!(Int1 Int2 Int3 Int4 Int5 Int6 Int7 Int8 Uint1 Uint2 Uint3 Uint4 Uint5 Uint6 Uint7 Uint8);
}

#[test]
#[should_panic = "numbers for 2 codes"]
fn a_slice_of_another_length_panics() {
    [E2M1::ZERO; 2].convert_from_f32_slice(&[1.0; 3]);
}
