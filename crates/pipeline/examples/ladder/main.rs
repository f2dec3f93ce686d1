//! Prints what each step of calibration is worth: SQNR of the outputs of a model's linears on text that they were not calibrated on.
//!
//! ```sh
//! cargo run --release -p lowbit-pipeline --example ladder -- MODEL TEXT HELD_OUT LAYER…
//! ```
//!
//! NVFP4, 32 windows of 512 tokens of TEXT (from character 2000) and 8 of HELD_OUT, inputs of the unquantized model. The table is Markdown.

#![allow(clippy::print_stdout)] // printing is what it is for

#[path = "steps.rs"]
mod steps;

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use lowbit_calib::Hessian;
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{Hook, Model, Projections, Tokenizer, windows};

/// Second moments of the inputs of every set of projections that is run.
#[derive(Default)]
struct Moments(HashMap<String, Hessian>);

impl Hook for Moments {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> lowbit_model::Result<()> {
        let hessian = self.0.entry(projections.name()).or_insert_with(|| Hessian::new(projections.inputs()));
        hessian.observe(rows).map_err(lowbit_model::Error::hook)
    }
}

/// Moments of the inputs of some layers, on the first windows of a text.
fn moments(
    model: &Model<'_>,
    (dir, text): (&Path, &str),
    count: usize,
    layers: &[usize],
) -> Result<Moments, Box<dyn Error>> {
    let text: String = std::fs::read_to_string(text)?.chars().skip(2000).collect();
    let tokens = Tokenizer::open(dir)?.encode(&text)?;
    let mut hidden = model.embed(&windows(&tokens, 512, count)?)?;
    let mut moments = Moments::default();
    for at in 0..=layers.iter().copied().max().unwrap_or(0).min(model.layers() - 1) {
        let mut layer = model.layer(at)?;
        if layers.contains(&at) {
            layer.forward(&mut hidden, &mut moments)?;
        } else {
            layer.forward(&mut hidden, &mut ())?;
        }
    }
    Ok(moments)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, text, held_out, layers @ ..] = &args[..] else {
        return Err("say MODEL TEXT HELD_OUT LAYER…".into());
    };
    let layers: Vec<usize> = layers.iter().map(|at| at.parse()).collect::<Result<_, _>>()?;
    let dir = Path::new(dir);
    let checkpoint = Checkpoint::open(dir)?;
    let model = Model::open(&checkpoint)?;
    let mut seen = moments(&model, (dir, text), 32, &layers)?;
    let mut other = moments(&model, (dir, held_out), 8, &layers)?;
    let mut linears = Vec::new();
    for &at in &layers {
        for projections in model.layer(at)?.projections() {
            let (Some(seen), Some(held_out)) =
                (seen.0.remove(&projections.name()), other.0.remove(&projections.name()))
            else {
                continue;
            };
            for linear in &projections.linears {
                linears.push(steps::Layer {
                    name: linear.name.clone(),
                    weight: linear.weight.clone(),
                    seen: seen.clone(),
                    held_out: held_out.clone(),
                });
            }
        }
    }
    println!("{} linears of layers {layers:?}\n", linears.len());
    println!("| step | pooled dB | mean dB |\n|---|---|---|");
    let db = |power: f64, error: f64| 10.0 * (power / error).log10();
    let mut worst = Vec::new();
    for step in steps::steps() {
        let judged =
            linears.iter().map(|linear| steps::judge(&step, linear)).collect::<Result<Vec<_>, _>>()?;
        let pooled = db(judged.iter().map(|j| j.0).sum(), judged.iter().map(|j| j.1).sum());
        let mean = judged.iter().map(|j| db(j.0, j.1)).sum::<f64>() / judged.len() as f64;
        println!("| {} | {pooled:.2} | {mean:.2} |", step.name);
        let least = judged.iter().zip(&linears).map(|(j, l)| (db(j.0, j.1), &l.name));
        if let Some((lowest, name)) = least.min_by(|a, b| a.0.total_cmp(&b.0)) {
            worst.push(format!("{}: {lowest:.2} dB, {name}", step.name));
        }
    }
    println!("\nLowest of each step:\n{}", worst.join("\n"));
    Ok(())
}
