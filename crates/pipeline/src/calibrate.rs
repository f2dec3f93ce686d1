//! The statistics of the inputs of a model's linears: one forward pass, layer by layer.

use lowbit_calib::{ChannelStats, Hessian};
use lowbit_checkpoint::{Phase, Progress, Step};
use lowbit_model::{Hook, Model, Projections};

use crate::Result;
use crate::collect::InputCollector;

/// The statistics of an input that some linears share.
#[derive(Debug)]
#[non_exhaustive]
pub struct InputStatistics<'a> {
    /// The modules of the linears that read it.
    pub modules: Vec<&'a str>,
    /// Largest values, means and mean squares of its features.
    pub channels: &'a ChannelStats,
    /// sum x x^T, if it was asked for.
    pub hessian: Option<&'a Hessian>,
}

/// The receiver of statistics, one input after the other.
pub type StatisticsSink<'a> = dyn FnMut(&InputStatistics<'_>) -> Result<()> + 'a;

/// Runs all layers of a model on some sequences and hands the statistics of each input to `sink`, as soon as they are known: memory is one layer, its
/// activations and one Hessian. An expert that no token chose has statistics of 0 tokens.
///
/// # Errors
/// As [`Model::embed`] and [`Model::forward`]; what `sink` says; [`lowbit_checkpoint::Error::Cancelled`] if `progress` says so.
///
/// ```no_run
/// use lowbit_checkpoint::Checkpoint;
/// use lowbit_model::Model;
/// use lowbit_pipeline::calibrate;
/// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
/// let model = Model::open(&checkpoint)?;
/// let tokens = model.random_tokens(4, 256, 0);
/// let mut sink = |input: &lowbit_pipeline::InputStatistics<'_>| {
///     println!("{}: {} tokens, amax {}", input.modules[0], input.channels.tokens(), input.channels.amax());
///     Ok(())
/// };
/// calibrate(&model, &tokens, false, &mut sink, &())?;
/// # Ok::<(), lowbit_pipeline::Error>(())
/// ```
pub fn calibrate<S: AsRef<[u32]>>(
    model: &Model<'_>,
    sequences: &[S],
    hessians: bool,
    sink: &mut StatisticsSink<'_>,
    progress: &dyn Progress,
) -> Result<()> {
    let mut hidden = model.embed(sequences)?;
    let total = model.layers() as u64;
    for at in 0..model.layers() {
        if progress.cancelled() {
            let dir = model.checkpoint().dir().to_owned();
            return Err(lowbit_checkpoint::Error::Cancelled { dir, done: at as u64, total }.into());
        }
        let mut hook = SinkHook { hessians, collector: None, sink };
        model.layer(at)?.forward(&mut hidden, &mut hook)?;
        let name = format!("layer {} of {total}", at + 1);
        progress.step(Step { phase: Phase::Calibrate, name: &name, done: at as u64 + 1, total });
    }
    Ok(())
}

/// Collects the statistics of one set of projections after the other.
struct SinkHook<'a, 'b> {
    hessians: bool,
    collector: Option<InputCollector>,
    sink: &'a mut StatisticsSink<'b>,
}

impl Hook for SinkHook<'_, '_> {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> lowbit_model::Result<()> {
        let hessians = self.hessians;
        self.collector
            .get_or_insert_with(|| InputCollector::new(projections, hessians))
            .observe(projections, rows)?;
        Ok(())
    }

    fn replace_weights(&mut self, projections: &mut Projections) -> lowbit_model::Result<()> {
        // An expert that no token chose has no statistics.
        let InputCollector { channels, hessian } =
            self.collector.take().unwrap_or_else(|| InputCollector::new(projections, self.hessians));
        let modules = projections.linears.iter().map(|linear| linear.name.as_str()).collect();
        let input = InputStatistics { modules, channels: &channels, hessian: hessian.as_ref() };
        Ok((self.sink)(&input)?)
    }
}
