//! Text for a model: from files to tokens to windows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use lowbit_checkpoint::{Checkpoint, Progress};
use lowbit_model::{Model, Tokenizer};

use crate::args::{CalibrationText, Synthetic, WindowOptions};

/// Default number of windows of a calibration.
const CALIBRATION: usize = 32;

/// Seed of `--synthetic`: it makes the same tokens each time.
const SEED: u64 = 0;

/// The windows to calibrate on: tokens of text, or synthetic ones.
pub(crate) fn calibration(
    dir: &Path,
    options: &CalibrationText,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u32>>> {
    let WindowOptions { size, count, .. } = options.windows;
    let count = count.unwrap_or(CALIBRATION);
    match options.synthetic {
        None => windows(dir, &options.text, &options.windows, CALIBRATION),
        Some(how) => {
            let checkpoint = Checkpoint::open(dir)?;
            let model = Model::open(&checkpoint)?;
            match how {
                Synthetic::Random => Ok(model.random_tokens(count, size, SEED)),
                Synthetic::Written => Ok(model.sample(count, size, SEED, progress)?),
            }
        }
    }
}

/// The windows of some files, which are read one after the other and tokenized by the model's
/// tokenizer. Without a count in the options there are `default` of them, or as many as the text
/// has.
pub(crate) fn windows(
    dir: &Path,
    files: &[PathBuf],
    options: &WindowOptions,
    default: usize,
) -> Result<Vec<Vec<u32>>> {
    let mut text = String::new();
    for path in files {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let part = String::from_utf8(bytes)
            .map_err(|e| anyhow::anyhow!("{} is not UTF-8 text: {}", path.display(), e.utf8_error()))?;
        text.push_str(&part);
    }
    let start = match options.skip_chars {
        0 => 0,
        skip => match text.char_indices().nth(skip) {
            Some((at, _)) => at,
            None => bail!("--skip-chars {skip} leaves nothing of {} characters", text.chars().count()),
        },
    };
    let tokens = Tokenizer::open(dir)?.encode(&text[start..])?;
    let most = tokens.len() / options.size.max(1);
    let count = options.count.unwrap_or(default.min(most).max(1));
    Ok(lowbit_model::windows(&tokens, options.size, count)?.into_iter().map(<[u32]>::to_vec).collect())
}
