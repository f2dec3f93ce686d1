//! Settings read with the checks that each kind of value needs.

use crate::{Error, Keys, Result, Setting};

/// No model is larger in any of its sizes; it keeps products of sizes from overflowing.
const LARGEST: u64 = 1 << 24;

/// Settings of one model, or of one object in them.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    keys: &'a dyn Keys,
    /// Names that the family has for settings: (the usual name, its own).
    aliases: &'a [(&'a str, &'a str)],
    group: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(keys: &'a dyn Keys, aliases: &'a [(&'a str, &'a str)]) -> Self {
        Self { keys, aliases, group: None }
    }

    /// The value of a setting; `None` if it is not there.
    pub(crate) fn get(&self, key: &str) -> Option<Setting<'a>> {
        if let Some(group) = self.group {
            return self.keys.get(&format!("{group}.{key}"));
        }
        let own = self.aliases.iter().find(|alias| alias.0 == key).and_then(|alias| self.keys.get(alias.1));
        own.or_else(|| self.keys.get(key))
    }

    /// The settings in a setting.
    pub(crate) fn inside(&self, key: &'a str) -> Option<Self> {
        self.keys.has_group(key).then_some(Self { group: Some(key), ..*self })
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Setting::Text(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(key, format!("is {other}, not a word"))),
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Setting::Flag(flag)) => Ok(flag),
            Some(other) => Err(wrong(key, format!("is {other}, not true or false"))),
        }
    }

    /// A number that is finite and above 0.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|n| *n > 0.0 && n.is_finite());
        number.map(Some).ok_or_else(|| wrong(key, format!("is {value}, not a positive number")))
    }

    /// A size: a whole number from 1 to 2^24.
    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        let Some(value) = self.get(key) else { return Err(wrong(key, "is not there")) };
        let size = value.as_u64().filter(|n| (1..=LARGEST).contains(n));
        size.map(|n| n as usize)
            .ok_or_else(|| wrong(key, format!("is {value}, not a size from 1 to {LARGEST}")))
    }

    pub(crate) fn size_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.get(key).is_none() { Ok(default) } else { self.size(key) }
    }

    /// A number of things: a whole number from 0 to 2^24, 0 if it is not there.
    pub(crate) fn count(&self, key: &str) -> Result<usize> {
        let Some(value) = self.get(key) else { return Ok(0) };
        let count = value.as_u64().filter(|n| *n <= LARGEST);
        count
            .map(|n| n as usize)
            .ok_or_else(|| wrong(key, format!("is {value}, not a number from 0 to {LARGEST}")))
    }

    /// Positive numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<Vec<f64>> {
        let value = self.get(key).ok_or_else(|| wrong(key, "is not there"))?;
        let Setting::List(values) = &value else {
            return Err(wrong(key, format!("is {value}, not a list of numbers")));
        };
        let number = |value: &Setting<'_>| value.as_f64().filter(|n| *n > 0.0 && n.is_finite());
        values
            .iter()
            .map(|v| number(v).ok_or_else(|| wrong(key, format!("has {v}, not a positive number"))))
            .collect()
    }
}

pub(crate) fn wrong(key: &str, reason: impl Into<String>) -> Error {
    Error::Setting { setting: key.to_owned(), reason: reason.into() }
}

pub(crate) fn unsupported(what: impl Into<String>, can: impl Into<String>) -> Error {
    Error::Unsupported { what: what.into(), can: can.into() }
}
