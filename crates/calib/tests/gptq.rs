//! The solver: never worse than what it starts from, and what it believes is what the tensor decodes to.

mod support;

use lowbit_blocks::{
    Block, Dtype, Element, FP8, FP8_BLOCK, FP8_CHANNEL, Format, INT8, MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8,
    MXINT8, NF4, NVFP4, QTensor, ScaleKind, Shape,
};
use lowbit_calib::{
    Damping, Error, Gptq, Hessian, Importance, Order, Out, Recipe, ScaleRule, Solved, TensorStats, Weighing,
};
use lowbit_kernels::Kernels;
use support::inputs::{hessian, losses};
use support::normal::normal;

/// Every kind of format: blocks in a row, whole rows, tiles, whole matrices, the flat matrix; with zero points, and f16 scales.
fn formats() -> Vec<Format> {
    let groups = [2, 3, 4, 5, 6, 7, 8].map(|bits| Format::int(bits, Block::Group(32)));
    let affine = [2, 3, 4, 8].map(|bits| Format::uint(bits, Block::Group(32)).with_scale(ScaleKind::F16));
    let named = [
        NVFP4,
        MXFP4,
        MXFP6_E2M3,
        MXFP6_E3M2,
        MXFP8,
        MXINT8,
        FP8_CHANNEL,
        FP8,
        FP8_BLOCK,
        INT8,
        NF4,
        NF4.with_block(Block::Group(32)),
        NF4.with_block(Block::Flat(48)),
    ];
    groups.into_iter().chain(affine).chain(named).collect()
}

fn solve(gptq: &Gptq<'_>, recipe: &Recipe, shape: Shape, weight: &[f32], hessian: &Hessian) -> Solved {
    gptq.quantize(recipe, shape, weight, hessian, &[]).unwrap()
}

/// The losses that the solver reports are those of the tensor it returns, computed from what that decodes to; and each is at most the one before.
#[test]
fn losses_are_those_of_the_decoded_tensor() {
    let shape = Shape::matrix(37, 96);
    let (weight, hessian) = (normal(1, 37 * 96), hessian(2, 300, 96));
    for format in formats() {
        let recipe = Recipe::new(format).unwrap();
        for order in [Order::Natural, Order::Activation, Order::GroupAware] {
            let gptq = Gptq { order, rescales: 1, ..Gptq::default() };
            let solved = solve(&gptq, &recipe, shape, &weight, &hessian);
            let (loss, _) = losses(&weight, &solved.weight.to_f32_vec(), &hessian);
            let said = &solved.loss;
            assert!((loss - said.solved).abs() <= 1e-4 * loss, "{format} {order:?}: {loss} {said:?}");
            assert!(said.solved <= said.feedback * (1.0 + 1e-6), "{format} {order:?}: {said:?}");
            assert!(said.feedback <= said.rtn * (1.0 + 1e-6), "{format} {order:?}: {said:?}");
            assert!(said.solved < 0.8 * said.rtn, "{format} {order:?}: {said:?}");
        }
    }
}

/// Row by row, and on the loss in f64.
#[test]
fn no_row_is_worse_than_rounded() {
    let shape = Shape::matrix(64, 64);
    let hessian = hessian(3, 40, 64); // fewer tokens than channels
    let weight = normal(4, 64 * 64);
    for recipe in [Recipe::new(NVFP4), Recipe::new(MXFP4), Recipe::new(Format::int(2, Block::Group(64)))] {
        let recipe = recipe.unwrap();
        let rounded = recipe.quantize(shape, &weight[..]).unwrap().to_f32_vec();
        let gptq = Gptq { damping: Damping::Fixed(1e-4), rescales: 1, ..Gptq::default() };
        let solved = solve(&gptq, &recipe, shape, &weight, &hessian).weight.to_f32_vec();
        for row in 0..64 {
            let of = |q: &[f32]| losses(&weight[row * 64..][..64], &q[row * 64..][..64], &hessian).0;
            let (solved, rounded) = (of(&solved), of(&rounded));
            assert!(solved <= rounded * (1.0 + 1e-5), "{} row {row}: {solved} {rounded}", recipe.format);
        }
    }
}

