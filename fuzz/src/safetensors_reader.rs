//! Any bytes as a safetensors header: an error, or entries that lie in the file, do not overlap and are as long as they say.

use std::path::Path;

use lowbit_container::safetensors::Header;

/// Panics where the property does not hold.
pub fn check(data: &[u8]) {
    // Two bytes say how much data the file has behind its header.
    let Some((len, json)) = data.split_first_chunk::<2>() else { return };
    let start = 8 + json.len() as u64;
    let file_len = start + u64::from(u16::from_le_bytes(*len));
    let Ok(header) = Header::parse(Path::new("fuzz.safetensors"), json, file_len) else { return };
    let mut at = start;
    for entry in &header.entries {
        assert_eq!(entry.begin, at, "{}: a hole or an overlap", entry.name);
        let elements = entry
            .shape
            .iter()
            .try_fold(1u128, |n, d| n.checked_mul(*d as u128))
            .expect("checked by the reader");
        assert_eq!(
            elements * entry.dtype.bitsize() as u128,
            u128::from(entry.len()) * 8,
            "{}: length",
            entry.name
        );
        at = entry.end;
    }
    assert_eq!(at, file_len, "bytes after the last tensor");
}
