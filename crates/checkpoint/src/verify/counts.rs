//! Counts of a scan of scales, codes and floats, each with the first place. They can be merged in
//! any order.

use lowbit_kernels::Element;

/// The number of occurrences, and the first one.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Count {
    pub(super) times: u64,
    /// Index of the first occurrence, if there is one.
    pub(super) first: u64,
    /// The value there.
    pub(super) value: f64,
}

impl Count {
    /// Counts one occurrence, at index `at`.
    pub(super) fn saw(&mut self, at: u64, value: f64) {
        self.merge(&Self { times: 1, first: at, value });
    }

    /// Adds the counts of another scan.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.times > 0 && (self.times == 0 || other.first < self.first) {
            (self.first, self.value) = (other.first, other.value);
        }
        self.times += other.times;
    }
}

/// Counts of numbers that should be finite; scales should also be positive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Numbers {
    /// Number of all numbers.
    pub(super) count: u64,
    pub(super) nan: Count,
    pub(super) infinite: Count,
    pub(super) zero: Count,
    pub(super) negative: Count,
    /// The largest finite magnitude.
    pub(super) largest: f64,
    /// Whether all are integers from 0 to 255.
    pub(super) bytes: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        let none = Count::default();
        Self { count: 0, nan: none, infinite: none, zero: none, negative: none, largest: 0.0, bytes: true }
    }
}

impl Numbers {
    /// Counts one number, at index `at`.
    pub(super) fn observe(&mut self, at: u64, value: f64) {
        self.count += 1;
        if value.is_nan() {
            self.nan.saw(at, value);
        } else if value.is_infinite() {
            self.infinite.saw(at, value);
        } else {
            self.largest = self.largest.max(value.abs());
            if value == 0.0 {
                self.zero.saw(at, value);
            } else if value < 0.0 {
                self.negative.saw(at, value);
            }
        }
        self.bytes &= value.fract() == 0.0 && (0.0..256.0).contains(&value);
    }

    /// Adds the counts of another scan.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.nan.merge(&other.nan);
        self.infinite.merge(&other.infinite);
        self.zero.merge(&other.zero);
        self.negative.merge(&other.negative);
        self.largest = self.largest.max(other.largest);
        self.bytes &= other.bytes;
    }

    /// Whether these scales are exponent bytes stored as numbers: integers that fit a byte, and far
    /// larger than the scale of any weight.
    pub(super) fn are_exponents(&self) -> bool {
        self.count > 0 && self.bytes && self.largest >= 64.0
    }

    /// Counts of the numbers that cannot be a scale of activations.
    pub(super) fn unusable(&self) -> Count {
        let mut all = self.nan;
        [self.infinite, self.zero, self.negative].iter().for_each(|other| all.merge(other));
        all
    }
}

/// Counts of a quantized linear.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Linear {
    /// Block scales as stored. Zeros are counted only if a code of their block is not zero.
    pub(super) scales: Numbers,
    /// Tensor scales as stored.
    pub(super) tensor_scales: Numbers,
    /// The largest weight magnitude that the scales and the tensor scale allow.
    pub(super) reach: f64,
    /// Whether some code is not zero; collected only if needed.
    pub(super) codes: bool,
    /// Codes that are NaN or infinite.
    pub(super) bad_codes: Count,
    /// Zero points out of range.
    pub(super) bad_zeros: Count,
    /// Whether some weight is not zero; collected only if needed.
    pub(super) alive: bool,
}

impl Linear {
    /// Adds the counts of another scan.
    pub(super) fn merge(&mut self, other: &Self) {
        self.scales.merge(&other.scales);
        self.tensor_scales.merge(&other.tensor_scales);
        self.reach = self.reach.max(other.reach);
        self.codes |= other.codes;
        self.bad_codes.merge(&other.bad_codes);
        self.bad_zeros.merge(&other.bad_zeros);
        self.alive |= other.alive;
    }
}

/// For each code of an element, whether it is NaN or infinite. `None` if no code is, or if codes
/// are not whole bytes (no element of fewer bits has such codes).
pub(super) fn bad_codes(element: Element) -> Option<[bool; 256]> {
    let bad: [bool; 256] =
        std::array::from_fn(|code| element.bits() == 8 && !element.decode_one(code as u8).is_finite());
    bad.contains(&true).then_some(bad)
}

/// Counts the bad codes of some bytes, the first of which has index `first`.
pub(super) fn count_codes(bad: &[bool; 256], bytes: &[u8], first: u64) -> Count {
    let mut count = Count::default();
    for (at, &code) in bytes.iter().enumerate().filter(|(_, code)| bad[usize::from(**code)]) {
        count.saw(first + at as u64, f64::from(code));
    }
    count
}

/// Counts values outside of `0..=largest`.
pub(super) fn count_outside(largest: u8, bytes: &[u8], first: u64) -> Count {
    let mut count = Count::default();
    for (at, &value) in bytes.iter().enumerate().filter(|(_, value)| **value > largest) {
        count.saw(first + at as u64, f64::from(value));
    }
    count
}
