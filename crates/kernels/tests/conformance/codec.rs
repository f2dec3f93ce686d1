//! Encode and decode: every element, every level, every block length, and what is in each lane.

use crate::inputs::{BLOCKS, Random, SPECIALS, edges};
use crate::levels::under_test;
use crate::window::{Window, assert_same};
use half::{bf16, f16};
use lowbit_kernels::{Blocks, Element, Kernels};

const CHUNK: usize = 64;

/// Encodes by the reference and by every level, and compares.
fn check_encode(e: Element, x: &[f32], blocks: Blocks<'_>, offset: usize) {
    let mut want = vec![0; e.packed_len(x.len())];
    Kernels::reference().encode(e, x, blocks, &mut want);
    let x = Window::of(x, offset % 5, f32::NAN);
    for kernels in under_test() {
        let mut got = Window::new(want.len(), offset % 7, 0xa5);
        // What comes next is looked at and nothing else.
        kernels.encode_ahead(e, x.get(), blocks, got.get_mut(), &[0xff; 700][..100 * (offset % 8)]);
        if got.checked() != want {
            let (mut a, mut b) = (vec![0.0; x.get().len()], vec![0.0; x.get().len()]);
            let ones = Blocks::whole(&1.0);
            Kernels::reference().decode(e, got.get(), if a.is_empty() { blocks } else { ones }, &mut a);
            Kernels::reference().decode(e, &want, if b.is_empty() { blocks } else { ones }, &mut b);
            let i = a.iter().zip(&b).position(|(a, b)| a.to_bits() != b.to_bits());
            panic!(
                "{e} at {kernels:?}, {} values in blocks of {}: first at {i:?}, {:?} as {:?}, want {:?}",
                x.get().len(),
                blocks.len,
                i.map(|i| x.get()[i]),
                i.map(|i| a[i]),
                i.map(|i| b[i]),
            );
        }
    }
}

/// Decodes by the reference and by every level, and compares.
fn check_decode(e: Element, codes: &[u8], n: usize, blocks: Blocks<'_>, offset: usize) {
    let mut want = vec![0.0; n];
    Kernels::reference().decode(e, codes, blocks, &mut want);
    let codes = Window::of(codes, offset % 7, 0xa5);
    for kernels in under_test() {
        let mut got = Window::new(n, offset % 5, 1.25);
        kernels.decode(e, codes.get(), blocks, got.get_mut());
        assert_same(
            got.checked(),
            &want,
            format_args!("{e} at {kernels:?}, {n} values in blocks of {}", blocks.len),
        );
        let mut got = Window::new(n, offset % 5, 1.25);
        kernels.decode_streaming(e, codes.get(), blocks, got.get_mut());
        assert_same(got.checked(), &want, format_args!("streamed {e} at {kernels:?}, {n} values"));
        let case = format!("{e} at {kernels:?}, {n} values in blocks of {}", blocks.len);
        let mut got = Window::new(n, offset % 5, f16::from_bits(0x1234));
        kernels.decode_f16(e, codes.get(), blocks, got.get_mut());
        for (got, want) in got.checked().iter().zip(&want) {
            let want = f16::from_f32(*want);
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "f16 of {case}: {got}, want {want}"
            );
        }
        let mut got = Window::new(n, offset % 5, bf16::from_bits(0x1234));
        kernels.decode_bf16(e, codes.get(), blocks, got.get_mut());
        for (got, want) in got.checked().iter().zip(&want) {
            let want = bf16::from_f32(*want);
            assert!(
                got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                "bf16 of {case}: {got}, want {want}"
            );
        }
    }
}

/// 0 to 17 blocks of every length, the last one whole or short, with and without zero points.
#[test]
fn every_block_length_at_every_offset() {
    let mut random = Random(1);
    for e in Element::ALL {
        for len in BLOCKS {
            for blocks in 0..=17 {
                let whole = if len == usize::MAX { 23 * blocks } else { len * blocks };
                let n = whole - random.below(len.min(whole).max(1));
                let count = n.div_ceil(len);
                let x = random.mixed(n, e.max());
                let scales = random.mixed(count, 2.0);
                let zeros = random.mixed(count, e.max());
                let codes: Vec<u8> = (0..e.packed_len(n)).map(|_| random.bits() as u8).collect();
                let offset = random.below(35);
                for zeros in [None, Some(&zeros[..])] {
                    let blocks = Blocks { len, scales: &scales, zeros };
                    check_encode(e, &x, blocks, offset);
                    check_decode(e, &codes, n, blocks, offset);
                }
            }
        }
    }
}

