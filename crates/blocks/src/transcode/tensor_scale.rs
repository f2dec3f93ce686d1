//! Choice of the target's tensor scales.
//!
//! ```text
//! source        target        tensor scale
//! none          multiplies    2^m          the target represents block scale * 2^-m; m = 0 if possible
//! none          divides       2^-m
//! same kind                   kept
//! multiplies    divides       RN(1 / t)    exact if every block scale s has
//!                                          RN(s * t) = RN(s / RN(1 / t)), as with powers of two
//! ```

use alloc::vec::Vec;

use super::facts::Facts;
use super::powers::{power, same, split};
use super::route::{OuterChange, Route};
use crate::scale::{ScaleKind, TensorScale};

/// The target's tensor scales, and the largest relative error that makes a difference.
pub(super) fn tensor_scale(route: &Route, facts: &Facts, exponents: &[i32]) -> (TensorScale, Option<f64>) {
    let directed =
        |scales| if route.divide { TensorScale::Divide(scales) } else { TensorScale::Multiply(scales) };
    match route.outer {
        OuterChange::Absent | OuterChange::Folded => (TensorScale::None, None),
        OuterChange::Kept => (route.tensor_scale.clone(), None),
        OuterChange::Added => {
            let sign = if route.divide { -1 } else { 1 };
            (directed(exponents.iter().map(|&m| power(sign * m)).collect()), None)
        }
        OuterChange::Inverted => {
            let stored = route.tensor_scale.stored();
            // `Route::new` has checked that reciprocals exist.
            let reciprocals: Vec<f32> = stored.iter().map(|&scale| 1.0 / scale).collect();
            let mut worst: Option<f64> = None;
            for (matrix, (&t, &r)) in stored.iter().zip(&reciprocals).enumerate() {
                if !alike(route, facts, matrix, t, r) {
                    let error = (f64::from(t) * f64::from(r) - 1.0).abs();
                    worst = Some(worst.map_or(error, |worst| worst.max(error)));
                }
            }
            (directed(reciprocals), worst)
        }
    }
}

/// True if all effective scales are the same with either tensor scale.
fn alike(route: &Route, facts: &Facts, matrix: usize, t: f32, r: f32) -> bool {
    if f64::from(t) * f64::from(r) == 1.0 && split(t).is_some_and(|(mantissa, _)| mantissa.abs() == 1.0) {
        return true;
    }
    let (multiplied, divided) = if route.divide { (t, r) } else { (r, t) };
    let same = |scale: f32| same(scale * multiplied, scale / divided);
    match route.from.scale.kind {
        ScaleKind::E4m3 | ScaleKind::E8m0 | ScaleKind::Ue5m3 => {
            let occur = facts.scale_bytes(matrix);
            (0..=u8::MAX).filter(|&byte| occur.is_none_or(|occur| occur.has(byte))).all(|byte| {
                let mut scale = [0.0];
                route.from.scale.kind.decode_into(&[byte], &mut scale);
                same(scale[0])
            })
        }
        _ => false,
    }
}
