//! The sheets of a job on the disk: `OUT.sheets`, one file for each layer that is done, and which job they belong to.

use std::fs;
use std::path::{Path, PathBuf};

use lowbit_checkpoint::overlay::Sheet;
use lowbit_checkpoint::safetensors::TensorFile;

use crate::report::LinearReport;
use crate::{Error, Result};

/// Name of the file that says which job sheets belong to.
const JOB: &str = "job.json";
/// Key of a sheet's metadata with the reports of its linears.
const REPORTS: &str = "reports";

/// Where the sheets of one job are.
#[derive(Debug)]
pub(super) struct LayerSheets {
    dir: PathBuf,
}

impl LayerSheets {
    /// Makes the directory, or takes up the one that an interrupted run of the same job has left. `identity` is everything that a code depends on.
    pub(super) fn open(out: &Path, identity: &str, resume: bool) -> Result<Self> {
        let mut name = out.file_name().unwrap_or_default().to_owned();
        name.push(".sheets");
        let dir = out.with_file_name(name);
        let io = |action: &str, path: &Path, error: std::io::Error| {
            let reason = format!("cannot {action} {}: {error}", path.display());
            Error::Sheets { dir: dir.clone(), reason }
        };
        let job = dir.join(JOB);
        if dir.exists() {
            if !resume {
                let reason = "holds the finished layers of an interrupted run; --resume goes on with them, or remove it";
                return Err(Error::Sheets { dir, reason: reason.into() });
            }
            let known = fs::read_to_string(&job).map_err(|e| io("read", &job, e))?;
            if known != identity {
                let reason = "holds layers of another job: another model, text, format or method, or files that have changed since";
                return Err(Error::Sheets { dir, reason: reason.into() });
            }
        } else {
            fs::create_dir_all(&dir).map_err(|e| io("make", &dir, e))?;
            fs::write(&job, identity).map_err(|e| io("write", &job, e))?;
        }
        Ok(Self { dir })
    }

    fn path(&self, layer: usize) -> PathBuf {
        self.dir.join(format!("layer-{layer:05}.safetensors"))
    }

    /// The sheet of a layer, if it is done.
    pub(super) fn finished(&self, layer: usize) -> Option<PathBuf> {
        Some(self.path(layer)).filter(|path| path.exists())
    }

    /// Writes a sheet that is needed for a moment; the next one overwrites it.
    pub(super) fn write_temporary(&self, sheet: &Sheet) -> Result<PathBuf> {
        let path = self.dir.join("scratch.safetensors");
        sheet.write(&path)?;
        Ok(path)
    }

    /// Writes the sheet of a layer.
    pub(super) fn write(&self, layer: usize, mut sheet: Sheet, reports: &[LinearReport]) -> Result<PathBuf> {
        // Reports are numbers and names: their JSON always exists.
        sheet.note(REPORTS, &serde_json::to_string(reports).unwrap_or_default());
        let path = self.path(layer);
        sheet.write(&path)?;
        Ok(path)
    }

    /// Reports of the linears of a sheet.
    pub(super) fn reports(&self, sheet: &Path) -> Result<Vec<LinearReport>> {
        let file = TensorFile::open(sheet)?;
        let text = file.header().metadata.get(REPORTS).map_or("[]", String::as_str);
        serde_json::from_str(text).map_err(|e| Error::Sheets {
            dir: sheet.to_owned(),
            reason: format!("its reports are not read: {e}"),
        })
    }

    /// Removes the sheets: the output has all that was in them.
    pub(super) fn remove(self) {
        // What cannot be removed does no harm; the output is complete.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
