//! Sums in the instructions of x86: `vpdpbusd` of AVX-512, `pmaddubsw` of AVX2.

/// AVX-512, VNNI and VBMI.
pub(super) mod avx512 {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::*;
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::*;
    use fearless_simd::kernel;

    kernel!(
        /// The table's byte for the low 6 bits of each code.
        #[inline(always)]
        pub(in super::super) fn lookup(avx512: Avx512, table: __m512i, codes: __m512i) -> __m512i {
            _mm512_permutexvar_epi8(codes, table)
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn dot(avx512: Avx512, weights: __m512i, x: __m512i) -> __m512i {
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), weights, x)
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn dot_halves(
            avx512: Avx512,
            low: __m512i,
            high: __m512i,
            x_low: __m512i,
            x_high: __m512i,
        ) -> __m512i {
            let sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, x_low);
            _mm512_dpbusd_epi32(sums, high, x_high)
        }
    );
    kernel!(
        /// The byte of two tables for the low 7 bits of each code.
        #[inline(always)]
        pub(in super::super) fn lookup_7(
            avx512: Avx512,
            low: __m512i,
            high: __m512i,
            codes: __m512i,
        ) -> __m512i {
            _mm512_permutex2var_epi8(low, codes, high)
        }
    );
    kernel!(
        /// Magnitudes in three bytes, times activations that change their sign where the code has one.
        #[inline(always)]
        pub(in super::super) fn fine_dot(
            avx512: Avx512,
            low: __m512i,
            middle: __m512i,
            high: __m512i,
            codes: __m512i,
            x: __m512i,
        ) -> __m512i {
            let zero = _mm512_setzero_si512();
            let x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(codes), zero, x);
            let sums = _mm512_slli_epi32::<8>(_mm512_dpbusd_epi32(zero, high, x));
            let sums = _mm512_slli_epi32::<8>(_mm512_dpbusd_epi32(sums, middle, x));
            _mm512_dpbusd_epi32(sums, low, x)
        }
    );
    kernel!(
        /// Digits times activations, of low and of high nibbles; the first digits count 2^7 times as much.
        #[inline(always)]
        pub(in super::super) fn dot_pair(
            avx512: Avx512,
            above: [__m512i; 2],
            below: [__m512i; 2],
            x: [__m512i; 2],
        ) -> __m512i {
            let sums = _mm512_dpbusd_epi32(_mm512_setzero_si512(), above[0], x[0]);
            let sums = _mm512_slli_epi32::<7>(_mm512_dpbusd_epi32(sums, above[1], x[1]));
            _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sums, below[0], x[0]), below[1], x[1])
        }
    );
    kernel!(
        /// `high * 2^14 + low`, which f64 hold exactly.
        #[inline(always)]
        pub(in super::super) fn parts_to_f32(avx512: Avx512, high: __m512i, low: __m512i) -> __m512 {
            let factor = _mm512_set1_pd(16384.0);
            let (high_0, low_0) = (_mm512_castsi512_si256(high), _mm512_castsi512_si256(low));
            let (high_1, low_1) = (_mm512_extracti64x4_epi64::<1>(high), _mm512_extracti64x4_epi64::<1>(low));
            let sums_0 = _mm512_fmadd_pd(_mm512_cvtepi32_pd(high_0), factor, _mm512_cvtepi32_pd(low_0));
            let sums_1 = _mm512_fmadd_pd(_mm512_cvtepi32_pd(high_1), factor, _mm512_cvtepi32_pd(low_1));
            let (sums_0, sums_1) = (_mm512_cvtpd_ps(sums_0), _mm512_cvtpd_ps(sums_1));
            _mm512_insertf32x8::<1>(_mm512_castps256_ps512(sums_0), sums_1)
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn pick(avx512: Avx512, from: __m256, index: __m512i) -> __m512 {
            _mm512_permutexvar_ps(index, _mm512_castps256_ps512(from))
        }
    );
    kernel!(
        /// E4M3 codes below 0x7f as f16, which makes 2^-8 of their value.
        #[inline(always)]
        pub(in super::super) fn scales_e4m3(avx512: Avx512, codes: __m128i) -> __m512 {
            _mm512_cvtph_ps(_mm256_slli_epi16::<7>(_mm256_cvtepu8_epi16(codes)))
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn scales_f16(avx512: Avx512, bytes: __m256i) -> __m512 {
            _mm512_cvtph_ps(bytes)
        }
    );
    kernel!(
        /// Per 128 bits: `a0 + a1, a2 + a3, b0 + b1, b2 + b3`.
        #[inline(always)]
        pub(in super::super) fn sum_pairs(avx512: Avx512, a: __m512i, b: __m512i) -> __m512i {
            let (a, b) = (_mm512_castsi512_ps(a), _mm512_castsi512_ps(b));
            let (even, odd) =
                (_mm512_shuffle_ps::<0b10_00_10_00>(a, b), _mm512_shuffle_ps::<0b11_01_11_01>(a, b));
            _mm512_add_epi32(_mm512_castps_si512(even), _mm512_castps_si512(odd))
        }
    );
    kernel!(
        /// The same of f32.
        #[inline(always)]
        pub(in super::super) fn add_pairs(avx512: Avx512, a: __m512, b: __m512) -> __m512 {
            let (even, odd) =
                (_mm512_shuffle_ps::<0b10_00_10_00>(a, b), _mm512_shuffle_ps::<0b11_01_11_01>(a, b));
            _mm512_add_ps(even, odd)
        }
    );
    kernel!(
        /// Blocks of 128 bits: `a0 + a1, a2 + a3, b0 + b1, b2 + b3`.
        #[inline(always)]
        pub(in super::super) fn sum_blocks(avx512: Avx512, a: __m512i, b: __m512i) -> __m512i {
            let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
            let odd = _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
            _mm512_add_epi32(even, odd)
        }
    );
    kernel!(
        /// The same of f32.
        #[inline(always)]
        pub(in super::super) fn add_blocks(avx512: Avx512, a: __m512, b: __m512) -> __m512 {
            let even = _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b);
            let odd = _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b);
            _mm512_add_ps(even, odd)
        }
    );
    kernel!(
        /// What sums of two vectors need to be in order.
        #[inline(always)]
        pub(in super::super) fn in_order_2(avx512: Avx512, x: __m512i) -> __m512i {
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), x)
        }
    );
    kernel!(
        /// What sums of four vectors need to be in order.
        #[inline(always)]
        pub(in super::super) fn in_order_4(avx512: Avx512, x: __m512i) -> __m512i {
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_permutexvar_epi32(order, x)
        }
    );
    kernel!(
        /// What sums of eight vectors need to be in order.
        #[inline(always)]
        pub(in super::super) fn in_order_8(avx512: Avx512, x: __m512i) -> __m512i {
            let order = _mm512_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
            _mm512_permutexvar_epi32(order, x)
        }
    );

    #[inline(always)]
    pub(in super::super) fn in_order<const N: usize>(
        avx512: fearless_simd::x86::Avx512,
        x: __m512i,
    ) -> __m512i {
        match N {
            2 => in_order_2(avx512, x),
            4 => in_order_4(avx512, x),
            8 => in_order_8(avx512, x),
            _ => x,
        }
    }
}

