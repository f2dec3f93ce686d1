//! Products: every element, block length and number of columns, by every level.

mod bias;
mod exact;
mod stored;

use crate::inputs::{Random, SPECIALS};
use crate::levels::under_test;
use crate::window::{Window, assert_same};
use lowbit_kernels::{Blocks, Element, Factor, Kernels, Prepared, Rows, ScaleType, StoredScales, Values};

/// Blocks of weights.
const BLOCKS: [usize; 12] = [1, 3, 8, 16, 24, 32, 48, 64, 128, 256, 512, usize::MAX];
const INT8: Element = Element::Int { bits: 8 };

/// What rows borrow.
struct Weights {
    codes: Window<u8>,
    scales: Window<f32>,
    zeros: Option<Window<f32>>,
}

impl Weights {
    fn new(
        random: &mut Random,
        e: Element,
        count: usize,
        len: usize,
        block: usize,
        zeros: bool,
        special: bool,
    ) -> Self {
        let mut codes: Vec<u8> = (0..count * e.packed_len(len)).map(|_| random.bits() as u8).collect();
        if !special && e.bits() == 8 {
            // A NaN is the result of its whole row.
            codes.iter_mut().filter(|code| !e.decode_one(**code).is_finite()).for_each(|code| *code = 0x31);
        }
        let blocks = count * len.div_ceil(block);
        let numbers = |random: &mut Random, size| -> Vec<f32> {
            if special {
                random.mixed(blocks, size)
            } else {
                (0..blocks).map(|_| random.near(size)).collect()
            }
        };
        let scales = numbers(random, 2.0);
        let zeros = zeros.then(|| numbers(random, e.max()));
        Self {
            codes: Window::of(&codes, random.below(9), 0xa5),
            scales: Window::of(&scales, random.below(3), f32::NAN),
            zeros: zeros.map(|zeros| Window::of(&zeros, random.below(3), f32::NAN)),
        }
    }

    fn rows(&self, element: Element, count: usize, len: usize, block: usize) -> Rows<'_> {
        let zeros = self.zeros.as_ref().map(Window::get);
        let blocks = Blocks { len: block, scales: self.scales.get(), zeros };
        Rows { element, count, len, codes: self.codes.get(), blocks }
    }
}

/// Columns of activations of an element, prepared by each level as it pleases.
struct Columns {
    e: Element,
    len: usize,
    block: usize,
    codes: Vec<u8>,
    scales: Vec<f32>,
}

impl Columns {
    fn new(random: &mut Random, e: Element, columns: usize, len: usize, block: usize, special: bool) -> Self {
        let mut codes: Vec<u8> = (0..columns * e.packed_len(len)).map(|_| random.bits() as u8).collect();
        if special {
            for code in &mut codes {
                *code = [*code, 0x7f, 0x80][random.below(3)]; // both ends of int8
            }
        }
        let blocks = columns * len.div_ceil(block);
        let scales =
            if special { random.mixed(blocks, 2.0) } else { (0..blocks).map(|_| random.near(2.0)).collect() };
        Self { e, len, block, codes, scales }
    }

    fn integers(&self) -> bool {
        self.e.step().is_some() && self.e != (Element::Uint { bits: 8 })
    }

