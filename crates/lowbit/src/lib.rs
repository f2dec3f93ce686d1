#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use lowbit_blocks as blocks;
pub use lowbit_calib as calib;
#[cfg(feature = "checkpoint")]
#[cfg_attr(docsrs, doc(cfg(feature = "checkpoint")))]
pub use lowbit_checkpoint as checkpoint;
pub use lowbit_kernels as kernels;
pub use lowbit_scalar as scalar;
