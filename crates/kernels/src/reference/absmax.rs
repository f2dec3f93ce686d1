//! What a block contains: its largest magnitude, its extremes, whether all of it is finite.

/// `max |x|` of each block. Magnitudes compare as integers, so infinity is above all numbers and NaN above infinity.
pub(crate) fn absmax(x: &[f32], block: usize, out: &mut [f32]) {
    for (block, out) in x.chunks(block).zip(out) {
        *out = f32::from_bits(block.iter().map(|x| x.abs().to_bits()).max().unwrap());
    }
}

/// The least and the largest value of each block in the IEEE 754 total order.
pub(crate) fn min_max(x: &[f32], block: usize, min: &mut [f32], max: &mut [f32]) {
    for ((block, min), max) in x.chunks(block).zip(min).zip(max) {
        *min = *block.iter().min_by(|a, b| a.total_cmp(b)).unwrap();
        *max = *block.iter().max_by(|a, b| a.total_cmp(b)).unwrap();
    }
}

/// The least magnitude, infinity at most, and the largest one. As integers: what `f32::min` makes of a signalling NaN depends on the machine.
pub(crate) fn magnitude_range(x: &[f32]) -> (f32, f32) {
    let (least, largest) = x
        .iter()
        .map(|x| x.abs().to_bits())
        .fold((f32::INFINITY.to_bits(), 0), |(least, largest), x| (least.min(x), largest.max(x)));
    (f32::from_bits(least), f32::from_bits(largest))
}

/// The index of the first infinity or NaN.
pub(crate) fn first_non_finite(x: &[f32]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}
