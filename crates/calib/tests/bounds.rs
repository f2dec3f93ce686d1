//! The largest error that a value of a block can have, rule by rule.
//!
//! ```text
//! E2M1, r = amax / s:  |e| <= s/4 up to 2s, s/2 up to 4s, s up to 6s, |x| - 6s beyond
//! MXFP4                r in (3, 6] rceil, [3.5, 7) even, (2, 4] ceil: 1/5 amax, at r = 5 and 2.5     [4, 8) floor: 1/4
//! NVFP4                r = 6 [17/18, 17/16], E4M3 being within 1/17 of every number: 3/17
//! minifloats           half a step: 1/17 of the value with 3 mantissa bits, 1/9 with 2, or half the smallest subnormal
//! integers             half a step
//! ```

mod support;

use lowbit_blocks::{
    BNB_FP4, Block, Element, FP8, FP8_BLOCK, FP8_CHANNEL, FP8_E5M2, Format, INT8, MXFP4, MXFP6_E2M3,
    MXFP6_E3M2, MXFP8, MXFP8_E5M2, MXINT8, NF4, NVFP4, Outer, ScaleKind, UINT8,
};
use lowbit_calib::{Recipe, ScaleRule};
use proptest::prelude::*;
use support::blocks::{SLACK, any_block, block, errors, largest, quantize_row, sse};

/// The same recipe with something changed, checked or not.
fn with(mut recipe: Recipe, change: impl FnOnce(&mut Recipe)) -> Recipe {
    change(&mut recipe);
    recipe
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() }
}

fn recipe(format: Format, rule: &str) -> Recipe {
    Recipe::new(format).unwrap().with_scale_rule(rule.parse().unwrap()).unwrap()
}

/// f16 scales are normal numbers, and finite, only if amax is neither tiny nor huge.
fn fits_scale(format: &Format, amax: f64) -> bool {
    format.scale.kind != ScaleKind::F16 || (2f64.powi(-10)..2f64.powi(15)).contains(&amax)
}

