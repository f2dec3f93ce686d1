//! The plan of a job that writes unquantized weights.

use super::units::{Copied, Decoded};
use super::{Draft, Linears, Plan, Settings, Title, Unit, companions, natural, paths, select};
use crate::arch::Arch;
use crate::layout::{self, ExtraKind, Reading};
use crate::{CONFIG, Checkpoint, Error, Result, json};
use lowbit_blocks::Dtype;
use lowbit_calib::Activations;
use serde_json::Value;
use std::path::PathBuf;

/// A job that writes the unquantized weights of a quantized checkpoint, [`plan`](Self::plan)ned
/// before anything is written.
///
/// Each weight is decoded from its codes and scales, multiplied by `pre_quant_scale` if the module
/// has one, and rounded to nearest, ties to even.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DequantizeJob {
    /// Source, output and resources.
    pub settings: Settings,
    /// Type of the weights that are written. Tensors that are not quantized in the source keep
    /// their type.
    pub dtype: Dtype,
}

impl DequantizeJob {
    /// A job that uses all cores.
    pub fn new(source: impl Into<PathBuf>, out: impl Into<PathBuf>, dtype: Dtype) -> Self {
        Self { settings: Settings::new(source, out), dtype }
    }

    /// Works out the plan. Nothing is written.
    ///
    /// # Errors
    /// Any error of the source or the output directory; a source that is not quantized.
    pub fn plan(&self) -> Result<Plan> {
        let checkpoint = Checkpoint::open(&self.settings.source)?;
        let Some(reading) = layout::read(&checkpoint)? else {
            return Err(Error::file(
                &self.settings.source,
                "is not quantized: its weights are plain already",
            ));
        };
        paths::check(&self.settings.source, &self.settings.out, self.settings.resume)?;
        let mut config = companions::plain_config(&checkpoint)?;
        let Reading { layout: from, linears, caches, sparse } = reading;
        let linears = Linears::new(&checkpoint, linears)?;
        let mut consumed = companions::consumed(&linears);
        consumed.extend(caches.iter().map(|cache| cache.tensor.clone()));
        let mut units = companions::restored(&checkpoint, sparse, &mut consumed)?;
        for (at, stored) in linears.stored.iter().enumerate() {
            let needed = [ExtraKind::Transform, ExtraKind::LowRank];
            if let Some(extra) = stored.extras.iter().find(|extra| needed.contains(&extra.kind)) {
                let reason =
                    format!("is a {}: the plain weight would be wrong without it", extra.kind.words());
                return Err(checkpoint.require(&extra.tensor)?.error(reason).into());
            }
            let linear = layout::Linear { dtype: self.dtype, ..stored.linear.clone() };
            units.push(Unit::Decoded(Decoded::new(linear, at, stored.quantum())));
        }
        for (name, why) in select::rest(&checkpoint, &Arch::new(Some(&config)), &consumed).copied {
            units.push(Unit::Copied(Copied::new(checkpoint.require(&name)?.entry, &why)));
        }
        units.sort_by(|a, b| natural(a.source(), b.source()));
        let mut warnings = checkpoint.warnings().to_vec();
        let inputs = linears.stored.iter().filter(|s| s.input_scale.is_some()).count();
        for (count, what) in [(inputs, "scales of inputs"), (caches.len(), "numbers of the key-value cache")]
        {
            if count > 0 {
                warnings.push(format!("plain weights have no place for {what}: {count} left out"));
            }
        }
        let name = match self.dtype {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
        };
        let key = if config.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        config.insert(key.into(), name.into());
        let title = Title {
            format: name.into(),
            layout: None,
            scheme: format!("from {}", from.name()),
            activations: Activations::None,
        };
        let draft = Draft {
            settings: self.settings.clone(),
            checkpoint,
            linears,
            units,
            configs: vec![(CONFIG.into(), json::dumps(&Value::Object(config), 2))],
            dropped: layout::side_files(),
            metadata: ("format", "pt"),
            title,
            warnings,
        };
        draft.finish()
    }
}
