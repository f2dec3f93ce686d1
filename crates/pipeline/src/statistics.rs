//! Statistics of an earlier run: our own file, or llama.cpp's importance matrix.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lowbit_checkpoint::statistics::{Imatrix, StatisticsFile};

use crate::collect::InputSummary;
use crate::{Error, Result};

/// Statistics of the inputs of a model's linears, by module.
#[derive(Debug)]
pub struct Statistics {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Our own file. Linears that read the same input have one Hessian together, under the name of one of them.
    File { file: StatisticsFile, same: BTreeMap<String, String> },
    /// Mean squares alone.
    Imatrix(Imatrix),
}

impl Statistics {
    /// Key of a file's metadata: a JSON object from the module of a linear to the one whose Hessian is its own too.
    pub const SAME_INPUT: &str = "same_input";

    /// Opens a file: safetensors as `calibrate` writes them, or an importance matrix in either form.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if it is neither, or broken.
    ///
    /// ```no_run
    /// use lowbit_pipeline::Statistics;
    /// let statistics = Statistics::open("llama.imatrix".as_ref())?;
    /// println!("{}", statistics.path().display());
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self> {
        let kind = if path.extension().is_some_and(|e| e == "safetensors") {
            let file = StatisticsFile::open(path)?;
            let same = file.about().get(Self::SAME_INPUT).map_or("{}", String::as_str);
            let same = serde_json::from_str(same).map_err(|e| Error::Statistics {
                file: path.to_owned(),
                reason: format!("`{}` is no JSON object of names: {e}", Self::SAME_INPUT),
            })?;
            Kind::File { file, same }
        } else {
            Kind::Imatrix(Imatrix::read(path)?)
        };
        Ok(Self { path: path.to_owned(), kind })
    }

    /// The file.
    ///
    /// ```no_run
    /// use lowbit_pipeline::Statistics;
    /// let statistics = Statistics::open("llama.imatrix".as_ref())?;
    /// assert!(statistics.path().ends_with("llama.imatrix"));
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// E\[x^2\] of each input feature of a module; `None` if the file does not know it.
    ///
    /// # Errors
    /// [`Error::Statistics`] if the file has another number of features, [`Error::Checkpoint`] if it cannot be read.
    ///
    /// ```no_run
    /// use lowbit_pipeline::Statistics;
    /// let statistics = Statistics::open("llama.imatrix".as_ref())?;
    /// let squares = statistics.mean_square("model.layers.0.mlp.down_proj", 1536)?;
    /// println!("{}", squares.is_some());
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn mean_square(&self, module: &str, features: usize) -> Result<Option<Vec<f32>>> {
        Ok(self.summary(module, features, false)?.map(|inputs| inputs.squares))
    }

    /// The statistics of the input of a module.
    pub(crate) fn summary(
        &self,
        module: &str,
        features: usize,
        hessian: bool,
    ) -> Result<Option<InputSummary>> {
        let refuse = |reason: String| Err(Error::Statistics { file: self.path.clone(), reason });
        let (file, same) = match &self.kind {
            Kind::File { file, same } => (file, same),
            Kind::Imatrix(_) if hessian => {
                return refuse("an importance matrix has no Hessians, which this method needs".into());
            }
            Kind::Imatrix(matrix) => {
                let squares = matrix.mean_square(module, features)?;
                return Ok(squares.map(|squares| InputSummary {
                    tokens: 1,
                    squares,
                    ..InputSummary::default()
                }));
            }
        };
        if !file.names().any(|name| name == module) {
            return Ok(None);
        }
        let channels = file.channels(module)?;
        if channels.channels() != features {
            return refuse(format!(
                "`{module}` has {} features there, and {features} in the model",
                channels.channels()
            ));
        }
        let mut summary = InputSummary {
            tokens: channels.tokens(),
            squares: channels.mean_square(),
            amax: Some(channels.amax()),
            ..InputSummary::default()
        };
        if hessian {
            let owner = same.get(module).map_or(module, String::as_str);
            summary.hessian = file.hessian(owner)?;
            match &summary.hessian {
                Some(found) if found.size() == features => {}
                Some(found) => {
                    return refuse(format!(
                        "the Hessian of `{owner}` has {} features, not {features}",
                        found.size()
                    ));
                }
                None => {
                    return refuse(format!("has no Hessian of `{owner}`; `calibrate --hessians` keeps them"));
                }
            }
        }
        Ok(Some(summary))
    }
}
