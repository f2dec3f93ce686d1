//! Codes narrower than a byte, packed into bytes and back.
//!
//! Everything here is one layout, a dense stream with the first code in the lowest bits, plus one option:
//!
//! ```text
//! 4 bits, LowFirst   byte 0 = b b b b a a a a          (HighFirst: a a a a b b b b)
//! 6 bits             byte 0 = b b a a a a a a    byte 1 = c c c c b b b b    byte 2 = d d d d d d c c
//! any width B        code i is bits i*B .. i*B + B of the bytes read as one little-endian integer
//! ```
//!
//! Codes are one per byte when unpacked; bits above the width are ignored. Unused bits of the last byte are written as
//! zero and ignored when read. Lengths that do not fit panic: they are the caller's mistake.

/// Which of two 4-bit codes is in the low half of their byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum NibbleOrder {
    /// The first one (ModelOpt, compressed-tensors, GGUF pairs): `byte = second << 4 | first`.
    #[default]
    LowFirst,
    /// The second one (bitsandbytes): `byte = first << 4 | second`.
    HighFirst,
}

/// Bytes that `n` codes of this width take: `ceil(n * bits / 8)`.
///
/// ```
/// assert_eq!(lowbit_scalar::pack::packed_len(3, 10), 4); // 30 bits
/// ```
pub const fn packed_len(bits: u32, n: usize) -> usize {
    check_width(bits);
    // n / 8 codes of 8 take `bits` bytes each: no overflow for any length that memory holds.
    n / 8 * bits as usize + (n % 8 * bits as usize).div_ceil(8)
}

/// Packs two codes a byte. An odd last code gets a byte of its own, its partner zero.
///
/// # Panics
/// If `out` is not `packed_len(4, codes.len())` long.
///
/// ```
/// use lowbit_scalar::pack::{NibbleOrder, pack_nibbles};
/// let mut bytes = [0; 2];
/// pack_nibbles(&[1, 2, 3], &mut bytes, NibbleOrder::LowFirst);
/// assert_eq!(bytes, [0x21, 0x03]);
/// pack_nibbles(&[1, 2, 3], &mut bytes, NibbleOrder::HighFirst);
/// assert_eq!(bytes, [0x12, 0x30]);
/// ```
pub fn pack_nibbles(codes: &[u8], out: &mut [u8], order: NibbleOrder) {
    assert_eq!(out.len(), packed_len(4, codes.len()), "bytes for {} codes of 4 bits", codes.len());
    let (first, second) = shifts(order);
    for (byte, pair) in out.iter_mut().zip(codes.chunks(2)) {
        let partner = pair.get(1).copied().unwrap_or(0);
        *byte = (pair[0] & 0xF) << first | (partner & 0xF) << second;
    }
}

/// Unpacks two codes a byte; the inverse of [`pack_nibbles`].
///
/// # Panics
/// If `bytes` is not `packed_len(4, out.len())` long.
pub fn unpack_nibbles(bytes: &[u8], out: &mut [u8], order: NibbleOrder) {
    assert_eq!(bytes.len(), packed_len(4, out.len()), "bytes for {} codes of 4 bits", out.len());
    let (first, second) = shifts(order);
    for (byte, pair) in bytes.iter().zip(out.chunks_mut(2)) {
        pair[0] = byte >> first & 0xF;
        if let Some(partner) = pair.get_mut(1) {
            *partner = byte >> second & 0xF;
        }
    }
}

const fn shifts(order: NibbleOrder) -> (u32, u32) {
    match order {
        NibbleOrder::LowFirst => (0, 4),
        NibbleOrder::HighFirst => (4, 0),
    }
}

/// Packs four 6-bit codes in three bytes.
///
/// # Panics
/// If `out` is not `packed_len(6, codes.len())` long.
///
/// ```
/// let mut bytes = [0; 3];
/// lowbit_scalar::pack::pack6(&[0b000001, 0b000010, 0b000011, 0b000100], &mut bytes);
/// assert_eq!(bytes, [0b10_000001, 0b0011_0000, 0b000100_00]);
/// ```
pub fn pack6(codes: &[u8], out: &mut [u8]) {
    pack_bits(6, codes, out);
}

