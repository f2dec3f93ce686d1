//! Biases: what they add to products, block by block.

use super::{Columns, INT8, length};
use crate::inputs::Random;
use crate::levels::under_test;
use crate::window::{Window, assert_same};
use lowbit_kernels::{Blocks, Element, Kernels, Prepared, Rows, Values};

/// Blocks of biases shorter and longer than those of activations, integers and floats, numbers that are none, more rows than are added together.
#[test]
fn biases() {
    let mut random = Random(24);
    for e in [INT8, Element::Int { bits: 4 }, Element::E4m3] {
        for (block, x_block) in
            [(32, 32), (16, 32), (128, 32), (24, 24), (usize::MAX, 64), (32, usize::MAX), (1, 1)]
        {
            for case in 0..12 {
                let len = length(&mut random).max(1);
                let blocks = len.div_ceil(block);
                let (rows, columns) = ([1, 3, 65, 130][random.below(4)], [1, 2, 5][random.below(3)]);
                let x = Columns::new(&mut random, e, columns, len, x_block, case % 3 == 0);
                let biases = if case % 3 == 0 {
                    random.mixed(rows * blocks, 2.0)
                } else {
                    (0..rows * blocks).map(|_| random.near(2.0)).collect()
                };
                let biases = Window::of(&biases, random.below(5), f32::NAN);
                let before: Vec<f32> = (0..rows * columns).map(|_| random.near(100.0)).collect();
                let mut want = before.clone();
                let reference = Kernels::reference();
                x.with(reference, columns, |x| reference.add_biases(biases.get(), block, x, &mut want));
                for kernels in under_test() {
                    let mut got = Window::of(&before, 1, 1.25);
                    x.with(kernels, columns, |x| kernels.add_biases(biases.get(), block, x, got.get_mut()));
                    let what =
                        format_args!("{kernels:?}, {rows} x {len} in {block} and {x_block} x {columns}");
                    assert_same(got.checked(), &want, what);
                }
            }
        }
    }
}

/// Codes and biases that f32 hold exactly give what the weights themselves do.
#[test]
fn codes_times_scales_and_biases_are_the_weights() {
    let (len, block) = (256_usize, 32_usize);
    let codes: Vec<u8> = (0..len / 2).map(|i| (i * 37 % 251) as u8).collect();
    let (scales, biases) = ([2.0; 8], [-15.0, -14.0, -1.0, 0.0, 3.0, -8.0, -30.0, 16.0]);
    let x: Vec<u8> = (0..len).map(|i| (i * 11 % 15) as u8).collect();
    let nibbles = codes.iter().flat_map(|code| [code & 15, code >> 4]);
    let want: f32 = nibbles
        .zip(&x)
        .enumerate()
        .map(|(j, (code, x))| (f32::from(code) * 2.0 + biases[j / block]) * f32::from(*x))
        .sum();
    let e = Element::Uint { bits: 4 };
    for kernels in Kernels::available() {
        let (mut ints, mut sums) = (vec![0; Values::codes_len(len)], vec![0; Values::sums_len(len)]);
        kernels.expand(INT8, &x, len, &mut ints, &mut sums);
        let values = Values::Int { codes: &ints, sums: &sums, step: 1.0 };
        let x = Prepared { len, block, values, scales: &[1.0; 8] };
        let rows = Rows {
            element: e,
            count: 1,
            len,
            codes: &codes,
            blocks: Blocks { len: block, scales: &scales, zeros: None },
        };
        let mut out = [0.0];
        kernels.dot_prepared(rows, x, &mut out);
        kernels.add_biases(&biases, block, x, &mut out);
        assert_eq!(out, [want], "{kernels:?}");
    }
}
