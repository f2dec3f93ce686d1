//! Rows with super-blocks against ggml: blocks of Q4_K that llama.cpp wrote, and what its Python package decodes them to.
//!
//! ```text
//! 144 bytes of ggml    d f16, dmin f16, 12 bytes of 6-bit scales and minima, 128 bytes of codes
//! scale j, min j       j < 4:  s[j] & 63,  s[j+4] & 63      else  s[j+4] & 15 | s[j-4] >> 6 << 4,  s[j+4] >> 4 | s[j] >> 6 << 4
//! code i               chunks of 64: byte 32c + l holds value 64c + l (low) and 64c + 32 + l (high)
//! ```
//!
//! Provenance: `testdata/scripts/make_golden_q4_k.py`.

use lowbit_blocks::*;

const BLOCKS: &[u8] = include_bytes!("golden/q4_k.blocks");
const VALUES: &[u8] = include_bytes!("golden/q4_k.f32");

/// Codes of 4 or 6 bits as one dense stream, least significant bit first.
fn pack(codes: &[u8], bits: usize) -> Vec<u8> {
    let mut out = vec![0u8; codes.len() * bits / 8];
    for (index, code) in codes.iter().enumerate() {
        for bit in (0..bits).filter(|bit| code >> bit & 1 == 1) {
            let at = index * bits + bit;
            out[at / 8] |= 1 << (at % 8);
        }
    }
    out
}

fn q4_k(blocks: &[u8]) -> QTensor<'static> {
    let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks.chunks_exact(144) {
        let (s, q) = (&block[4..16], &block[16..]);
        let numbers = |min: usize| -> Vec<u8> {
            (0..8)
                .map(|j| match (j, min) {
                    (0..4, _) => s[j + 4 * min] & 63,
                    (_, 0) => s[j + 4] & 15 | s[j - 4] >> 6 << 4,
                    _ => s[j + 4] >> 4 | s[j] >> 6 << 4,
                })
                .collect()
        };
        scales.extend_from_slice(&block[..2]);
        scales.extend(pack(&numbers(0), 6));
        zeros.extend_from_slice(&block[2..4]);
        zeros.extend(pack(&numbers(1), 6));
        let of = |i: usize| q[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
        codes.extend(pack(&(0..256).map(of).collect::<Vec<u8>>(), 4));
    }
    let shape = Shape::matrix(blocks.len() / 144, 256);
    QTensor::new(Q4_K, shape, codes, scales, Some(zeros.into()), TensorScale::None).unwrap()
}

