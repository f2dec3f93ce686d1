//! The parts of a linear that do not belong to rows: tensor scales, column order, constants, and
//! parts made from the whole linear.

use super::Worker;
use crate::layout::{Holds, columns};
use crate::plan::{QuantizedUnit, Way};
use crate::run::Output;
use crate::{Error, Result};
use lowbit_blocks::{QLinear, QTensor, TensorScale};
use lowbit_calib::Quantizer;
use std::borrow::Cow;
use std::path::Path;

/// Bytes of a repeated constant that are written at a time.
const FILL: usize = 1 << 16;

impl Worker {
    /// Writes these parts. A part that is made from the whole linear needs buffers that hold all of
    /// it.
    pub(super) fn write_constants(
        &self,
        q: &QuantizedUnit,
        quantizer: Option<&Quantizer>,
        outputs: &[Output],
    ) -> Result<()> {
        let tensor_scale = match (&q.way, quantizer) {
            (Way::Transcode(transcoder), _) => transcoder.tensor_scale().clone(),
            (Way::Quantize(_), Some(quantizer)) => quantizer.tensor_scale(),
            (Way::Quantize(_), None) => TensorScale::None,
        };
        for (part, place) in &q.parts {
            let bytes = match &part.holds {
                Holds::Fixed(bytes) => bytes.clone(),
                Holds::TensorScale => tensor_scale.stored().iter().flat_map(|s| s.to_le_bytes()).collect(),
                Holds::Groups => columns::groups(&q.format, q.linear.shape.cols, q.perm.as_deref()),
                Holds::Repeated(bytes) if !bytes.is_empty() => {
                    let fill = bytes.repeat(FILL.div_ceil(bytes.len()));
                    for at in (0..part.len()).step_by(fill.len()) {
                        let len = (part.len() - at).min(fill.len() as u64) as usize;
                        outputs[place.file].write(&fill[..len], place.begin + at)?;
                    }
                    continue;
                }
                Holds::Made(make) => {
                    let made = make(&q.linear, &self.linear(q, tensor_scale.clone())?, part);
                    if made.len() as u64 != part.len() {
                        let reason = format!("{} bytes were made for {}", made.len(), part.len());
                        return Err(Error::tensor(&outputs[place.file].path, &part.name, reason));
                    }
                    made
                }
                _ => continue,
            };
            outputs[place.file].write(&bytes, place.begin)?;
        }
        Ok(())
    }

    /// The contents of the buffers as a linear.
    fn linear<'a>(&'a self, q: &'a QuantizedUnit, tensor_scale: TensorScale) -> Result<QLinear<'a>> {
        let zeros = q.format.has_zeros().then_some(Cow::Borrowed(&self.zeros[..]));
        let weight =
            QTensor::new(q.format, q.linear.shape, &self.codes[..], &self.scales[..], zeros, tensor_scale);
        let weight = weight.map_err(|e| Error::tensor(Path::new(""), &q.linear.weight, e.to_string()))?;
        Ok(QLinear { perm: q.perm.as_deref().map(Cow::Borrowed), ..QLinear::from(weight) })
    }
}