/// More passes never make it worse, and a pass that changes nothing is the last.
#[test]
fn descent_never_rises_and_ends() {
    let shape = Shape::matrix(32, 160);
    let (weight, hessian) = (normal(5, 32 * 160), hessian(6, 500, 160));
    for format in [NVFP4, Format::int(4, Block::Group(32)), MXFP4] {
        let recipe = Recipe::new(format).unwrap();
        let mut before = f64::INFINITY;
        for passes in [0, 1, 2, 3, 60] {
            let solved =
                solve(&Gptq { passes, rescales: 0, ..Gptq::default() }, &recipe, shape, &weight, &hessian);
            let (loss, _) = losses(&weight, &solved.weight.to_f32_vec(), &hessian);
            assert!(loss <= before * (1.0 + 1e-6), "{format}: {loss} after {passes} passes, {before} before");
            before = loss;
            if passes == 60 {
                assert_eq!(solved.loss.changed.last(), Some(&0), "{:?}", solved.loss.changed);
            }
        }
    }
}

#[test]
fn inputs_that_do_not_go_together_give_rounding() {
    let mut hessian = Hessian::new(32);
    // Powers of two on the diagonal, nothing else.
    (0..32).for_each(|j| {
        hessian.observe(&core::array::from_fn::<f32, 32, _>(|i| if i == j { 2.0 } else { 0.0 })).unwrap()
    });
    let weight = normal(8, 8 * 32);
    for format in formats().into_iter().filter(|format| format.check(Shape::matrix(8, 32)).is_ok()) {
        let recipe = Recipe::new(format).unwrap();
        let shape = Shape::matrix(8, 32);
        let rounded = recipe.quantize(shape, &weight[..]).unwrap();
        let solved = solve(&Gptq { rescales: 0, ..Gptq::default() }, &recipe, shape, &weight, &hessian);
        assert_eq!(solved.weight.to_f32_vec(), rounded.to_f32_vec(), "{format}");
    }
}

#[test]
fn no_tokens_give_rounding_and_no_loss() {
    let weight = normal(9, 4 * 32);
    let recipe = Recipe::new(NVFP4).unwrap();
    let shape = Shape::matrix(4, 32);
    let solved = solve(&Gptq::default(), &recipe, shape, &weight, &Hessian::new(32));
    assert_eq!(solved.weight.to_f32_vec(), recipe.quantize(shape, &weight[..]).unwrap().to_f32_vec());
    assert_eq!((solved.loss.rtn, solved.loss.solved), (0.0, 0.0));
}

/// One token: only w x counts, which 64 weights together can hit much better than each alone.
#[test]
fn one_token_is_solved() {
    let weight = normal(10, 8 * 64);
    let hessian = hessian(11, 1, 64);
    let recipe = Recipe::new(MXFP4).unwrap();
    let solved = solve(&Gptq::default(), &recipe, Shape::matrix(8, 64), &weight, &hessian);
    assert!(solved.loss.solved < 0.05 * solved.loss.rtn, "{:?}", solved.loss);
}

/// A channel that is always zero costs nothing, and its weights are rounded.
#[test]
fn dead_channels_are_rounded() {
    let mut x = support::inputs::correlated(12, 100, 32);
    x.chunks_exact_mut(32).for_each(|token| token[5] = 0.0);
    let mut hessian = Hessian::new(32);
    hessian.observe(&x).unwrap();
    let weight = normal(13, 4 * 32);
    let (recipe, shape) = (Recipe::new(NVFP4).unwrap(), Shape::matrix(4, 32));
    let rounded = recipe.quantize(shape, &weight[..]).unwrap().to_f32_vec();
    let gptq = Gptq { rescales: 0, ..Gptq::default() };
    let solved = solve(&gptq, &recipe, shape, &weight, &hessian).weight.to_f32_vec();
    for row in 0..4 {
        assert_eq!(solved[row * 32 + 5], rounded[row * 32 + 5]);
    }
    assert_ne!(solved, rounded);
}

/// The columns of the result stand in the order that it says.
#[test]
fn groups_in_the_order_of_activations() {
    let shape = Shape::matrix(16, 64);
    let (weight, hessian) = (normal(14, 16 * 64), hessian(15, 200, 64));
    let gptq = Gptq { order: Order::ActivationGroups, ..Gptq::default() };
    let solved =
        solve(&gptq, &Recipe::new(Format::int(4, Block::Group(32))).unwrap(), shape, &weight, &hessian);
    let perm = solved.perm.unwrap();
    let diagonal = hessian.diagonal();
    assert!(perm.windows(2).all(|pair| diagonal[pair[0] as usize] >= diagonal[pair[1] as usize]));
    let mut back = vec![0.0; 16 * 64];
    for (row, from) in solved.weight.to_f32_vec().chunks_exact(64).enumerate() {
        perm.iter().zip(from).for_each(|(&col, &q)| back[row * 64 + col as usize] = q);
    }
    let (loss, _) = losses(&weight, &back, &hessian);
    assert!((loss - solved.loss.solved).abs() < 1e-4 * loss);
}