/// Values, ties, neighbours and specials of the element visit each of the 64 lanes of a chunk, the padded one included.
#[test]
fn every_edge_in_every_lane() {
    for e in Element::ALL {
        let mut edges = edges(e);
        if edges.len().is_multiple_of(2) {
            edges.push(0.1);
        }
        // The length is odd, so all residues modulo the chunk come up.
        let x: Vec<f32> = (0..edges.len() * CHUNK + 37).map(|i| edges[i % edges.len()]).collect();
        check_encode(e, &x, Blocks::whole(&1.0), 3);
        check_encode(e, &x, Blocks { zeros: Some(&[-0.5]), ..Blocks::whole(&4.0) }, 1);
    }
}

/// Special scales and zero points under ordinary and special values.
#[test]
fn every_special_scale_and_zero() {
    let mut random = Random(2);
    for e in Element::ALL {
        for len in [3, 16, 32] {
            let scales: Vec<f32> = SPECIALS.iter().flat_map(|&scale| [scale; SPECIALS.len()]).collect();
            let zeros: Vec<f32> = (0..scales.len()).map(|i| SPECIALS[i % SPECIALS.len()]).collect();
            let x: Vec<f32> =
                (0..scales.len() * len)
                    .map(|i| {
                        if i % 3 == 0 { SPECIALS[random.below(SPECIALS.len())] } else { random.near(e.max()) }
                    })
                    .collect();
            let codes: Vec<u8> = (0..e.packed_len(x.len())).map(|_| random.bits() as u8).collect();
            for zeros in [None, Some(&zeros[..])] {
                let blocks = Blocks { len, scales: &scales, zeros };
                check_encode(e, &x, blocks, 0);
                check_decode(e, &codes, x.len(), blocks, 0);
            }
        }
    }
}

/// Special scales and zero points of long blocks, whose tables are scaled once, and all powers of two, under which bf16 need not be rounded;
/// and numbers of all sizes as scales of short blocks, whose tables are narrowed chunk by chunk up to the first NaN.
#[test]
fn special_scales_of_long_blocks_and_powers_of_two() {
    let mut random = Random(4);
    let powers: Vec<f32> = (0..=254).map(|e| f32::from_bits((e << 23).max(1 << 22))).collect();
    let small: Vec<f32> = (0..22).map(|bit| f32::from_bits(1 << bit)).collect();
    let finite: Vec<f32> = SPECIALS.iter().copied().filter(|scale| scale.is_finite()).collect();
    let last_not: Vec<f32> =
        finite.iter().chain(&powers).chain(&[f32::NAN, 3.0, f32::INFINITY]).copied().collect();
    for e in Element::ALL {
        let short = [16, 32].map(|len| [(len, &finite[..]), (len, &powers), (len, &small), (len, &last_not)]);
        for (len, scales) in [(576, &SPECIALS[..])].into_iter().chain(short.into_iter().flatten()) {
            let zeros: Vec<f32> = scales.iter().rev().copied().collect();
            let codes: Vec<u8> = (0..e.packed_len(len * scales.len())).map(|_| random.bits() as u8).collect();
            for zeros in [None, Some(&zeros[..])] {
                check_decode(e, &codes, len * scales.len(), Blocks { len, scales, zeros }, 1);
            }
        }
    }
}

