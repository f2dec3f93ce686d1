//! Number lines: the values of a format for one block as ticks, and the values to which the block's
//! weights are rounded.
//!
//! ```text
//!   weights      · ·  ··  ···· ·· ·  ·        as they are
//!                 \|   |  ||||  |  | /
//!   codes      |     |  |  |||||  |  |    |   every value of the element times the block's scale
//! ```

use std::fmt::Write as _;

use lowbit_blocks::Shape;
use lowbit_calib::Recipe;

use super::svg::{element, escape, number};

/// One block of weights in one format.
#[derive(Clone, Debug)]
pub(super) struct NumberLine {
    /// Format and scale, in words.
    pub(super) title: String,
    /// The original weights.
    pub(super) weights: Vec<f32>,
    /// The weights after quantization.
    pub(super) restored: Vec<f32>,
    /// All values that the block can represent.
    pub(super) values: Vec<f32>,
}

impl NumberLine {
    /// Quantizes the first `shown` weights of a row. A second block holds the largest magnitude of
    /// their matrix, so that the tensor scale is the matrix's. `None` if the format's blocks are
    /// not groups of a row, or are longer than the row.
    pub(super) fn of(recipe: &Recipe, name: &str, row: &[f32], shown: usize, amax: f32) -> Option<Self> {
        let format = recipe.format;
        let len = format.block.group()?;
        let mut blocks = row.get(..len)?.to_vec();
        blocks.resize(2 * len, 0.0);
        *blocks.last_mut()? = amax;
        let quantized = recipe.quantize(Shape::matrix(1, 2 * len), &blocks[..]).ok()?;
        let scale = *quantized.effective_scales(0).first()?;
        let zero = quantized.zeros().and_then(|zeros| zeros.first()).map_or(0.0, |zero| f32::from(*zero));
        let codes = 0..=u8::try_from((1u32 << format.element.bits()) - 1).ok()?;
        let values = codes.map(|code| (format.element.decode_one(code) - zero) * scale);
        let mut values: Vec<f32> = values.filter(|value| value.is_finite()).collect();
        values.sort_by(f32::total_cmp);
        values.dedup();
        let title =
            format!("{name}: scale {} of {len} weights, {}", number(f64::from(scale)), scale_words(recipe));
        let shown = shown.min(len);
        let restored = quantized.to_f32_vec()[..shown].to_vec();
        Some(Self { title, weights: blocks[..shown].to_vec(), restored, values })
    }

    /// The squared error divided by the squared weights.
    pub(super) fn relative_error(&self) -> f64 {
        let square = |x: f32| f64::from(x) * f64::from(x);
        let error: f64 = self.weights.iter().zip(&self.restored).map(|(w, r)| square(w - r)).sum();
        let power: f64 = self.weights.iter().map(|w| square(*w)).sum();
        if power == 0.0 { 0.0 } else { error / power }
    }

    /// The number line as SVG, from -`reach` to `reach`.
    pub(super) fn svg(&self, reach: f32) -> String {
        let at = |v: f32| 360.0 + 340.0 * f64::from((v / reach.max(f32::MIN_POSITIVE)).clamp(-1.0, 1.0));
        let mut body = format!(
            "<text x=8 y=14 class=l>{}</text><text x=712 y=14 text-anchor=end>relative error {:.2} %</text>",
            escape(&self.title),
            100.0 * self.relative_error()
        );
        body.push_str("<line class=g x1=20 x2=700 y1=30 y2=30 /><line class=a x1=20 x2=700 y1=72 y2=72 />");
        for value in self.values.iter().filter(|v| v.abs() <= 1.02 * reach) {
            let _ = write!(
                body,
                "<line class=t x1={0:.1} x2={0:.1} y1=66 y2=78><title>{1}</title></line>",
                at(*value),
                number(f64::from(*value))
            );
        }
        for (weight, restored) in self.weights.iter().zip(&self.restored) {
            let (from, to) = (at(*weight), at(*restored));
            let hint = format!("{} becomes {}", number(f64::from(*weight)), number(f64::from(*restored)));
            let _ = write!(
                body,
                "<line class=m x1={from:.1} y1=30 x2={to:.1} y2=66 /><circle class=w cx={from:.1} cy=30 r=3><title>{hint}</title></circle>"
            );
        }
        element(86.0, &body)
    }
}

/// The type of the scale, in words.
fn scale_words(recipe: &Recipe) -> String {
    let scale = recipe.format.scale;
    let name = scale.kind.name().to_uppercase();
    match scale.outer.count() {
        _ if scale.kind.is_power_of_two() => format!("{name}, a power of two"),
        Some(blocks) => format!("{name} under one number for {blocks} blocks"),
        None if scale.kind.is_small_float() && recipe.format.has_tensor_scale() => {
            format!("{name} and the matrix's own")
        }
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use lowbit_blocks::{MXFP4, NVFP4};

    use super::*;

    #[test]
    fn a_power_of_two_misses_what_a_finer_scale_meets() {
        // 5 is 6 * 0.8333: E4M3 has 0.8125 and 0.875, E8M0 only 1.
        let mut row = vec![0.1f32; 32];
        row[0] = 5.0;
        let line = |format, name| NumberLine::of(&Recipe::new(format).unwrap(), name, &row, 16, 5.0).unwrap();
        let (nv, mx) = (line(NVFP4, "nvfp4"), line(MXFP4, "mxfp4"));
        assert_eq!((nv.restored[0], mx.restored[0]), (5.0, 4.0));
        assert!(nv.relative_error() < mx.relative_error());
        assert_eq!(nv.values.len(), 15); // of 16 codes, -0 is 0
        assert!(nv.title.contains("E4M3") && mx.title.contains("power of two"), "{} {}", nv.title, mx.title);
        let svg = mx.svg(5.0);
        assert_eq!((svg.matches("<circle").count(), svg.matches("class=t").count()), (16, 13));
    }

    #[test]
    fn what_has_no_groups_has_no_line() {
        let recipe = Recipe::new(lowbit_blocks::INT8).unwrap();
        assert!(NumberLine::of(&recipe, "int8", &[1.0; 64], 16, 1.0).is_none());
        let recipe = Recipe::new(MXFP4).unwrap();
        assert!(NumberLine::of(&recipe, "mxfp4", &[1.0; 16], 16, 1.0).is_none());
    }
}