#[test]
fn what_makes_no_sense_is_refused_with_the_numbers() {
    let recipe = Recipe::new(NVFP4).unwrap();
    let shape = Shape::matrix(2, 32);
    let weight = normal(16, 64);
    let gptq = Gptq::default();
    let message = |error: Error| error.to_string();
    let error = gptq.quantize(&recipe, shape, &weight, &Hessian::new(16), &[]).unwrap_err();
    assert_eq!(message(error), "16 channels where there are 32");
    let error = gptq.quantize(&recipe, shape, &weight[..32], &Hessian::new(32), &[]).unwrap_err();
    assert!(message(error).contains("32 numbers"), "length");
    let mut broken = weight.clone();
    broken[33] = f32::NAN;
    let error = gptq.quantize(&recipe, shape, &broken, &Hessian::new(32), &[]).unwrap_err();
    assert_eq!(message(error), "value NaN at matrix 0, row 1, column 1 is not finite");
    // A matrix that is no sum of x x^T: even the mean of its diagonal does not make it positive definite.
    let mut sums = vec![0.0; 32 * 32];
    (0..32).for_each(|j| sums[j * 33] = 1.0);
    sums[32] = 100.0;
    sums[1] = 100.0;
    let broken = Hessian::from_sums(32, 10, sums).unwrap();
    let error = gptq.quantize(&recipe, shape, &weight, &broken, &[]).unwrap_err();
    assert!(message(error).starts_with("the Hessian of 32 channels has no Cholesky factor, even with 0.8"));
}

/// Damping rises until there is a factor.
#[test]
fn damping_is_raised_where_there_is_no_factor() {
    // Eigenvalues 1 ± 1.05.
    let hessian = Hessian::from_sums(2, 1, vec![1.0, 1.05, 1.05, 1.0]).unwrap();
    let recipe = Recipe::new(Format::int(4, Block::Channel)).unwrap();
    let gptq = Gptq { damping: Damping::Fixed(0.02), passes: 0, ..Gptq::default() };
    let solved = solve(&gptq, &recipe, Shape::matrix(1, 2), &[1.0, 0.3], &hessian);
    assert_eq!(solved.loss.damping, 0.08); // 0.02 and 0.04 are not enough
}

/// Each step of the ladder on tokens that were not solved for, in dB of the output; 0.15 dB are noise.
#[test]
fn the_ladder_rises() {
    let (rows, n) = (64, 256);
    let shape = Shape::matrix(rows, n);
    let weight = normal(17, rows * n);
    let (seen, held_out) = (hessian(18, 3000, n), hessian(19, 2000, n));
    let sqnr = |quantized: &[f32]| {
        let (noise, signal) = losses(&weight, quantized, &held_out);
        10.0 * (signal / noise).log10()
    };
    let amax = Recipe::new(NVFP4).unwrap();
    let swept = amax.with_scale_rule(ScaleRule::Mse).unwrap();
    let natural = Gptq {
        order: Order::Natural,
        passes: 0,
        rescales: 0,
        weighing: Weighing::Uniform,
        ..Gptq::default()
    };
    let ordered = Gptq { rescales: 0, order: Order::Activation, weighing: Weighing::Diagonal, ..natural };
    let solved = |gptq: &Gptq<'_>, recipe: &Recipe| {
        sqnr(&solve(gptq, recipe, shape, &weight, &seen).weight.to_f32_vec())
    };
    let rounded = |recipe: &Recipe, importance: Importance<'_>| {
        let quantizer =
            recipe.quantizer(shape, Dtype::F32, &[TensorStats::from_amax(amax_of(&weight))], Kernels::best());
        let (mut codes, mut scales) = (vec![0; rows * n / 2], vec![0; rows * n / 16]);
        let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
        let quantizer = quantizer.unwrap().with_importance(importance).unwrap();
        quantizer.quantize_rows(0, 0, &weight[..], out).unwrap();
        let tensor = QTensor::new(NVFP4, shape, codes, scales, None, quantizer.tensor_scale()).unwrap();
        sqnr(&tensor.to_f32_vec())
    };
    let mean_square = seen.mean_square();
    let ladder = [
        ("rounded", rounded(&amax, Importance::Uniform)),
        ("swept", rounded(&swept, Importance::Uniform)),
        ("swept, weighed", rounded(&swept, Importance::Channels(&mean_square))),
        ("swept, blocks", rounded(&swept, Importance::Hessian(&seen))),
        ("gptq", solved(&natural, &amax)),
        ("gptq, ordered, swept", solved(&ordered, &swept)),
        ("descent", solved(&Gptq { passes: 3, ..ordered }, &swept)),
        ("rescaled", solved(&Gptq { passes: 3, rescales: 1, ..ordered }, &swept)),
    ];
    for pair in ladder.windows(2) {
        assert!(pair[1].1 > pair[0].1 - 0.15, "{ladder:.2?}");
    }
    assert!(ladder[6].1 > ladder[0].1 + 6.0, "{ladder:.2?}");
}

