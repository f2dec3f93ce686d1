//! How far blocks are from what E2M1 makes of them.

use crate::Element;
use crate::lanes::LANES;

/// `s^2 sum_k w_k (y_k - r_k)^2` of each block under each of its scales, term `k` in partial sum `k % 4`.
pub(crate) fn e2m1_errors(
    x: &[[f32; LANES]],
    weights: Option<&[[f32; LANES]]>,
    scales: &[[f32; LANES]],
    errors: &mut [[f32; LANES]],
) {
    for (scales, errors) in scales.iter().zip(errors) {
        for block in 0..LANES {
            let inverse = 1.0 / scales[block].abs();
            let mut sums = [0.0; 4];
            for (k, x) in x.iter().enumerate() {
                let y = x[block].abs() * inverse;
                let e = y - Element::E2m1.decode_one(Element::E2m1.encode_one(y));
                let square = e * e;
                sums[k % 4] += weights.map_or(square, |weights| square * weights[k][block]);
            }
            errors[block] = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * (scales[block] * scales[block]);
        }
    }
}