/// AVX2.
pub(super) mod avx2 {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::*;
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::*;
    use fearless_simd::kernel;

    kernel!(
        /// `mantissa * x * 2^s`. The sign instruction makes 0 of what meets code 0, whose weight is that.
        #[inline(always)]
        pub(in super::super) fn fine_dot(
            avx2: Avx2,
            mantissas: __m256i,
            low: __m256i,
            high: __m256i,
            codes: __m256i,
            x: __m256i,
        ) -> __m256i {
            let zero = _mm256_setzero_si256();
            let x = _mm256_sign_epi8(x, codes);
            let a = _mm256_mullo_epi16(
                _mm256_unpacklo_epi8(mantissas, zero),
                _mm256_srai_epi16::<8>(_mm256_unpacklo_epi8(zero, x)),
            );
            let b = _mm256_mullo_epi16(
                _mm256_unpackhi_epi8(mantissas, zero),
                _mm256_srai_epi16::<8>(_mm256_unpackhi_epi8(zero, x)),
            );
            _mm256_hadd_epi32(
                _mm256_madd_epi16(a, _mm256_unpacklo_epi8(low, high)),
                _mm256_madd_epi16(b, _mm256_unpackhi_epi8(low, high)),
            )
        }
    );
    kernel!(
        /// Digits times activations, of low and of high nibbles; the first digits count 2^7 times as much. Two products leave room in 16 bits, four do not.
        #[inline(always)]
        pub(in super::super) fn dot_pair(
            avx2: Avx2,
            above: [__m256i; 2],
            below: [__m256i; 2],
            x: [__m256i; 2],
        ) -> __m256i {
            let (one, digit) = (_mm256_set1_epi16(1), _mm256_set1_epi16(1 << 7));
            let above_0 = _mm256_madd_epi16(_mm256_maddubs_epi16(above[0], x[0]), digit);
            let above_1 = _mm256_madd_epi16(_mm256_maddubs_epi16(above[1], x[1]), digit);
            let below_0 = _mm256_madd_epi16(_mm256_maddubs_epi16(below[0], x[0]), one);
            let below_1 = _mm256_madd_epi16(_mm256_maddubs_epi16(below[1], x[1]), one);
            _mm256_add_epi32(_mm256_add_epi32(above_0, above_1), _mm256_add_epi32(below_0, below_1))
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn pick(avx2: Avx2, from: __m256, index: __m256i) -> __m256 {
            _mm256_permutevar8x32_ps(from, index)
        }
    );
    kernel!(
        #[inline(always)]
        pub(in super::super) fn scales_e4m3(avx2: Avx2, codes: __m128i) -> (__m256, __m256) {
            let halves = _mm256_slli_epi16::<7>(_mm256_cvtepu8_epi16(codes));
            let (low, high) = (_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
            (_mm256_cvtph_ps(low), _mm256_cvtph_ps(high))
        }
    );
    kernel!(
        /// No product of weights up to 24 leaves 16 bits, nor does a sum of four.
        #[inline(always)]
        pub(in super::super) fn dot_halves(
            avx2: Avx2,
            low: __m256i,
            high: __m256i,
            x_low: __m256i,
            x_high: __m256i,
        ) -> __m256i {
            let pairs =
                _mm256_add_epi16(_mm256_maddubs_epi16(low, x_low), _mm256_maddubs_epi16(high, x_high));
            _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
        }
    );
    kernel!(
        /// Two products of 8 bits each leave 16 bits, so the nibbles of weights are multiplied apart.
        #[inline(always)]
        pub(in super::super) fn dot(avx2: Avx2, weights: __m256i, x: __m256i) -> __m256i {
            let low_bits = _mm256_set1_epi8(15);
            let low = _mm256_maddubs_epi16(_mm256_and_si256(weights, low_bits), x);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(weights), low_bits);
            let high = _mm256_maddubs_epi16(high, x);
            _mm256_add_epi32(
                _mm256_madd_epi16(low, _mm256_set1_epi16(1)),
                _mm256_madd_epi16(high, _mm256_set1_epi16(16)),
            )
        }
    );
}
