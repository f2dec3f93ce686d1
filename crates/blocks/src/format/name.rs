//! Names of formats: those of the table, and composed names.
//!
//! ```text
//! ELEMENT-BLOCK[-SCALE][-2level|-OUTER][-ZERO]      int4-g128-asym, e4m3-64x64, e2m1-g16-e4m3-2level, uint5-g32-uint6-f16x8-min
//! ```
//!
//! In the table, `uint8` and `uint8-tensor` have zero points, so unsigned integers without zero
//! points are marked: `uint4-g64-nozero`. Float scale types are not part of the name; the file
//! stores f32, f16 or bf16. Every valid format has exactly one name, and formats that differ in
//! more than the float scale type have different names.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use lowbit_kernels::Element;

use super::int::default_scale;
use super::{Block, FORMATS, Format, Zero};
use crate::levels::{Outer, Scale};
use crate::scale::ScaleKind;

pub(super) fn parse(name: &str) -> Option<Format> {
    let preset = FORMATS.iter().find(|(preset, _)| *preset == name);
    preset.map(|(_, format)| *format).or_else(|| parse_parts(name))
}

fn parse_parts(name: &str) -> Option<Format> {
    let mut parts = name.split('-').peekable();
    let mut element = Element::named(parts.next()?)?;
    let block = parse_block(parts.next()?)?;
    let named = |part: &str| ScaleKind::named(part).filter(|kind| !kind.is_float());
    let kind = parts.next_if(|part| named(part).is_some()).and_then(named).unwrap_or(default_scale(block));
    let outer = match parts.next_if(|part| *part == "2level" || parse_outer(part).is_some()) {
        Some("2level") => Outer::Matrix,
        Some(part) => parse_outer(part)?,
        None => Outer::None,
    };
    let scale = Scale { kind, outer };
    let zero = match parts.next() {
        Some("nozero") if element.is_uint() => Zero::None,
        None if element.is_uint() => return None,
        None => Zero::None,
        Some("asym") if element.is_int() => {
            element = Element::Uint { bits: element.int_bits()? };
            Zero::Int
        }
        Some("float") => Zero::Float,
        Some("bias") => Zero::Bias,
        Some("min") => Zero::Min,
        _ => return None,
    };
    let format = Format { element, block, scale, zero };
    (parts.next().is_none() && format.check_row().is_ok()).then_some(format)
}

/// A positive number in its only spelling: `parse` alone would accept "+16" and "016".
fn number(digits: &str) -> Option<usize> {
    digits.parse().ok().filter(|n: &usize| *n > 0 && format!("{n}") == digits)
}

/// Parses an outer level such as `f16x8`.
fn parse_outer(text: &str) -> Option<Outer> {
    let (kind, count) = text.split_once('x')?;
    let kind = ScaleKind::named(kind).filter(|kind| kind.is_float())?;
    Some(Outer::Blocks { count: number(count)?, kind })
}

fn parse_block(text: &str) -> Option<Block> {
    match text {
        "tensor" => Some(Block::Tensor),
        "channel" => Some(Block::Channel),
        _ => {
            if let Some(group) = text.strip_prefix('g') {
                Some(Block::Group(number(group)?))
            } else if let Some(flat) = text.strip_prefix("flat") {
                Some(Block::Flat(number(flat)?))
            } else {
                let (rows, cols) = text.split_once('x')?;
                Some(Block::Tile { rows: number(rows)?, cols: number(cols)? })
            }
        }
    }
}

pub(super) fn compose(format: &Format) -> String {
    let float_as =
        |row: &Format| if row.scale.kind.is_float() { row.with_scale(ScaleKind::F32) } else { *row };
    if let Some((name, _)) = FORMATS.iter().find(|(_, row)| float_as(row) == float_as(format)) {
        return (*name).to_owned();
    }
    let mut name = match format.element.int_bits() {
        // Invalid formats have names too, for error messages.
        Some(bits) if format.element.is_int() || format.zero == Zero::Int => format!("int{bits}"),
        Some(bits) => format!("uint{bits}"),
        None => format.element.name().to_owned(),
    };
    match format.block {
        Block::Tensor => name += "-tensor",
        Block::Channel => name += "-channel",
        Block::Group(block) => name += &format!("-g{block}"),
        Block::Tile { rows, cols } => name += &format!("-{rows}x{cols}"),
        Block::Flat(block) => name += &format!("-flat{block}"),
    }
    if !format.scale.kind.is_float() {
        name = name + "-" + format.scale.kind.name();
    }
    match format.scale.outer {
        Outer::None => {}
        Outer::Matrix => name += "-2level",
        Outer::Blocks { count, kind } => name += &format!("-{kind}x{count}"),
    }
    name + match format.zero {
        Zero::None if format.element.is_uint() => "-nozero",
        Zero::None => "",
        Zero::Int => "-asym",
        Zero::Float => "-float",
        Zero::Bias => "-bias",
        Zero::Min => "-min",
    }
}
