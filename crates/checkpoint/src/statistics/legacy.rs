//! The older binary form of an importance matrix.
//!
//! ```text
//! i32 entries     entry: i32 length, name, i32 calls, i32 n, f32[n]                    value = calls * (sum of squares / count)
//! i32 last chunk  i32 length, path of the text                                         absent in the oldest files
//! ```
//!
//! Source: llama.cpp `tools/imatrix`, before and after its change to GGUF. Readers divide by calls
//! unless it is 0. All experts of a stack share one count.

use super::cursor::Cursor;
use super::imatrix::{Imatrix, ImatrixEntry};
use crate::Result;

/// Bytes of the shortest entry.
const ENTRY: usize = 12;

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Imatrix> {
    let mut matrix = Imatrix::default();
    for _ in 0..cursor.small_count(ENTRY, "entries")? {
        let n = cursor.small_count(1, "bytes of a name")?;
        let name = cursor.string(n, "a name")?;
        let calls = cursor.u32("calls")? as i32;
        let n = cursor.small_count(4, "values")?;
        let values = cursor.take(4 * n, "values")?;
        let sums = values.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        // Some older files store 0 calls where there was one.
        let entry = ImatrixEntry::new(sums, vec![calls.max(1) as f32]);
        let entry = entry.map_err(|e| cursor.fail(format!("entry `{name}`: {e}")))?;
        if matrix.put(name.clone(), entry).is_some() {
            return Err(cursor.fail(format!("entry `{name}` comes twice")));
        }
    }
    if cursor.left() > 0 {
        let chunks = cursor.u32("chunks")? as i32;
        matrix.chunk_count = u32::try_from(chunks).map_err(|_| cursor.fail(format!("{chunks} chunks")))?;
        let n = cursor.small_count(1, "bytes of a path")?;
        let path = cursor.string(n, "a path")?;
        matrix.datasets.extend((!path.is_empty()).then_some(path));
    }
    match cursor.left() {
        0 => Ok(matrix),
        left => Err(cursor.fail(format!("{left} bytes after the end"))),
    }
}

pub(super) fn to_bytes(matrix: &Imatrix) -> Vec<u8> {
    let mut out = Vec::new();
    let number = |out: &mut Vec<u8>, n: usize| out.extend((n as u32).to_le_bytes());
    number(&mut out, matrix.names().count());
    for (name, entry) in matrix.entries() {
        number(&mut out, name.len());
        out.extend(name.as_bytes());
        let most = entry.counts().iter().fold(0.0f32, |a, b| a.max(*b));
        let calls = (most / matrix.chunk_size.max(1) as f32).ceil().max(1.0);
        number(&mut out, calls as usize);
        number(&mut out, entry.sums().len());
        // llama.cpp reads a matrix without counts as all ones.
        let n = entry.channels();
        for (sums, count) in entry.sums().chunks(n).zip(entry.counts()) {
            let value = |x: &f32| if *count > 0.0 { x / count * calls } else { calls };
            out.extend(sums.iter().flat_map(|x| value(x).to_le_bytes()));
        }
    }
    number(&mut out, matrix.chunk_count as usize);
    let path = matrix.datasets.first().map_or("", String::as_str);
    number(&mut out, path.len());
    out.extend(path.as_bytes());
    out
}
