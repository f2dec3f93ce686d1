#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
pub mod prelude;

pub use error::{Error, Result};

pub use lowbit_blocks as blocks;
pub use lowbit_calib as calib;
#[cfg(feature = "checkpoint")]
#[cfg_attr(docsrs, doc(cfg(feature = "checkpoint")))]
pub use lowbit_checkpoint as checkpoint;
pub use lowbit_kernels as kernels;
pub use lowbit_scalar as scalar;

#[doc(no_inline)]
pub use lowbit_blocks::{
    Activations, BNB_FP4, Block, Bytes, Codebook, Dtype, E2M1_UE5M3, Element, ErrorReport, FORMATS, FP8,
    FP8_BLOCK, FP8_CHANNEL, FP8_E5M2, FP8_E5M2_BLOCK, FP8_E5M2_CHANNEL, Format, INT8, INT8_TENSOR, MXFP4,
    MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, MXINT8, NF4, NVFP4, Outer, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K,
    QLinear, QTensor, Scale, ScaleKind, Shape, TensorScale, UINT8, UINT8_TENSOR, UnknownFormat, Values, Zero,
    half,
};
#[doc(no_inline)]
pub use lowbit_calib::{ChooseScale, Recipe, ScaleRule, TokenScale, quantize_tokens};
#[doc(no_inline)]
pub use lowbit_kernels::Kernels;
