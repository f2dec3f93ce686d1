//! f16, bf16 and E8M0: all of them to f32; and back from every boundary between two of them.

use crate::inputs::{BLOCKS, Random, SPECIALS};
use crate::levels::under_test;
use crate::window::{Window, assert_same};
use half::{bf16, f16};
use lowbit_kernels::Kernels;

const ALL: core::ops::RangeInclusive<u16> = 0..=u16::MAX;

/// Compares values, with every NaN the same.
fn check_narrow<T: Copy + PartialEq + core::fmt::Debug>(
    x: &[f32],
    offset: usize,
    guard: T,
    narrow: impl Fn(Kernels, &[f32], &mut [T]),
    bits: impl Fn(T) -> u16,
) {
    let mut want = vec![guard; x.len()];
    narrow(Kernels::reference(), x, &mut want);
    let x = Window::of(x, offset % 5, 0.0);
    for kernels in under_test() {
        let mut got = Window::new(want.len(), offset % 7, guard);
        narrow(kernels, x.get(), got.get_mut());
        for ((got, want), x) in got.checked().iter().zip(&want).zip(x.get()) {
            assert_eq!(bits(*got), bits(*want), "{x:?} at {kernels:?}: got {got:?}, want {want:?}");
        }
    }
}

fn check_narrow_f16(x: &[f32], offset: usize) {
    let bits = |x: f16| if x.is_nan() { f16::NAN } else { x }.to_bits();
    check_narrow(x, offset, f16::from_bits(0x1234), |kernels, x, out| kernels.narrow_f16(x, out), bits);
}

fn check_narrow_bf16(x: &[f32], offset: usize) {
    let bits = |x: bf16| if x.is_nan() { bf16::NAN } else { x }.to_bits();
    check_narrow(x, offset, bf16::from_bits(0x1234), |kernels, x, out| kernels.narrow_bf16(x, out), bits);
}

#[test]
fn every_half_widens() {
    // One more at the front moves every number to another lane.
    for extra in 0..3 {
        let halves: Vec<u16> = (0..extra).chain(ALL).collect();
        let f16s: Vec<f16> = halves.iter().map(|&bits| f16::from_bits(bits)).collect();
        let bf16s: Vec<bf16> = halves.iter().map(|&bits| bf16::from_bits(bits)).collect();
        let (mut f16_want, mut bf16_want) = (vec![0.0; halves.len()], vec![0.0; halves.len()]);
        Kernels::reference().widen_f16(&f16s, &mut f16_want);
        Kernels::reference().widen_bf16(&bf16s, &mut bf16_want);
        for kernels in under_test() {
            let mut got = Window::new(halves.len(), usize::from(extra), 1.25);
            kernels.widen_f16(&f16s, got.get_mut());
            assert_same(got.checked(), &f16_want, format_args!("f16 at {kernels:?}"));
            kernels.widen_bf16(&bf16s, got.get_mut());
            assert_same(got.checked(), &bf16_want, format_args!("bf16 at {kernels:?}"));
        }
    }
}

/// One pass gives what two give: short blocks in and out of groups of sixteen, long ones, and a last one that is short.
#[test]
fn halves_are_looked_at_while_they_widen() {
    let mut random = Random(6);
    for len in BLOCKS.into_iter().chain([48, 96, 256]) {
        for blocks in [0, 1, 2, 15, 16, 17, 35] {
            let whole = if len == usize::MAX { 23 * blocks } else { len * blocks };
            let n = whole - [0, random.below(len.min(whole).max(1))][blocks % 2];
            let f16s: Vec<f16> = (0..n).map(|_| f16::from_bits(random.any().to_bits() as u16)).collect();
            let bf16s: Vec<bf16> = (0..n).map(|_| bf16::from_bits(random.any().to_bits() as u16)).collect();
            let count = n.div_ceil(len);
            let mut want = [n, count, n, count].map(|n| vec![0.0; n]);
            let [f16_wide, f16_amax, bf16_wide, bf16_amax] = &mut want;
            Kernels::reference().widen_f16_absmax(&f16s, len, f16_wide, f16_amax);
            Kernels::reference().widen_bf16_absmax(&bf16s, len, bf16_wide, bf16_amax);
            let (f16s, bf16s) = (Window::of(&f16s, n % 5, f16::NAN), Window::of(&bf16s, n % 5, bf16::NAN));
            for kernels in under_test() {
                let mut got = [n, count, n, count].map(|n| Window::new(n, n % 7, 1.25));
                let [f16_wide, f16_amax, bf16_wide, bf16_amax] = &mut got;
                kernels.widen_f16_absmax(f16s.get(), len, f16_wide.get_mut(), f16_amax.get_mut());
                kernels.widen_bf16_absmax(bf16s.get(), len, bf16_wide.get_mut(), bf16_amax.get_mut());
                for (got, want) in got.iter().zip(&want) {
                    assert_same(got.checked(), want, format_args!("blocks of {len} at {kernels:?}"));
                }
            }
        }
    }
}

