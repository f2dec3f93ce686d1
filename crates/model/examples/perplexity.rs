//! `perplexity DIR TEXT [--against DIR] [--window 512] [--windows 24] [--compared 8] [--skip 2000] [--tokenizer DIR]
//! [--activations configured|amax|four-over-six]`: perplexity of a model on a text file, and its divergence from the original.
//!
//! ActivationQuantization are quantized as the checkpoint says, or all to NVFP4 by the named rule.

use lowbit_blocks::NVFP4;
use lowbit_calib::{Recipe, ScaleRule};
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{ActivationQuantization, Model, Tokenizer, windows};
use std::collections::BTreeMap;
use std::time::Instant;

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut paths, mut options) = (Vec::new(), BTreeMap::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--") {
            Some(key) => drop(options.insert(key.to_owned(), args.next().ok_or("an option has a value")?)),
            None => paths.push(arg),
        }
    }
    let [dir, text] = &paths[..] else { return Err("usage: perplexity DIR TEXT [--option value]".into()) };
    let number =
        |key: &str, default: usize| options.get(key).map_or(Ok(default), |value| value.parse::<usize>());
    let (window, count) = (number("window", 512)?, number("windows", 24)?);
    let text: String = std::fs::read_to_string(text)?.chars().skip(number("skip", 2000)?).collect();
    let tokens = Tokenizer::open(options.get("tokenizer").unwrap_or(dir))?.encode(&text)?;
    let windows = windows(&tokens, window, count)?;

    let checkpoint = Checkpoint::open(dir)?;
    let mut model = Model::open(&checkpoint)?;
    let amax = Recipe::new(NVFP4)?;
    model = match options.get("activations").map(String::as_str) {
        None => model,
        Some("configured") => model.with_activations(ActivationQuantization::AsConfigured),
        Some("amax") => model.with_activations(ActivationQuantization::All(amax)),
        Some("four-over-six") => {
            model.with_activations(ActivationQuantization::All(amax.with_scale_rule(ScaleRule::FourOverSix)?))
        }
        Some(other) => return Err(format!("--activations {other}?").into()),
    };
    let start = Instant::now();
    if let Some(against) = options.get("against") {
        let original = Checkpoint::open(against)?;
        let original = Model::open(&original)?;
        let e = model.evaluate(&original, &windows, number("compared", 8)?)?;
        println!("original {:.4}, perplexity {:.4}", e.original.perplexity(), e.loss.perplexity());
        println!("divergence {:.5}, same token {:.4}", e.divergence.mean(), e.divergence.agreement());
    } else {
        let mut hidden = model.embed(&windows)?;
        model.forward(&mut hidden, &mut ())?;
        println!("forward {:.2} s", start.elapsed().as_secs_f64());
        println!("perplexity {:.4}", model.head()?.loss(&hidden)?.perplexity());
    }
    println!("{:.2} s", start.elapsed().as_secs_f64());
    Ok(())
}
