//! Sums that are exact: the largest there are, and what is no number.

use super::{Columns, INT8, Weights, check_prepared};
use crate::inputs::Random;
use lowbit_kernels::{Blocks, Element, Kernels, Rows};

/// E4M3 with bytes: the largest sums, a NaN in each place, activations that can be negated and one that cannot, blocks around the longest that are summed
/// exactly.
#[test]
fn e4m3_with_bytes() {
    let mut random = Random(21);
    for e in [Element::E4m3, Element::E4m3Fnuz] {
        let (largest, nan) = if e == Element::E4m3 { (0x7e, 0xff) } else { (0x7f, 0x80) };
        assert!(e.decode_one(nan).is_nan());
        for len in [1, 31, 33, 64, 500, 512, 576, 1064, 2560] {
            for case in 0..24 {
                let (block, x_block) = [
                    (32, 32),
                    (usize::MAX, 32),
                    (128, 32),
                    (32, 64),
                    (64, 64),
                    (128, 128),
                    (16, 16),
                    (96, 32),
                ][case % 8];
                let (count, columns) = (3, [1, 3, 4, 6][random.below(4)]);
                let mut weights = Weights::new(&mut random, e, count, len, block, false, false);
                let mut x = Columns::new(&mut random, INT8, columns, len, x_block, false);
                match case / 8 {
                    0 => weights.codes.get_mut().iter_mut().for_each(|code| *code = *code & 0x80 | largest),
                    1 => weights.codes.get_mut()[random.below(count * len)] = nan,
                    _ => {}
                }
                // Without -128, with one, or with many of them.
                if random.below(3) > 0 {
                    x.codes.iter_mut().filter(|x| **x == 0x80).for_each(|x| *x = 0x81);
                    if random.below(3) == 0 {
                        x.codes[random.below(columns * len)] = 0x80;
                    }
                }
                check_prepared(weights.rows(e, count, len, block), &x, columns);
            }
        }
    }
    // 64 products of 448 and -128, the most that is exact in 32 bits: -2^21 * 1.75 exactly.
    let blocks = Blocks { len: 64, scales: &[1.0], zeros: None };
    let rows = Rows { element: Element::E4m3, count: 1, len: 64, codes: &[0x7e; 64], blocks };
    let x = Columns { e: INT8, len: 64, block: 64, codes: vec![0x80; 64], scales: vec![1.0] };
    let mut out = [0.0];
    x.with(Kernels::best(), 1, |x| Kernels::best().dot_prepared(rows, x, &mut out));
    assert_eq!(out, [-3_670_016.0]);
}

/// NF4 with bytes: the largest sums, blocks around the longest that are summed exactly, more values than whole groups have, zero points.
#[test]
fn nf4_with_bytes() {
    let mut random = Random(22);
    let e = Element::Nf4;
    for len in [1, 31, 64, 500, 512, 576, 2080, 4100] {
        for case in 0..32 {
            let (block, x_block) =
                [(64, 32), (64, 64), (32, 32), (1024, 1024), (2048, 1024), (2048, 2048), (16, 16), (96, 32)]
                    [case % 8];
            let (count, columns) = (3, [1, 3, 4, 6][random.below(4)]);
            let zeros = case % 3 == 0 && e.exact_step(block.min(x_block)).is_some();
            let mut weights = Weights::new(&mut random, e, count, len, block, zeros, false);
            let mut x = Columns::new(&mut random, INT8, columns, len, x_block, false);
            // All 1.0, or all -1.0, and activations of one sign at their ends.
            if case / 8 < 2 {
                weights.codes.get_mut().fill([0xff, 0x00][case / 8]);
                x.codes.fill([0x80, 0x7f][random.below(2)]);
            }
            check_prepared(weights.rows(e, count, len, block), &x, columns);
        }
    }
}

/// Sums of a block of NF4 are those of f64, which has room for them, rounded once.
#[test]
fn nf4_is_rounded_once() {
    let mut random = Random(23);
    for block in [16, 32, 64, 1024] {
        let codes: Vec<u8> = (0..block / 2).map(|_| random.bits() as u8).collect();
        let x = Columns::new(&mut random, INT8, 1, block, block, false);
        let pairs = codes.iter().flat_map(|code| [code & 15, code >> 4]).zip(&x.codes);
        let sum: f64 = pairs.map(|(w, x)| f64::from(Element::Nf4.decode_one(w)) * f64::from(*x as i8)).sum();
        let x = Columns { scales: vec![1.0], ..x };
        let blocks = Blocks { len: block, scales: &[1.0], zeros: None };
        let rows = Rows { element: Element::Nf4, count: 1, len: block, codes: &codes, blocks };
        for kernels in Kernels::available() {
            let mut out = [0.0];
            x.with(kernels, 1, |x| kernels.dot_prepared(rows, x, &mut out));
            assert_eq!(out, [sum as f32], "{kernels:?}, {block} values");
        }
    }
}

/// The largest sums that 32 bits hold, and blocks that are split there.
#[test]
fn blocks_of_more_than_65536() {
    let len = 200_003_usize;
    for (e, code) in [
        (INT8, 0x80),
        (INT8, 0x7f),
        (Element::Uint { bits: 8 }, 0xff),
        (Element::E2m1, 0x77),
        (Element::Uint { bits: 4 }, 0xff),
        (Element::E4m3, 0x7e),
        (Element::Nf4, 0xff),
        (Element::Nf4, 0x00),
    ] {
        for x in [0x80, 0x7f] {
            for (block, x_block) in
                [(usize::MAX, usize::MAX), (131_072, 65_536), (100_000, 100_000), (usize::MAX, 32)]
            {
                let codes = vec![code; e.packed_len(len)];
                let scales = vec![0.5; len.div_ceil(block)];
                let zeros = vec![7.5; scales.len()];
                let x = Columns {
                    e: INT8,
                    len,
                    block: x_block,
                    codes: vec![x; len],
                    scales: vec![0.25; len.div_ceil(x_block)],
                };
                for zeros in [None, Some(&zeros[..])] {
                    let blocks = Blocks { len: block, scales: &scales, zeros };
                    check_prepared(Rows { element: e, count: 1, len, codes: &codes, blocks }, &x, 1);
                }
            }
        }
    }
}