#[test]
fn every_e8m0_widens_in_every_lane() {
    for n in [0, 1, 63, 64, 65, 257 * 64 + 3] {
        let codes: Vec<u8> = (0..n).map(|i| (i % 257) as u8).collect(); // an odd period: every code visits every lane
        let mut want = vec![0.0; n];
        Kernels::reference().widen_e8m0(&codes, &mut want);
        for kernels in under_test() {
            let mut got = Window::new(n, n % 7, 1.25);
            kernels.widen_e8m0(&codes, got.get_mut());
            assert_same(got.checked(), &want, format_args!("e8m0 at {kernels:?}"));
        }
    }
}

#[test]
fn every_boundary_narrows() {
    // Each positive number, and the point halfway to its successor in f32, which for f16 is a tie as well.
    let around = |bits: u32| [bits.wrapping_sub(1), bits, bits + 1].map(f32::from_bits);
    let f16s = ALL.map(f16::from_bits).filter(|x| x.is_finite()).flat_map(|x| {
        let (this, next) = (x.to_f32(), f16::from_bits(x.to_bits() + 1).to_f32());
        let halfway = if next.is_finite() { (this + next) / 2.0 } else { 65520.0f32.copysign(this) };
        let [a, b] = [around(this.to_bits()), around(halfway.to_bits())];
        a.into_iter().chain(b)
    });
    check_narrow_f16(&f16s.collect::<Vec<_>>(), 1);
    let bf16s = ALL.flat_map(|bits| {
        let bits = u32::from(bits) << 16;
        let [a, b] = [around(bits), around(bits | 0x8000)];
        a.into_iter().chain(b)
    });
    check_narrow_bf16(&bf16s.collect::<Vec<_>>(), 2);
}

#[test]
fn random_bits_narrow_at_every_length() {
    let mut random = Random(5);
    for n in (0..100).chain([1000, 1 << 16]) {
        let any: Vec<f32> = (0..n).map(|_| random.any()).collect();
        check_narrow_f16(&any, n);
        check_narrow_bf16(&any, n);
        check_narrow_f16(&random.mixed(n, 1000.0), n);
    }
    let mut x: Vec<f32> = (0..67).map(|i| SPECIALS[i % SPECIALS.len()]).collect();
    for _ in 0..x.len() {
        x.rotate_right(1);
        check_narrow_f16(&x, 0);
        check_narrow_bf16(&x, 0);
    }
}

#[test]
#[should_panic(expected = "3 values need room for as many, got 4")]
fn wrong_length() {
    Kernels::best().narrow_f16(&[0.0; 3], &mut [f16::ZERO; 4]);
}

#[test]
fn dividing_by_one_number_is_a_division_of_each() {
    let mut random = Random(71);
    for by in SPECIALS.into_iter().chain([3.0, -0.3, 896.0]) {
        for len in [0, 1, 15, 16, 17, 63, 64, 65, 200] {
            let x: Vec<f32> = SPECIALS.into_iter().chain(random.mixed(len, 448.0)).take(len).collect();
            let want: Vec<f32> = x.iter().map(|x| x / by).collect();
            for kernels in under_test() {
                let mut got = Window::of(&x, len % 5, 1.25);
                kernels.divide(got.get_mut(), by);
                assert_same(got.checked(), &want, format_args!("{len} values by {by} at {kernels:?}"));
            }
        }
    }
}
