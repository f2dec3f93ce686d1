//! Double quantization of bitsandbytes: absmax values that are quantized themselves.
//!
//! ```text
//! read    absmax[i] = map[code[i]] * nested[i / 256] + offset                 f32, product and sum rounded
//! write   offset    = mean of absmax                                          summed in f64: bitsandbytes' own sum depends on its threads
//!         nested[j] = largest |absmax[i] - offset| of 256
//!         code[i]   = the entry of map nearest to (absmax[i] - offset) / nested[i / 256]; the lower one if tied
//! map     0, 1 and +-10^(e-6) times the centres of 2^e equal parts of 0.1 .. 1, for e from 0 to 6; sorted
//! ```
//!
//! Files contain the map, and readers use it. Sources: `functional.py` (`create_dynamic_map`,
//! `quantize_4bit`), `backends/default/ops.py`.

use super::super::stored::read_floats;
use super::super::{Holds, Linear, Part, Stored};
use super::state::{self, NESTED_BLOCKSIZE, SUFFIXES, State};
use crate::{Checkpoint, Error, Result};
use lowbit_blocks::{QLinear, QTensor, Shape, TensorScale};
use lowbit_container::safetensors::Dtype;

/// Name suffixes of the tensors with the second level.
pub(super) const ABSMAX: &str = ".nested_absmax";
pub(super) const MAP: &str = ".nested_quant_map";

/// Assembles one matrix.
pub(super) fn assemble(stored: &Stored, checkpoint: &Checkpoint, matrix: usize) -> Result<QTensor<'static>> {
    let (format, shape, name) = (&stored.format, stored.linear.shape, &stored.linear.weight);
    let state = SUFFIXES.iter().find(|(_, element)| *element == format.element);
    let text = checkpoint.require(&format!("{name}{}", state.map_or("", |(suffix, _)| suffix)))?;
    let nested = State::read(text, format.element)?
        .nested
        .ok_or_else(|| text.error("says nothing of nested absmax"))?;
    let absmax = checkpoint.require(&format!("{name}.absmax"))?;
    let scales = read_floats(checkpoint.require(&format!("{name}{ABSMAX}"))?)?;
    let map = read_floats(checkpoint.require(&format!("{name}{MAP}"))?)?;
    let blocks = format.blocks_range(shape, matrix, 0..shape.rows);
    let mut codes = vec![0; blocks.len()];
    absmax.read(blocks.start as u64, &mut codes)?;
    // Validated before: the map has 256 values, and there is a scale for each block of absmax
    // values.
    let absmax = codes.iter().zip(blocks).flat_map(|(&code, block)| {
        (map[usize::from(code)] * scales[block / nested.blocksize] + nested.offset).to_le_bytes()
    });
    let packed = stored.parts.iter().find(|part| matches!(part.holds, Holds::Codes(_)));
    let packed = packed.ok_or_else(|| Error::tensor(checkpoint.dir(), name, "there are no codes"))?;
    let rows = 0..shape.rows;
    let mut codes = vec![0; format.codes_range(shape, matrix, rows.clone()).len()];
    stored.read_part(checkpoint, packed, matrix, &rows, &mut codes)?;
    QTensor::new(
        *format,
        Shape { matrices: 1, ..shape },
        codes,
        absmax.collect::<Vec<_>>(),
        None,
        TensorScale::None,
    )
    .map_err(|e| Error::tensor(checkpoint.dir(), name, e.to_string()))
}

/// Absmax values in two levels.
struct TwoLevels {
    codes: Vec<u8>,
    scales: Vec<f32>,
    offset: f32,
}

impl TwoLevels {
    fn of(linear: &QLinear<'_>) -> Self {
        let absmax = linear.weight.effective_scales(0);
        let sum: f64 = absmax.iter().map(|&x| f64::from(x)).sum();
        let offset = (sum / absmax.len().max(1) as f64) as f32;
        let map = map();
        let cuts: Vec<f32> = map.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
        let (mut codes, mut scales) = (Vec::with_capacity(absmax.len()), Vec::new());
        for block in absmax.chunks(NESTED_BLOCKSIZE) {
            let scale = block.iter().fold(0.0f32, |max, x| max.max((x - offset).abs()));
            let code = |x: &f32| {
                // If all absmax values of a block are equal, only the offset remains.
                let part = if scale == 0.0 { 0.0 } else { (x - offset) / scale };
                cuts.partition_point(|cut| *cut < part) as u8
            };
            codes.extend(block.iter().map(code));
            scales.push(scale);
        }
        Self { codes, scales, offset }
    }
}

/// The parts of `blocks` absmax values in blocks of `blocksize`.
pub(super) fn parts(weight: &str, blocks: usize, blocksize: usize) -> [Part; 3] {
    let part = |suffix, dtype, length| Part::new(weight, suffix, dtype, vec![length], Holds::Made(write));
    [
        part("absmax", Dtype::U8, blocks),
        part("nested_absmax", Dtype::F32, blocks.div_ceil(blocksize)),
        part("nested_quant_map", Dtype::F32, 256),
    ]
}

/// The bytes of a part: the codes, their scales, the map, or the text.
pub(super) fn write(own: &Linear, linear: &QLinear<'_>, part: &Part) -> Vec<u8> {
    let bytes = |floats: &[f32]| floats.iter().flat_map(|x| x.to_le_bytes()).collect();
    match part.name.rsplit('.').next() {
        Some("absmax") => TwoLevels::of(linear).codes,
        Some("nested_absmax") => bytes(&TwoLevels::of(linear).scales),
        Some("nested_quant_map") => bytes(&map()),
        _ => state::text(own, &linear.weight.format(), Some(TwoLevels::of(linear).offset)).into_bytes(),
    }
}

/// The 256 values of `create_dynamic_map()`, denser around zero.
fn map() -> Vec<f32> {
    let mut map = vec![0.0, 1.0];
    for e in 0..7 {
        let (parts, power) = (1usize << e, 10f64.powi(e - 6) as f32);
        let step = (1.0 - 0.1f32) / parts as f32;
        // torch.linspace computes each value from the nearer end.
        let edge = |i: usize| {
            if i < parts.div_ceil(2) { 0.1 + step * i as f32 } else { 1.0 - step * (parts - i) as f32 }
        };
        for part in 0..parts {
            let middle = (edge(part) + edge(part + 1)) / 2.0 * power;
            map.extend([middle, -middle]);
        }
    }
    map.sort_by(f32::total_cmp);
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// The table follows the rule of torch.linspace. torch's own vectors may differ in the last bit
    /// of an edge.
    #[test]
    fn the_map_is_bitsandbytes_own() {
        let map = map();
        assert!(map.len() == 256 && map.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((map[0], map[127], map[255]), (-0.99296874, 0.0, 1.0));
        let bytes: Vec<u8> = map.iter().flat_map(|x| x.to_le_bytes()).collect();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, "dad4c269c3243d1705f6b979dccb61efb8d1074812ecf8d79255a82f60671763");
    }
}