fn amax_of(weight: &[f32]) -> f32 {
    weight.iter().fold(0.0, |amax, w| amax.max(w.abs()))
}

#[test]
fn elements_come_back_from_their_values() {
    // What the solver relies on when it packs: the nearest code of a value of the element is that value.
    for element in Element::ALL {
        for code in 0..1u16 << element.bits() {
            let value = element.decode_one(code as u8);
            if value.is_finite() && !(element == Element::MxInt8 && value == -2.0) {
                let again = element.decode_one(element.encode_one(value));
                // FP4 has a second code for zero, which rounding gives to nothing.
                let zeros = element == Element::Fp4 && value == 0.0;
                assert!(zeros || again.to_bits() == value.to_bits(), "{element} {code}");
            }
        }
    }
}

/// The damping that does best on other tokens, and then both kinds of tokens are solved for.
#[test]
fn damping_is_chosen_on_other_tokens() {
    let (rows, n) = (32, 96);
    let (weight, shape) = (normal(20, rows * n), Shape::matrix(rows, n));
    let (few, other) = (hessian(21, 60, n), hessian(22, 60, n));
    let recipe = Recipe::new(Format::int(3, Block::Group(32))).unwrap();
    let candidates = [0.0001, 0.05, 0.9];
    let loss = |&damping: &f64| {
        let gptq = Gptq { damping: Damping::Fixed(damping), passes: 0, rescales: 0, ..Gptq::default() };
        losses(&weight, &solve(&gptq, &recipe, shape, &weight, &few).weight.to_f32_vec(), &other).0
    };
    let best = candidates.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
    let gptq =
        Gptq { damping: Damping::HeldOut { candidates: &candidates, hessian: &other }, ..Gptq::default() };
    let solved = solve(&gptq, &recipe, shape, &weight, &few);
    assert_eq!(solved.loss.damping, *best);
    assert!(*best > 0.0001, "60 tokens for 96 channels need more damping");
    let mut both = few.clone();
    both.merge(&other).unwrap();
    let (said, loss) = (solved.loss.solved, losses(&weight, &solved.weight.to_f32_vec(), &both).0);
    assert!((said - loss).abs() < 1e-4 * loss);
    let none = Gptq { damping: Damping::HeldOut { candidates: &[], hessian: &other }, ..gptq };
    assert!(none.quantize(&recipe, shape, &weight, &few, &[]).is_err());
}

/// Several bands of rows and panels of the Hessian, on pools of one, two and four threads.
#[cfg(feature = "rayon")]
#[test]
fn bits_do_not_depend_on_threads() {
    let (rows, n) = (300, 208);
    let weight = normal(23, rows * n);
    let tokens = support::inputs::correlated(24, 700, n);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut hessian = Hessian::new(n);
            hessian.observe(&tokens).unwrap();
            let recipe = Recipe::new(NVFP4).unwrap().with_scale_rule(ScaleRule::Mse).unwrap();
            let gptq = Gptq { rescales: 1, ..Gptq::default() };
            let solved = solve(&gptq, &recipe, Shape::matrix(rows, n), &weight, &hessian);
            let (codes, scales) = (solved.weight.codes().to_vec(), solved.weight.scales().to_vec());
            (hessian.sums(), codes, scales, solved.loss)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(4));
}
