//! What does not change: scaling by powers of two, and quantizing what is quantized already.

mod support;

use lowbit_blocks::{
    Block, Dtype, Element, FORMATS, Format, MXFP4, MXFP8, NVFP4, QTensor, ScaleKind, Shape, TensorScale,
    Values,
};
use lowbit_calib::{Out, Recipe, ScaleRule};
use lowbit_kernels::Kernels;
use proptest::prelude::*;
use support::blocks::{any_block, quantize_row};

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// The stored scales as numbers.
fn scales(q: &QTensor<'_>) -> Vec<f32> {
    let kind = q.format().scale.kind;
    let mut scales = vec![0.0; q.scales().len() / kind.bytes()];
    kind.decode_into(q.scales(), &mut scales);
    scales
}

/// One row with the tensor scale given.
fn with_tensor_scale(recipe: &Recipe, row: &[f32], scale: f32) -> QTensor<'static> {
    let (shape, scale) = (Shape::matrix(1, row.len()), TensorScale::Multiply(vec![scale]));
    let quantizer = recipe.quantizer_with_tensor_scale(shape, Dtype::F32, &scale, Kernels::best()).unwrap();
    let (mut codes, mut scales) = (vec![0; row.len() / 2], vec![0; row.len() / 16]);
    let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
    quantizer.quantize_rows(0, 0, Values::F32(row), out).unwrap();
    QTensor::new(recipe.format, shape, codes, scales, None, scale).unwrap()
}

proptest! {
    #![proptest_config(config(64))]

    /// Codes stay, scales or the tensor scale take the power: every format, every rule but `ceil-log2`.
    #[test]
    fn powers_of_two_only_move_the_scale(mut row in any_block(Element::E2m1, 128), power in -30..30i32) {
        // A zero block keeps the scale that stands for zero.
        row.chunks_mut(16).filter(|block| block.iter().all(|x| *x == 0.0)).for_each(|block| block[0] = 1.0);
        let factor = (power as f32).exp2();
        let scaled: Vec<f32> = row.iter().map(|x| x * factor).collect();
        // UE5M3, and the f16 of super-blocks, do not reach that far.
        let reaches = |format: &Format| {
            let narrow = format.scale.kind.is_small_float() && !format.has_tensor_scale();
            !narrow && format.scale.outer.count().is_none()
        };
        for format in FORMATS.iter().map(|(_, format)| format).filter(|format| reaches(format)) {
            // All but the one rule whose logarithm is coarser the further from 1 a scale is.
            for rule in ScaleRule::fitting(format).filter(|rule| *rule != ScaleRule::CeilLog2) {
                let recipe = Recipe::new(*format).unwrap().with_scale_rule(rule).unwrap();
                let (one, two) = (quantize_row(&recipe, &row), quantize_row(&recipe, &scaled));
                prop_assert_eq!(one.codes(), two.codes(), "{} {}", format, rule);
                prop_assert_eq!(one.zeros(), two.zeros());
                if format.has_tensor_scale() {
                    prop_assert_eq!(one.scales(), two.scales());
                    prop_assert_eq!(one.tensor_scale().stored()[0] * factor, two.tensor_scale().stored()[0]);
                } else {
                    let moved: Vec<f32> = scales(&one).iter().map(|scale| scale * factor).collect();
                    prop_assert_eq!(moved, scales(&two), "{} {}", format, rule);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    /// The largest value keeps its code, so the second time finds the same scale, bit for bit.
    #[test]
    fn anchored_rules_are_idempotent(row in any_block(Element::E2m1, 64)) {
        let int4 = Format::int(4, Block::Group(32));
        let cases = [
            (MXFP4, ScaleRule::Even),
            (MXFP4, ScaleRule::Floor),
            (MXFP8, ScaleRule::Floor),
            (int4, ScaleRule::Narrow),
            (int4, ScaleRule::FullRange),
            (int4.with_scale(ScaleKind::F32), ScaleRule::FullRange),
            (Format::int(8, Block::Channel).with_scale(ScaleKind::Bf16), ScaleRule::Narrow),
        ];
        for (format, rule) in cases {
            let recipe = Recipe::new(format).unwrap().with_scale_rule(rule).unwrap();
            let once = quantize_row(&recipe, &row);
            let twice = quantize_row(&recipe, &once.to_f32_vec());
            prop_assert_eq!(once, twice, "{} {}", format, rule);
        }
    }

    /// Power-of-two scales may come out smaller the second time, but every value is a code under the smaller scale too. Not so with
    /// `round-1.75` and an element whose largest value is 1.75 times a power of two: it takes that for the next power.
    #[test]
    fn power_of_two_scales_keep_values(row in any_block(Element::E2m1, 64)) {
        for (_, format) in FORMATS.iter().filter(|(_, format)| format.scale.kind == ScaleKind::E8m0) {
            let idempotent = |rule: &ScaleRule| *rule != ScaleRule::Round175 || format.element == Element::E2m1;
            for rule in ScaleRule::fitting(format).filter(idempotent) {
                let recipe = Recipe::new(*format).unwrap().with_scale_rule(rule).unwrap();
                let once = quantize_row(&recipe, &row).to_f32_vec();
                prop_assert_eq!(&once, &quantize_row(&recipe, &once).to_f32_vec(), "{} {}", format, rule);
            }
        }
    }

    /// NVFP4: codes and block scales; the tensor scale is within an ulp or two. A search finds the exact candidate.
    #[test]
    fn nvfp4_is_idempotent(row in any_block(Element::E2m1, 64)) {
        let amax = Recipe::new(NVFP4).unwrap();
        let once = quantize_row(&amax, &row);
        if once.scales().iter().all(|&code| code >= 8) {
            let twice = quantize_row(&amax, &once.to_f32_vec());
            prop_assert_eq!(once.codes(), twice.codes());
            prop_assert_eq!(once.scales(), twice.scales());
        }
        let search = amax.with_scale_rule(ScaleRule::Mse).unwrap();
        let t = once.tensor_scale().stored()[0];
        let once = with_tensor_scale(&search, &row, t).to_f32_vec();
        prop_assert_eq!(&once, &with_tensor_scale(&search, &once, t).to_f32_vec());
    }
}
