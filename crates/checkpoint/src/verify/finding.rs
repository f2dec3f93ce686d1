//! One thing that was found, and the list of them.

use super::checks::{Code, Severity};
use crate::Error;
use lowbit_container::Error as ContainerError;
use lowbit_layouts::Error as LayoutError;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// One thing that is wrong, or odd, with one tensor or file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Finding {
    /// Stable code: `LB-S01`.
    pub code: &'static str,
    /// The check's name: `scale-nan`.
    pub name: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The file's name in the directory.
    pub file: Option<String>,
    /// The tensor, or the module where it is about more than one tensor.
    pub tensor: Option<String>,
    /// What was seen there, with the numbers.
    pub detail: String,
    /// The numbers of the detail, by name.
    pub numbers: BTreeMap<&'static str, Value>,
    /// What it means.
    pub explanation: &'static str,
    /// What to do about it.
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

    /// What an error says, under this code.
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
