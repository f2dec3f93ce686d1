//! The GPTQ solver: scales of a matrix are chosen first, then blocks of rows are solved
//! independently.

use lowbit_blocks::{Dtype, QTensor, Shape, Values, Zero};
use lowbit_kernels::{Blocks, Kernels};

use super::factor::Factor;
use super::group_scales::GroupScales;
use super::options::{Damping, Gptq, Groups, Loss, Solved, Weighing};
use super::order::Order;
use super::rescale::{self, Forms};
use super::rows::Rows;
use super::scale_columns::{EffectiveScales, ScaleColumns};
use super::{descent, feedback, loss};
use crate::error::Error;
use crate::hessian::Hessian;
use crate::importance::Importance;
use crate::in_memory;
use crate::parallel::map;
use crate::recipe::Recipe;
use crate::stats::TensorStats;

/// Rows that are solved together.
const ROWS: usize = 128;

/// The inputs that all rows share.
struct Problem<'a> {
    gptq: &'a Gptq<'a>,
    recipe: &'a Recipe,
    hessian: &'a Hessian,
    /// The matrix rounded to nearest, with the scales to start from.
    rounded: QTensor<'static>,
    scales: EffectiveScales,
    perm: Vec<usize>,
    factor: Factor,
    /// H divided by the number of tokens.
    curvature: Vec<f32>,
    forms: Option<Forms>,
}

/// The result of some rows.
struct SolvedRows {
    values: Vec<f32>,
    scales: Vec<u8>,
    zeros: Vec<u8>,
    loss: Loss,
}

impl Gptq<'_> {
    /// Quantizes one matrix with GPTQ. `hessian` is the sum of x x^T over its inputs.
    ///
    /// `stats` are as for [`Recipe::quantizer`]; if empty, they are computed from the weight. Any
    /// format with chosen scales works; tiles and whole matrices keep the scales of rounding. A
    /// Hessian without tokens gives plain rounding. Channels that were always zero are rounded.
    ///
    /// # Errors
    /// [`Error::Channels`] if the Hessian is of another size; [`Error::Sums`] if it is not finite;
    /// [`Error::Factor`] if no damping up to 1 makes it positive definite; [`Error::Solver`] for
    /// settings that contradict each other or the format; otherwise as [`Recipe::quantize`].
    pub fn quantize(
        &self,
        recipe: &Recipe,
        shape: Shape,
        weight: &[f32],
        hessian: &Hessian,
        stats: &[TensorStats],
    ) -> Result<Solved, Error> {
        quantize(self, recipe, shape, weight, hessian, stats)
    }
}

