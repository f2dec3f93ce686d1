//! Formats with super-blocks: how near they come, that rows stand alone, and that the solver moves their codes.

use lowbit_blocks::{Format, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, QTensor, Shape, Values};
use lowbit_calib::{Out, Recipe, ScaleRule};
use lowbit_kernels::Kernels;

/// Normal numbers of deviation 0.05 (sums of twelve uniform ones), always the same.
fn weights(n: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    (0..n).map(|_| 0.05 * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
}

/// The squared error over the sum of squares.
fn error(q: &QTensor<'_>, x: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let errors: f64 = q.to_f32_vec().iter().zip(x).map(|(q, x)| square(q - x)).sum();
    errors / x.iter().map(|x| square(*x)).sum::<f64>()
}

fn quantize(format: Format, rule: ScaleRule, shape: Shape, x: &[f32]) -> QTensor<'static> {
    Recipe::new(format).unwrap().with_scale_rule(rule).unwrap().quantize(shape, Values::F32(x)).unwrap()
}

/// Bounds are what ggml's reference quantizers reach on such numbers (facts: 8.6e-2, 2.3e-2, 5.0e-3, 1.3e-3, 3.1e-4), and a little; where scales
/// are symmetric ours do not yet search both signs.
#[test]
fn searches_come_as_near_as_those_of_ggml() {
    let shape = Shape::matrix(16, 1024);
    let x = weights(16 * 1024);
    for (format, plain, bound) in [
        (Q2_K, ScaleRule::MinMax, 8.6e-2),
        (Q3_K, ScaleRule::Amax, 2.7e-2),
        (Q4_K, ScaleRule::MinMax, 5.1e-3),
        (Q5_K, ScaleRule::MinMax, 1.4e-3),
        (Q6_K, ScaleRule::Amax, 3.8e-4),
    ] {
        let searched = error(&quantize(format, ScaleRule::Mse, shape, &x), &x);
        let unsearched = error(&quantize(format, plain, shape, &x), &x);
        assert!(searched < bound, "{format}: {searched:.3e}");
        assert!(searched < unsearched, "{format}: {searched:.3e} is no better than {unsearched:.3e}");
    }
}

#[test]
fn rules_that_fit() {
    let names = |format: &Format| ScaleRule::fitting(format).map(|rule| rule.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&Q4_K), ["min-max", "mse"]);
    assert_eq!(names(&Q6_K), ["amax", "mse"]);
    assert_eq!(Recipe::new(Q4_K).unwrap().scale_rule, ScaleRule::Mse);
    let refused = Recipe::new(Q4_K).unwrap().with_scale_rule(ScaleRule::Narrow).unwrap_err().to_string();
    assert!(refused.contains("min-max, mse"), "{refused}");
}

/// Bytes depend neither on how rows are divided into calls nor on the type in which weights come.
#[test]
fn rows_in_pieces_are_the_whole() {
    let shape = Shape::matrix(9, 768);
    let x: Vec<half::bf16> = weights(9 * 768).into_iter().map(half::bf16::from_f32).collect();
    for format in [Q2_K, Q4_K, Q6_K] {
        let recipe = Recipe::new(format).unwrap();
        let whole = recipe.quantize(shape, Values::Bf16(&x)).unwrap();
        let quantizer = recipe.quantizer(shape, lowbit_blocks::Dtype::Bf16, &[], Kernels::best()).unwrap();
        let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for rows in [0..2, 2..3, 3..9] {
            let mut of = [
                vec![0; format.codes_range(shape, 0, rows.clone()).len()],
                vec![0; format.scales_range(shape, 0, rows.clone()).len()],
                vec![0; format.zeros_range(shape, 0, rows.clone()).len()],
            ];
            let [c, s, z] = &mut of;
            let values = Values::Bf16(&x[rows.start * 768..rows.end * 768]);
            quantizer.quantize_rows(0, rows.start, values, Out { codes: c, scales: s, zeros: z }).unwrap();
            codes.extend_from_slice(c);
            scales.extend_from_slice(s);
            zeros.extend_from_slice(z);
        }
        assert_eq!((whole.codes(), whole.scales()), (&codes[..], &scales[..]), "{format}");
        assert_eq!(whole.zeros().unwrap_or_default(), zeros, "{format}");
    }
}

