//! `lowbit formats`: the table of formats with the layouts that carry them, and the table of
//! recipes.

use anyhow::Result;
use lowbit_blocks::{Dtype, FORMATS, Format, Shape, Zero};
use lowbit_calib::recipes::{self, Entry, Producer};
use lowbit_calib::{Activations, Quotient, Recipe, ScaleRule, TensorScaleRule, Ties, ZeroSign};
use lowbit_checkpoint::layout::LAYOUTS;
use serde::Serialize;
use serde_json::Value;

use crate::args::FormatsArgs;
use crate::output::{say, say_json};
use crate::table::{Align, table};

/// The matrix for which bits per weight are shown. As in a real model, the scales of large blocks
/// hardly count in it.
const TYPICAL: Shape = Shape::matrix(4096, 4096);

/// One format, as printed by `--json`.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    format: Format,
    bits_per_weight: f64,
    scale_rules: Vec<ScaleRule>,
    carried_by: Vec<Carrier>,
}

/// A layout that carries a format, and the producer's name for the combination.
#[derive(Serialize)]
struct Carrier {
    layout: &'static str,
    scheme: String,
    activations: Activations,
}

pub(crate) fn run(args: &FormatsArgs) -> Result<()> {
    match (args.recipes, args.json) {
        (false, false) => say(formats_table()),
        (false, true) => say_json(&rows().collect::<Vec<_>>()),
        (true, false) => say(recipes_tables()),
        (true, true) => say_json(&recipes::table(Dtype::Bf16).collect::<Vec<_>>()),
    }
}

fn rows() -> impl Iterator<Item = Row> {
    FORMATS.iter().map(|&(name, format)| Row {
        name,
        format,
        bits_per_weight: format.bits_per_weight(TYPICAL),
        scale_rules: ScaleRule::fitting(&format).collect(),
        carried_by: LAYOUTS
            .iter()
            .flat_map(|layout| {
                layout.carries(&format).into_iter().map(|way| Carrier {
                    layout: layout.name(),
                    scheme: way.scheme,
                    activations: way.activations,
                })
            })
            .collect(),
    })
}

fn formats_table() -> String {
    let columns = [
        ("format", Align::Name),
        ("element", Align::Left),
        ("one scale per", Align::Name),
        ("scale", Align::Left),
        ("bits/w", Align::Right),
        ("carried by", Align::Name),
        ("scale rules", Align::Left),
    ];
    let lines = rows().map(|row| {
        let zero = if row.format.zero == Zero::None { "" } else { " + zero" };
        let level = row.format.scale.outer.kind().map(|kind| format!(" + {kind}")).unwrap_or_default();
        let mut layouts: Vec<&str> = row.carried_by.iter().map(|c| c.layout).collect();
        layouts.dedup();
        let rules: Vec<String> = row.scale_rules.iter().map(ToString::to_string).collect();
        vec![
            row.name.to_owned(),
            row.format.element.to_string(),
            row.format.block.to_string(),
            format!("{}{level}{zero}", row.format.scale.kind.name()),
            format!("{:.3}", row.bits_per_weight),
            layouts.join("\n"),
            rules.join(", "),
        ]
    });
    let mut text = table(&columns, lines);
    text.push_str("Other sizes work too: int<1-8>-g<n>[-asym], int<1-8>-channel[-asym]. Float scales take the dtype that the layout's tool\nstores; bits/w is that of a 4096x4096 matrix with the dtype shown. The arithmetic behind each: lowbit formats --recipes\n");
    text
}

/// One table for each producer.
fn recipes_tables() -> String {
    let columns = [
        ("format", Align::Name),
        ("option", Align::Name),
        ("scale rule", Align::Name),
        ("tensor scale", Align::Name),
        ("zero block", Align::Name),
        ("computed in", Align::Name),
        ("else", Align::Left),
    ];
    let mut text = String::new();
    for of in Producer::ALL {
        let lines =
            recipes::table(Dtype::Bf16).filter(|entry| entry.producer == of).map(|entry| recipe_line(&entry));
        text += &format!("{of}\n{}\n", table(&columns, lines));
    }
    text + "For bf16 weights. Computed in: scales, quotients; `weight` rounds each result to the weight's dtype.\n\
            Where `else` is empty: x / scale, ties to even, zeros keep their sign.\n"
}

fn recipe_line(Entry { format, parity, recipe, .. }: &Entry) -> Vec<String> {
    let top = |scale_max: f32| recipe.format.element.max() * scale_max;
    // Defaults are omitted: division, ties to even, the sign of zero kept.
    let mut other = Vec::new();
    if recipe.quotient != Quotient::default() {
        other.push(word(&recipe.quotient));
    }
    if recipe.ties != Ties::default() {
        other.push(format!("ties {}", word(&recipe.ties)));
    }
    if recipe.zero_sign != ZeroSign::default() {
        other.push(format!("zeros {}", word(&recipe.zero_sign)));
    }
    vec![
        (*format).to_owned(),
        if *parity { "--parity" } else { "" }.to_owned(),
        recipe.scale_rule.to_string(),
        match recipe.tensor_scale {
            TensorScaleRule::None => "-".to_owned(),
            TensorScaleRule::Multiply { scale_max } => format!("* amax/{}", top(scale_max)),
            TensorScaleRule::Divide { scale_max } => format!("/ ({}/amax)", top(scale_max)),
            TensorScaleRule::Fixed { factor } => format!("* {factor}"),
        },
        word(&recipe.zero_block),
        arithmetic(recipe),
        other.join(", "),
    ]
}

/// The types of scales and of quotients; one word if they are the same.
fn arithmetic(recipe: &Recipe) -> String {
    let (scales, quotients) = (word(&recipe.scale_arithmetic), word(&recipe.arithmetic));
    if scales == quotients { scales } else { format!("{scales}, {quotients}") }
}

/// The name that a choice has in JSON.
fn word(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(word)) => word,
        Ok(Value::Object(choice)) => choice.keys().next().cloned().unwrap_or_default(),
        Ok(other) => other.to_string(),
        Err(_) => "?".into(),
    }
}
