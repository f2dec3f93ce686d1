//! The rules of the house that a compiler does not know, checked on the parsed sources of all crates.

#![allow(clippy::print_stdout)] // shown where a test fails, or with --nocapture

use lowbit_lints::{circles, matches, sources};

/// Enums that grow. A new variant must make the compiler list what is to be done, in one crate: others ask methods.
const GROWING: [&str; 3] = ["Element", "ScaleKind", "Block"];

/// How many matches with a wildcard are still to go. May only shrink.
const WILDCARDS_LEFT: usize = 7;

/// How many circles are still to go. May only shrink.
const CIRCLES_LEFT: usize = 3;

#[test]
fn growing_enums_are_matched_only_where_they_are_defined() {
    let found = matches::outside_of_their_crate(&sources::all(), &GROWING);
    assert!(found.is_empty(), "{} patterns; ask a method instead:\n{}", found.len(), found.join("\n"));
}

#[test]
fn growing_enums_are_matched_exhaustively() {
    let found = matches::with_a_wildcard(&sources::all(), &GROWING);
    println!("{} matches; name every variant:\n{}", found.len(), found.join("\n"));
    assert!(found.len() <= WILDCARDS_LEFT, "{} matches, {WILDCARDS_LEFT} are known", found.len());
}

#[test]
fn modules_of_a_folder_form_no_circle() {
    let found = circles::all(&sources::all());
    println!("{} circles:\n{}", found.len(), found.join("\n"));
    assert!(found.len() <= CIRCLES_LEFT, "{} circles, {CIRCLES_LEFT} are known", found.len());
}

/// Lines of the longest file.
const LONGEST: usize = 500;

#[test]
fn no_file_is_longer_than_500_lines() {
    let sources = sources::all();
    let long = sources.iter().filter_map(|source| {
        let lines = source.text.lines().count();
        (lines > LONGEST).then(|| format!("{}: {lines} lines", source.path.display()))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "a file is one idea; these are more:\n{}", long.join("\n"));
}

#[test]
fn every_file_begins_with_what_it_is() {
    let silent = sources::all().into_iter().filter(|source| {
        !source.text.starts_with("//!") && !source.text.starts_with("#![doc = include_str!")
    });
    let silent: Vec<String> = silent.map(|source| source.path.display().to_string()).collect();
    assert!(silent.is_empty(), "begin these with `//!` and one sentence:\n{}", silent.join("\n"));
}
