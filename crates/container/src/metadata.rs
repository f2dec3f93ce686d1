//! The metadata of a file: keys with typed values, in the order of the file.

/// A metadata value. safetensors has strings only; GGUF has all of these types.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetadataValue {
    /// Unsigned, 8 bits.
    U8(u8),
    /// Signed, 8 bits.
    I8(i8),
    /// Unsigned, 16 bits.
    U16(u16),
    /// Signed, 16 bits.
    I16(i16),
    /// Unsigned, 32 bits.
    U32(u32),
    /// Signed, 32 bits.
    I32(i32),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 64 bits.
    I64(i64),
    /// IEEE binary32.
    F32(f32),
    /// IEEE binary64.
    F64(f64),
    /// True or false.
    Bool(bool),
    /// A string.
    String(String),
    /// A list of values of one type.
    Array(Vec<MetadataValue>),
}

/// Metadata keys and values, in the order of the file. Keys are unique.
///
/// ```
/// use lowbit_container::{Metadata, MetadataValue};
/// let mut metadata = Metadata::new();
/// metadata.insert("general.alignment", MetadataValue::U32(64));
/// metadata.insert("general.name", MetadataValue::String("tiny".into()));
/// assert_eq!(metadata.unsigned("general.alignment"), Some(64));
/// assert_eq!(metadata.text("general.name"), Some("tiny"));
/// assert_eq!(metadata.text("general.alignment"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(Vec<(String, MetadataValue)>);

impl Metadata {
    /// Empty metadata.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets the value of a key. An existing key keeps its position.
    pub fn insert(&mut self, key: impl Into<String>, value: MetadataValue) {
        let key = key.into();
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// The value of a key, if it is a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            MetadataValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key, if it is a non-negative integer.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        match *self.get(key)? {
            MetadataValue::U8(n) => Some(n.into()),
            MetadataValue::U16(n) => Some(n.into()),
            MetadataValue::U32(n) => Some(n.into()),
            MetadataValue::U64(n) => Some(n),
            MetadataValue::I8(n) => n.try_into().ok(),
            MetadataValue::I16(n) => n.try_into().ok(),
            MetadataValue::I32(n) => n.try_into().ok(),
            MetadataValue::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// The keys and values of all strings, in the order of the file.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(key, value)| match value {
            MetadataValue::String(text) => Some((key.as_str(), text.as_str())),
            _ => None,
        })
    }

    /// All keys and values, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl FromIterator<(String, String)> for Metadata {
    /// Metadata of strings. The keys have to be distinct.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(texts: I) -> Self {
        Self(texts.into_iter().map(|(key, text)| (key, MetadataValue::String(text))).collect())
    }
}
