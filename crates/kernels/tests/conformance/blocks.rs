//! absmax, min_max, magnitude_range and first_non_finite.

use crate::inputs::{BLOCKS, Random, SPECIALS};
use crate::levels::under_test;
use crate::window::Window;
use lowbit_kernels::Kernels;

fn to_bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Compares all bits, NaN payloads included: these kernels only move numbers.
fn check(x: &[f32], len: usize, offset: usize) {
    let count = x.len().div_ceil(len);
    let mut want = [vec![0.0; count], vec![0.0; count], vec![0.0; count]];
    let [amax, min, max] = &mut want;
    Kernels::reference().absmax(x, len, amax);
    Kernels::reference().min_max(x, len, min, max);
    let x = Window::of(x, offset % 5, f32::NEG_INFINITY);
    for kernels in under_test() {
        let mut got = [0, 1, 2].map(|i| Window::new(count, (offset + i) % 7, 1.25));
        let [amax, min, max] = &mut got;
        kernels.absmax(x.get(), len, amax.get_mut());
        kernels.min_max(x.get(), len, min.get_mut(), max.get_mut());
        for (got, (want, what)) in got.iter().zip(want.iter().zip(["absmax", "min", "max"])) {
            let case = format!("{what} at {kernels:?}, {} values in blocks of {len}", x.get().len());
            assert_eq!(to_bits(got.checked()), to_bits(want), "{case}");
        }
    }
}

#[test]
fn every_block_length_at_every_offset() {
    let mut random = Random(4);
    for len in BLOCKS.into_iter().chain([100, 256, 1000]) {
        for blocks in 0..=35 {
            let whole = if len == usize::MAX { 23 * blocks } else { len * blocks };
            let n = whole - random.below(len.min(whole).max(1));
            let offset = random.below(35);
            check(&random.mixed(n, 1.0), len, offset);
            let any: Vec<f32> = (0..n).map(|_| random.any()).collect();
            check(&any, len, offset);
            let ordinary: Vec<f32> = (0..n).map(|_| random.near(1.0)).collect();
            check(&ordinary, len, offset);
        }
    }
}

/// The extreme value in every position of a block, seen and not smeared into the neighbours.
#[test]
fn every_special_in_every_position() {
    for len in [5, 16, 17, 32, 64] {
        for special in SPECIALS {
            for at in 0..2 * len {
                let mut x = vec![0.5; 3 * len];
                x[at] = special;
                check(&x, len, at);
            }
        }
    }
}

#[test]
fn signs_of_zero_are_ordered() {
    for kernels in Kernels::available() {
        let (mut min, mut max) = ([1.0], [1.0]);
        kernels.min_max(&[0.0, -0.0, 0.0], 3, &mut min, &mut max);
        assert_eq!((min[0].to_bits(), max[0].to_bits()), (0x8000_0000, 0), "{kernels:?}");
        let mut amax = [1.0];
        kernels.absmax(&[-0.0], 1, &mut amax);
        assert_eq!(amax[0].to_bits(), 0, "{kernels:?}");
    }
}

#[test]
fn the_first_non_finite_is_found_wherever_it_is() {
    for n in [0, 1, 15, 63, 64, 65, 200] {
        let mut x = vec![f32::MAX; n];
        for kernels in Kernels::available() {
            assert_eq!(kernels.first_non_finite(&x), None, "{kernels:?}");
        }
        for at in (0..n).rev() {
            x[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0xff80_0001)][at % 4];
            for kernels in Kernels::available() {
                assert_eq!(kernels.first_non_finite(&x), Some(at), "{kernels:?}, {n} values");
            }
        }
    }
}

#[test]
fn magnitudes_range_from_the_least_to_the_largest() {
    let mut random = Random(5);
    for n in (0..70).chain([127, 128, 200]) {
        let any: Vec<f32> = (0..n).map(|_| random.any()).collect();
        let mut special: Vec<f32> = (0..n).map(|_| random.near(1.0)).collect();
        if n > 0 {
            special[random.below(n)] = SPECIALS[random.below(SPECIALS.len())];
        }
        for x in [any, special] {
            let (least, largest) = Kernels::reference().magnitude_range(&x);
            let x = Window::of(&x, n % 7, f32::NAN);
            for kernels in under_test() {
                let got = kernels.magnitude_range(x.get());
                let case = format!("{kernels:?}, {:?}", x.get());
                assert_eq!(
                    [got.0.to_bits(), got.1.to_bits()],
                    [least.to_bits(), largest.to_bits()],
                    "{case}"
                );
            }
        }
    }
}

#[test]
#[should_panic(expected = "5 values in blocks of 2 need room for 3 results, got 2")]
fn wrong_result_count() {
    Kernels::best().absmax(&[0.0; 5], 2, &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "blocks of no values")]
fn blocks_of_nothing() {
    Kernels::best().absmax(&[], 0, &mut []);
}
