//! JSON as Python reads and writes it, so that configurations are written as their producers write
//! them.
//!
//! Floats have Python's spelling (`1e-06`, `10000.0`), characters outside of ASCII are escaped, and
//! the indentation is free. Configurations also contain `NaN`, `Infinity` and `-Infinity`, which
//! JSON does not have (`"time_step_limit": [0.0, Infinity]` of Mamba). In memory they are marked
//! strings, and they are written as they were read.

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// Marks a string as one of Python's three numbers that JSON lacks. It is a control character,
/// which no configuration contains.
const MARK: char = '\u{1}';

/// Longest first, because `-Infinity` contains `Infinity`.
const NUMBERS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Parses an object, as `json.loads(text)`.
pub fn loads(text: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_slice(text).or_else(|e| serde_json::from_str(&mark(text).ok_or(e)?))
}

/// The text with Python's numbers replaced by marked strings. `None` if it has none outside of
/// strings, or is not UTF-8.
fn mark(text: &[u8]) -> Option<String> {
    let mut rest = std::str::from_utf8(text).ok()?;
    let (mut marked, mut found) = (String::new(), false);
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        if let Some(number) = NUMBERS.iter().find(|n| !quoted && rest.starts_with(**n)) {
            marked += &format!("\"\\u{:04x}{number}\"", MARK as u32);
            (rest, found) = (&rest[number.len()..], true);
            continue;
        }
        (quoted, escaped) = (quoted ^ (c == '"' && !escaped), c == '\\' && !escaped);
        marked.push(c);
        rest = &rest[c.len_utf8()..];
    }
    found.then_some(marked)
}

/// Serializes a value, as `json.dumps(value, indent=indent)`.
pub fn dumps(value: &Value, indent: usize) -> Vec<u8> {
    let indent = " ".repeat(indent);
    let mut bytes = Vec::new();
    let mut out = serde_json::Serializer::with_formatter(
        &mut bytes,
        Python(PrettyFormatter::with_indent(indent.as_bytes())),
    );
    // Writing to memory cannot fail, and every key of a `Value` is a string.
    let _ = value.serialize(&mut out);
    let mut text = String::from_utf8(bytes).unwrap_or_default();
    for number in NUMBERS {
        text = text.replace(&format!("\"\\u{:04x}{number}\"", MARK as u32), number);
    }
    text.into_bytes()
}

/// The value with the keys of every object sorted, as with `sort_keys=True`.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(
                entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

struct Python<'a>(PrettyFormatter<'a>);

impl Formatter for Python<'_> {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // Shortest digits, as in Rust. Scientific notation from 1e16 up and below 1e-4, with at
        // least two digits of exponent.
        let scientific = format!("{value:e}");
        let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        match exponent.parse::<i32>() {
            Ok(e) if !(-4..16).contains(&e) => {
                let sign = if e < 0 { '-' } else { '+' };
                write!(writer, "{digits}e{sign}{:02}", e.unsigned_abs())
            }
            _ => write!(writer, "{value:?}"),
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.0.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_strings_are_spelled_as_python_spells_them() {
        let cases = [
            (serde_json::from_str("31.245270191439438").unwrap(), "31.245270191439438"),
            (serde_json::from_str("121.48791951161945").unwrap(), "121.48791951161945"),
            (json!(1e-6), "1e-06"),
            (json!(1e-5), "1e-05"),
            (json!(0.0001), "0.0001"),
            (json!(10000.0), "10000.0"),
            (json!(1e15), "1000000000000000.0"),
            (json!(1e16), "1e+16"),
            (json!(1.5e-300), "1.5e-300"),
            (json!(-0.02), "-0.02"),
            (json!(1_000_000), "1000000"),
            (json!("né\n\u{1f600}"), r#""n\u00e9\n\ud83d\ude00""#),
            (json!([]), "[]"),
            (json!({}), "{}"),
        ];
        for (value, python) in cases {
            assert_eq!(String::from_utf8_lossy(&dumps(&value, 2)), python);
        }
    }

    #[test]
    fn numbers_that_json_does_not_have_go_out_as_they_came_in() {
        let text = r#"{"a": [0.0, Infinity, -Infinity, NaN], "Infinity": "NaN \\\" Infinity", "b": -1}"#;
        let value = Value::Object(loads(text.as_bytes()).unwrap());
        let compact = String::from_utf8(dumps(&value, 0)).unwrap().replace('\n', "");
        assert_eq!(compact, text.replace(", ", ","));
        for wrong in [&b"[1]"[..], b"{\"a\": Infinit}", b"{\"a\": +Infinity}", b"\xff", b""] {
            assert!(loads(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": {"z": 1, "a": [{"y": 1, "x": 2}]}, "a": null});
        assert_eq!(sorted(&value).to_string(), r#"{"a":null,"b":{"a":[{"x":2,"y":1}],"z":1}}"#);
    }
}
