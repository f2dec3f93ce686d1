//! Decimal text to the nearest code, rounded once however many digits the text has.
//!
//! `text.parse::<f64>()` rounds, and rounding its result again is wrong where it falls on a midpoint between two codes:
//! `1.25000000000000000000001` becomes 1.25 in f64, a tie that goes to 1.0 in E2M1, while the text is nearer to 1.5.
//! Every midpoint and every cut of a table fits f32, so only an f64 that fits f32 can mislead; it is then compared with
//! the text digit by digit and moved one f64 step towards it, which puts it on the text's side of the midpoint.

use core::cmp::Ordering;
use core::fmt::Write;
use core::num::ParseFloatError;

/// An f64 that rounds to any format of this crate as the text itself would. Only spelled-out infinities are infinite.
pub(crate) fn parse(text: &str) -> Result<f64, ParseFloatError> {
    let nearest: f64 = text.parse()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    if nearest.is_nan() || !unsigned.contains(|c: char| c.is_ascii_digit()) {
        return Ok(nearest);
    }
    let magnitude = nearest.abs();
    let beside = if magnitude.is_infinite() {
        f64::MAX // a finite number beyond f64
    } else if magnitude as f32 as f64 != magnitude {
        magnitude
    } else {
        match compare(unsigned, magnitude) {
            Ordering::Less => magnitude.next_down(),
            Ordering::Equal => magnitude,
            Ordering::Greater => magnitude.next_up(),
        }
    };
    Ok(beside.copysign(nearest))
}

/// Compares an unsigned decimal text that is close to `x` with `x`, exactly.
fn compare(text: &str, x: f64) -> Ordering {
    let mut exact = Expansion { text: [0; Expansion::LEN], len: 0 };
    write!(exact, "{x:.*e}", Expansion::DIGITS).expect("the buffer holds every f32");
    let exact = core::str::from_utf8(&exact.text[..exact.len]).expect("digits are ASCII");
    let ((power, digits), (exact_power, exact_digits)) = (scientific(text), scientific(exact));
    match (power, exact_power) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Less,
        (Some(_), None) => return Ordering::Greater,
        (Some(a), Some(b)) if a != b => return a.cmp(&b),
        _ => {}
    }
    let length = digits.clone().count().max(exact_digits.clone().count());
    let zeros = core::iter::repeat(b'0');
    digits.chain(zeros.clone()).take(length).cmp(exact_digits.chain(zeros).take(length))
}

/// The power of ten of the first nonzero digit (none for zero), and the digits from there on.
fn scientific(text: &str) -> (Option<i64>, impl Iterator<Item = u8> + Clone) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().unwrap_or(0)),
        None => (text, 0i64),
    };
    let point = mantissa.find('.').unwrap_or(mantissa.len());
    let first = mantissa.find(|c: char| matches!(c, '1'..='9'));
    // Digits before the point count up from 0 at its left, those after it down from -1; the point itself is a place.
    let power = first.map(|first| exponent + point as i64 - first as i64 - (first < point) as i64);
    (power, mantissa[first.unwrap_or(mantissa.len())..].bytes().filter(u8::is_ascii_digit))
}

/// A number in scientific notation with all its digits, without an allocator.
struct Expansion {
    text: [u8; Expansion::LEN],
    len: usize,
}

impl Expansion {
    /// Digits after the first: the smallest normal f32 with all mantissa bits set has 112 digits, no f32 has more.
    const DIGITS: usize = 111;
    const LEN: usize = "d.e-dd".len() + Self::DIGITS;
}

impl Write for Expansion {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let end = self.len + part.len();
        self.text.get_mut(self.len..end).ok_or(core::fmt::Error)?.copy_from_slice(part.as_bytes());
        self.len = end;
        Ok(())
    }
}
