//! The tables of docs/formats.md are what the code says. `LOWBIT_BLESS=1` rewrites them.

use std::fmt::Write as _;
use std::{env, fs, path::Path};

use lowbit::blocks::{Block, FORMATS, Format, Shape, Zero};
use lowbit::checkpoint::layout::{LAYOUTS, Layout, PLAIN};
use lowbit::kernels::Element;

const SCALAR_README: &str = include_str!("../../scalar/README.md");
const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats.md");

/// A value as a person would write it: powers of two below 0.01 as `2^-9`, the rest in decimal.
fn number(x: f32) -> String {
    let exponent = x.abs().log2();
    if x != 0.0 && x.abs() < 0.01 && exponent.fract() == 0.0 {
        format!("2^{exponent}")
    } else {
        format!("{x}")
    }
}

fn elements() -> String {
    let mut text = String::from(
        "| element | bits | exponent, mantissa, bias | largest | smallest normal | smallest | infinities | NaN codes |\n|---|---|---|---|---|---|---|---|\n",
    );
    for element in Element::ALL {
        let (max, min, bits) = (number(element.max()), number(element.min()), element.bits());
        let line = match element.float_format() {
            Some(f) => {
                let (normal, least) = (number(f.min_positive()), number(f.min_positive_subnormal()));
                let (infinite, nans) = (if f.infinity_code().is_some() { "±" } else { "no" }, f.nan_count());
                let (e, m, bias) = (f.exponent_bits, f.mantissa_bits, f.bias);
                let range = if f.signed { format!("±{max}") } else { format!("{min} … {max}") };
                format!(
                    "| {element} | {bits} | {e}, {m}, {bias} | {range} | {normal} | {least} | {infinite} | {nans} |"
                )
            }
            None if bits == 4 && element.max() == 1.0 => {
                let least = (0..16).map(|c| element.decode_one(c)).filter(|v| *v > 0.0).fold(1.0, f32::min);
                format!("| {element} | {bits} | table of 16 | {min} … {max} | - | {least} | no | 0 |")
            }
            None => {
                let step = (0..=255).map(|c| element.decode_one(c)).filter(|v| *v > 0.0).reduce(f32::min);
                let step = step.map_or("-".into(), number);
                format!("| {element} | {bits} | integer | {min} … {max} | - | {step} | no | 0 |")
            }
        };
        writeln!(text, "{line}").expect("writing to a string");
    }
    text
}

fn block(block: Block) -> String {
    match block {
        Block::Tensor => "tensor".into(),
        Block::Channel => "row".into(),
        Block::Group(n) => format!("{n} of a row"),
        Block::Tile { rows, cols } => format!("tile of {rows}x{cols}"),
        Block::Flat(n) => format!("{n} of the flat matrix"),
    }
}

fn formats() -> String {
    let mut text = String::from(
        "| format | element | block | scale | zero point | bits per weight | carried by |\n|---|---|---|---|---|---|---|\n",
    );
    for (name, format) in FORMATS {
        let zero = match format.zero {
            Zero::None => "-",
            Zero::Int => "integer",
            Zero::Float => "float",
            Zero::Bias => "bias",
            Zero::Min => "min",
            _ => unreachable!("a kind of zero points without a word"),
        };
        let outer = format.scale.outer;
        let level = match (outer.kind(), outer.count()) {
            (Some(kind), Some(blocks)) => format!(", {kind} per {blocks} blocks"),
            (Some(kind), None) => format!(", {kind} per matrix"),
            (None, _) => String::new(),
        };
        let scale = format.scale.kind.name().to_owned() + &level;
        let bits = format.bits_per_weight(Shape::matrix(4096, 4096));
        let bits = format!("{bits:.5}");
        let bits = bits.trim_end_matches('0').trim_end_matches('.');
        writeln!(
            text,
            "| `{name}` | {} | {} | {scale} | {zero} | {bits} | {} |",
            format.element,
            block(format.block),
            carriers(format),
        )
        .expect("writing to a string");
    }
    text
}

/// The layouts that carry a format, with what their tools call it.
fn carriers(format: &Format) -> String {
    let of = |layout: &&Layout| {
        let mut schemes: Vec<String> = layout.carries(format).into_iter().map(|way| way.scheme).collect();
        // The same scheme with activations that are quantized in another way.
        schemes.dedup();
        let named = layout.name() != PLAIN.name();
        (!schemes.is_empty()).then(|| {
            layout.name().to_owned()
                + &if named { format!(" ({})", schemes.join(", ")) } else { String::new() }
        })
    };
    LAYOUTS.iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

/// Where the scalar types differ from `ml_dtypes` on purpose: the section of their own README.
fn differences() -> String {
    let (_, section) = SCALAR_README.split_once("## Differences from ml_dtypes\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section after it");
    format!("{}\n", section.trim())
}

/// Replaces what stands between the markers of a section.
fn fill(doc: &str, section: &str, body: &str) -> String {
    let begin = format!("<!-- BEGIN {section} (generated) -->\n");
    let end = format!("<!-- END {section} -->");
    let start = doc.find(&begin).unwrap_or_else(|| panic!("docs/formats.md lacks `{begin}`")) + begin.len();
    let stop = start + doc[start..].find(&end).unwrap_or_else(|| panic!("docs/formats.md lacks `{end}`"));
    format!("{}{body}{}", &doc[..start], &doc[stop..])
}

#[test]
fn tables_of_the_docs_are_what_the_code_says() {
    let path = Path::new(DOC);
    let doc = fs::read_to_string(path).expect("docs/formats.md");
    let sections = [("elements", elements()), ("formats", formats()), ("differences", differences())];
    let want = sections.iter().fold(doc, |doc, (section, body)| fill(&doc, section, body));
    if env::var_os("LOWBIT_BLESS").is_some() {
        fs::write(path, &want).expect("docs/formats.md is writable");
    }
    let now = fs::read_to_string(path).expect("docs/formats.md");
    assert!(
        now == want,
        "docs/formats.md is stale; refresh it with\n  LOWBIT_BLESS=1 cargo test -p lowbit --test formats_doc"
    );
}
