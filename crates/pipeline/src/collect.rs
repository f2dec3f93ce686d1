//! Statistics of the input that the linears of one set of projections read, while its tokens come in and when all of them have.

use lowbit_calib::{ChannelStats, Drift, Hessian};
use lowbit_model::Projections;

use crate::{Error, Result};

/// Statistics of an input while its tokens come in: of single features, and of pairs of them where that is asked for.
#[derive(Debug)]
pub(crate) struct InputCollector {
    pub(crate) channels: ChannelStats,
    pub(crate) hessian: Option<Hessian>,
}

impl InputCollector {
    /// No token yet, of the input of a set of projections.
    pub(crate) fn new(projections: &Projections, hessian: bool) -> Self {
        let features = projections.inputs();
        Self { channels: ChannelStats::new(features), hessian: hessian.then(|| Hessian::new(features)) }
    }

    /// Takes in whole tokens.
    pub(crate) fn observe(&mut self, projections: &Projections, rows: &[f32]) -> Result<()> {
        self.channels.observe(rows).map_err(|e| Error::method(&projections.name(), e))?;
        let hessian = self.hessian.as_mut().map_or(Ok(()), |hessian| hessian.observe(rows));
        hessian.map_err(|e| Error::method(&projections.name(), e))
    }
}

/// The statistics of an input, as a solver takes them.
#[derive(Debug, Default)]
pub(crate) struct InputSummary {
    pub(crate) tokens: u64,
    /// E\[x^2\] of each feature.
    pub(crate) squares: Vec<f32>,
    /// The largest magnitude.
    pub(crate) amax: Option<f32>,
    /// For methods that need it.
    pub(crate) hessian: Option<Hessian>,
    /// Where the original model's inputs are known.
    pub(crate) drift: Option<Drift>,
}
