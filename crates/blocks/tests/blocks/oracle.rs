//! The definition of a quantized tensor, naive: every value finds its bits, its block and its scale by itself.
//!
//! Uses the scalar codecs only, none of the geometry or kernels of the crates under test.

use half::{bf16, f16};
use lowbit_blocks::{Block, Element, Format, Outer, ScaleKind, Shape, TensorScale, Zero};
use lowbit_scalar::{
    E2M1, E2M3, E3M0, E3M2, E3M4, E4M3, E4M3B11FNUZ, E4M3FNUZ, E4M3Ieee, E5M2, E5M2FNUZ, E8M0, Fp4, MxInt8,
    Nf4, UE5M3,
};

/// A tensor as plain parts, with scales read by the definition.
pub(crate) struct Oracle<'a> {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
    pub(crate) scales: &'a [u8],
    pub(crate) zeros: &'a [u8],
    pub(crate) tensor_scale: &'a TensorScale,
}

/// Bits of one code.
pub(crate) fn bits(element: Element) -> usize {
    match element {
        Element::Int { bits } | Element::Uint { bits } => bits.into(),
        Element::E2m1 | Element::E3m0 | Element::Nf4 | Element::Fp4 => 4,
        Element::E2m3 | Element::E3m2 => 6,
        _ => 8,
    }
}

fn decode_one(element: Element, code: u8) -> f32 {
    match element {
        Element::E2m1 => E2M1::from_bits(code).to_f32(),
        Element::E3m0 => E3M0::from_bits(code).to_f32(),
        Element::E3m2 => E3M2::from_bits(code).to_f32(),
        Element::E2m3 => E2M3::from_bits(code).to_f32(),
        Element::E4m3 => E4M3::from_bits(code).to_f32(),
        Element::E5m2 => E5M2::from_bits(code).to_f32(),
        Element::E4m3Fnuz => E4M3FNUZ::from_bits(code).to_f32(),
        Element::E5m2Fnuz => E5M2FNUZ::from_bits(code).to_f32(),
        Element::E4m3B11Fnuz => E4M3B11FNUZ::from_bits(code).to_f32(),
        Element::E4m3Ieee => E4M3Ieee::from_bits(code).to_f32(),
        Element::E3m4 => E3M4::from_bits(code).to_f32(),
        Element::Ue5m3 => UE5M3::from_bits(code).to_f32(),
        Element::Int { bits } => f32::from(((code << (8 - bits)) as i8) >> (8 - bits)),
        Element::Uint { .. } => f32::from(code),
        Element::MxInt8 => MxInt8::from_bits(code).to_f32(),
        Element::Nf4 => Nf4::from_bits(code).to_f32(),
        Element::Fp4 => Fp4::from_bits(code).to_f32(),
        _ => panic!("define {element} here"),
    }
}

fn encode_one(element: Element, x: f32) -> u8 {
    match element {
        Element::E2m1 => E2M1::from_f32(x).to_bits(),
        Element::E3m0 => E3M0::from_f32(x).to_bits(),
        Element::E3m2 => E3M2::from_f32(x).to_bits(),
        Element::E2m3 => E2M3::from_f32(x).to_bits(),
        Element::E4m3 => E4M3::from_f32(x).to_bits(),
        Element::E5m2 => E5M2::from_f32(x).to_bits(),
        Element::E4m3Fnuz => E4M3FNUZ::from_f32(x).to_bits(),
        Element::E5m2Fnuz => E5M2FNUZ::from_f32(x).to_bits(),
        Element::E4m3B11Fnuz => E4M3B11FNUZ::from_f32(x).to_bits(),
        Element::E4m3Ieee => E4M3Ieee::from_f32(x).to_bits(),
        Element::E3m4 => E3M4::from_f32(x).to_bits(),
        Element::Ue5m3 => UE5M3::from_f32(x).to_bits(),
        Element::Int { bits } => {
            let half = f32::from(1u8 << (bits - 1));
            // A cast from f32 takes NaN to 0; the mask drops the sign's copies.
            (x.round_ties_even().clamp(-half, half - 1.0) as i8) as u8 & (0xff >> (8 - bits))
        }
        Element::Uint { bits } => x.round_ties_even().clamp(0.0, (2f32).powi(bits.into()) - 1.0) as u8,
        Element::MxInt8 => MxInt8::from_f32(x).to_bits(),
        Element::Nf4 => Nf4::from_f32(x).to_bits(),
        Element::Fp4 => Fp4::from_f32(x).to_bits(),
        _ => panic!("define {element} here"),
    }
}

