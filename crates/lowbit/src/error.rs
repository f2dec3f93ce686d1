//! One error over those of the crates behind `lowbit`, so that a program needs a single `?`.

/// Whatever can go wrong in `lowbit`: the error of one of its crates. Each prints as that error does.
///
/// ```
/// use lowbit::{Error, Format, Recipe, Shape};
///
/// fn bits_of_first_row(format: &str, weights: &[f32]) -> Result<f64, Error> {
///     let format: Format = format.parse()?; // the error of the name
///     let q = Recipe::new(format)?.quantize(Shape::matrix(1, weights.len()), weights)?; // that of the recipe
///     q.compare(weights)?; // that of the tensor
///     Ok(q.bits_per_weight())
/// }
///
/// assert_eq!(bits_of_first_row("MXFP4", &[1.0; 32])?, 4.25);
/// assert!(matches!(bits_of_first_row("mxpf4", &[1.0; 32]), Err(Error::Format(_))));
/// assert!(matches!(bits_of_first_row("mxfp4", &[f32::NAN; 32]), Err(Error::Calib(_))));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No format has this name.
    #[error(transparent)]
    Format(#[from] lowbit_blocks::UnknownFormat),
    /// A quantized tensor is not what its format says, or is multiplied with what does not fit.
    #[error(transparent)]
    Blocks(#[from] lowbit_blocks::Error),
    /// A tensor is not quantized, or a recipe is refused.
    #[error(transparent)]
    Calib(lowbit_calib::Error),
    /// A checkpoint cannot be read, converted or written.
    #[cfg(feature = "checkpoint")]
    #[cfg_attr(docsrs, doc(cfg(feature = "checkpoint")))]
    #[error(transparent)]
    Checkpoint(lowbit_checkpoint::Error),
}

/// A `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<lowbit_calib::Error> for Error {
    /// What is an error of a tensor stays one.
    fn from(error: lowbit_calib::Error) -> Self {
        match error {
            lowbit_calib::Error::Blocks(error) => Self::Blocks(error),
            error => Self::Calib(error),
        }
    }
}

/// The errors of checkpoints and of the crates below them.
#[cfg(feature = "checkpoint")]
macro_rules! from_checkpoint {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Checkpoint(error.into())
            }
        }
    )*};
}

#[cfg(feature = "checkpoint")]
from_checkpoint!(
    lowbit_checkpoint::Error,
    lowbit_checkpoint::layout::Error,
    lowbit_checkpoint::container::Error
);
