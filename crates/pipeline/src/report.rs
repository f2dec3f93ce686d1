//! Reports: the error of each linear and the totals of a job.

use lowbit_checkpoint::Report;
use serde::{Deserialize, Serialize};

/// One quantized linear.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinearReport {
    /// Its module.
    pub module: String,
    /// Its format.
    pub format: String,
    /// Tokens of its input.
    pub tokens: u64,
    /// Mean square of an output vector over these tokens: tr(W H W^T) / tokens.
    pub power: f64,
    /// Mean squared error of an output vector if every weight is rounded by itself, under the same scales.
    pub rtn: f64,
    /// Mean squared error of an output vector as it is written.
    pub loss: f64,
}

impl LinearReport {
    /// Signal to noise of the output on the calibration tokens, in dB; infinite where nothing was lost.
    ///
    /// ```
    /// let linear = lowbit_pipeline::LinearReport {
    ///     module: "model.layers.0.mlp.down_proj".into(), format: "NVFP4".into(), tokens: 8, power: 100.0, rtn: 2.0, loss: 1.0,
    /// };
    /// assert_eq!(linear.output_db(), 20.0);
    /// ```
    pub fn output_db(&self) -> f64 {
        if self.loss == 0.0 { f64::INFINITY } else { 10.0 * (self.power / self.loss).log10() }
    }
}

/// The result of a job.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// The linears of the layers, in the order in which they were quantized.
    pub linears: Vec<LinearReport>,
    /// Tokens of the calibration.
    pub tokens: usize,
    /// Layers that an earlier run had done.
    pub resumed_layers: usize,
    /// Seconds of calibration and choosing codes.
    pub seconds: f64,
    /// The writing of the output.
    #[serde(flatten)]
    pub written: Report,
}

impl ModelReport {
    /// Signal to noise over all outputs, in dB: each linear counts alike.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Job;
    /// use lowbit_pipeline::{CalibratedJob, Method};
    /// let report = CalibratedJob::new(Job::new("llama", "llama-nvfp4"), Method::default()).run(&[[1, 2, 3]], &())?;
    /// println!("{:.2} dB", report.mean_output_db());
    /// # Ok::<(), lowbit_pipeline::Error>(())
    /// ```
    pub fn mean_output_db(&self) -> f64 {
        let lost: f64 = self.linears.iter().map(|l| l.loss / l.power.max(f64::MIN_POSITIVE)).sum();
        10.0 * (self.linears.len() as f64 / lost).log10()
    }
}
