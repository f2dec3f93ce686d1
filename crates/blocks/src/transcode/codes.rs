//! Code maps: tables of the target's code for each code of the source.
//!
//! ```text
//! value(target's code) = (value(code) - zero) * 2^shift + added       bit for bit, -0 and NaN included
//!
//! zero    zero point of the source's block, if the target has none
//! shift   log2(source's scale / target's scale); tables exist for a range of shifts, often 0 alone
//! added   zero point of the target's blocks, if the source has none: 2^(bits-1) from signed to unsigned
//! ```
//!
//! If a block has scale zero in the source but not in the target, it uses the table of zeros: each
//! code maps to the signed zero that is its product.

use alloc::vec;
use alloc::vec::Vec;

use lowbit_kernels::Element;

use super::powers::{same, shifted};
use crate::format::{Format, Zero};
use crate::obstacle::Obstacle;

/// The shifts that are tried. They cover the range of every FP8 element, with a margin.
const SHIFTS: core::ops::RangeInclusive<i32> = -32..=32;

/// The target's code for each code of the source.
pub(super) type Table = [u8; 256];

/// The range of shifts that have tables, from `least` to `most`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Shifts {
    pub(super) least: i32,
    pub(super) most: i32,
}

impl Shifts {
    /// The shift closest to 0.
    pub(super) fn preferred(self) -> i32 {
        0.clamp(self.least, self.most)
    }

    pub(super) fn contains(self, shift: i32) -> bool {
        (self.least..=self.most).contains(&shift)
    }
}

/// The mapping of the codes of an overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    /// Values times 2 to this power.
    By(i32),
    /// Each value becomes the zero of its sign.
    Zeros,
}

/// The code mapping between a pair of formats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct CodeRule {
    pub(super) from: Element,
    pub(super) to: Element,
    /// Whether the source's zero points are subtracted, because the target has none.
    pub(super) subtracts: bool,
    /// The zero point of every block of the target.
    pub(super) added: u8,
    /// Whether the scale must not change.
    fixed: bool,
    /// Whether the zero code of the source also maps to a zero value in the target.
    zeros: bool,
}

impl CodeRule {
    pub(super) fn new(from: &Format, to: &Format) -> Self {
        // From two's complement to unsigned.
        let shifts = from.element.is_int() || from.element == Element::MxInt8;
        let added = match (from.zero, to.zero, to.element.int_bits()) {
            (Zero::None, Zero::Int, Some(bits)) if shifts && to.element.is_uint() => 1 << (bits - 1),
            _ => 0,
        };
        Self {
            from: from.element,
            to: to.element,
            subtracts: from.zero != Zero::None && to.zero == Zero::None,
            added,
            // The product of a tensor scale and a shifted block scale may be rounded, although the
            // unshifted product was not.
            fixed: !matches!((from.zero, to.zero), (_, Zero::None) | (Zero::None, Zero::Int))
                || from.has_tensor_scale() && to.has_tensor_scale(),
            zeros: from.zero == Zero::None || to.zero == Zero::None,
        }
    }

    /// True if codes without a shift are the same bytes.
    pub(super) fn keeps_bytes(&self) -> bool {
        self.from == self.to && !self.subtracts && self.added == 0
    }

    fn codes(&self) -> core::ops::RangeInclusive<u8> {
        0..=u8::MAX >> (8 - self.from.bits())
    }

    /// The value of a code, minus its zero point.
    fn value(&self, code: u8, zero: u8) -> f32 {
        let value = self.from.decode_one(code);
        if self.subtracts { value - f32::from(zero) } else { value }
    }

    /// The target's code of `value`, shifted and with the zero point added. If several codes have
    /// that value, `own` is preferred.
    fn image(&self, value: f32, shift: i32, own: Option<u8>) -> Option<u8> {
        let mut wanted = shifted(value, shift)?;
        if self.added != 0 {
            // The difference to the zero point is never negative zero, and the sum must not lose
            // bits.
            let (difference, added) = (wanted, f32::from(self.added));
            wanted += added;
            if !same(wanted - added, difference) {
                return None;
            }
        }
        let is_image = |code: &u8| same(self.to.decode_one(*code), wanted);
        // Encoding never chooses some codes: -2 of MXINT8, -0 of bitsandbytes' FP4.
        let any = || (0..=u8::MAX >> (8 - self.to.bits())).find(is_image);
        own.filter(is_image).or_else(|| Some(self.to.encode_one(wanted)).filter(is_image)).or_else(any)
    }

    /// The table, or the first code without an exact counterpart.
    fn table(&self, zero: u8, key: Key) -> Result<Table, u8> {
        let mut table = [0; 256];
        for code in self.codes() {
            let value = self.value(code, zero);
            // A NaN keeps its code, whether its block is mapped or its bytes are kept.
            let own = (self.from == self.to).then_some(code);
            let image = match key {
                Key::By(shift) => self.image(value, shift, own),
                Key::Zeros => {
                    let product = value * 0.0;
                    self.image(product, 0, own)
                }
            };
            table[usize::from(code)] = image.ok_or(code)?;
        }
        Ok(table)
    }

    fn obstacle(&self, zero: u8, code: u8) -> Obstacle {
        Obstacle::Code { value: self.value(code, zero), from: self.from, to: self.to }
    }

