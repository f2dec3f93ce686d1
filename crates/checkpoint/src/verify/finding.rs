//! A finding of a check.

use super::checks::{Code, Severity};
use crate::Error;
use lowbit_container::Error as ContainerError;
use lowbit_layouts::Error as LayoutError;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A fault or an anomaly of one tensor or file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// Its stable code: `LB-S01`.
    pub code: &'static str,
    /// The name of its check: `scale-nan`.
    pub name: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// Name of the file, relative to the directory.
    pub file: Option<String>,
    /// Name of the tensor, or of the module if the finding is about several tensors.
    pub tensor: Option<String>,
    /// The observation, with its numbers.
    pub detail: String,
    /// The numbers of `detail`, by name.
    pub numbers: BTreeMap<&'static str, Value>,
    /// The meaning of the finding.
    pub explanation: &'static str,
    /// The suggested remedy.
    pub fix: &'static str,
}

impl Finding {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let check = code.check();
        Self {
            code: check.code,
            name: check.name,
            severity: check.severity,
            file: None,
            tensor: None,
            detail: detail.into(),
            numbers: BTreeMap::new(),
            explanation: check.explanation,
            fix: check.fix,
        }
    }

    /// A finding of this code with the message, the file and the tensor of an error.
    pub(crate) fn of(code: Code, error: &Error) -> Self {
        match error {
            Error::Container(ContainerError::File { file, reason }) => Self::new(code, reason).in_file(file),
            Error::Container(ContainerError::Tensor { file, tensor, reason }) => {
                Self::new(code, reason).in_file(file).about(tensor)
            }
            Error::Container(ContainerError::Missing { tensor, .. }) => {
                Self::new(code, "is not there").about(tensor)
            }
            Error::Container(ContainerError::Duplicate { tensor, first, second }) => {
                let detail = format!("is in both {} and {}", name_of(first), name_of(second));
                Self::new(code, detail).in_file(second).about(tensor)
            }
            Error::Layout(LayoutError::Mismatch(m)) => {
                let detail = format!(
                    "is {} {:?}, but {} of {} has {} {:?} there",
                    m.have.0, m.have.1, m.format, m.shape, m.want.0, m.want.1
                );
                Self::new(code, detail).in_file(&m.file).about(&m.tensor)
            }
            Error::Layout(LayoutError::Convention { method, .. }) => {
                Self::new(code, format!("quantized with {method}"))
            }
            other => Self::new(code, other.to_string()),
        }
    }

    pub(crate) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(name_of(file)), ..self }
    }

    pub(crate) fn about(self, tensor: &str) -> Self {
        Self { tensor: Some(tensor.to_owned()), ..self }
    }

    pub(crate) fn detail(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, number: impl Into<Value>) -> Self {
        self.numbers.insert(name, number.into());
        self
    }
}

/// The last component of a path.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
