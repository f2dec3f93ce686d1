//! A mixture of experts: each token goes through a few MLPs, and their outputs are weighed.
//!
//! ```text
//! p = softmax(router x)        over all experts, f32
//! the k largest                the first of equals
//! y = sum p_e mlp_e(x)         p divided by their sum where the model says so; in the order of the experts
//! ```
//!
//! Fedus et al.: Switch Transformers, 2021; Jiang et al.: Mixtral of Experts, 2024.

use super::gated;
use crate::config::Gating;
use crate::model::Model;
use crate::product::product;
use crate::projections::{Hook, ProjectionKind, Projections};
use crate::{Result, exp, parallel};
use lowbit_arch::Slot;

/// The router and the experts of a layer.
#[derive(Clone, Debug)]
pub(super) struct Experts {
    router: Vec<f32>,
    hidden: usize,
    chosen: usize,
    normed: bool,
    /// Gate and up, down.
    experts: Vec<[Projections; 2]>,
}

impl Experts {
    pub(super) fn read(model: &Model<'_>, layer: usize) -> Result<Self> {
        let c = model.description();
        let Some(moe) = &c.experts else {
            return Err(crate::Error::Tokens("no mixture of experts is configured".into()));
        };
        let router = model.linear(&model.name(Slot::Router, layer)?, moe.count, c.hidden)?.weight;
        let [gate, up, down] =
            [Slot::ExpertGate, Slot::ExpertUp, Slot::ExpertDown].map(|slot| model.name(slot, layer));
        let names = [gate?, up?, down?];
        let experts = parallel::map((0..moe.count).collect(), |expert| {
            let [gate, up, down] = names.each_ref().map(|name| name.replace('*', &expert.to_string()));
            let linears = [
                vec![
                    model.linear(&gate, moe.intermediate, c.hidden)?,
                    model.linear(&up, moe.intermediate, c.hidden)?,
                ],
                vec![model.linear(&down, c.hidden, moe.intermediate)?],
            ];
            let mut kinds = [ProjectionKind::GateUp, ProjectionKind::Down].into_iter();
            Ok::<_, crate::Error>(linears.map(|linears| {
                let kind = kinds.next().unwrap_or(ProjectionKind::Down);
                Projections { layer, kind, expert: Some(expert), linears }
            }))
        })?;
        Ok(Self { router, hidden: c.hidden, chosen: moe.chosen, normed: moe.normed, experts })
    }

    pub(super) fn projections(&self) -> impl Iterator<Item = &Projections> {
        self.experts.iter().flatten()
    }

    /// Takes rows through the experts that the router chooses.
    pub(super) fn run(&mut self, gating: Gating, x: &[f32], hook: &mut dyn Hook) -> Result<Vec<f32>> {
        let (hidden, count) = (self.hidden, self.experts.len());
        let tokens = x.len() / hidden;
        let mut odds = vec![0.0; tokens * count];
        product(x, &self.router, None, hidden, count, &mut odds);
        // Tokens of each expert, with their weights.
        let mut queues: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
        for (token, odds) in odds.chunks_exact_mut(count).enumerate() {
            for (expert, weight) in choose(odds, self.chosen, self.normed) {
                queues[expert].push((token, weight));
            }
        }
        let mut y = vec![0.0; x.len()];
        for ([gate_up, down], queue) in self.experts.iter_mut().zip(&queues) {
            let mut rows = Vec::with_capacity(queue.len() * hidden);
            queue.iter().for_each(|(token, _)| rows.extend_from_slice(&x[token * hidden..][..hidden]));
            let inner = gated(gating, gate_up.run(&rows, hook)?);
            let out = down.run(&inner, hook)?.remove(0);
            for ((token, weight), out) in queue.iter().zip(out.chunks_exact(hidden)) {
                y[token * hidden..][..hidden].iter_mut().zip(out).for_each(|(y, out)| *y += weight * out);
            }
        }
        Ok(y)
    }
}

/// The experts of one token and their weights, in the order of the experts.
fn choose(odds: &mut [f32], chosen: usize, normed: bool) -> Vec<(usize, f32)> {
    let sum = exp::exp_less(odds, exp::largest(odds), 1.0);
    let mut order: Vec<usize> = (0..odds.len()).collect();
    // Stable: the first of equals.
    order.sort_by(|&a, &b| odds[b].total_cmp(&odds[a]));
    order.truncate(chosen);
    order.sort_unstable();
    let weight = if normed { order.iter().map(|&e| odds[e]).sum() } else { sum };
    order.into_iter().map(|e| (e, odds[e] / weight)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_experts_are_chosen() {
        let ln = |x: [f32; 4]| x.map(f32::ln);
        let close = |got: Vec<(usize, f32)>, want: [(usize, f32); 2]| {
            got.iter().zip(want).all(|(g, w)| g.0 == w.0 && (g.1 - w.1).abs() < 1e-6) && got.len() == 2
        };
        assert!(close(choose(&mut ln([1.0, 4.0, 2.0, 1.0]), 2, false), [(1, 0.5), (2, 0.25)]));
        assert!(close(choose(&mut ln([1.0, 4.0, 1.0, 2.0]), 2, true), [(1, 2.0 / 3.0), (3, 1.0 / 3.0)]));
        assert!(
            close(choose(&mut ln([1.0, 1.0, 1.0, 1.0]), 2, true), [(0, 0.5), (1, 0.5)]),
            "the first of equals"
        );
    }
}
