//! `lowbit report`: one self-contained HTML page about a quantized model.
//!
//! ```text
//! data.rs     figures of every linear, histograms, candidates: one pass over two checkpoints
//! lines.rs    number lines: where the weights of a block go in each format
//! svg.rs      charts
//! page.rs     the page
//! ```

mod data;
mod lines;
mod page;
mod svg;

use anyhow::{Context as _, Result};
use lowbit_pipeline::Statistics;

use crate::args::ReportArgs;
use crate::output::say;
use crate::progress::Shown;
use crate::units::size;

pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let statistics = args.stats.as_deref().map(Statistics::open).transpose()?;
    let progress = Shown::new(args.quiet);
    let collected = data::collect(&args.dir, &args.against, statistics.as_ref(), &progress);
    progress.finish();
    let page = page::html(&collected?);
    std::fs::write(&args.output, &page).with_context(|| format!("cannot write {}", args.output.display()))?;
    say(format!("{}: {}, open it in a browser\n", args.output.display(), size(page.len() as u64)))
}
