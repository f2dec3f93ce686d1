//! Any f64 into any element: the code's value is the nearest one that the element has, and encodes to itself.

use lowbit_kernels::Element;

/// Panics where the property does not hold.
pub fn check(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    let element = Element::ALL[which as usize % Element::ALL.len()];
    for bytes in rest.chunks_exact(4) {
        let x = f32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let code = element.encode_one(x);
        assert!(u32::from(code) < 1 << element.bits(), "{element}: code {code:#x} of {x:e}");
        let value = element.decode_one(code);
        if x.is_nan() || value.is_nan() {
            assert!(x.is_nan(), "{element}: {x:e} became NaN");
            continue;
        }
        // bitsandbytes takes the sign of FP4 from x < 0, so its second zero comes back as the first: equal, not the same bits.
        let again = element.decode_one(element.encode_one(value));
        let same = if element == Element::Fp4 { again == value } else { again.to_bits() == value.to_bits() };
        assert!(same, "{element}: {value:e} comes back as {again:e}");
        // No code is nearer than the one chosen; beyond the range, the chosen one is the outermost. The cuts of bitsandbytes' tables are
        // midpoints written with six digits.
        let slack = if matches!(element, Element::Nf4 | Element::Fp4) { 1e-6 } else { 0.0 };
        let target = f64::from(x).clamp(f64::from(element.min()), f64::from(element.max()));
        let distance = (f64::from(value) - target).abs();
        for other in 0..1u32 << element.bits() {
            let candidate = f64::from(element.decode_one(other as u8));
            assert!(
                !candidate.is_finite() || (candidate - target).abs() >= distance - slack,
                "{element}: {x:e} gave {value:e}, {candidate:e} is nearer"
            );
        }
    }
}
