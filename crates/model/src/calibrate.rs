//! What the inputs of a model's linears are like: one forward pass, layer by layer.

use lowbit_calib::{ChannelStats, Hessian};
use lowbit_checkpoint::{Phase, Progress, Step};

use crate::seen::Seen;
use crate::{Hook, Model, Result, Stage};

/// What was seen of the input that some linears share.
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

/// Takes the statistics of one input after the other.
pub type Take<'a> = dyn FnMut(&InputStatistics<'_>) -> Result<()> + 'a;

impl Model<'_> {
    /// Runs all layers on some sequences and hands over what each input is like, as soon as it is known: memory is one layer, its activations and
    /// one Hessian. An expert that no token chose has seen 0 tokens.
    ///
    /// # Errors
    /// As [`Model::embed`] and [`Model::forward`]; what `take` says; [`lowbit_checkpoint::Error::Cancelled`] if `progress` says so.
    pub fn calibrate<S: AsRef<[u32]>>(
        &self,
        sequences: &[S],
        hessians: bool,
        take: &mut Take<'_>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut hidden = self.embed(sequences)?;
        let total = self.layers() as u64;
        for at in 0..self.layers() {
            if progress.cancelled() {
                let dir = self.checkpoint().dir().to_owned();
                return Err(lowbit_checkpoint::Error::Cancelled { dir, done: at as u64, total }.into());
            }
            let mut collector = Collector { hessians, seen: None, take };
            self.layer(at)?.forward(&mut hidden, &mut collector)?;
            let name = format!("layer {} of {total}", at + 1);
            progress.step(Step { phase: Phase::Calibrate, name: &name, done: at as u64 + 1, total });
        }
        Ok(())
    }
}

/// Looks at every stage.
struct Collector<'a, 'b> {
    hessians: bool,
    seen: Option<Seen>,
    take: &'a mut Take<'b>,
}

impl Hook for Collector<'_, '_> {
    fn observe(&mut self, stage: &Stage, rows: &[f32]) -> Result<()> {
        let hessians = self.hessians;
        self.seen.get_or_insert_with(|| Seen::nothing(stage, hessians)).observe(stage, rows)
    }

    fn settle(&mut self, stage: &mut Stage) -> Result<()> {
        // An expert that no token chose has seen nothing.
        let Seen { channels, hessian } =
            self.seen.take().unwrap_or_else(|| Seen::nothing(stage, self.hessians));
        let modules = stage.linears.iter().map(|linear| linear.name.as_str()).collect();
        (self.take)(&InputStatistics { modules, channels: &channels, hessian: hessian.as_ref() })
    }
}