    /// The shifts that have tables, for a zero point.
    fn shifts(&self, zero: u8) -> Result<Shifts, Obstacle> {
        let tried = if self.fixed { 0..=0 } else { SHIFTS };
        let mut found: Option<Shifts> = None;
        // The shift that maps the most codes gives the most useful obstacle.
        let mut furthest = 0;
        for shift in tried {
            match self.table(zero, Key::By(shift)) {
                Ok(_) => {
                    found = Some(Shifts { least: found.map_or(shift, |found| found.least), most: shift })
                }
                Err(code) => furthest = furthest.max(code),
            }
        }
        found.ok_or_else(|| self.obstacle(zero, furthest))
    }
}

/// A cache of tables and shifts.
#[derive(Clone, Debug)]
pub(super) struct Maps {
    rule: CodeRule,
    /// The shifts of each zero point.
    shifts: Vec<Option<Shifts>>,
    /// The index of a table plus one, for each zero point and key.
    index: Vec<u16>,
    tables: Vec<Table>,
}

/// The number of keys per zero point.
const KEYS: usize = (*SHIFTS.end() - *SHIFTS.start()) as usize + 2;

impl Maps {
    /// An empty cache; `known` are the shifts of zero point 0, if known.
    pub(super) fn new(rule: CodeRule, known: Option<Shifts>) -> Self {
        let zeros = if rule.subtracts { 256 } else { 1 };
        let mut shifts = vec![None; zeros];
        shifts[0] = known;
        Self { rule, shifts, index: vec![0; zeros * KEYS], tables: Vec::new() }
    }

    pub(super) fn same_rule(&self, other: &Self) -> bool {
        self.rule == other.rule
    }

    /// The shifts that have tables, for a zero point.
    pub(super) fn shifts(&mut self, zero: u8) -> Result<Shifts, Obstacle> {
        let known = &mut self.shifts[usize::from(zero)];
        match *known {
            Some(shifts) => Ok(shifts),
            None => {
                let shifts = self.rule.shifts(zero)?;
                *known = Some(shifts);
                Ok(shifts)
            }
        }
    }

    /// True if blocks of scale zero have a table.
    pub(super) fn has_zeros(&mut self, zero: u8) -> bool {
        self.rule.zeros && self.table(zero, Key::Zeros).is_ok()
    }

    pub(super) fn table(&mut self, zero: u8, key: Key) -> Result<&Table, Obstacle> {
        let column = match key {
            Key::By(shift) => (shift - SHIFTS.start()) as usize,
            Key::Zeros => KEYS - 1,
        };
        let index = &mut self.index[usize::from(zero) * KEYS + column];
        if *index == 0 {
            let rule = self.rule;
            self.tables.push(rule.table(zero, key).map_err(|code| rule.obstacle(zero, code))?);
            *index = self.tables.len() as u16;
        }
        Ok(&self.tables[usize::from(*index) - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{MXFP4, MXFP8, MXINT8};

    fn rule(from: Element, to: Element) -> CodeRule {
        CodeRule::new(&MXFP4.with_element(from), &MXFP4.with_element(to))
    }

    #[test]
    fn shifts_that_have_tables_follow_one_another() {
        for from in Element::ALL {
            for to in Element::ALL {
                let rule = rule(from, to);
                let Ok(Shifts { least, most }) = rule.shifts(0) else { continue };
                for shift in least..=most {
                    assert!(rule.table(0, Key::By(shift)).is_ok(), "{from} to {to} by 2^{shift}");
                }
            }
        }
    }

    /// 0.5 * 2^-8 is the smallest E4M3, and 6 * 2^6 = 384 is the largest multiple of 6 by a power
    /// of two below 448.
    #[test]
    fn e2m1_goes_into_e4m3_over_fifteen_binades() {
        let rule = CodeRule::new(&MXFP4, &MXFP8);
        assert_eq!(rule.shifts(0), Ok(Shifts { least: -8, most: 6 }));
        let table = rule.table(0, Key::By(0)).unwrap();
        let images =
            [0, 0x30, 0x38, 0x3c, 0x40, 0x44, 0x48, 0x4c, 0x80, 0xb0, 0xb8, 0xbc, 0xc0, 0xc4, 0xc8, 0xcc];
        assert_eq!(table[..16], images);
    }

    #[test]
    fn a_code_without_an_image_is_named() {
        let error = rule(Element::E2m1, Element::Int { bits: 8 }).shifts(0).unwrap_err();
        assert_eq!(error.to_string(), "no code of int8 is -0, which e2m1 has");
        let error = rule(Element::E4m3, Element::E5m2).shifts(0).unwrap_err();
        assert_eq!(error.to_string(), "no code of e5m2 is 0.017578125, which e4m3 has");
    }

    #[test]
    fn every_code_of_an_element_is_its_own_image() {
        for element in Element::ALL {
            let rule = rule(element, element);
            let table = rule.table(0, Key::By(0)).unwrap();
            assert!(rule.codes().all(|code| table[usize::from(code)] == code), "{element}");
        }
    }

    #[test]
    fn mxint8_is_int8_shifted_by_six() {
        let rule = CodeRule::new(&MXINT8, &MXINT8.with_element(Element::Int { bits: 8 }));
        assert_eq!(rule.shifts(0), Ok(Shifts { least: 6, most: 6 }));
        let identity: Table = core::array::from_fn(|code| code as u8);
        assert_eq!(rule.table(0, Key::By(6)), Ok(identity));
    }
}
