//! Nf4 and Fp4: values and cuts bit for bit as bitsandbytes has them, and which side of each cut a number falls on.

use lowbit_scalar::{Fp4, Nf4};

/// `get_4bit_type("nf4")` and the comparisons of `dQuantizeNF4` as f32 bits.
const NF4: [u32; 16] = [
    0xbf80_0000,
    0xbf32_39b1,
    0xbf06_6b30,
    0xbeca_32a0,
    0xbe91_a24d,
    0xbe3d_353f,
    0xbdba_7871,
    0x0000_0000,
    0x3da2_faff,
    0x3e24_cae3,
    0x3e7c_04dd,
    0x3ead_033a,
    0x3ee1_a4b8,
    0x3f10_07ab,
    0x3f39_13b3,
    0x3f80_0000,
];
const NF4_CUTS: [u32; 15] = [
    0xbf59_1cd8,
    0xbf1c_5270,
    0xbeeb_8480,
    0xbead_ea76,
    0xbe70_3cec,
    0xbe0d_38bc,
    0xbd3a_7871,
    0x3d22_faff,
    0x3df6_4862,
    0x3e50_67e0,
    0x3e95_82d4,
    0x3ec7_53f9,
    0x3f00_6d04,
    0x3f24_8daf,
    0x3f5c_89da,
];
/// Magnitudes of the codes of FP4 in twelfths, and as f32 bits.
const FP4: [(f32, u32); 8] = [
    (0.0, 0x0000_0000),
    (0.0625, 0x3baa_aaab),
    (8.0, 0x3f2a_aaab),
    (12.0, 0x3f80_0000),
    (4.0, 0x3eaa_aaab),
    (6.0, 0x3f00_0000),
    (2.0, 0x3e2a_aaab),
    (3.0, 0x3e80_0000),
];

#[test]
fn nf4_table_and_cuts_are_those_of_bitsandbytes() {
    assert_eq!(Nf4::TABLE.map(f32::to_bits), NF4);
    assert_eq!(Nf4::CUTS.map(f32::to_bits), NF4_CUTS);
    for code in 0..16 {
        assert_eq!(Nf4::from_bits(code).to_f32().to_bits(), NF4[code as usize]);
        assert_eq!(Nf4::from_f32(Nf4::from_bits(code).to_f32()).to_bits(), code);
        assert_eq!(Nf4::from_bits(code | 0xF0).to_bits(), code);
    }
}

#[test]
fn nf4_goes_up_strictly_above_a_cut() {
    for (low, cut) in (0u8..).zip(NF4_CUTS.map(f32::from_bits)) {
        assert_eq!(Nf4::from_f32(cut).to_bits(), low);
        assert_eq!(Nf4::from_f32(cut.next_down()).to_bits(), low);
        assert_eq!(Nf4::from_f32(cut.next_up()).to_bits(), low + 1);
        assert_eq!(Nf4::from_f64(f64::from(cut).next_up()).to_bits(), low + 1);
    }
    assert_eq!(Nf4::from_f32(f32::INFINITY), Nf4::MAX);
    assert_eq!(Nf4::from_f32(-3.0), Nf4::MIN);
    for zero in [0.0, -0.0, f32::NAN, -f32::NAN] {
        assert_eq!(Nf4::from_f32(zero).to_bits(), 7);
    }
}

#[test]
fn fp4_table_is_that_of_bitsandbytes() {
    for (code, (twelfths, bits)) in (0u8..).zip(FP4) {
        assert_eq!(Fp4::from_bits(code).to_f32().to_bits(), bits);
        assert_eq!(Fp4::from_bits(code | 8).to_f32().to_bits(), bits | 1 << 31);
        assert_eq!(Fp4::from_bits(code).to_f32(), twelfths / 12.0);
        assert_eq!(Fp4::from_f32(f32::from_bits(bits)).to_bits(), code);
        // A zero has no sign to see.
        assert_eq!(Fp4::from_f32(-f32::from_bits(bits)).to_bits(), if code == 0 { 0 } else { code | 8 });
    }
}

/// The nested comparisons of `dQuantizeFP4`, as its source has them.
fn kernel(x: f32) -> u8 {
    let sign = if x < 0.0 { 0b1000 } else { 0 };
    let x = x.abs();
    let magnitude = if x > 0.29166667 {
        if x > 0.583333 {
            if x > 0.8333333 { 0b011 } else { 0b010 }
        } else if x > 0.4166667 {
            0b101
        } else {
            0b100
        }
    } else if x > 0.0859375 {
        if x > 0.20833333 { 0b111 } else { 0b110 }
    } else if x > 0.00260417 {
        0b001
    } else {
        0b000
    };
    sign | magnitude
}

#[test]
fn fp4_agrees_with_the_kernel_at_every_cut_and_between() {
    let cuts = Fp4::CUTS.into_iter().flat_map(|cut| [cut.next_down(), cut, cut.next_up()]);
    let between = (0..=f32::INFINITY.to_bits()).step_by(65_537).map(f32::from_bits);
    for x in cuts.chain(between).chain([0.0, f32::from_bits(1)]).flat_map(|x| [x, -x]) {
        assert_eq!(Fp4::from_f32(x).to_bits(), kernel(x), "{x}");
        assert_eq!(Fp4::from_f64(x.into()).to_bits(), kernel(x), "{x}");
    }
    assert_eq!(Fp4::from_f32(f32::NAN).to_bits(), 0);
    assert_eq!((Fp4::from_f32(f32::INFINITY), Fp4::from_f32(-9.0)), (Fp4::MAX, Fp4::MIN));
}
