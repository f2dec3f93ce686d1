//! The public items of every library, one a line with its signature, held against the lists that are committed.
//!
//! ```sh
//! .ci/api                    # fails where a list and the code differ, and says how
//! LOWBIT_BLESS=1 .ci/api     # writes the lists anew: the difference is what a reviewer of a release reads
//! ```
//!
//! Arguments: the folder of the lists, then files that rustdoc wrote with `--output-format json`. Methods of traits that the compiler
//! implements by itself (`Send`), for everything (`Into`) or by `derive` are left out.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let lists = arguments.next().ok_or("the folder of the lists is missing")?;
    let bless = env::var_os("LOWBIT_BLESS").is_some();
    let mut differ = 0;
    for json in arguments {
        let stem = json.file_stem().ok_or("not a file")?.to_string_lossy().replace('_', "-");
        let (list, items) = (lists.join(format!("{stem}.txt")), items(&json)?);
        if bless {
            fs::create_dir_all(&lists)?;
            fs::write(&list, items.join("\n") + "\n")?;
        } else {
            differ += compare(&list, &items);
        }
    }
    if differ > 0 {
        println!(
            "{differ} public items differ; if that is meant: LOWBIT_BLESS=1 .ci/api, and a line in CHANGELOG.md"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// One line for each public item, in order.
fn items(json: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .map_err(|error| format!("{}: {error}", json.display()))?;
    Ok(api.items().map(ToString::to_string).collect())
}

/// Prints which lines are in one of both alone, and counts them.
fn compare(list: &Path, items: &[String]) -> usize {
    let committed = fs::read_to_string(list).unwrap_or_default();
    let (before, now): (BTreeSet<&str>, BTreeSet<&str>) =
        (committed.lines().collect(), items.iter().map(String::as_str).collect());
    let (gone, new): (Vec<_>, Vec<_>) =
        (before.difference(&now).collect(), now.difference(&before).collect());
    if gone.len() + new.len() > 0 {
        println!("{}:", list.display());
        gone.iter().for_each(|item| println!("- {item}"));
        new.iter().for_each(|item| println!("+ {item}"));
    }
    gone.len() + new.len()
}