fn bits(values: impl IntoIterator<Item = f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn q4_k_decodes_as_ggml_does() {
    let tensor = q4_k(BLOCKS);
    let want: Vec<f32> = VALUES.chunks_exact(4).map(|v| f32::from_le_bytes(v.try_into().unwrap())).collect();
    assert_eq!(bits(tensor.to_f32_vec()), bits(want.iter().copied()));
    assert_eq!(tensor.size_bytes(), BLOCKS.len());
    assert_eq!(tensor.bits_per_weight(), 4.5);
    // Rows, matrices and single values of it.
    let mut row = vec![0.0; 256];
    tensor.dequantize_rows(0, 1..2, &mut row);
    assert_eq!(bits(row), bits(want[256..512].iter().copied()));
    // Encoding what it decodes to, with its own minima, gives its codes back.
    let scales = tensor.block_scales(0);
    let again = QTensor::encode(Q4_K, tensor.shape(), &want, &scales, tensor.zeros(), TensorScale::None);
    let again = again.unwrap();
    if again.scales() == tensor.scales() {
        assert_eq!(again.codes(), tensor.codes());
    }
}

/// A scale of two levels is the product of two numbers, which f32 holds; a minimum becomes a bias.
#[test]
fn q4_k_is_exact_as_groups_with_f32_scales_and_biases() {
    let tensor = q4_k(BLOCKS);
    let to = Format::uint(4, Block::Group(32)).with_scale(ScaleKind::F32).with_zero(Zero::Bias);
    let (biased, exactness) = tensor.transcode(to, false).unwrap();
    assert_eq!(exactness, transcode::Exactness::Exact);
    assert_eq!(biased.codes(), tensor.codes());
    assert_eq!(bits(biased.to_f32_vec()), bits(tensor.to_f32_vec()));
    // Not back: two levels that say given scales would have to be found.
    let refused = biased.transcode(Q4_K, false).unwrap_err().to_string();
    assert!(refused.contains("super-blocks"), "{refused}");
    // Itself, and wider codes under the same scales.
    assert_eq!(tensor.transcode(Q4_K, false).unwrap().0, tensor);
    let wide = Q4_K.with_element(Element::Uint { bits: 8 });
    let (wide, _) = tensor.transcode(wide, false).unwrap();
    assert_eq!(bits(wide.to_f32_vec()), bits(tensor.to_f32_vec()));
    assert_eq!((wide.scales(), wide.zeros()), (tensor.scales(), tensor.zeros()));
    // f16 does not hold the products.
    let f16 = to.with_scale(ScaleKind::F16);
    assert!(!matches!(tensor.transcode(f16, false), Ok((_, transcode::Exactness::Exact))));
}

#[test]
fn what_super_blocks_refuse() {
    let refusal = |format: Format, cols| format.check(Shape::matrix(1, cols)).unwrap_err().to_string();
    assert_eq!(refusal(Q4_K, 320), "row of 320 values does not divide into blocks of 256");
    let channel = Q4_K.with_block(Block::Channel);
    assert_eq!(
        refusal(channel, 256),
        "uint4-channel-uint6-f16x8-min is not a format: super-blocks are made of groups or of flat blocks"
    );
    assert!(refusal(Q4_K.with_outer(Outer::None), 256).contains("minima are stored"));
    assert!(refusal(Q6_K.with_outer(Outer::Matrix), 256).contains("integer scales go with super-blocks"));
    let outer = |count, kind| Q6_K.with_outer(Outer::Blocks { count, kind });
    assert!(refusal(outer(0, ScaleKind::F16), 256).contains("at least one block"));
    assert!(refusal(outer(4, ScaleKind::E4m3), 256).contains("f32, f16 or bf16"));
    assert!(Q4_K.check(Shape::matrix(usize::MAX / 512, 512)).is_err());
    // Negative scales have no place among unsigned integers.
    let error = QTensor::encode(
        Q4_K,
        Shape::matrix(1, 256),
        &[0.0f32; 256],
        &[1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        Some(&[0; 8]),
        TensorScale::None,
    );
    assert!(matches!(error, Err(Error::Scale { index: 2, .. })), "{error:?}");
}

/// Groups whose size is no power of two, in rows that end inside a byte of codes of 3 bits.
#[test]
fn groups_of_48() {
    let format = Format::named("int4-g48").unwrap();
    let shape = Shape::matrix(3, 144);
    assert_eq!((format.codes_len(shape), format.scales_len(shape)), (3 * 72, 3 * 3 * 2));
    let odd = Q3_K.with_block(Block::Group(5)).with_outer(Outer::Blocks { count: 3, kind: ScaleKind::F32 });
    let shape = Shape { matrices: 2, rows: 5, cols: 45 };
    // 45 codes of 3 bits: 17 bytes; 3 super-blocks of an f32 and three 6-bit integers.
    assert_eq!((odd.codes_len(shape), odd.scales_len(shape)), (2 * 5 * 17, 2 * 5 * 3 * (4 + 3)));
}

/// A codebook of vectors of four, made up: two magnitudes and signs, an f16 scale; decoded, encoded under weights, multiplied.
struct Fours;

impl Codebook for Fours {
    fn values(&self) -> usize {
        8
    }

    fn bytes(&self) -> usize {
        2 + 2
    }

    fn decode(&self, block: &[u8], values: &mut [f32]) {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (index, vector) in block[2..].iter().zip(values.chunks_exact_mut(4)) {
            for (k, value) in vector.iter_mut().enumerate() {
                let magnitude = if index >> (4 + k) & 1 == 1 { 3.0 } else { 1.0 };
                *value = scale * if index >> k & 1 == 1 { -magnitude } else { magnitude };
            }
        }
    }

    fn encode(&self, values: &[f32], weights: &[f32], block: &mut [u8]) {
        let mut best = f32::INFINITY;
        let amax = values.iter().fold(0.0f32, |a, x| a.max(x.abs()));
        let mut trial = [0; 4];
        for step in 1..=8 {
            trial[..2].copy_from_slice(&half::f16::from_f32(amax / 3.0 * step as f32 / 8.0).to_le_bytes());
            for (at, vector) in values.chunks_exact(4).enumerate() {
                let scale = half::f16::from_le_bytes([trial[0], trial[1]]).to_f32();
                let bit = |k: usize| {
                    u8::from(vector[k] < 0.0) << k | u8::from(vector[k].abs() > 2.0 * scale) << (4 + k)
                };
                trial[2 + at] = (0..4).map(bit).sum();
            }
            let decoded = self.to_f32_vec(&trial);
            let error: f32 = (0..8).map(|i| weights[i] * (decoded[i] - values[i]).powi(2)).sum();
            if error < best {
                best = error;
                block.copy_from_slice(&trial);
            }
        }
    }
}

#[test]
fn a_codebook_of_vectors_decodes_encodes_under_weights_and_multiplies() {
    let row = [1.0, -3.0, 3.0, 1.0, -1.0, -1.0, 3.0, -3.0, 0.5, 0.5, 1.5, -0.5, 1.5, 1.5, -0.5, 0.5f32];
    let mut blocks = [0; 8];
    for (x, block) in row.chunks_exact(8).zip(blocks.chunks_exact_mut(4)) {
        Fours.encode(x, &[1.0; 8], block);
    }
    assert_eq!(Fours.to_f32_vec(&blocks), row);
    let x: Vec<f32> = (0..16).map(|i| i as f32).collect();
    assert_eq!(Fours.dot(&blocks, &x), row.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>());
    // One value that weighs more than all others is met.
    let (uneven, mut weights) = ([3.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7f32], [1.0; 8]);
    let error_of_first = |weights: &[f32; 8]| {
        let mut block = [0; 4];
        Fours.encode(&uneven, weights, &mut block);
        (Fours.to_f32_vec(&block)[0] - 3.0).abs()
    };
    let even = error_of_first(&weights);
    weights[0] = 1e6;
    assert!(error_of_first(&weights) < even);
}
