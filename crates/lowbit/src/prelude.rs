//! What most programs name: `use lowbit::prelude::*;`.
//!
//! ```
//! use lowbit::prelude::*;
//! let q = Recipe::new("mxfp4".parse()?)?.quantize(Shape::matrix(1, 32), &[6.0f32; 32])?;
//! assert_eq!(QLinear::from(q).matvec_vec(&[0.5f32; 32])?, [96.0]); // 32 * 6 / 2
//! # Ok::<(), lowbit::Error>(())
//! ```

#[doc(no_inline)]
pub use lowbit_blocks::{Format, QLinear, QTensor, Shape, TensorScale, Values};
#[doc(no_inline)]
pub use lowbit_calib::{Recipe, ScaleRule};
#[doc(no_inline)]
pub use lowbit_scalar::{LowBit, LowBitSliceExt};