/// Number `index` among stored numbers of that kind.
fn stored(kind: ScaleKind, bytes: &[u8], index: usize) -> f32 {
    match kind {
        ScaleKind::F32 => f32::from_le_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap()),
        ScaleKind::F16 => f16::from_le_bytes(bytes[2 * index..2 * index + 2].try_into().unwrap()).to_f32(),
        ScaleKind::Bf16 => bf16::from_le_bytes(bytes[2 * index..2 * index + 2].try_into().unwrap()).to_f32(),
        ScaleKind::E4m3 => E4M3::from_bits(bytes[index]).to_f32(),
        ScaleKind::E8m0 => E8M0::from_bits(bytes[index]).to_f32(),
        ScaleKind::Ue5m3 if bytes[index] == 0xff => f32::NAN,
        ScaleKind::Ue5m3 => {
            let (field, mantissa) = (i32::from(bytes[index] >> 3), f32::from(bytes[index] & 7));
            if field == 0 {
                mantissa * 2f32.powi(-17)
            } else {
                (1.0 + mantissa / 8.0) * 2f32.powi(field - 15)
            }
        }
        ScaleKind::Int { bits, signed } => {
            let (bits, first) = (usize::from(bits), index * usize::from(bits));
            let code =
                (0..bits).fold(0u8, |code, i| code | (bytes[(first + i) / 8] >> ((first + i) % 8) & 1) << i);
            let top = 1i32 << bits;
            (if signed && i32::from(code) >= top / 2 { i32::from(code) - top } else { code.into() }) as f32
        }
        _ => unreachable!("a type of scales that this oracle does not know: {kind}"),
    }
}

