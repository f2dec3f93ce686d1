//! Conversion of zero points and biases.
//!
//! ```text
//! to        from None          Int z, Float z          Bias b
//! None      -                  code map subtracts z    code map subtracts z = -b / s, if an integer
//! Int       2^(bits-1), or 0   z, if an integer        z = -b / s, if an integer
//! Float     0                  z                       z = -b / s
//! Bias      -0                 b = -(z * s)            b
//! ```
//!
//! `code * s + b` is rounded twice, `(code - z) * s` once. So a conversion between the two is checked
//! for every code.

use lowbit_kernels::Element;

use super::powers::{holds, same};
use crate::format::{Format, Zero};
use crate::obstacle::Obstacle;

/// True if all possible zero points have exact counterparts.
pub(super) fn always(from: &Format, to: &Format) -> bool {
    use super::powers::scales_fit;
    match (from.zero, to.zero) {
        (Zero::None, _) | (Zero::Int, Zero::Int) => true,
        (Zero::Int, Zero::Float) => !to.scale.kind.is_small_float(), // of 8 bits all others hold every one
        (Zero::Float, Zero::Float) | (Zero::Bias, Zero::Bias) | (Zero::Min, Zero::Bias | Zero::Min) => {
            scales_fit(&to.scale, &from.scale)
        }
        _ => false,
    }
}

/// The zero point that the code map subtracts, if the target has none.
pub(super) fn subtracted(from: &Format, zero: f32, scale: f32) -> Result<u8, Obstacle> {
    let obstacle = Obstacle::Zero { value: zero };
    let number = if from.zero.is_added() { quotient(zero, scale) } else { zero };
    let integer = integer(number).ok_or(obstacle)?;
    let agree = !from.zero.is_added()
        || agree(from.element, scale, (Zero::Bias, zero), (Zero::Int, f32::from(integer)));
    if agree { Ok(integer) } else { Err(obstacle) }
}

/// The zero point or bias that the target stores for a block. `added` is used if the source has
/// none.
pub(super) fn image(from: &Format, to: &Format, added: u8, zero: f32, scale: f32) -> Result<f32, Obstacle> {
    let obstacle = Obstacle::Zero { value: zero };
    let number = match (from.zero, to.zero) {
        (Zero::None, Zero::Int) => f32::from(added),
        (Zero::None, Zero::Bias) => -0.0,
        (Zero::None, _) => 0.0,
        (Zero::Int | Zero::Float, Zero::Bias) => -(zero * scale),
        (Zero::Bias | Zero::Min, Zero::Int | Zero::Float) => quotient(zero, scale),
        _ => zero,
    };
    let stored = match to.zero {
        Zero::Int => from.zero == Zero::Int || integer(number).is_some(),
        _ => holds(to.scale.kind, number),
    };
    let crosses = from.zero != Zero::None && from.zero.is_added() != to.zero.is_added();
    let agree = !crosses || agree(from.element, scale, (from.zero, zero), (to.zero, number));
    if stored && agree { Ok(number) } else { Err(obstacle) }
}

/// `-b / s`, with negative zero replaced by zero.
fn quotient(bias: f32, scale: f32) -> f32 {
    -bias / scale + 0.0
}

fn integer(zero: f32) -> Option<u8> {
    let integer = zero as u8;
    same(f32::from(integer), zero).then_some(integer)
}

/// True if two zero points give the same value for every code.
fn agree(element: Element, scale: f32, a: (Zero, f32), b: (Zero, f32)) -> bool {
    let value = |code: f32, (kind, zero): (Zero, f32)| match kind {
        Zero::Bias | Zero::Min => code * scale + zero,
        _ => (code - zero) * scale,
    };
    (0..=u8::MAX >> (8 - element.bits())).all(|code| {
        let code = element.decode_one(code);
        same(value(code, a), value(code, b))
    })
}
