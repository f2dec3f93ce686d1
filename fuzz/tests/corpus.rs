//! Every property over its committed inputs: those that reached something of their own, and those that once failed.

#![allow(clippy::print_stdout)] // shown where a test fails

use std::fs;
use std::path::Path;

use lowbit_fuzz::{imatrix, kernels_agree, layouts, products, safetensors_reader, scalar_round_trip};

/// Runs a property over each file of `corpus/fuzz_NAME`, in the order of their names. A failure names the file.
fn replay<T>(name: &str, check: impl Fn(&[u8]) -> T) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("fuzz_{name}"));
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no inputs", folder.display());
    for file in files {
        println!("{}", file.display()); // the last line of a failed test's output
        check(&fs::read(&file).expect("a readable input"));
    }
}

#[test]
fn imatrix() {
    replay("imatrix", imatrix::check);
}

#[test]
fn kernels_agree() {
    replay("kernels_agree", kernels_agree::check);
}

#[test]
fn layouts() {
    replay("layouts", layouts::check);
}

#[test]
fn products() {
    replay("products", products::check);
}

#[test]
fn safetensors_reader() {
    replay("safetensors_reader", safetensors_reader::check);
}

#[test]
fn scalar_round_trip() {
    replay("scalar_round_trip", scalar_round_trip::check);
}
