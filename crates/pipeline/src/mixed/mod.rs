//! Mixed precision: which format each linear of a model gets, so that a given number of bits loses least.
//!
//! ```text
//! text ──► inputs of every set of projections ──► what each format costs its outputs: tr(D H D^T)          cost.rs
//!      ──► KL divergence of the model with one set of projections in the coarsest format                   probe.rs
//!                        score of (projections, format) = KL of the projections * its loss in the format / its loss in the coarsest
//!      ──► multiple-choice knapsack, exactly                                                  lowbit_calib::mixed
//! ```
//!
//! Linears that read the same input are one decision, as engines fuse them; so are all experts of a layer.

mod cost;
mod probe;

use std::collections::BTreeMap;

use lowbit_blocks::Format;
use lowbit_calib::mixed::{Candidate, NODES, choose};
use lowbit_checkpoint::{Checkpoint, Choice, Job, Phase, Progress, Step};
use lowbit_model::Model;
use serde::Serialize;

use crate::method::{Method, Methods};
use crate::{Error, Result};
use cost::{CostCollector, GroupCost};
use probe::Probe;

/// The measure of a model's sensitivity to the error of a layer's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sensitivity {
    /// By the KL divergence that each set of projections alone causes, on the first sequences: the number of forward passes is that of the projections.
    #[default]
    Probe,
    /// Every output's relative error counts the same.
    Output,
}

/// A choice of formats under a budget.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MixedJob {
    /// Source, layout, selection. Its format is not read.
    pub job: Job,
    /// Formats that linears may be stored in; `None` leaves one as it is.
    pub formats: Vec<Option<Format>>,
    /// Bits for each weight that is chosen for, on average, at most.
    pub bits: f64,
    /// How codes will be chosen: losses are those that it leaves.
    pub method: Method,
    /// The weights of losses.
    pub sensitivity: Sensitivity,
    /// Sequences that KL divergences are taken on.
    pub probed: usize,
}

/// Linears that get the same format, and the cost of each format.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct MixedGroup {
    /// `layers.0.qkv` …
    pub name: String,
    /// Its linears.
    pub modules: Vec<String>,
    /// Weights in them.
    pub weights: u64,
    /// Format (or `none`), bits for each weight, score: in the order of the job's formats.
    pub candidates: Vec<(String, f64, f64)>,
    /// The candidate that is taken.
    pub pick: usize,
}

/// Which format each linear gets.
#[derive(Clone, Debug, Serialize)]
pub struct Mix {
    /// The decisions, in the order of the model.
    pub groups: Vec<MixedGroup>,
    /// Bits for each weight, on average.
    pub bits: f64,
    /// The expected loss of the choice: nats of KL divergence if probed.
    pub score: f64,
    /// No choice within the budget is expected to lose less than this.
    pub bound: f64,
    /// Format of each module; absent or `None`: as it is.
    #[serde(skip)]
    pub formats: BTreeMap<String, Option<Format>>,
}

