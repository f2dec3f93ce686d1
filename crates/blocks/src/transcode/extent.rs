//! The scales that share one block of the target, and the choice of a single scale for it.
//!
//! ```text
//! scales of the source   m * 2^a   m * 2^b   m * 2^c   0 ...      one mantissa m
//! scale of the target    m * 2^t                                  codes are shifted by a - t, b - t, c - t
//! ```
//!
//! t is the largest exponent, so that codes of the largest block do not change, or the closest
//! exponent that all shifts allow.

use super::codes::Shifts;
use super::powers::{shifted, split};
use crate::obstacle::Obstacle;

/// A summary of the source's scales in one block of the target.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Extent {
    /// The bits of the first scale.
    first: Option<u32>,
    /// Whether there are also blocks whose values are zeros under any positive scale.
    free: bool,
    alike: bool,
    zero: bool,
    /// Whether a scale is zero without a table for its codes.
    zeroless: bool,
    /// Whether a scale is NaN, infinite or negative zero.
    special: bool,
    /// The signed mantissa of the first scale that has one.
    mantissa: Option<f32>,
    mantissas_differ: bool,
    /// The largest and the smallest exponent.
    top: i32,
    bottom: i32,
    /// The range of exponents for the target.
    least: i32,
    most: i32,
    preferred: i32,
}

impl Extent {
    pub(super) const EMPTY: Self = Self {
        first: None,
        free: false,
        alike: true,
        zero: false,
        zeroless: false,
        special: false,
        mantissa: None,
        mantissas_differ: false,
        top: i32::MIN,
        bottom: i32::MAX,
        least: i32::MIN,
        most: i32::MAX,
        preferred: 0,
    };

    /// A block whose values are zeros under any positive scale.
    pub(super) const FREE: Self = Self { free: true, ..Self::EMPTY };

    /// The extent of one scale, whose codes have tables for `shifts`. `zeros` tells whether they
    /// have the table of zeros.
    pub(super) fn of(scale: f32, shifts: Shifts, zeros: impl FnOnce() -> bool) -> Self {
        let mut extent = Self { first: Some(scale.to_bits()), ..Self::EMPTY };
        extent.preferred = shifts.preferred();
        match split(scale) {
            Some((mantissa, exponent)) => {
                extent.mantissa = Some(mantissa);
                (extent.top, extent.bottom) = (exponent, exponent);
                extent.least = exponent - shifts.most;
                extent.most = exponent - shifts.least;
            }
            None if scale.to_bits() == 0 => (extent.zero, extent.zeroless) = (true, !zeros()),
            None => extent.special = true,
        }
        extent
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let free = self.free | other.free;
        match (self.first, other.first) {
            (None, _) => *self = Self { free, ..*other },
            (Some(_), None) => self.free = free,
            (Some(first), Some(second)) => self.join(first == second, other),
        }
    }

    fn join(&mut self, alike: bool, other: &Self) {
        self.free |= other.free;
        self.alike &= other.alike && alike;
        self.zero |= other.zero;
        self.zeroless |= other.zeroless;
        self.special |= other.special;
        self.mantissas_differ |=
            other.mantissas_differ || self.mantissa.zip(other.mantissa).is_some_and(|(a, b)| a != b);
        self.mantissa = self.mantissa.or(other.mantissa);
        self.top = self.top.max(other.top);
        self.bottom = self.bottom.min(other.bottom);
        self.least = self.least.max(other.least);
        self.most = self.most.min(other.most);
    }

    /// True if merging `other` would change nothing.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let mut both = *self;
        both.merge(other);
        both == *self
    }

    /// Chooses the scale to store: the first that `accept` accepts, from the preferred exponent
    /// outwards.
    pub(super) fn choose(&self, mut accept: impl FnMut(f32) -> bool) -> Choice {
        let Some(first) = self.first.map(f32::from_bits) else { return Choice::Any };
        let Some(mantissa) = self.mantissa.filter(|_| !self.special) else {
            return match accept(first) {
                _ if !self.alike || self.free && !self.zero => Choice::Blocked(Obstacle::Special),
                true => Choice::Accepted(first),
                false if !self.zero => Choice::Unaccepted(first),
                false if self.zeroless => Choice::Blocked(Obstacle::ZeroScale),
                false => Choice::Any,
            };
        };
        if self.zero && self.zeroless {
            return Choice::Blocked(Obstacle::ZeroScale);
        }
        // Zeros would change sign.
        if mantissa < 0.0 && (self.zero || self.free) {
            return Choice::Blocked(Obstacle::Special);
        }
        if self.mantissas_differ {
            return Choice::Blocked(Obstacle::Quotient);
        }
        let span = Choice::Blocked(Obstacle::Span { binades: (self.top - self.bottom) as u32 });
        if self.least > self.most {
            return span;
        }
        let wanted = (self.top - self.preferred).clamp(self.least, self.most);
        let (below, above) = ((self.least..wanted).rev(), wanted + 1..=self.most);
        let mut best = None;
        for exponent in core::iter::once(wanted).chain(below).chain(above) {
            let Some(scale) = shifted(mantissa, exponent) else { continue };
            if accept(scale) {
                return Choice::Accepted(scale);
            }
            best = best.or(Some(scale));
        }
        best.map_or(span, Choice::Unaccepted)
    }
}

/// The result of [`Extent::choose`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Choice {
    /// A scale that was accepted.
    Accepted(f32),
    /// The preferred scale; none was accepted.
    Unaccepted(f32),
    /// Any scale: the values are zeros under all of them.
    Any,
    /// No scale exists.
    Blocked(Obstacle),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(scales: &[f32], zeros: bool) -> Choice {
        let mut extent = Extent::EMPTY;
        let shifts = Shifts { least: -8, most: 6 };
        scales.iter().for_each(|&scale| extent.merge(&Extent::of(scale, shifts, || zeros)));
        extent.choose(|_| true)
    }

    #[test]
    fn the_largest_scale_stays_until_the_smallest_needs_room() {
        let power = |exponent| 2f32.powi(exponent);
        assert_eq!(choose(&[0.75, 3.0, 0.0], true), Choice::Accepted(3.0));
        // 2^-12 can be shifted down by 8, so the scale is 2^-4, and codes of 2^2 are shifted up by
        // 6.
        assert_eq!(choose(&[4.0, power(-12)], true), Choice::Accepted(power(-4)));
        assert_eq!(choose(&[8.0, power(-12)], true), Choice::Blocked(Obstacle::Span { binades: 15 }));
    }

    #[test]
    fn scales_that_no_power_of_two_joins_are_refused() {
        assert_eq!(choose(&[1.0, 1.5], true), Choice::Blocked(Obstacle::Quotient));
        assert_eq!(choose(&[1.0, -1.0], true), Choice::Blocked(Obstacle::Quotient));
        assert_eq!(choose(&[f32::NAN, 1.0], true), Choice::Blocked(Obstacle::Special));
        assert_eq!(choose(&[0.0, -0.0], true), Choice::Blocked(Obstacle::Special));
        assert_eq!(choose(&[0.0, 1.0], false), Choice::Blocked(Obstacle::ZeroScale));
        assert_eq!(choose(&[0.0, -1.0], true), Choice::Blocked(Obstacle::Special));
        assert_eq!(choose(&[f32::INFINITY; 2], false), Choice::Accepted(f32::INFINITY));
        assert_eq!(choose(&[], false), Choice::Any);
    }
}
