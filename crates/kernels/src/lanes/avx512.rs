//! What AVX-512 does in one instruction where the portable operations take several.
//!
//! ```text
//! vpmultishiftqb   any eight bits of a qword to each of its bytes: codes of any width to their own bytes
//! vpermps          sixteen f32 by the low four bits of each index: what lies above a code does not matter
//! ```

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

fearless_simd::kernel! {
    /// The value of each of 64 nibbles, the low one of a byte first.
    ///
    /// Every qword of a vector gets the same eight bytes, sixteen nibbles, and picks its own two: the low nibble of byte `k` for
    /// its lower half, the high one for its upper half.
    #[inline(always)]
    pub(crate) fn lookup_nibbles(avx512: Avx512, table: __m512, bytes: &[u8; 32]) -> [__m512; 4] {
        let picks = _mm512_setr_epi64(
            0x04 << 32,
            8 | 0x0c << 32,
            16 | 0x14 << 32,
            24 | 0x1c << 32,
            32 | 0x24 << 32,
            40 | 0x2c << 32,
            48 | 0x34 << 32,
            56 | 0x3c << 32,
        );
        let [a, b, c, d] = [0, 8, 16, 24].map(|at| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()));
        let indices = |codes| _mm512_multishift_epi64_epi8(picks, _mm512_set1_epi64(codes));
        [
            _mm512_permutexvar_ps(indices(a), table),
            _mm512_permutexvar_ps(indices(b), table),
            _mm512_permutexvar_ps(indices(c), table),
            _mm512_permutexvar_ps(indices(d), table),
        ]
    }
}

fearless_simd::kernel! {
    /// The value of each code, of which only the low four bits count.
    #[inline(always)]
    pub(crate) fn lookup(avx512: Avx512, table: __m512, codes: __m512i) -> __m512 {
        _mm512_permutexvar_ps(codes, table)
    }
}
