//! Settings of `config.json`, looked up by name and type.

use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;

/// No model is larger in any of its sizes; it keeps products of sizes from overflowing.
const LARGEST: u64 = 1 << 24;

/// A configuration and the file it is of.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) file: &'a Path,
    pub(super) map: &'a Map<String, Value>,
}

impl<'a> Settings<'a> {
    /// The value of a setting; null if it is not there.
    pub(super) fn get(&self, key: &str) -> &'a Value {
        self.map.get(key).unwrap_or(&Value::Null)
    }

    /// The settings in a setting.
    pub(super) fn inside(&self, key: &str) -> Option<Self> {
        Some(Self { map: self.get(key).as_object()?, ..*self })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            other => Err(self.wrong(key, format!("is {other}, not a word"))),
        }
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            Value::Null => Ok(default),
            Value::Bool(flag) => Ok(*flag),
            other => Err(self.wrong(key, format!("is {other}, not true or false"))),
        }
    }

    /// A number that is finite and above 0.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>> {
        match self.get(key) {
            Value::Null => Ok(None),
            value => {
                let number = value.as_f64().filter(|n| *n > 0.0 && n.is_finite());
                number.map(Some).ok_or_else(|| self.wrong(key, format!("is {value}, not a positive number")))
            }
        }
    }

    /// A size: a whole number from 1 to 2^24.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        let value = self.get(key);
        let size = value.as_u64().filter(|n| (1..=LARGEST).contains(n));
        let reason = || {
            if value.is_null() {
                "is not there".into()
            } else {
                format!("is {value}, not a size from 1 to {LARGEST}")
            }
        };
        size.map(|n| n as usize).ok_or_else(|| self.wrong(key, reason()))
    }

    pub(super) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_null() { Ok(default) } else { self.size(key) }
    }

    pub(super) fn wrong(&self, key: &str, reason: impl Into<String>) -> Error {
        Error::Config { file: self.file.to_owned(), setting: key.to_owned(), reason: reason.into() }
    }

    pub(super) fn unsupported(&self, what: String, can: impl Into<String>) -> Error {
        Error::Unsupported { file: self.file.to_owned(), what, can: can.into() }
    }
}
