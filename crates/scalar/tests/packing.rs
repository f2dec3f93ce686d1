//! Packing against an oracle that moves one bit at a time, for every width and every length up to five groups.

use lowbit_scalar::pack::*;

/// Codes with junk above their width, different at every place.
fn codes(n: usize) -> Vec<u8> {
    (0..n as u32).map(|i| (i.wrapping_mul(0x9E37_79B9) >> 11) as u8).collect()
}

/// Bit `k` of code `i` is bit `i * bits + k` of the stream.
fn bit_by_bit(bits: u32, codes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; (codes.len() * bits as usize).div_ceil(8)];
    for (i, code) in codes.iter().enumerate() {
        for k in 0..bits as usize {
            let place = i * bits as usize + k;
            bytes[place / 8] |= (code >> k & 1) << (place % 8);
        }
    }
    bytes
}

fn mask(bits: u32) -> u8 {
    (0..bits).fold(0, |mask, k| mask | 1 << k)
}

#[test]
fn every_width_and_length_packs_bit_by_bit_and_back() {
    for bits in 1..=8 {
        for n in 0..=40 {
            let (codes, expected) = (codes(n), bit_by_bit(bits, &codes(n)));
            assert_eq!(packed_len(bits, n), expected.len());
            let mut bytes = vec![0xAA; expected.len()];
            pack_bits(bits, &codes, &mut bytes);
            assert_eq!(bytes, expected, "{n} codes of {bits} bits");
            let masked: Vec<u8> = codes.iter().map(|code| code & mask(bits)).collect();
            let mut back = vec![0xAA; n];
            unpack_bits(bits, &bytes, &mut back);
            assert_eq!(back, masked);
            for (i, &code) in masked.iter().enumerate() {
                assert_eq!(get(bits, &bytes, i), code, "code {i} of {n}, {bits} bits");
            }
        }
    }
}

#[test]
fn set_changes_one_code_and_no_other_bit() {
    for bits in 1..=8 {
        for n in 1..=17 {
            for i in 0..n {
                for background in [0x00, 0xFF] {
                    let mut bytes = vec![background; packed_len(bits, n)];
                    set(bits, &mut bytes, i, !background ^ 0b0101_0101);
                    let mut expected = vec![background; n];
                    expected[i] = !background ^ 0b0101_0101;
                    let mut packed = bit_by_bit(bits, &expected);
                    let used = n * bits as usize % 8;
                    if used != 0 {
                        *packed.last_mut().expect("not empty") |= background << used;
                    }
                    assert_eq!(bytes, packed, "code {i} of {n}, {bits} bits");
                }
            }
        }
    }
}

#[test]
fn nibbles_are_the_dense_stream_or_its_bytes_swapped() {
    for n in 0..=9 {
        let codes = codes(n);
        let expected = bit_by_bit(4, &codes);
        let mut low = vec![0xAA; expected.len()];
        pack_nibbles(&codes, &mut low, NibbleOrder::LowFirst);
        assert_eq!(low, expected);
        let mut high = vec![0xAA; expected.len()];
        pack_nibbles(&codes, &mut high, NibbleOrder::HighFirst);
        assert_eq!(high, expected.iter().map(|byte| byte.rotate_left(4)).collect::<Vec<_>>());
        let masked: Vec<u8> = codes.iter().map(|code| code & 0xF).collect();
        for (bytes, order) in [(low, NibbleOrder::LowFirst), (high, NibbleOrder::HighFirst)] {
            let mut back = vec![0xAA; n];
            unpack_nibbles(&bytes, &mut back, order);
            assert_eq!(back, masked, "{order:?}");
        }
    }
}

#[test]
fn six_bits_are_four_codes_in_three_bytes() {
    let (mut bytes, mut back) = ([0; 3], [0; 4]);
    pack6(&[0b11_1111, 0, 0b10_0001, 0b01_1110], &mut bytes);
    assert_eq!(bytes, [0b0011_1111, 0b0001_0000, 0b0111_1010]);
    unpack6(&bytes, &mut back);
    assert_eq!(back, [0b11_1111, 0, 0b10_0001, 0b01_1110]);
}

#[test]
fn a_length_that_memory_holds_does_not_overflow() {
    assert_eq!(packed_len(8, usize::MAX), usize::MAX);
    assert_eq!(packed_len(4, usize::MAX), usize::MAX / 2 + 1);
}

#[test]
fn wrong_lengths_and_widths_panic() {
    fn panics(f: impl FnOnce() + std::panic::UnwindSafe) -> bool {
        std::panic::catch_unwind(f).is_err()
    }
    assert!(panics(|| pack_nibbles(&[1, 2, 3], &mut [0; 1], NibbleOrder::LowFirst)));
    assert!(panics(|| unpack_nibbles(&[0; 3], &mut [0; 4], NibbleOrder::LowFirst)));
    assert!(panics(|| pack_bits(3, &[1, 2, 3], &mut [0; 1])));
    assert!(panics(|| pack_bits(0, &[], &mut [])));
    assert!(panics(|| unpack_bits(9, &[], &mut [])));
    assert!(panics(|| assert_eq!(get(3, &[0], 2), 0)));
    assert!(panics(|| set(3, &mut [0], 2, 1)));
}