fn quantize(
    gptq: &Gptq<'_>,
    recipe: &Recipe,
    shape: Shape,
    weight: &[f32],
    hessian: &Hessian,
    stats: &[TensorStats],
) -> Result<Solved, Error> {
    recipe.format.check(shape)?;
    in_memory::check_len(recipe, shape, Values::F32(weight))?;
    check(gptq, recipe, shape, hessian)?;
    if let Damping::HeldOut { candidates, hessian: held_out } = gptq.damping {
        let mut best = (f64::INFINITY, 0.0);
        for &damping in candidates {
            let trial = Gptq { damping: Damping::Fixed(damping), passes: 0, rescales: 0, ..*gptq };
            let solved = quantize(&trial, recipe, shape, weight, hessian, stats)?;
            let loss = held_out_loss(&solved, weight, held_out);
            if loss < best.0 {
                best = (loss, damping);
            }
        }
        let mut both = hessian.clone();
        both.merge(held_out)?;
        let chosen = Gptq { damping: Damping::Fixed(best.1), ..*gptq };
        return quantize(&chosen, recipe, shape, weight, &both, stats);
    }
    if gptq.order == Order::ActivationGroups {
        let perm = gptq.order.permutation(&hessian.diagonal(), 1);
        let weight = gather(weight, &perm);
        let natural = Gptq { order: Order::Natural, ..*gptq };
        let solved = quantize(&natural, recipe, shape, &weight, &hessian.permuted(&perm), stats)?;
        return Ok(Solved { perm: Some(perm.iter().map(|&col| col as u32).collect()), ..solved });
    }
    let Damping::Fixed(damping) = gptq.damping else { unreachable!("chosen above") };
    let values = Values::F32(weight);
    let seen = if stats.is_empty() { in_memory::observe(recipe, shape, values)? } else { stats.to_vec() };
    let mean_square = hessian.mean_square();
    let importance = match gptq.weighing {
        Weighing::Uniform => Importance::Uniform,
        Weighing::Diagonal => Importance::Channels(&mean_square),
        Weighing::Blocks => Importance::Hessian(hessian),
    };
    let quantizer =
        recipe.quantizer(shape, Dtype::F32, &seen, Kernels::best())?.with_importance(importance)?;
    let rounded = in_memory::fill(&quantizer, values)?;
    let n = shape.cols;
    let tokens = hessian.tokens().max(1) as f64;
    let mut exact = hessian.sums();
    exact.iter_mut().for_each(|sum| *sum /= tokens);
    let diagonal: Vec<f64> = (0..n).map(|j| exact[j * n + j]).collect();
    let grid = rounded.grid();
    let width = grid.shared_columns();
    let perm = gptq.order.permutation(&diagonal, width);
    // The published H is 2/n of the sum, with ones for channels that are always zero.
    let dead = if gptq.groups == Groups::Stale { 0.5 } else { 0.0 };
    let rescaled = gptq.rescales > 0 && width <= rescale::LONGEST && grid.blocks_in_rows();
    let problem = Problem {
        gptq,
        recipe,
        hessian,
        scales: EffectiveScales::of(&rounded),
        rounded,
        factor: Factor::new(&exact, &perm, damping, dead)?,
        perm,
        curvature: exact.iter().map(|entry| *entry as f32).collect(),
        forms: rescaled.then(|| Forms::new(&exact, n, width)),
    };
    drop(exact);
    let solved = map((0..shape.rows).step_by(ROWS).collect(), |first| {
        let end = shape.rows.min(first + ROWS);
        problem.solve_rows(first, &weight[first * n..end * n])
    })?;
    problem.assemble(shape, solved)
}

fn check(gptq: &Gptq<'_>, recipe: &Recipe, shape: Shape, hessian: &Hessian) -> Result<(), Error> {
    let refuse = |reason| Err(Error::Solver { reason });
    if shape.matrices != 1 {
        return refuse("one matrix at a time, as each has a Hessian of its own");
    }
    if hessian.size() != shape.cols {
        return Err(Error::Channels { got: hessian.size(), want: shape.cols });
    }
    if gptq.block == 0 {
        return refuse("a block has at least one column");
    }
    let sound = |damping: f64| damping >= 0.0 && damping.is_finite();
    match gptq.damping {
        Damping::Fixed(damping) if !sound(damping) => {
            return refuse("damping is a finite number of at least 0");
        }
        Damping::HeldOut { candidates, .. }
            if candidates.is_empty() || !candidates.iter().all(|&d| sound(d)) =>
        {
            return refuse("there are candidates for the damping, each a finite number of at least 0");
        }
        Damping::HeldOut { hessian, .. } if hessian.size() != shape.cols => {
            return Err(Error::Channels { got: hessian.size(), want: shape.cols });
        }
        _ => {}
    }
    if recipe.format.zero == Zero::Bias {
        return refuse("codes are moved under scales and integer zero points, not biases");
    }
    if recipe.format.scale.outer.count().is_some() && (gptq.groups != Groups::Static || gptq.rescales > 0) {
        return refuse("scales of super-blocks are chosen first, and stay");
    }
    let block = recipe.format.block;
    if gptq.order == Order::ActivationGroups && !block.is_by_row() {
        return refuse("only groups within a row can be formed of columns in another order");
    }
    if gptq.groups != Groups::Static {
        if !block.is_by_row() {
            return refuse("only the scales of groups within a row can be chosen on the way");
        }
        let group = recipe.format.grid(shape)?.shared_columns();
        if gptq.order == Order::Activation && group < shape.cols {
            return refuse(
                "scales can be chosen on the way only where the columns of a group follow each other",
            );
        }
        let nested = group.is_multiple_of(gptq.block) || gptq.block.is_multiple_of(group);
        if gptq.groups == Groups::Stale && !nested && group < shape.cols {
            return refuse("of a block and a group, one divides into the other");
        }
    }
    Ok(())
}