/// Checks that no value of any block is off by more than `bound` of the block's amax.
fn check(format: Format, rule: &str, bound: f64) {
    let recipe = recipe(format, rule);
    let len = match format.block {
        Block::Group(len) | Block::Flat(len) => len,
        _ => 48,
    };
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let result = runner.run(&any_block(format.element, len), |row| {
        prop_assume!(fits_scale(&format, largest(&row)));
        let q = quantize_row(&recipe, &row);
        let limit = (bound + SLACK) * largest(&row);
        for (x, e) in row.iter().zip(errors(&row, &q)) {
            prop_assert!(e <= limit, "{} {}: {:e} off by {:e}, limit {:e}", format, rule, x, e, limit);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

const F32_GROUPS: Format =
    NVFP4.with_block(Block::Group(32)).with_scale(ScaleKind::F32).with_outer(Outer::None);

#[test]
fn e2m1_with_an_ideal_scale() {
    check(F32_GROUPS, "amax", 1.0 / 6.0);
}

#[test]
fn mxfp4() {
    for rule in ["rceil", "even", "round-1.75", "ceil", "ceil-log2"] {
        check(MXFP4, rule, 1.0 / 5.0);
    }
    check(MXFP4, "floor", 1.0 / 4.0);
}

#[test]
fn minifloats_with_power_of_two_scales() {
    let formats =
        [(MXFP8, 8.0, 17.0), (MXFP8_E5M2, 8.0, 9.0), (MXFP6_E2M3, 16.0, 17.0), (MXFP6_E3M2, 8.0, 9.0)];
    for (format, floor, rceil) in formats {
        check(format, "floor", 1.0 / floor);
        check(format, "rceil", 1.0 / rceil);
    }
}

#[test]
fn symmetric_integers() {
    for (kind, delta) in
        [(ScaleKind::F32, 0.0), (ScaleKind::F16, 2f64.powi(-11)), (ScaleKind::Bf16, 2f64.powi(-8))]
    {
        // A scale of p significant bits is rounded by up to delta = 2^-p: steps grow by it, and the end of the range moves by 7 times as much.
        let rounded = |bound: f64| (bound + delta) * (1.0 + delta);
        check(Format::int(4, Block::Group(128)).with_scale(kind), "narrow", rounded(1.0 / 14.0));
        check(Format::int(4, Block::Group(32)).with_scale(kind), "amax", rounded(1.0 / 15.0));
    }
    check(INT8, "narrow", 1.0 / 254.0);
    check(INT8, "amax", 1.0 / 255.0);
    check(MXINT8, "rceil", 1.0 / 127.0);
}

#[test]
fn tables() {
    check(NF4, "amax", (1.0 - 0.696_192_8) / 2.0);
    check(BNB_FP4, "amax", 1.0 / 6.0);
}

#[test]
fn fp8_is_relative() {
    // (mantissa bits: half a step over the value, half the smallest subnormal, amax / max), and 1/28 = 16/448 of amax.
    for (format, relative, subnormal) in
        [(FP8_CHANNEL, 17.0, -10), (FP8, 17.0, -10), (FP8_BLOCK, 17.0, -10), (FP8_E5M2, 9.0, -17)]
    {
        let recipe = Recipe::new(format).unwrap();
        let mut runner = proptest::test_runner::TestRunner::new(config());
        let result = runner.run(&any_block(format.element, 48), |row| {
            let amax = largest(&row);
            let s = amax / f64::from(format.element.max());
            for (x, e) in row.iter().zip(errors(&row, &quantize_row(&recipe, &row))) {
                let limit = f64::max(f64::from(x.abs()) / relative, s * f64::from(subnormal).exp2());
                prop_assert!(e <= limit + amax * SLACK, "{} off by {} in {}", x, e, format);
                prop_assert!(format.element != Element::E4m3 || e <= amax * (1.0 / 28.0 + SLACK));
            }
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A tensor of two blocks: the first holds its amax, 1, the second is `ratio` times as large.
fn two_blocks(exponents: core::ops::Range<f64>) -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    exponents.prop_flat_map(|exponent| {
        (block(Element::E2m1, 16, 1.0), block(Element::E2m1, 16, exponent.exp2() as f32))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nvfp4_normal_scales((first, second) in two_blocks(-14.0..0.0)) {
        let row = [first, second].concat();
        let q = quantize_row(&Recipe::new(NVFP4).unwrap(), &row);
        for (values, errors) in row.chunks(16).zip(errors(&row, &q).chunks(16)) {
            let limit = (3.0 / 17.0 + SLACK) * largest(values);
            prop_assert!(errors.iter().all(|e| *e <= limit));
        }
    }

    #[test]
    fn nvfp4_subnormal_scales((first, second) in two_blocks(-20.0..-14.0)) {
        let row = [first, second].concat();
        let q = quantize_row(&Recipe::new(NVFP4).unwrap(), &row);
        let amax = largest(&row[16..]);
        // The code that rounding would give; 0 is raised to 1, the smallest there is.
        let code = (amax * 448.0 * 512.0).round_ties_even();
        let bound = match code {
            0.0 => 1.0,
            1.0 => 1.0 / 3.0,
            2.0 | 3.0 => 1.0 / 5.0,
            4.0..8.0 => 1.0 / (6.0 - 3.0 / code),
            8.0 => 8.0 / 45.0,
            _ => 3.0 / 17.0,
        };
        prop_assert_eq!(f64::from(q.scales()[1].min(8)), code.clamp(1.0, 8.0));
        let limit = (bound + SLACK) * amax;
        prop_assert!(errors(&row, &q)[16..].iter().all(|e| *e <= limit), "code {}", code);
    }

    /// 4/6 keeps the bound of 3/17, and search keeps each error below the root of the block's squared error under amax.
    #[test]
    fn nvfp4_choices((first, second) in two_blocks(-13.0..0.0)) {
        let row = [first, second].concat();
        let four_over_six = recipe(NVFP4, "four-over-six");
        let six = with(four_over_six, |recipe| recipe.scale_rule = ScaleRule::Amax);
        let search = with(four_over_six, |recipe| recipe.scale_rule = ScaleRule::Mse);
        let errors = [six, four_over_six, search].map(|recipe| errors(&row, &quantize_row(&recipe, &row)));
        for at in [0..16, 16..32] {
            let [six, four, search] = [0, 1, 2].map(|i| &errors[i][at.clone()]);
            let limit = (3.0 / 17.0 + SLACK) * largest(&row[at]);
            prop_assert!(four.iter().all(|e| *e <= limit));
            let (six, four, sum) = (sse(six), sse(four), sse(search));
            prop_assert!(four <= six * (1.0 + 1e-12), "{} > {}", four, six);
            prop_assert!(sum <= four * (1.0 + 1e-12), "{} > {}", sum, four);
            prop_assert!(search.iter().all(|e| *e <= six.sqrt() * (1.0 + 1e-12)));
        }
    }

    #[test]
    fn mxfp4_search_is_never_worse(row in any_block(Element::E2m1, 32)) {
        let error = |rule| sse(&errors(&row, &quantize_row(&recipe(MXFP4, rule), &row)));
        let search = error("mse");
        for rule in ["floor", "even", "rceil", "ceil"] {
            prop_assert!(search <= error(rule) * (1.0 + 1e-12), "{}", rule);
        }
    }

    /// 1/16 of amax, but 1/8 for a value at or near the extreme of the other sign, which has no code.
    #[test]
    fn int4_full_range(row in any_block(Element::Int { bits: 4 }, 32)) {
        let format = Format::int(4, Block::Group(32)).with_scale(ScaleKind::F32);
        let q = quantize_row(&recipe(format, "full-range"), &row);
        let amax = largest(&row);
        let mut scale = [0.0];
        format.scale.kind.decode_into(q.scales(), &mut scale);
        for (x, e) in row.iter().zip(errors(&row, &q)) {
            let clipped = f64::from(x / scale[0]) > 7.5;
            let bound = if clipped { 1.0 / 8.0 } else { 1.0 / 16.0 };
            prop_assert!(e <= amax * (bound + SLACK), "{} off by {}", x, e);
        }
        prop_assert!(row.iter().zip(errors(&row, &q)).any(|(x, e)| f64::from(x.abs()) == amax && e <= amax * SLACK));
    }

    #[test]
    fn asymmetric_integers(row in any_block(Element::Uint { bits: 4 }, 32)) {
        let int4 = Format::uint(4, Block::Group(32)).with_scale(ScaleKind::F32);
        let low = row.iter().copied().fold(0.0, f32::min);
        let high = row.iter().copied().fold(0.0, f32::max);
        let range = f64::from(high) - f64::from(low);
        for (format, steps) in [(int4, 15.0), (UINT8, 255.0)] {
            let q = quantize_row(&recipe(format, "min-max"), &row);
            let limit = range * (1.0 / (2.0 * steps) + SLACK);
            prop_assert!(errors(&row, &q).iter().all(|e| *e <= limit), "{}", format);
        }
    }

    /// Half of the scale, wherever the block lies.
    #[test]
    fn mxint8(row in any_block(Element::MxInt8, 32)) {
        let q = quantize_row(&recipe(MXINT8, "rceil"), &row);
        let step = f64::from(i32::from(q.scales()[0]) - 127).exp2() / 64.0;
        prop_assert!(errors(&row, &q).iter().all(|e| *e <= step / 2.0));
    }
}
