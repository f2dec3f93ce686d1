//! The models that tests quantize.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

/// A file or folder of `testdata`.
pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(name)
}

/// A real Llama of two million parameters, in BF16.
pub(crate) fn austen() -> PathBuf {
    testdata("austen-2m")
}
