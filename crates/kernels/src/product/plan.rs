//! The plan of a product with quantized activations: its blocks, which scales belong to each, and the loop that is chosen for it.

use super::lanes::{SumLanes, decodes_in_registers};
use super::prepared::{Prepared, Values};
use super::rows::Rows;
use super::scales::groups::is_modest;
use super::scales::stored::{Factor, ScaleType};
use super::scales::{AllScales, Scales};
use super::tile::TILE;
use super::weights::e4m3::is_e4m3;
use crate::Element;
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};
use lowbit_scalar::Specials;

/// Values per block of prepared activations at most; longer blocks are summed in parts, so that sums fit 32 bits:
/// `65536 * 255 * 128 < 2^31`.
pub(crate) const LONGEST_BLOCK: usize = 65536;

/// Blocks of equal length, the last of which may be short, and their loop.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// Values per block: of the two sides, the shorter.
    pub(super) block: usize,
    /// Blocks per row.
    pub(super) blocks: usize,
    /// Blocks per scale of the weights.
    pub(super) run: usize,
    /// Blocks per scale of the activations.
    pub(super) x_run: usize,
    /// Which loop it is.
    pub(super) kernel: Loop,
}

/// The loops of products with quantized activations; the module's documentation says which is for what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Loop {
    /// Exact sums of sixteen blocks at a time.
    IntegerGroups {
        groups: Groups,
        /// The type of stored scales that become f32 in registers, if there is one column.
        in_registers: Option<ScaleType>,
    },
    /// Exact sums of blocks of any number of vectors.
    IntegerVectors,
    /// One block a row: products with f32, whose sums are scaled.
    WholeRows,
    /// f32 products of sixteen blocks at a time, decoded in registers.
    BlockRegisters,
    /// f32 products of blocks decoded to a tile.
    BlockTiles,
}

/// The loops of exact sums of sixteen blocks: codes and values per block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    Nibbles16,
    Nibbles32,
    Nibbles32Zeros,
    Nf4x32,
    E4m3x32,
    Bytes32,
    Bytes32Zeros,
}

impl Plan {
    /// `None` where blocks do not follow one another at equal distances that are whole vectors' parts: 16, 32 or 64 values, or multiples of 128. Such
    /// blocks are no format's, and the reference takes care of them.
    pub(super) fn new(
        level: Level,
        rows: &Rows<'_>,
        scales: &AllScales<'_>,
        x: &Prepared<'_>,
    ) -> Option<Self> {
        let len = rows.len;
        let shorter = rows.blocks.len.min(x.block);
        let block = match shorter {
            // One block, which may be as long as its padding.
            _ if shorter >= len => len.next_multiple_of(128).min(LONGEST_BLOCK),
            _ if shorter > LONGEST_BLOCK && shorter.is_multiple_of(LONGEST_BLOCK) => LONGEST_BLOCK,
            16 | 32 | 64 => shorter,
            _ if shorter <= LONGEST_BLOCK && shorter.is_multiple_of(128) => shorter,
            _ => return None,
        };
        let run = |of: usize| if of >= len { usize::MAX } else { of / block };
        let (run, x_run) = (run(rows.blocks.len), run(x.block));
        let blocks = len.div_ceil(block);
        let kernel = match x.values {
            Values::Int { codes, .. } if are_exact(rows, x) => {
                match groups(level, rows.element, block, scales.zeros.is_some(), codes) {
                    Some(groups) => Loop::IntegerGroups {
                        groups,
                        in_registers: in_registers(level, groups, scales.scales, run),
                    },
                    None => Loop::IntegerVectors,
                }
            }
            Values::Float(_) if blocks == 1 => Loop::WholeRows,
            _ if in_block_registers(level, rows, x, block) => Loop::BlockRegisters,
            _ => Loop::BlockTiles,
        };
        Some(Self { block, blocks, run, x_run, kernel })
    }
}

/// Whether the sums of blocks are exact.
pub(super) fn are_exact(rows: &Rows<'_>, x: &Prepared<'_>) -> bool {
    let block = rows.blocks.len.min(x.block);
    rows.element.exact_step(block).is_some() && matches!(x.values, Values::Int { .. })
}

/// The loop over groups of sixteen blocks, if there is one.
fn groups(level: Level, e: Element, block: usize, zeros: bool, x: &[i8]) -> Option<Groups> {
    let (unrolled, native): (bool, bool) = on!(level, l => loops(l));
    Some(match (e.bits(), block) {
        _ if !unrolled => return None,
        (4, 32) if e == Element::Nf4 && !zeros => Groups::Nf4x32,
        _ if e == Element::Nf4 => return None,
        (4, 16) if !zeros => Groups::Nibbles16,
        (4, 32) if zeros => Groups::Nibbles32Zeros,
        (4, 32) => Groups::Nibbles32,
        // The lookups negate activations, which -128 does not allow. Our own activations never have it.
        (8, 32) if is_e4m3(e) => {
            if zeros || !native || x.contains(&i8::MIN) {
                return None;
            }
            Groups::E4m3x32
        }
        (8, 32) if zeros => Groups::Bytes32Zeros,
        (8, 32) => Groups::Bytes32,
        _ => return None,
    })
}

/// Which type of stored scales becomes f32 in the registers of a loop.
fn in_registers(level: Level, groups: Groups, scales: Scales<'_>, run: usize) -> Option<ScaleType> {
    let Scales::Stored(stored) = scales else { return None };
    let alone = stored.factor == Factor::None;
    let takes = match (groups, stored.kind) {
        (Groups::Nibbles16, ScaleType::E4m3) => is_modest(stored.factor),
        (Groups::Nibbles32, ScaleType::E8m0 | ScaleType::Bf16 | ScaleType::F16) => alone,
        (Groups::E4m3x32, ScaleType::E8m0) => alone,
        (Groups::Bytes32, ScaleType::Bf16 | ScaleType::F16) => alone,
        _ => false,
    };
    let (_, native): (bool, bool) = on!(level, l => loops(l));
    if takes && run == 1 && native { Some(stored.kind) } else { None }
}

/// Values of the blocks of which a chunk has two.
pub(super) const HALF_CHUNK: usize = CHUNK / 2;

/// Whether the level decodes such weights in registers and folds such blocks. There are no zero points in that loop.
fn in_block_registers(level: Level, rows: &Rows<'_>, x: &Prepared<'_>, block: usize) -> bool {
    let e = rows.element;
    let fits = match x.values {
        Values::Float(_) => true,
        // Whole groups of sixteen blocks are widened at a time.
        Values::Int { .. } => block <= TILE / LANES,
    };
    // Only of short blocks a row may end with a part of a chunk.
    let whole = block == HALF_CHUNK || block.is_multiple_of(CHUNK) && rows.len.is_multiple_of(CHUNK);
    let fnuz = e.float_format().is_some_and(|format| matches!(format.specials, Specials::NanNegativeZero));
    let level = on!(level, l => loops(l).0 && decodes_in_registers(l, e));
    level && !fnuz && rows.blocks.zeros.is_none() && whole && fits
}

/// [`SumLanes::UNROLLED`] and [`SumLanes::NATIVE`].
#[inline(always)]
fn loops<L: SumLanes>(_: L) -> (bool, bool) {
    (L::UNROLLED, L::NATIVE)
}