impl Problem<'_> {
    /// Solves a block of rows.
    fn solve_rows(&self, first: usize, weight: &[f32]) -> Result<SolvedRows, Error> {
        let (gptq, n) = (self.gptq, self.rounded.shape().cols);
        let count = weight.len().checked_div(n).unwrap_or(0);
        let grid = ScaleColumns::new(&self.rounded, &self.scales, first, count);
        let mut rows = Rows::new(grid, n, weight);
        let padded = rows.padded();
        let rounded = rows.rounded();
        let rtn = loss::without_gradient(&rows.errors(0..n), &self.curvature, n, padded);
        self.feed_back(&mut rows)?;
        let errors = rows.errors(0..n);
        // Descent needs the gradient; the loss then comes from it.
        let descends = gptq.passes + gptq.rescales > 0;
        let mut gradient = descends.then(|| loss::gradient(&errors, &self.curvature, n));
        let mut losses = match &gradient {
            Some(gradient) => loss::of_rows(&errors, gradient, padded),
            None => loss::without_gradient(&errors, &self.curvature, n, padded),
        };
        drop(errors);
        let mut report = Loss { damping: self.factor.damping, ..Loss::default() };
        for row in 0..rows.count {
            // True also if the feedback overflowed.
            let worse = losses[row].partial_cmp(&rtn[row]).is_none_or(core::cmp::Ordering::is_gt);
            if gptq.keep_better && worse {
                rows.take_row(row, &rounded);
                losses[row] = rtn[row];
                report.rows_kept += 1;
            }
        }
        report.rtn = rtn[..rows.count].iter().sum();
        report.feedback = losses[..rows.count].iter().sum();
        report.solved = report.feedback;
        if let Some(gradient) = &mut gradient {
            if report.rows_kept > 0 {
                *gradient = loss::gradient(&rows.errors(0..n), &self.curvature, n);
            }
            self.descend(&mut rows, gradient, &mut report);
            losses = loss::of_rows(&rows.errors(0..n), gradient, padded);
            report.solved = losses[..rows.count].iter().sum();
        }
        let mut values = vec![0.0; rows.count * n];
        rows.values_by_row(&mut values);
        let (scales, zeros) = rows.scales.stored(0..rows.count, self.recipe.format.scale.kind);
        Ok(SolvedRows { values, scales, zeros, loss: report })
    }

    fn feed_back(&self, rows: &mut Rows) -> Result<(), Error> {
        let gptq = self.gptq;
        if gptq.groups == Groups::Static {
            return feedback::solve(rows, &self.factor, &self.perm, gptq.block, feedback::STEP, |_, _, _| {
                Ok(())
            });
        }
        if gptq.groups == Groups::Stale {
            rows.clear_dead(&self.curvature);
        }
        let group = rows.scales.width;
        let live = GroupScales {
            groups: gptq.groups,
            recipe: self.recipe,
            tensor_scale: self.rounded.tensor_scale(),
            weighing: gptq.weighing,
            hessian: self.hessian,
            factor: &self.factor,
            perm: &self.perm,
            group,
        };
        let block = gptq.block.next_multiple_of(group);
        let step = if group < feedback::STEP || !group.is_multiple_of(feedback::STEP) {
            group
        } else {
            feedback::STEP
        };
        let mut snapshot = Vec::new();
        feedback::solve(rows, &self.factor, &self.perm, block, step, |rows, at, local| {
            live.begin(rows, at, local, &mut snapshot)
        })
    }

    /// Descent, then rounds of rescaling and descent.
    fn descend(&self, rows: &mut Rows, gradient: &mut [f32], report: &mut Loss) {
        let gptq = self.gptq;
        for round in 0..=gptq.rescales {
            if round > 0 {
                let Some(forms) = &self.forms else { break };
                let (kind, scale) = (self.recipe.format.scale.kind, self.rounded.tensor_scale());
                let blocks = rescale::pass(rows, &self.curvature, forms, gradient, gptq.block, kind, scale);
                report.rescaled.push(blocks);
            }
            for pass in 0..gptq.passes {
                let count = descent::pass(rows, &self.curvature, gradient, gptq.block, feedback::STEP);
                let at = round * gptq.passes + pass;
                report.changed.resize(at + 1, 0);
                report.changed[at] = count;
                if count == 0 {
                    break;
                }
            }
        }
    }

    fn assemble(self, shape: Shape, solved: Vec<SolvedRows>) -> Result<Solved, Error> {
        let mut loss = Loss { damping: self.factor.damping, ..Loss::default() };
        let (mut values, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for rows in solved {
            values.extend_from_slice(&rows.values);
            scales.extend_from_slice(&rows.scales);
            zeros.extend_from_slice(&rows.zeros);
            loss.add(&rows.loss);
        }
        let format = self.recipe.format;
        let chosen_first = !self.rounded.grid().blocks_in_rows() || format.scale.outer.count().is_some();
        if chosen_first || shape.cols == 0 {
            scales = self.rounded.scales().to_vec();
            zeros = self.rounded.zeros().unwrap_or_default().to_vec();
        }
        let codes = encode(self.recipe, shape, &values);
        let zeros = format.has_zeros().then(|| zeros.into());
        let tensor_scale = self.rounded.tensor_scale().clone();
        let weight = QTensor::new(format, shape, codes, scales, zeros, tensor_scale)?;
        Ok(Solved { weight, perm: None, loss })
    }
}

