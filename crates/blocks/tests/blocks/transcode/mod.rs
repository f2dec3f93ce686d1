//! One format into another: what is said to be exact is, rule by rule and for pairs drawn at random; what is not is refused.

mod pairs;
mod properties;
mod refusals;
mod rules;
mod streaming;

use lowbit_blocks::transcode::{Exactness, Obstacle};
use lowbit_blocks::{Error, Format, QTensor, ScaleKind, Shape, TensorScale};

use crate::round_trip::bits;

pub(crate) fn named(name: &str) -> Format {
    Format::named(name).unwrap()
}

/// Bytes of these scales.
pub(crate) fn stored(kind: ScaleKind, scales: &[f32]) -> Vec<u8> {
    scales.iter().flat_map(|&scale| kind.encode(scale)[..kind.bytes()].to_vec()).collect()
}

/// A tensor whose codes count up, over and over, with these scales.
pub(crate) fn counting(format: Format, shape: Shape, scales: &[f32]) -> QTensor<'static> {
    let codes: Vec<u8> = (0..format.codes_len(shape)).map(|i| (i * 37 % 251) as u8).collect();
    QTensor::new(format, shape, codes, stored(format.scale.kind, scales), None, TensorScale::None).unwrap()
}

/// Transcodes, and holds the values to be the same to the last bit.
#[track_caller]
pub(crate) fn exact(from: &QTensor<'_>, to: Format, divide: bool) -> QTensor<'static> {
    let (tensor, exactness) = from.transcode(to, divide).unwrap();
    assert_eq!(exactness, Exactness::Exact, "{} to {to}", from.format());
    assert_eq!(bits(&tensor.to_f32_vec()), bits(&from.to_f32_vec()), "{} to {to}", from.format());
    tensor
}

/// Exact in both directions, with the same bytes in the end.
#[track_caller]
pub(crate) fn there_and_back(from: &QTensor<'_>, to: Format) -> QTensor<'static> {
    let there = exact(from, to, false);
    let back = exact(&there, from.format(), matches!(from.tensor_scale(), TensorScale::Divide(_)));
    assert_eq!(&back, from, "{} to {to} and back", from.format());
    there
}

#[track_caller]
pub(crate) fn refused(from: &QTensor<'_>, to: Format) -> Obstacle {
    match from.transcode(to, false) {
        Err(Error::Transcode { why, .. }) => why,
        other => panic!("{} to {to}: {other:?}", from.format()),
    }
}