/// The search of a block minds what its inputs weigh.
#[test]
fn importance_moves_scales() {
    use lowbit_calib::Importance;
    let (shape, x) = (Shape::matrix(4, 256), weights(1024));
    let mut weight = vec![1e-6; 256];
    weight[..64].fill(1.0);
    let recipe = Recipe::new(Q4_K).unwrap();
    let of = |importance: Importance<'_>| {
        let quantizer = recipe.quantizer(shape, lowbit_blocks::Dtype::F32, &[], Kernels::best()).unwrap();
        let q = quantizer.with_importance(importance).unwrap().quantize(Values::F32(&x)).unwrap();
        let errors = q.to_f32_vec().into_iter().zip(&x).enumerate();
        errors.map(|(at, (q, x))| f64::from(weight[at % 256]) * f64::from(q - x).powi(2)).sum::<f64>()
    };
    assert!(of(Importance::Channels(&weight)) <= of(Importance::Uniform));
}

/// What is quantized, decodes and multiplies as its definition says.
#[test]
fn products_of_q4_k() {
    let (rows, cols) = (24, 512);
    let x = weights(rows * cols);
    let q = quantize(Q4_K, ScaleRule::Mse, Shape::matrix(rows, cols), &x);
    let (decoded, input) = (q.to_f32_vec(), weights(cols));
    let mut y = vec![0.0; rows];
    q.matvec(Values::F32(&input), &mut y).unwrap();
    let mut y8 = vec![0.0; rows];
    q.matvec_int8(Values::F32(&input), &mut y8).unwrap();
    for row in 0..rows {
        let exact: f64 = decoded[row * cols..][..cols]
            .iter()
            .zip(&input)
            .map(|(w, x)| f64::from(*w) * f64::from(*x))
            .sum();
        assert!((f64::from(y[row]) - exact).abs() < 1e-5, "{row}: {} {exact}", y[row]);
        assert!((f64::from(y8[row]) - exact).abs() < 2e-3, "{row}: {} {exact}", y8[row]);
    }
}

#[cfg(feature = "gptq")]
#[test]
fn the_solver_moves_codes_under_scales_that_stay() {
    use lowbit_calib::{Gptq, Groups, Hessian};
    let (rows, cols) = (32, 256);
    let x = weights(rows * cols);
    let mut hessian = Hessian::new(cols);
    // Inputs that go together: each is the one before it, and something new.
    let noise = weights(cols * 600);
    for token in noise.chunks_exact(cols) {
        let mut input = token.to_vec();
        for at in 1..cols {
            input[at] += 0.9 * input[at - 1];
        }
        hessian.observe(&input).unwrap();
    }
    for format in [Q4_K, Q6_K, Q3_K] {
        let recipe = Recipe::new(format).unwrap();
        let rounded = recipe.quantize(Shape::matrix(rows, cols), Values::F32(&x)).unwrap();
        let solved = Gptq::default().quantize(&recipe, Shape::matrix(rows, cols), &x, &hessian, &[]).unwrap();
        assert!(solved.loss.solved < 0.8 * solved.loss.rtn, "{format}: {:?}", solved.loss);
        assert_ne!(solved.weight.codes(), rounded.codes());
        // The loss is that of what the result decodes to.
        let decoded = solved.weight.to_f32_vec();
        let sums = hessian.sums();
        let mut loss = 0.0;
        for (w, q) in x.chunks_exact(cols).zip(decoded.chunks_exact(cols)) {
            let e: Vec<f64> = w.iter().zip(q).map(|(w, q)| f64::from(w - q)).collect();
            for (i, a) in e.iter().enumerate() {
                let products: f64 = e.iter().enumerate().map(|(j, b)| sums[i * cols + j] * b).sum();
                loss += a * products;
            }
        }
        let loss = loss / hessian.tokens() as f64;
        assert!((loss / solved.loss.solved - 1.0).abs() < 1e-3, "{format}: {loss} {}", solved.loss.solved);
        let live = Gptq { groups: Groups::Live, ..Gptq::default() };
        let refused = live.quantize(&recipe, Shape::matrix(rows, cols), &x, &hessian, &[]).unwrap_err();
        assert!(refused.to_string().contains("super-blocks"), "{refused}");
    }
}
