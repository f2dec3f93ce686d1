//! Progress of long jobs: a bar with throughput and time left on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lowbit_checkpoint::{Phase, Progress, Step};

use crate::{output, units};

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub(crate) struct Shown {
    mode: Mode,
    state: Mutex<State>,
}

enum Mode {
    Quiet,
    Bar(ProgressBar),
    Lines,
}

struct State {
    phase: Option<Phase>,
    since: Instant,
    last_line: Instant,
}

impl Shown {
    /// A bar if standard error is a terminal, lines if not, nothing if `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        let now = Instant::now();
        let mode = if quiet {
            Mode::Quiet
        } else if stderr().is_terminal() {
            Mode::Bar(
                ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10))
                    .with_style(style()),
            )
        } else {
            Mode::Lines
        };
        Self { mode, state: Mutex::new(State { phase: None, since: now, last_line: now }) }
    }

    /// Removes the bar, so that the answer can follow.
    pub(crate) fn finish(&self) {
        if let Mode::Bar(bar) = &self.mode {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn step(&self, step: Step<'_>) {
        if let Mode::Quiet = self.mode {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let begins = state.phase != Some(step.phase);
        let now = Instant::now();
        if begins {
            (state.phase, state.since, state.last_line) = (Some(step.phase), now, now);
        }
        match &self.mode {
            Mode::Quiet => {}
            Mode::Bar(bar) => {
                if begins {
                    bar.reset();
                    bar.set_prefix(word(step.phase));
                }
                bar.set_message(step.name.to_owned());
                bar.set_length(step.total);
                bar.set_position(step.done);
            }
            Mode::Lines if now - state.last_line >= LINE_EVERY => {
                state.last_line = now;
                output::note(&line(&step, now - state.since));
            }
            Mode::Lines => {}
        }
    }
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scanning",
        Phase::Calibrate => "calibrating",
        Phase::Quantize => "quantizing",
        Phase::Compare => "comparing",
        Phase::Verify => "verifying",
        Phase::Finish => "finishing",
        _ => "working",
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(
        "{prefix:>10} [{bar:20}] {decimal_bytes:>9} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left  {wide_msg}",
    )
    .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
}

/// `quantizing: 1.20 GB of 4.00 GB (30 %), 812 MB/s, 3.4 s left, model.layers.7.mlp.up_proj.weight`
fn line(step: &Step<'_>, elapsed: Duration) -> String {
    let (done, total) = (step.done, step.total.max(step.done).max(1));
    let rate = done as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = Duration::try_from_secs_f64((total - done) as f64 / rate.max(1.0)).unwrap_or(Duration::MAX);
    format!(
        "{}: {} of {} ({} %), {}/s, {} left, {}",
        word(step.phase),
        units::size(done),
        units::size(total),
        100 * done / total,
        units::size(rate as u64),
        units::time(left),
        step.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long() {
        let step = Step { phase: Phase::Quantize, name: "w", done: 1_000_000_000, total: 4_000_000_000 };
        let text = line(&step, Duration::from_secs(2));
        assert_eq!(text, "quantizing: 1.00 GB of 4.00 GB (25 %), 500 MB/s, 6.0 s left, w");
    }

    #[test]
    fn a_line_survives_nothing_done() {
        let step = Step { phase: Phase::Scan, name: "w", done: 0, total: 0 };
        assert!(line(&step, Duration::ZERO).starts_with("scanning: 0 B of 1 B (0 %)"));
    }
}
