//! Quantizes a checkpoint with the library alone: plan, run, report.
//!
//! ```text
//! cargo run --release -p lowbit-checkpoint --example quantize -- testdata/austen-2m OUT nvfp4 2
//! ```

use lowbit_blocks::Format;
use lowbit_checkpoint::Job;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [source, out, format, jobs] = &args[..] else { return Err("give SOURCE OUT FORMAT JOBS".into()) };
    let mut job = Job::new(source, out);
    job.format = Format::named(format).ok_or("no such format")?;
    job.settings.jobs = jobs.parse()?;
    let report = job.plan()?.run(&())?;
    let rate = report.source_bytes as f64 / 1e9 / report.seconds;
    let text =
        format!("{:.3} bits a weight, {:.1} s, {rate:.2} GB/s\n", report.bits_per_weight, report.seconds);
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(())
}
