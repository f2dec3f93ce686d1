//! `lowbit inspect`: describes a directory, or the values of one tensor of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use lowbit_checkpoint::{Inspection, TensorReport, inspect, inspect_tensor};

use crate::args::InspectArgs;
use crate::output::{say, say_json, warn};
use crate::table::{Align, table};
use crate::units::size;

pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    if let Some(name) = &args.tensor {
        let report = inspect_tensor(&args.dir, name)?;
        return if args.json { say_json(&report) } else { say(tensor_text(&report)) };
    }
    let inspection = inspect(&args.dir)?;
    if args.json {
        return say_json(&inspection);
    }
    warn(&inspection.warnings);
    say(text(&inspection, args.all))
}

fn text(found: &Inspection, all: bool) -> String {
    let mut text = String::new();
    let model = found.model_type.as_deref().unwrap_or("model of unknown type");
    let scheme = match found.layout {
        Some(layout) if found.formats.is_empty() => format!("no quantized linears in {layout}"),
        Some(layout) => {
            let formats: Vec<String> =
                found.formats.iter().map(|(name, count)| format!("{name} ({count} linears)")).collect();
            format!("{} in {layout}", formats.join(", "))
        }
        None => "not quantized".into(),
    };
    let _ = writeln!(text, "{}: {model}, {scheme}", found.path.display());
    let _ = writeln!(
        text,
        "{} parameters in {} of tensors: {:.3} bits each{}",
        grouped(found.parameters),
        size(found.bytes),
        found.bits_per_parameter,
        match found.quantized {
            0 => String::new(),
            n => format!("; {} of them quantized, {:.3} bits each", grouped(n), found.bits_per_weight),
        }
    );
    text += &files_text(found);
    text += &if all { tensors_table(found) } else { roles_table(found) };
    text
}

/// The name and size of a single file, or the number of files and the largest size.
fn files_text(found: &Inspection) -> String {
    match &found.files[..] {
        [(name, bytes)] => format!("{name}, {}\n", size(*bytes)),
        files => {
            let largest = files.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
            format!("{} files, the largest {}\n", files.len(), size(largest))
        }
    }
}

/// Number of tensors and total bytes for each role and dtype.
fn roles_table(found: &Inspection) -> String {
    let mut groups = BTreeMap::<(&str, &str), (usize, u64)>::new();
    for tensor in &found.tensors {
        let group = groups.entry((&tensor.role, &tensor.dtype)).or_default();
        *group = (group.0 + 1, group.1 + tensor.bytes);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    let columns = [
        ("what", Align::Left),
        ("dtype", Align::Left),
        ("tensors", Align::Right),
        ("bytes", Align::Right),
        ("share", Align::Right),
    ];
    let share = |bytes: u64| format!("{:.1} %", 100.0 * bytes as f64 / found.bytes.max(1) as f64);
    let lines = groups.iter().map(|((role, dtype), (count, bytes))| {
        vec![(*role).to_owned(), (*dtype).to_owned(), count.to_string(), size(*bytes), share(*bytes)]
    });
    table(&columns, lines)
}

fn tensors_table(found: &Inspection) -> String {
    let columns = [
        ("tensor", Align::Left),
        ("what", Align::Left),
        ("dtype", Align::Left),
        ("shape", Align::Left),
        ("bytes", Align::Right),
        ("file", Align::Left),
    ];
    let lines = found.tensors.iter().map(|t| {
        let shape = format!("{:?}", t.shape);
        vec![t.name.clone(), t.role.clone(), t.dtype.clone(), shape, t.bytes.to_string(), t.file.clone()]
    });
    table(&columns, lines)
}

fn tensor_text(report: &TensorReport) -> String {
    let mut text = String::new();
    let [matrices, rows, cols] = report.shape;
    let stack = if matrices == 1 { String::new() } else { format!("{matrices} matrices of ") };
    let _ = writeln!(text, "{}: {}, {stack}{rows} x {cols}", report.name, report.format);
    for t in &report.tensors {
        let _ = writeln!(
            text,
            "  {}  {} {:?}, {} bytes, {} ({})",
            t.name, t.dtype, t.shape, t.bytes, t.file, t.role
        );
    }
    let finite = report.min <= report.max;
    let _ = match finite {
        false => writeln!(text, "values    none is finite"),
        true => writeln!(
            text,
            "values    {:e} … {:e}, mean {:.3e}, rms {:.3e}",
            report.min, report.max, report.mean, report.rms
        ),
    };
    let _ = writeln!(text, "zeros     {}", grouped(report.zeros));
    let _ = writeln!(text, "NaN, inf  {}", grouped(report.non_finite));
    text
}

/// A count with separated thousands: 2,034,688.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([grouped(7), grouped(1_000), grouped(2_034_688)], ["7", "1,000", "2,034,688"]);
    }
}
