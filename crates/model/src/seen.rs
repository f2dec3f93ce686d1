//! What was seen of the input of one stage, while its tokens come in.

use lowbit_calib::{ChannelStats, Hessian};

use crate::{Error, Result, Stage};

/// Statistics of an input: those of single features, and how they go together where that was asked for.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) channels: ChannelStats,
    pub(crate) hessian: Option<Hessian>,
}

impl Seen {
    /// No token yet, of the input of a stage.
    pub(crate) fn nothing(stage: &Stage, hessian: bool) -> Self {
        let features = stage.inputs();
        Self { channels: ChannelStats::new(features), hessian: hessian.then(|| Hessian::new(features)) }
    }

    /// Takes in whole tokens.
    pub(crate) fn observe(&mut self, stage: &Stage, rows: &[f32]) -> Result<()> {
        let at = |e: lowbit_calib::Error| Error::hook(format!("{}: {e}", stage.name()));
        self.channels.observe(rows).map_err(at)?;
        self.hessian.as_mut().map_or(Ok(()), |hessian| hessian.observe(rows)).map_err(at)
    }
}