/// Encodes element values, row by row or as one stream.
fn encode(recipe: &Recipe, shape: Shape, values: &[f32]) -> Vec<u8> {
    let format = &recipe.format;
    let mut codes = vec![0; format.codes_len(shape)];
    let stream = if format.block.is_flat() { values.len() } else { shape.cols };
    let bytes = format.element.packed_len(stream);
    if bytes > 0 {
        for (values, codes) in values.chunks_exact(stream).zip(codes.chunks_exact_mut(bytes)) {
            Kernels::best().encode(format.element, values, Blocks::whole(&1.0), codes);
        }
    }
    codes
}

/// The loss tr(D H D^T) of a solution on other tokens.
fn held_out_loss(solved: &Solved, weight: &[f32], held_out: &Hessian) -> f64 {
    let n = held_out.size();
    let mut decoded = solved.weight.to_f32_vec();
    if let Some(perm) = &solved.perm {
        let stored = decoded.clone();
        for (to, from) in decoded.chunks_exact_mut(n).zip(stored.chunks_exact(n)) {
            perm.iter().zip(from).for_each(|(&col, q)| to[col as usize] = *q);
        }
    }
    let tokens = held_out.tokens().max(1) as f64;
    let curvature: Vec<f32> = held_out.sums().iter().map(|sum| (sum / tokens) as f32).collect();
    let rows = weight.chunks(ROWS * n.max(1)).zip(decoded.chunks(ROWS * n.max(1)));
    let losses = rows.map(|(weight, decoded)| {
        let count = weight.len() / n;
        let mut errors = vec![0.0; weight.len()];
        for (at, (w, q)) in weight.iter().zip(decoded).enumerate() {
            errors[at % n * count + at / n] = w - q;
        }
        loss::without_gradient(&errors, &curvature, n, count).iter().sum::<f64>()
    });
    losses.sum()
}

/// Permutes the columns of each row.
fn gather(weight: &[f32], perm: &[usize]) -> Vec<f32> {
    let rows = weight.chunks_exact(perm.len().max(1));
    rows.flat_map(|row| perm.iter().map(|&col| row[col])).collect()
}
