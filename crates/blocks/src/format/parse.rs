//! Parsing of format names as people write them: `"MXFP4".parse::<Format>()`.
//!
//! ```text
//! exactly        nvfp4, int4-g128-asym                                the names of Format::named
//! spelling       NVFP4, MX_FP4, Int4_G128_Asym, mxfp8 e5m2            case and - _ . and spaces are ignored
//! aliases        w4a16, fp8_e4m3, q4_0, NVFP4A16                      names in other tools
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::{BNB_FP4, Block, FORMATS, FP8, FP8_BLOCK, FP8_CHANNEL, FP8_E5M2, Format, INT8, Zero};
use super::{MXFP4, MXFP8, NF4, NVFP4};
use crate::scale::ScaleKind;

const fn groups(bits: u8, group: usize) -> Format {
    Format::int(bits, Block::Group(group))
}

/// A symmetric format of ggml: blocks of 32 with an f16 scale.
const fn ggml(bits: u8) -> Format {
    groups(bits, 32).with_scale(ScaleKind::F16)
}

/// A format of ggml with a bias.
const fn ggml_bias(bits: u8) -> Format {
    Format::uint(bits, Block::Group(32)).with_zero(Zero::Bias).with_scale(ScaleKind::F16)
}

/// Names in other tools, without separators, and their formats. Only the weights count: activations
/// of a scheme are not part of a format.
const ALIASES: &[(&str, Format)] = &[
    ("w4a16", groups(4, 128)),
    ("w4a16asym", Format::uint(4, Block::Group(128))),
    ("w4a8", groups(4, 128)),
    ("w8a8", INT8),
    ("w8a16", INT8),
    ("int2", groups(2, 64)),
    ("int3", groups(3, 64)),
    ("int4", groups(4, 128)),
    ("int5", groups(5, 64)),
    ("int6", groups(6, 64)),
    ("fp8e4m3", FP8),
    ("fp8e4m3fn", FP8),
    ("fp8dynamic", FP8_CHANNEL),
    ("fp8blockscaled", FP8_BLOCK),
    ("fp8e5m2", FP8_E5M2),
    ("nvfp4a16", NVFP4),
    ("mxfp4a16", MXFP4),
    ("mxfp4e2m1", MXFP4),
    ("mxfp8e4m3", MXFP8),
    ("bnbnf4", NF4),
    ("bnbfp4", BNB_FP4),
    ("q40", ggml(4)),
    ("q41", ggml_bias(4)),
    ("q50", ggml(5)),
    ("q51", ggml_bias(5)),
    ("q80", ggml(8)),
];

/// The maximum number of suggestions of an error.
const SUGGESTIONS: usize = 3;

/// The error for an unknown format name, with suggestions.
///
/// ```
/// use lowbit_blocks::Format;
/// let error = "mxfp5".parse::<Format>().unwrap_err();
/// assert_eq!(error.to_string(), "no format is called mxfp5; did you mean mxfp4 or mxfp8?");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownFormat {
    name: String,
    nearest: Vec<&'static str>,
}

impl UnknownFormat {
    /// The unknown name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Similar names of formats, the nearest first; empty if there are none.
    #[must_use]
    pub fn nearest(&self) -> &[&'static str] {
        &self.nearest
    }
}

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no format is called {}", self.name)?;
        match &self.nearest[..] {
            [] => Ok(()),
            [one] => write!(f, "; did you mean {one}?"),
            [all @ .., last] => write!(f, "; did you mean {} or {last}?", all.join(", ")),
        }
    }
}

impl core::error::Error for UnknownFormat {}

/// Parses the names of [`Format::named`], ignoring case, `-`, `_`, `.` and spaces, and names of
/// other tools.
///
/// ```
/// use lowbit_blocks::{Block, FP8, Format, INT8, MXFP4, ScaleKind};
/// assert_eq!("MXFP4".parse(), Ok(MXFP4));
/// assert_eq!("FP8_E4M3".parse(), Ok(FP8));
/// assert_eq!("W8A8".parse(), Ok(INT8));
/// assert_eq!("w4a16".parse(), Ok(Format::int(4, Block::Group(128))));
/// assert_eq!("Q4_0".parse(), Ok(Format::int(4, Block::Group(32)).with_scale(ScaleKind::F16)));
/// assert_eq!("E2M1_G16_E4M3".parse(), Ok(Format::named("e2m1-g16-e4m3").unwrap()));
/// ```
impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let spelled = Self::named(name).or_else(|| Self::named(&hyphenated(name)));
        let wanted = bare(name);
        let listed = || presets().find(|(preset, _)| bare(preset) == wanted).map(|(_, format)| format);
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == wanted).map(|(_, format)| *format);
        spelled
            .or_else(listed)
            .or_else(alias)
            .ok_or_else(|| UnknownFormat { name: name.to_owned(), nearest: nearest(&wanted) })
    }
}

impl TryFrom<&str> for Format {
    type Error = UnknownFormat;

    /// Parses the name.
    fn try_from(name: &str) -> Result<Self, UnknownFormat> {
        name.parse()
    }
}

fn presets() -> impl Iterator<Item = (&'static str, Format)> {
    FORMATS.iter().copied()
}

const fn is_separator(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | ' ')
}

/// The name in lower case, without separators.
fn bare(name: &str) -> String {
    name.chars().filter(|&c| !is_separator(c)).flat_map(char::to_lowercase).collect()
}

/// The name in lower case, with hyphens as separators.
fn hyphenated(name: &str) -> String {
    name.chars().map(|c| if is_separator(c) { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// The names with the least edit distance, if that is small relative to the length.
fn nearest(wanted: &str) -> Vec<&'static str> {
    let most = (wanted.len() / 3).max(2);
    let mut near: Vec<(usize, &str)> = presets()
        .map(|(name, _)| (distance(wanted, &bare(name)), name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, name)| name).take(SUGGESTIONS).collect()
}

/// The Levenshtein distance: the number of characters to insert, delete or replace. A swap counts
/// as two.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &b) in to.iter().enumerate() {
            let replaced = row[j] + usize::from(a != b);
            next.push(replaced.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn every_listed_name_is_read_whatever_its_spelling() {
        for (name, format) in presets() {
            for spelled in [name.to_uppercase(), name.replace('-', "_"), bare(name), format!("{name} ")] {
                assert_eq!(spelled.parse(), Ok(format), "{spelled}");
            }
        }
    }

    /// No alias equals one of our names, which would take precedence, and no alias occurs twice.
    #[test]
    fn aliases_are_bare_and_no_name_is_said_twice() {
        for (index, (alias, format)) in ALIASES.iter().enumerate() {
            assert_eq!(*alias, bare(alias));
            assert_eq!(alias.parse(), Ok(*format));
            assert!(format.check_row().is_ok(), "{alias}");
            let listed = presets().find(|(name, _)| bare(name) == *alias);
            assert!(listed.is_none_or(|(_, same)| same == *format), "{alias}");
            assert!(ALIASES[..index].iter().all(|(other, _)| other != alias), "{alias}");
        }
    }

    #[test]
    fn suggestions_are_near_or_absent() {
        let nearest = |name: &str| name.parse::<Format>().unwrap_err().nearest;
        assert_eq!(nearest("nvpf4")[0], "nvfp4");
        assert_eq!(nearest("int4-128")[0], "int4-g128");
        assert_eq!(nearest("safetensors"), [""; 0]);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