impl Oracle<'_> {
    /// Blocks of one matrix.
    fn blocks(&self) -> usize {
        let Shape { rows, cols, .. } = self.shape;
        match self.format.block {
            Block::Tensor => 1,
            Block::Channel => rows,
            Block::Group(g) => rows * (cols / g),
            Block::Tile { rows: r, cols: c } => rows.div_ceil(r) * cols.div_ceil(c),
            Block::Flat(b) => (rows * cols).div_ceil(b),
        }
    }

    fn block(&self, matrix: usize, row: usize, col: usize) -> usize {
        let cols = self.shape.cols;
        let inside = match self.format.block {
            Block::Tensor => 0,
            Block::Channel => row,
            Block::Group(g) => row * (cols / g) + col / g,
            Block::Tile { rows: r, cols: c } => (row / r) * cols.div_ceil(c) + col / c,
            Block::Flat(b) => (row * cols + col) / b,
        };
        matrix * self.blocks() + inside
    }

    /// Bytes of the codes of one matrix.
    fn matrix_bytes(&self) -> usize {
        let (Shape { rows, cols, .. }, bits) = (self.shape, bits(self.format.element));
        match self.format.block {
            Block::Flat(_) => (rows * cols * bits).div_ceil(8),
            _ => rows * (cols * bits).div_ceil(8),
        }
    }

    /// Position of the lowest bit of a code in the stream of all bytes.
    fn bit(&self, matrix: usize, row: usize, col: usize) -> usize {
        let (cols, bits) = (self.shape.cols, bits(self.format.element));
        let inside = match self.format.block {
            Block::Flat(_) => (row * cols + col) * bits,
            _ => row * (cols * bits).div_ceil(8) * 8 + col * bits,
        };
        matrix * self.matrix_bytes() * 8 + inside
    }

    fn scale(&self, matrix: usize, block: usize) -> f32 {
        let scale = self.stored(self.scales, block);
        match self.tensor_scale {
            TensorScale::None => scale,
            TensorScale::Multiply(t) => scale * t[matrix],
            TensorScale::Divide(t) => scale / t[matrix],
        }
    }

    fn zero(&self, block: usize) -> f32 {
        match self.format.zero {
            Zero::None => 0.0,
            Zero::Int => f32::from(self.zeros[block]),
            Zero::Float | Zero::Bias | Zero::Min => self.stored(self.zeros, block),
            _ => unreachable!("a kind of zero points that this oracle does not know"),
        }
    }

    /// The number of a block, counted over all matrices, in a list of scales; with the outer number of its super-block.
    fn stored(&self, list: &[u8], block: usize) -> f32 {
        let kind = self.format.scale.kind;
        let Outer::Blocks { count, kind: outer } = self.format.scale.outer else {
            return stored(kind, list, block);
        };
        let per_matrix = list.len() / self.shape.matrices;
        let list = &list[block / self.blocks() * per_matrix..];
        let (index, inside) = (block % self.blocks() / count, block % self.blocks() % count);
        let size = outer.bytes() + (count * kind.bits() as usize).div_ceil(8);
        let super_block = &list[index * size..];
        stored(outer, super_block, 0) * stored(kind, &super_block[outer.bytes()..], inside)
    }

    fn positions(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let Shape { matrices, rows, cols } = self.shape;
        (0..matrices).flat_map(move |m| (0..rows).flat_map(move |r| (0..cols).map(move |c| (m, r, c))))
    }

    pub(crate) fn decode(&self, codes: &[u8]) -> Vec<f32> {
        let value = |at| {
            let (value, scale, zero) = self.parts(codes, at);
            match self.format.zero {
                Zero::None => value * scale,
                Zero::Int | Zero::Float => (value - zero) * scale,
                Zero::Bias => value * scale + zero,
                Zero::Min => value * scale - zero,
                _ => unreachable!("a kind of zero points that this oracle does not know"),
            }
        };
        self.positions().map(value).collect()
    }

    /// A code's own value, the effective scale of its block, and its zero point.
    pub(crate) fn parts(&self, codes: &[u8], (m, r, c): (usize, usize, usize)) -> (f32, f32, f32) {
        let (first, bits) = (self.bit(m, r, c), bits(self.format.element));
        let code = (0..bits).fold(0, |code, i| code | (codes[(first + i) / 8] >> ((first + i) % 8) & 1) << i);
        let block = self.block(m, r, c);
        (decode_one(self.format.element, code), self.scale(m, block), self.zero(block))
    }

    pub(crate) fn encode(&self, x: &[f32]) -> Vec<u8> {
        let mut codes = vec![0u8; self.shape.matrices * self.matrix_bytes()];
        for ((m, r, c), &x) in self.positions().zip(x) {
            let block = self.block(m, r, c);
            let (scale, zero) = (self.scale(m, block), self.zero(block));
            let quotient = |x: f32| if scale == 0.0 { x * 0.0 } else { x / scale };
            let code = encode_one(
                self.format.element,
                match self.format.zero {
                    Zero::None => quotient(x),
                    Zero::Int | Zero::Float => quotient(x) + zero,
                    Zero::Bias => quotient(x - zero),
                    Zero::Min => quotient(x + zero),
                    _ => unreachable!("a kind of zero points that this oracle does not know"),
                },
            );
            let first = self.bit(m, r, c);
            for i in 0..bits(self.format.element) {
                codes[(first + i) / 8] |= (code >> i & 1) << ((first + i) % 8);
            }
        }
        codes
    }
}