    fn with<T>(&self, kernels: Kernels, columns: usize, use_it: impl FnOnce(Prepared<'_>) -> T) -> T {
        let Self { e, len, block, ref codes, ref scales } = *self;
        let bytes = e.packed_len(len);
        let prepared = |values| Prepared { len, block, values, scales };
        if self.integers() {
            let (codes_len, sums_len) = (Values::codes_len(len), Values::sums_len(len));
            let mut ints = Window::new(columns * codes_len, 1, 0x5a);
            let mut sums = Window::new(columns * sums_len, 1, 77);
            for column in 0..columns {
                let ints = &mut ints.get_mut()[column * codes_len..][..codes_len];
                let sums = &mut sums.get_mut()[column * sums_len..][..sums_len];
                kernels.expand(e, &codes[column * bytes..][..bytes], len, ints, sums);
            }
            use_it(prepared(Values::Int {
                codes: ints.checked(),
                sums: sums.checked(),
                step: e.step().unwrap(),
            }))
        } else {
            let mut values = Window::new(columns * len, 1, f32::NAN);
            for column in 0..columns {
                let values = &mut values.get_mut()[column * len..][..len];
                if len > 0 {
                    kernels.decode(e, &codes[column * bytes..][..bytes], Blocks::whole(&1.0), values);
                }
            }
            use_it(prepared(Values::Float(values.get())))
        }
    }
}

fn check_dot(rows: Rows<'_>, x: &[f32], columns: usize, offset: usize) {
    let mut want = vec![0.0; rows.count * columns];
    Kernels::reference().dot(rows, x, &mut want);
    let x = Window::of(x, offset, f32::NAN);
    for kernels in under_test() {
        let mut got = Window::new(want.len(), offset, 1.25);
        kernels.dot(rows, x.get(), got.get_mut());
        let (e, len, block) = (rows.element, rows.len, rows.blocks.len);
        assert_same(
            got.checked(),
            &want,
            format_args!(
                "{e} at {kernels:?}, {} x {len} in blocks of {block}, {columns} columns",
                rows.count
            ),
        );
    }
}

fn check_prepared(rows: Rows<'_>, x: &Columns, columns: usize) {
    let mut want = vec![0.0; rows.count * columns];
    let columns = columns * rows.count.min(1);
    x.with(Kernels::reference(), columns, |x| Kernels::reference().dot_prepared(rows, x, &mut want));
    for kernels in under_test() {
        let mut got = Window::new(want.len(), 1, 1.25);
        x.with(kernels, columns, |x| kernels.dot_prepared(rows, x, got.get_mut()));
        let (e, len, block) = (rows.element, rows.len, rows.blocks.len);
        let (x_e, x_block) = (x.e, x.block);
        assert_same(
            got.checked(),
            &want,
            format_args!(
                "{e} x {x_e} at {kernels:?}, {} x {len} in blocks of {block} and {x_block}, {columns} columns",
                rows.count
            ),
        );
    }
}

/// A length of up to two chunks and a bit, or whole ones, or none.
fn length(random: &mut Random) -> usize {
    match random.below(8) {
        0 => random.below(40),
        1 => 256 * random.below(5),
        2 => 512 * random.below(5) + 16 * random.below(5),
        _ => random.below(1300),
    }
}

#[test]
fn f32_activations() {
    let mut random = Random(11);
    for e in Element::ALL {
        for block in BLOCKS {
            for case in 0..12 {
                let (len, count, columns) =
                    (length(&mut random), random.below(4), [1, 1, 2, 3, 5, 17][random.below(6)]);
                let special = case % 3 == 0;
                let weights = Weights::new(&mut random, e, count, len, block, case % 2 == 0, special);
                let n = columns * len * count.min(1);
                let x =
                    if special { random.mixed(n, 1.0) } else { (0..n).map(|_| random.near(1.0)).collect() };
                check_dot(weights.rows(e, count, len, block), &x, columns, random.below(5));
            }
        }
    }
}

#[test]
fn prepared_activations() {
    let mut random = Random(12);
    let activations = [
        INT8,
        INT8,
        Element::E2m1,
        Element::E4m3,
        Element::MxInt8,
        Element::Int { bits: 4 },
        Element::Uint { bits: 8 },
    ];
    for e in Element::ALL {
        for block in BLOCKS {
            for case in 0..20 {
                let (len, count, columns) =
                    (length(&mut random), random.below(4), [1, 1, 2, 3, 4, 5, 17][random.below(7)]);
                let x_block = match random.below(5) {
                    0 => usize::MAX,
                    1 => block,
                    2 => block.saturating_mul(2),
                    3 if block.is_multiple_of(32) => 32,
                    _ if block % 16 == 0 => [16, block / 2, 4 * block][random.below(3)],
                    _ => block,
                };
                let x_block = if len < x_block || x_block.max(block).is_multiple_of(x_block.min(block)) {
                    x_block
                } else {
                    block
                };
                let special = case % 3 == 0;
                let weights = Weights::new(&mut random, e, count, len, block, case % 2 == 0, special);
                let x_e = activations[random.below(activations.len())];
                let x = Columns::new(&mut random, x_e, columns * count.min(1), len, x_block, special);
                check_prepared(weights.rows(e, count, len, block), &x, columns);
            }
        }
    }
}

/// Activations that are no integers: rows of more blocks than are laid out at once, of groups and chunks that are not whole, of one block; more rows
/// than are folded together; scales that are not finite at both ends of each row, and any code, NaN among them.
#[test]
fn activations_that_are_floats() {
    let mut random = Random(20);
    for e in [Element::Nf4, Element::Fp4, Element::E4m3, Element::E5m2, Element::E4m3Fnuz, INT8] {
        for (block, x_block) in
            [(32, 32), (64, 32), (128, 128), (32, usize::MAX), (usize::MAX, usize::MAX), (usize::MAX, 64)]
        {
            for len in [1_usize, 31, 64, 500, 512, 576, 1088, 4096, 8192 + 96, 20_000, 20_009] {
                let count = if len > 5000 { 2 } else { [1, 16, 19][random.below(3)] };
                let columns = [1, 2, 4, 7][random.below(4)];
                let mut weights = Weights::new(&mut random, e, count, len, block, len == 1088, false);
                let blocks = len.div_ceil(block);
                if random.below(2) == 0 {
                    for row in weights.scales.get_mut().chunks_mut(2 * blocks) {
                        row[0] = SPECIALS[random.below(SPECIALS.len())];
                        row[blocks - 1] = SPECIALS[random.below(SPECIALS.len())];
                    }
                }
                let x_e = [Element::E4m3, Element::E3m2, Element::Nf4][random.below(3)];
                let mut x = Columns::new(&mut random, x_e, columns, len, x_block, false);
                if x_e == Element::E4m3 && random.below(2) == 0 {
                    x.codes
                        .iter_mut()
                        .for_each(|code| *code = [0x80, 0, *code & 0x3f][usize::from(*code) % 3]);
                }
                check_prepared(weights.rows(e, count, len, block), &x, columns);
                // Few NaNs, so that some results are numbers.
                weights.codes.get_mut().iter_mut().for_each(|code| *code &= 0xbf);
                check_prepared(weights.rows(e, count, len, block), &x, columns);
            }
        }
    }
}

/// Every pair of elements, at the blocks of NVFP4 and of one scale per row.
#[test]
fn every_pair_of_elements() {
    let mut random = Random(13);
    for e in Element::ALL {
        for x_e in Element::ALL {
            for (block, x_block) in [(16, 32), (usize::MAX, 128)] {
                let len = 256 + random.below(300);
                let weights = Weights::new(&mut random, e, 2, len, block, false, false);
                let x = Columns::new(&mut random, x_e, 2, len, x_block, false);
                check_prepared(weights.rows(e, 2, len, block), &x, 2);
            }
        }
    }
}

/// One special scale in every block of two rows, and one special activation in every lane.
#[test]
fn every_special_in_every_place() {
    let mut random = Random(14);
    let len = 600_usize;
    for e in [Element::E2m1, Element::Int { bits: 4 }, Element::E4m3, INT8] {
        for special in SPECIALS {
            for block in [16, 32, usize::MAX] {
                for at in 0..2 * len.div_ceil(block) {
                    let mut weights = Weights::new(&mut random, e, 2, len, block, false, false);
                    weights.scales.get_mut()[at] = special;
                    let x = Columns::new(&mut random, INT8, 1, len, block, false);
                    check_prepared(weights.rows(e, 2, len, block), &x, 1);
                    let x: Vec<f32> = (0..len).map(|_| random.near(1.0)).collect();
                    check_dot(weights.rows(e, 2, len, block), &x, 1, at % 5);
                }
            }
            let weights = Weights::new(&mut random, e, 1, len, 32, false, false);
            for at in (0..70).chain(len - 70..len) {
                let mut x: Vec<f32> = (0..len).map(|_| random.near(1.0)).collect();
                x[at] = special;
                check_dot(weights.rows(e, 1, len, 32), &x, 1, at % 5);
            }
        }
    }
}

#[test]
fn plain_rows() {
    let mut random = Random(15);
    for _ in 0..300 {
        let (len, count, columns) = (length(&mut random), random.below(5), random.below(6));
        let rows = Window::of(&random.mixed(count * len, 1.0), random.below(5), f32::NAN);
        let x = Window::of(&random.mixed(columns * len, 1.0), random.below(5), f32::NAN);
        let mut want = vec![1.0; if len == 0 { 3 } else { count * columns }];
        Kernels::reference().dot_f32(rows.get(), x.get(), len, &mut want);
        for kernels in under_test() {
            let mut got = Window::new(want.len(), 1, 1.25);
            kernels.dot_f32(rows.get(), x.get(), len, got.get_mut());
            assert_same(got.checked(), &want, format_args!("{kernels:?}, {count} x {len} x {columns}"));
        }
    }
}

#[test]
fn int8_on_the_fly() {
    let mut random = Random(16);
    for block in [1, 3, 16, 32, 33, 128, usize::MAX] {
        for case in 0..60 {
            let n = length(&mut random);
            let size = [1.0, 1e-43, 1e38][random.below(3)];
            let x = if case % 2 == 0 {
                random.mixed(n, size)
            } else {
                (0..n).map(|_| random.near(size)).collect()
            };
            let x = Window::of(&x, random.below(5), f32::NAN);
            let count = n.div_ceil(block);
            let (mut codes, mut scales) = (vec![0; n], vec![0.0; count]);
            Kernels::reference().quantize_int8(x.get(), block, &mut codes, &mut scales);
            for kernels in under_test() {
                let mut got_codes = Window::new(n, 3, 0xa5);
                let mut got_scales = Window::new(count, 1, 1.25);
                kernels.quantize_int8(x.get(), block, got_codes.get_mut(), got_scales.get_mut());
                assert_same(
                    got_scales.checked(),
                    &scales,
                    format_args!("scales at {kernels:?}, {n} in blocks of {block}"),
                );
                assert_eq!(got_codes.checked(), codes, "{kernels:?}, {n} in blocks of {block}");
            }
        }
    }
}

#[test]
fn the_form_that_products_read() {
    let mut random = Random(17);
    for e in Element::ALL.into_iter().filter(|&e| e.step().is_some() && e != Element::Uint { bits: 8 }) {
        for _ in 0..20 {
            let len = length(&mut random);
            let codes: Vec<u8> = (0..e.packed_len(len)).map(|_| random.bits() as u8).collect();
            let mut want = (vec![1; Values::codes_len(len)], vec![1; Values::sums_len(len)]);
            Kernels::reference().expand(e, &codes, len, &mut want.0, &mut want.1);
            for kernels in under_test() {
                let mut ints = Window::new(want.0.len(), 1, 0x5a);
                let mut sums = Window::new(want.1.len(), 1, 77);
                kernels.expand(e, &codes, len, ints.get_mut(), sums.get_mut());
                assert_eq!(ints.checked(), want.0, "{e} at {kernels:?}, {len} values");
                assert_eq!(sums.checked(), want.1, "{e} at {kernels:?}, {len} values");
            }
        }
    }
}

/// Worked by hand: the lanes, and the order in which they are added.
#[test]
fn the_order_is_what_it_says() {
    const BIG: f32 = 16_777_216.0; // 2^24, to which adding 1 does nothing
    for kernels in Kernels::available() {
        let mut out = [0.0];
        let mut x = [0.0; 64];
        (x[0], x[1], x[2], x[32], x[33]) = (BIG, -BIG, 1.0, 1.0, 0.0);
        kernels.dot_f32(&[1.0; 64], &x, 64, &mut out);
        assert_eq!(out, [1.0], "{kernels:?}: lane 0 loses its 1, lane 2 keeps it");
        x[32] = 0.0;
        x[16] = 1.0;
        kernels.dot_f32(&[1.0; 64], &x, 64, &mut out);
        assert_eq!(out, [1.0], "{kernels:?}: lane 16 is added to lane 0 first");
    }
}

#[test]
#[should_panic(expected = "blocks of 16 weights and of 24 activations do not divide one another")]
fn blocks_that_do_not_divide() {
    let weights = Blocks { len: 16, scales: &[1.0; 3], zeros: None };
    let rows = Rows { element: INT8, count: 1, len: 48, codes: &[0; 48], blocks: weights };
    let x = Prepared { len: 48, block: 24, values: Values::Float(&[0.0; 48]), scales: &[1.0; 2] };
    Kernels::best().dot_prepared(rows, x, &mut [0.0]);
}

#[test]
#[should_panic(expected = "2 rows of 3 codes of e2m1 take 4 bytes, got 3")]
fn rows_start_on_bytes() {
    let blocks = Blocks { len: 3, scales: &[1.0; 2], zeros: None };
    let rows = Rows { element: Element::E2m1, count: 2, len: 3, codes: &[0; 3], blocks };
    Kernels::best().dot(rows, &[0.0; 3], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "2 rows of scales of 1 bytes take 4 bytes, got 3")]
fn scales_for_every_block() {
    let blocks = Blocks { len: 16, scales: &[], zeros: None };
    let rows = Rows { element: INT8, count: 2, len: 32, codes: &[0; 64], blocks };
    let scales = StoredScales { kind: ScaleType::E4m3, bytes: &[0; 3], factor: Factor::None };
    let x = Prepared { len: 32, block: 32, values: Values::Float(&[0.0; 32]), scales: &[1.0] };
    Kernels::best().dot_stored(rows, scales, None, x, &mut [0.0; 2]);
}

/// Codes after the last row change nothing; they are what the next call reads.
#[test]
fn codes_of_later_rows() {
    let mut random = Random(18);
    for e in [Element::E2m1, INT8, Element::E4m3] {
        for len in [16, 200, 576, 1024, 20_000] {
            let all = Weights::new(&mut random, e, 7, len, 16, false, false);
            let rows = all.rows(e, 7, len, 16);
            let blocks = Blocks { scales: &rows.blocks.scales[..3 * len.div_ceil(16)], ..rows.blocks };
            let some = Rows { count: 3, blocks, ..rows };
            let x = Columns::new(&mut random, INT8, 1, len, 32, false);
            check_prepared(some, &x, 1);
            let x: Vec<f32> = (0..len).map(|_| random.near(1.0)).collect();
            check_dot(some, &x, 1, 1);
        }
    }
    Kernels::best().prefetch(&[0; 100]);
}
