//! What the tests of this crate share: reading golden files, and tools' file conventions.
#![allow(dead_code, unreachable_pub)] // each test binary uses a part

pub mod blocks;
pub mod inputs;
pub mod layout;
pub mod normal;

use std::path::PathBuf;

use half::{bf16, f16};
use lowbit_blocks::{Shape, Values};
use safetensors::{Dtype, SafeTensors};

/// A file of `testdata`.
pub fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A matrix in its own type.
pub enum Matrix {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Matrix {
    pub fn values(&self) -> Values<'_> {
        match self {
            Self::F32(x) => x[..].into(),
            Self::F16(x) => x[..].into(),
            Self::Bf16(x) => x[..].into(),
        }
    }
}

/// A matrix of a safetensors file and its shape.
pub fn matrix(file: &SafeTensors<'_>, name: &str) -> (Shape, Matrix) {
    let tensor = file.tensor(name).unwrap();
    let &[rows, cols] = tensor.shape() else { panic!("{name} is no matrix") };
    let data = tensor.data();
    let pairs = || data.chunks_exact(2).map(|b| [b[0], b[1]]);
    let values = match tensor.dtype() {
        Dtype::F32 => {
            Matrix::F32(data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        }
        Dtype::F16 => Matrix::F16(pairs().map(f16::from_le_bytes).collect()),
        Dtype::BF16 => Matrix::Bf16(pairs().map(bf16::from_le_bytes).collect()),
        other => panic!("{name} is {other:?}"),
    };
    (Shape::matrix(rows, cols), values)
}

/// Single codes from a dense stream, least significant bit first.
pub fn unpack(bits: usize, stream: &[u8], n: usize) -> Vec<u8> {
    let bit = |at: usize| stream[at / 8] >> (at % 8) & 1;
    (0..n).map(|i| (0..bits).map(|b| bit(i * bits + b) << b).sum()).collect()
}

/// A dense stream of codes, least significant bit first, in whole words of four bytes.
pub fn pack_words(bits: usize, codes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut stream = Vec::new();
    for (i, code) in codes.into_iter().enumerate() {
        stream.resize(((i + 1) * bits).div_ceil(32) * 4, 0);
        (0..bits).for_each(|b| stream[(i * bits + b) / 8] |= (code >> b & 1) << ((i * bits + b) % 8));
    }
    stream
}