impl MixedJob {
    /// A job that chooses among these formats, for scales that are searched; other methods are set.
    ///
    /// ```no_run
    /// use lowbit_blocks::{FP8_CHANNEL, NVFP4};
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method, MixedJob};
    /// let job = Job::new("llama", "llama-mixed");
    /// let mixed = MixedJob::new(job.clone(), vec![Some(NVFP4), Some(FP8_CHANNEL)], 5.0);
    /// assert_eq!(mixed.bits, 5.0);
    /// ```
    pub fn new(job: Job, formats: Vec<Option<Format>>, bits: f64) -> Self {
        let method = Method { method: Methods::Sweep, ..Method::default() };
        Self { job, formats, bits, method, sensitivity: Sensitivity::default(), probed: 2 }
    }

    /// Runs the original model on some sequences, and chooses.
    ///
    /// # Errors
    /// Whatever is wrong with the model, the text or a format; [`lowbit_calib::Error::Budget`] where even the cheapest formats need more bits.
    ///
    /// ```no_run
    /// use lowbit_blocks::{FP8_CHANNEL, NVFP4};
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method, MixedJob};
    /// let job = Job::new("llama", "llama-mixed");
    /// let mixed = MixedJob::new(job.clone(), vec![Some(NVFP4), Some(FP8_CHANNEL)], 5.0);
    /// let mix = mixed.choose(&[[1, 2, 3, 4]], &())?;
    /// let mut job = CalibratedJob::new(job, Method::default());
    /// job.formats = mix.formats;
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn choose<S: AsRef<[u32]>>(&self, sequences: &[S], progress: &dyn Progress) -> Result<Mix> {
        let mut choices: Vec<BTreeMap<String, Choice>> = Vec::new();
        for format in self.formats.iter().flatten() {
            let fits = self.job.scale_rule.filter(|rule| rule.fits(format));
            let mut job = self.job.clone();
            (job.format, job.scale_rule) = (*format, fits);
            let of_format = job.choices(progress)?;
            choices.push(of_format.into_iter().map(|c| (c.linear.module.clone(), c)).collect());
        }
        let checkpoint = Checkpoint::open(&self.job.settings.source)?;
        let model = Model::open(&checkpoint)?;
        let probe = match self.sensitivity {
            Sensitivity::Probe => Some(Probe::new(&model, &sequences[..self.probed.min(sequences.len())])?),
            Sensitivity::Output => None,
        };
        let mut hidden = model.embed(sequences)?;
        let mut costs: Vec<GroupCost> = Vec::new();
        for at in 0..model.layers() {
            if progress.cancelled() {
                let (dir, total) = (self.job.settings.source.clone(), model.layers() as u64);
                return Err(lowbit_checkpoint::Error::Cancelled { dir, done: at as u64, total }.into());
            }
            let mut collector =
                CostCollector::new(&self.formats, &choices, &self.method, self.job.settings.kernels);
            let mut layer = model.layer(at)?;
            layer.forward(&mut hidden, &mut collector)?;
            for mut group in collector.finish() {
                if let Some(probe) = &probe {
                    group.weight = probe.divergence(&model, at, std::mem::take(&mut group.coarsest))?;
                } else {
                    // An output's error relative to the output.
                    group.weight = group.loss_of_coarsest() / group.power.max(f64::MIN_POSITIVE);
                    group.coarsest = Default::default();
                }
                costs.push(group);
            }
            let (done, total) = (at as u64 + 1, model.layers() as u64);
            let name = format!("layer {done} of {total}");
            progress.step(Step { phase: Phase::Calibrate, name: &name, done, total });
        }
        self.solve(&costs)
    }

    fn solve(&self, costs: &[GroupCost]) -> Result<Mix> {
        let candidates: Vec<Vec<Candidate>> = costs.iter().map(GroupCost::candidates).collect();
        let weights: u64 = costs.iter().map(|group| group.weights).sum();
        if weights == 0 {
            return Err(Error::Method {
                linear: "the model".into(),
                reason: "nothing in it is quantized".into(),
            });
        }
        let budget = (self.bits * weights as f64).floor().max(0.0) as u64;
        let choice = choose(&candidates, budget, NODES)?;
        let name = |format: &Option<Format>| format.map_or("none".to_owned(), |f| f.name());
        let group = |(at, group): (usize, &GroupCost)| MixedGroup {
            name: group.name.clone(),
            modules: group.modules.clone(),
            weights: group.weights,
            candidates: (self.formats.iter().zip(&candidates[at]))
                .map(|(format, c)| (name(format), c.cost as f64 / group.weights.max(1) as f64, c.score))
                .collect(),
            pick: choice.picks[at],
        };
        let groups: Vec<MixedGroup> = costs.iter().enumerate().map(group).collect();
        let picks = groups.iter().flat_map(|g| g.modules.iter().map(|m| (m.clone(), self.formats[g.pick])));
        let formats = picks.collect();
        let bits = choice.cost as f64 / weights as f64;
        Ok(Mix { groups, bits, score: choice.score, bound: choice.bound, formats })
    }
}