/// Powers of two whose reciprocals are powers of two of full precision, and others, under numbers of all sizes.
#[test]
fn powers_of_two_as_scales() {
    let mut random = Random(6);
    let powers: Vec<f32> = (0..=255).map(|e| f32::from_bits((e << 23).max(1 << 22))).collect();
    let (normal, odd) = (&powers[1..=253], [1.0, -2.0, 0.5, 0.0, f32::from_bits(1 << 22), 3.0]);
    for e in Element::ALL {
        // The last block is short, so that whole chunks and a padded one come up.
        let mut check = |scales: &[f32]| {
            let x: Vec<f32> = (0..32 * scales.len() - 5)
                .map(|i| match i % 3 {
                    0 => random.any(),
                    _ => random.near(e.max()) * scales[i / 32],
                })
                .collect();
            let zeros: Vec<f32> = (0..scales.len()).map(|_| random.near(e.max())).collect();
            for zeros in [None, Some(&zeros[..])] {
                check_encode(e, &x, Blocks { len: 32, scales, zeros }, 2);
            }
        };
        check(normal);
        check(&powers);
        (0..odd.len()).for_each(|i| check(&[1.0, 4.0, odd[i], 0.25, 2.0]));
        check(&[1.0, powers[254], 4.0, 1.0]);
    }
}

/// Every code in each of the 64 lanes of a chunk.
#[test]
fn every_code_in_every_lane() {
    for e in Element::ALL {
        let count = 1 << e.bits();
        let n = (count + 1) * CHUNK + 21;
        let mut codes = vec![0; e.packed_len(n)];
        for i in 0..n {
            let code = (i % (count + 1)) % count; // an odd period again
            lowbit_scalar::pack::set(e.bits(), &mut codes, i, code as u8);
        }
        check_decode(e, &codes, n, Blocks::whole(&1.0), 2);
        check_decode(e, &codes, n, Blocks { zeros: Some(&[8.0]), ..Blocks::whole(&-0.75) }, 2);
    }
}

/// Encode followed by decode gives back every value that an element has.
#[test]
fn values_survive_a_round_trip() {
    for e in Element::ALL {
        let values: Vec<f32> = (0..1 << e.bits())
            .map(|code| e.decode_one(code as u8))
            .filter(|x| x.is_finite() && (e.min()..=e.max()).contains(x)) // MXINT8's -2 is decoded, never encoded
            .collect();
        for kernels in Kernels::available() {
            let mut codes = vec![0; e.packed_len(values.len())];
            let mut back = vec![0.0; values.len()];
            kernels.encode(e, &values, Blocks::whole(&1.0), &mut codes);
            kernels.decode(e, &codes, Blocks::whole(&1.0), &mut back);
            assert_eq!(back, values, "{e} at {kernels:?}");
        }
    }
}

/// Random bit patterns of all sizes.
#[test]
fn random_bits() {
    let mut random = Random(3);
    let x: Vec<f32> = (0..1 << 17).map(|_| random.any()).collect();
    for e in Element::ALL {
        check_encode(e, &x, Blocks::whole(&1.0), 0);
    }
}

/// All f32 there are: `cargo test --release -p lowbit-kernels every_f32 -- --ignored`, about two hours.
#[test]
#[ignore = "about two hours in release"]
fn every_f32() {
    const AT_ONCE: u32 = 1 << 20;
    for e in Element::ALL {
        for start in (0..=u32::MAX).step_by(AT_ONCE as usize) {
            let x: Vec<f32> = (start..=start + (AT_ONCE - 1)).map(f32::from_bits).collect();
            check_encode(e, &x, Blocks::whole(&1.0), 0);
        }
    }
}

#[test]
#[should_panic(expected = "5 codes of e3m2 take 4 bytes, got 3")]
fn wrong_code_length() {
    Kernels::best().encode(Element::E3m2, &[0.0; 5], Blocks::whole(&1.0), &mut [0; 3]);
}

#[test]
#[should_panic(expected = "5 values in blocks of 2 need 3 scales, got 2")]
fn wrong_scale_count() {
    let blocks = Blocks { len: 2, scales: &[1.0; 2], zeros: None };
    Kernels::best().decode(Element::E2m1, &[0; 3], blocks, &mut [0.0; 5]);
}

#[test]
#[should_panic(expected = "5 values in blocks of 2 need 3 zero points, got 4")]
fn wrong_zero_count() {
    let blocks = Blocks { len: 2, scales: &[1.0; 3], zeros: Some(&[0.0; 4]) };
    Kernels::best().decode(Element::E2m1, &[0; 3], blocks, &mut [0.0; 5]);
}

#[test]
#[should_panic(expected = "blocks of no values")]
fn blocks_of_nothing() {
    let blocks = Blocks { len: 0, scales: &[], zeros: None };
    Kernels::best().decode(Element::E2m1, &[], blocks, &mut []);
}
