//! `lowbit eval`: the perplexity of a model on text, and its distance from the original.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context as _, Result};
use lowbit_calib::ScaleRule;
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{ActivationQuantization, Model};
use serde_json::json;

use crate::args::{EvalArgs, Simulated};
use crate::output::{say, say_json};
use crate::text;
use crate::units::time;

/// Default number of windows.
const WINDOWS: usize = 24;

pub(crate) fn run(args: &EvalArgs) -> Result<()> {
    let start = Instant::now();
    let checkpoint = Checkpoint::open(&args.dir)?;
    let activations = match args.activations {
        Simulated::None => ActivationQuantization::None,
        Simulated::Configured => ActivationQuantization::AsConfigured,
        Simulated::FourOverSix => ActivationQuantization::WithRule(ScaleRule::FourOverSix),
    };
    let model = Model::open(&checkpoint)?.with_activations(activations);
    let windows = text::windows(&args.dir, &args.text.text, &args.text.windows, WINDOWS)?;
    let tokens: usize = windows.iter().map(Vec::len).sum();
    let mut lines = String::new();
    let mut figures = json!({
        "model": args.dir, "windows": windows.len(), "window": args.text.windows.size, "tokens": tokens,
    });
    let loss = match &args.against {
        None => model.loss(&windows)?,
        Some(dir) => {
            let original = Checkpoint::open(dir)?;
            let original = Model::open(&original)?;
            let compared = args.compared.unwrap_or(windows.len()).min(windows.len());
            let both = model
                .evaluate(&original, &windows, compared)
                .with_context(|| format!("against {}", dir.display()))?;
            let (kl, agreement) = (both.divergence.mean(), both.divergence.agreement());
            let _ = writeln!(lines, "original    {:.4} ({})", both.original.perplexity(), dir.display());
            let _ = writeln!(
                lines,
                "KL          {kl:.5} nats a token, over {} tokens",
                both.divergence.positions
            );
            let _ = writeln!(lines, "top-1       {:.2} % agree", 100.0 * agreement);
            figures["original_perplexity"] = json!(both.original.perplexity());
            figures["kl"] = json!(kl);
            figures["top1_agreement"] = json!(agreement);
            figures["compared_tokens"] = json!(both.divergence.positions);
            both.loss
        }
    };
    figures["perplexity"] = json!(loss.perplexity());
    figures["loss"] = json!(loss.mean());
    if args.json {
        return say_json(&figures);
    }
    say(format!(
        "{}: {} windows of {} tokens, {}\nperplexity  {:.4}\n{lines}",
        args.dir.display(),
        windows.len(),
        args.text.windows.size,
        time(start.elapsed()),
        loss.perplexity()
    ))
}
