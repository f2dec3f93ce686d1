//! Every SIMD level does what the reference does, on any bits, for any element, block length and alignment.

use lowbit_kernels::{Blocks, Element, Kernels};

/// One value for comparison: NaN agrees with any NaN.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

/// Panics where the property does not hold.
pub fn check(data: &[u8]) {
    let Some((&[which, len, offset, zeros], rest)) = data.split_first_chunk::<4>() else { return };
    let element = Element::ALL[which as usize % Element::ALL.len()];
    let words: Vec<f32> =
        rest.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect();
    let len = 1 + len as usize % 130;
    // Of n words, the first make the scales and zero points, the rest the values.
    let blocks = words.len() / (len + 2);
    if blocks == 0 {
        return;
    }
    let (scales, words) = words.split_at(blocks);
    let (points, x) = words.split_at(blocks);
    let x = &x[(offset as usize % 3).min(x.len())..];
    let x = &x[..x.len().min(blocks * len)];
    let count = x.len().div_ceil(len);
    let blocks = Blocks { len, scales: &scales[..count], zeros: (zeros & 1 == 1).then(|| &points[..count]) };

    let reference = Kernels::reference();
    let mut want_codes = vec![0; element.packed_len(x.len())];
    let mut want_values = vec![0.0; x.len()];
    let mut want_amax = vec![0.0; count];
    reference.encode(element, x, blocks, &mut want_codes);
    reference.decode(element, &want_codes, blocks, &mut want_values);
    reference.absmax(x, len, &mut want_amax);
    for kernels in Kernels::available() {
        let mut codes = vec![0xaa; want_codes.len()];
        kernels.encode(element, x, blocks, &mut codes);
        assert_eq!(codes, want_codes, "{}: encode {element}, blocks of {len}", kernels.name());
        let mut values = vec![7.0; x.len()];
        kernels.decode(element, &codes, blocks, &mut values);
        assert!(
            values.iter().map(|v| bits(*v)).eq(want_values.iter().map(|v| bits(*v))),
            "{}: decode {element}",
            kernels.name()
        );
        let mut amax = vec![7.0; count];
        kernels.absmax(x, len, &mut amax);
        assert!(
            amax.iter().map(|v| bits(*v)).eq(want_amax.iter().map(|v| bits(*v))),
            "{}: absmax",
            kernels.name()
        );
        assert_eq!(
            kernels.first_non_finite(x),
            reference.first_non_finite(x),
            "{}: first_non_finite",
            kernels.name()
        );
    }
}