/// Unpacks four 6-bit codes from three bytes; the inverse of [`pack6`].
///
/// # Panics
/// If `bytes` is not `packed_len(6, out.len())` long.
pub fn unpack6(bytes: &[u8], out: &mut [u8]) {
    unpack_bits(6, bytes, out);
}

/// Packs codes of `bits` bits, 1 to 8, densely with the first code in the lowest bits.
///
/// # Panics
/// If `bits` is not 1 to 8 or `out` is not `packed_len(bits, codes.len())` long.
///
/// ```
/// let mut bytes = [0; 2];
/// lowbit_scalar::pack::pack_bits(3, &[1, 2, 3, 4], &mut bytes); // 100 011 010 001
/// assert_eq!(bytes, [0b11_010_001, 0b0000_100_0]);
/// ```
pub fn pack_bits(bits: u32, codes: &[u8], out: &mut [u8]) {
    assert_eq!(out.len(), packed_len(bits, codes.len()), "bytes for {} codes of {bits} bits", codes.len());
    // Eight codes fill a whole number of bytes, whatever the width: pack them as one integer.
    for (bytes, group) in out.chunks_mut(bits as usize).zip(codes.chunks(8)) {
        let mut word = 0u64;
        for (i, &code) in group.iter().enumerate() {
            word |= ((code & mask(bits)) as u64) << (i as u32 * bits);
        }
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }
}

/// Unpacks codes of `bits` bits, 1 to 8; the inverse of [`pack_bits`].
///
/// # Panics
/// If `bits` is not 1 to 8 or `bytes` is not `packed_len(bits, out.len())` long.
pub fn unpack_bits(bits: u32, bytes: &[u8], out: &mut [u8]) {
    assert_eq!(bytes.len(), packed_len(bits, out.len()), "bytes for {} codes of {bits} bits", out.len());
    for (bytes, group) in bytes.chunks(bits as usize).zip(out.chunks_mut(8)) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u64::from_le_bytes(word);
        for (i, code) in group.iter_mut().enumerate() {
            *code = (word >> (i as u32 * bits)) as u8 & mask(bits);
        }
    }
}

/// Reads code `i` of a dense stream.
///
/// # Panics
/// If `bits` is not 1 to 8 or the code is not within `bytes`.
///
/// ```
/// assert_eq!(lowbit_scalar::pack::get(3, &[0b11_010_001, 0b0000_100_0], 2), 3);
/// ```
pub fn get(bits: u32, bytes: &[u8], i: usize) -> u8 {
    let (byte, shift, straddles) = position(bits, i);
    let high = if straddles { bytes[byte + 1] } else { 0 };
    (u16::from_le_bytes([bytes[byte], high]) >> shift) as u8 & mask(bits)
}

/// Writes code `i` of a dense stream and leaves every other bit as it is.
///
/// # Panics
/// If `bits` is not 1 to 8 or the code is not within `bytes`.
///
/// ```
/// let mut bytes = [0b11_010_001, 0b0000_100_0];
/// lowbit_scalar::pack::set(3, &mut bytes, 2, 0b101);
/// assert_eq!(bytes, [0b01_010_001, 0b0000_100_1]);
/// ```
pub fn set(bits: u32, bytes: &mut [u8], i: usize, code: u8) {
    let (byte, shift, straddles) = position(bits, i);
    let [clear_low, clear_high] = (!((mask(bits) as u16) << shift)).to_le_bytes();
    let [low, high] = (((code & mask(bits)) as u16) << shift).to_le_bytes();
    if straddles {
        bytes[byte + 1] = bytes[byte + 1] & clear_high | high;
    }
    bytes[byte] = bytes[byte] & clear_low | low;
}

/// Byte index, bit within it, and whether the code reaches into the next byte.
fn position(bits: u32, i: usize) -> (usize, u32, bool) {
    check_width(bits);
    let shift = (i % 8) as u32 * bits;
    (i / 8 * bits as usize + shift as usize / 8, shift % 8, shift % 8 + bits > 8)
}

const fn mask(bits: u32) -> u8 {
    u8::MAX >> (8 - bits)
}

const fn check_width(bits: u32) {
    assert!(1 <= bits && bits <= 8, "codes have 1 to 8 bits");
}
