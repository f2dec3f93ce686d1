//! Scales and zero points as files store them.

use super::{Columns, INT8, Weights};
use crate::inputs::{Random, SPECIALS};
use crate::levels::under_test;
use crate::window::{Window, assert_same};
use lowbit_kernels::{Blocks, Element, Factor, Kernels, Rows, ScaleType, StoredScales};

/// Scales of every type, times and divided by every kind of number, in rows of whole and of short groups, more blocks than are widened at a time, and
/// as many bytes after them as lie before the next page.
#[test]
fn scales_as_they_are_stored() {
    let mut random = Random(19);
    let kinds = [ScaleType::E4m3, ScaleType::E8m0, ScaleType::Bf16, ScaleType::F16];
    for e in [
        Element::E2m1,
        Element::Int { bits: 4 },
        Element::Uint { bits: 4 },
        INT8,
        Element::E4m3,
        Element::E2m3,
        Element::Nf4,
    ] {
        for kind in kinds {
            for case in 0..36 {
                let block = [16, 32, 64, 128, 256, usize::MAX][case % 6];
                let x_block = if block == 16 { [16, 32][case % 2] } else { 32 };
                let len = match random.below(6) {
                    0 => 1 + random.below(80),
                    1 => 576,
                    2 => 4096,
                    3 => 16 * (256 + random.below(3)), // around one piece
                    4 => 17_000 + random.below(600),
                    _ => 1 + random.below(5000),
                };
                let (count, columns) = ([1, 2, 3, 17][random.below(4)], [1, 1, 3][random.below(3)]);
                let count = if len > 8000 { count.min(3) } else { count };
                let weights = Weights::new(&mut random, e, count, len, block, false, false);
                let factor = match random.below(4) {
                    0 => Factor::None,
                    1 => Factor::Multiply(random.near(1e-3)),
                    2 => Factor::Divide(random.near(1e3)),
                    _ => Factor::Multiply(SPECIALS[random.below(SPECIALS.len())]),
                };
                let after = [0, 1, 63, 300][random.below(4)];
                let size = count * len.div_ceil(block) * kind.bytes();
                // Every byte, NaN and infinities among them; only numbers; what encoders write.
                let what = random.below(3);
                let stored: Vec<u8> = (0..size + after)
                    .map(|_| random.bits() as u8)
                    .map(|byte| match (what, kind) {
                        (0, _) | (1, ScaleType::E8m0) => byte,
                        (2, ScaleType::E4m3) => byte % 0x7f,
                        (2, ScaleType::E8m0) => 1 + byte % 254,
                        _ => byte & 0xbf,
                    })
                    .collect();
                let stored = Window::of(&stored, random.below(5), 0x7f);
                let scales = StoredScales { kind, bytes: stored.get(), factor };
                // Zero points as INT4 and HQQ have them, where sums are exact.
                let zero_kind = [ScaleType::U8, ScaleType::F16][case / 4 % 2];
                let count_of_zeros = count * len.div_ceil(block);
                let bytes: Vec<u8> = (0..(count_of_zeros + after) * zero_kind.bytes())
                    .map(|_| random.bits() as u8 & 0xbf)
                    .collect();
                let bytes = Window::of(&bytes, random.below(5), 0x7f);
                let zeros = (case % 4 == 3 && e.exact_step(block.min(x_block)).is_some())
                    .then(|| StoredScales { kind: zero_kind, bytes: bytes.get(), factor: Factor::None });
                let x = Columns::new(&mut random, INT8, columns, len, x_block, false);
                let rows = weights.rows(e, count, len, block);
                let rows = Rows { blocks: Blocks { scales: &[], ..rows.blocks }, ..rows };
                let mut want = vec![0.0; count * columns];
                let reference = Kernels::reference();
                x.with(reference, columns, |x| reference.dot_stored(rows, scales, zeros, x, &mut want));
                // The definition: f32 scales made one by one.
                let wide: Vec<f32> = stored.get()[..size]
                    .chunks(kind.bytes())
                    .map(|bytes| widen(kind, factor, bytes))
                    .collect();
                let wide_zeros: Option<Vec<f32>> = zeros.map(|zeros| {
                    let each = zero_kind.bytes();
                    let all = zeros.bytes[..count_of_zeros * each].chunks(each);
                    all.map(|bytes| widen(zero_kind, Factor::None, bytes)).collect()
                });
                let blocks = Blocks { len: block, scales: &wide, zeros: wide_zeros.as_deref() };
                let rows_of_f32 = Rows { blocks, ..rows };
                let mut by_f32 = vec![0.0; want.len()];
                x.with(reference, columns, |x| reference.dot_prepared(rows_of_f32, x, &mut by_f32));
                assert_same(&want, &by_f32, format_args!("{e} with scales of {kind:?} {factor:?}"));
                for kernels in under_test() {
                    let mut got = Window::new(want.len(), 1, 1.25);
                    x.with(kernels, columns, |x| kernels.dot_stored(rows, scales, zeros, x, got.get_mut()));
                    assert_same(
                        got.checked(),
                        &want,
                        format_args!(
                            "{e} at {kernels:?}, {count} x {len} in blocks of {block}, {columns} columns, {kind:?} {factor:?}"
                        ),
                    );
                }
            }
        }
    }
}

/// By the bits of the type, apart from the library.
fn widen(kind: ScaleType, factor: Factor, bytes: &[u8]) -> f32 {
    let stored = match kind {
        ScaleType::E4m3 => Element::E4m3.decode_one(bytes[0]),
        ScaleType::E8m0 if bytes[0] == 255 => f32::NAN,
        ScaleType::E8m0 => 2.0_f64.powi(i32::from(bytes[0]) - 127) as f32,
        ScaleType::Bf16 => f32::from_bits(u32::from(bytes[1]) << 24 | u32::from(bytes[0]) << 16),
        ScaleType::F16 => half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
        ScaleType::U8 => f32::from(bytes[0]),
    };
    match factor {
        Factor::None => stored,
        Factor::Multiply(by) => stored * by,
        Factor::Divide(by) => stored / by,
    }
}
