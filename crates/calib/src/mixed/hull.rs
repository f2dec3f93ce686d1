//! The linear relaxation, in which a group may be split between two formats.
//!
//! ```text
//! score                      the lower convex hull of a group's points (cost, score), from the
//!   x                        cheapest on; its edges are steps of falling gain per bit
//!     \      x               the steps of all groups are taken, best first, until the budget is spent:
//!       x ------- x          the gain per bit of the first step that does not fit is the multiplier
//!               cost
//! bound(m) = sum_g min_j (score_gj + m cost_gj) - m budget
//!                            a lower bound for every m >= 0, the largest at that multiplier
//! ```
//!
//! Bisection over the multiplier converges to the same number; sorted steps find it exactly.

use super::Candidate;

/// The relaxed optimum.
pub(super) struct Relaxed {
    /// The score lost per bit saved at the margin; 0 if the budget affords the best candidate of
    /// every group.
    pub(super) multiplier: f64,
    /// A choice within the budget: all steps that fit as a whole.
    pub(super) picks: Vec<usize>,
}

/// Candidates on the lower convex hull of the points, in order of rising cost and falling score.
fn hull(candidates: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let key = |i: usize| (candidates[i].cost, candidates[i].score);
    order.sort_by(|&a, &b| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)).then(a.cmp(&b)));
    let mut hull: Vec<usize> = Vec::new();
    for at in order {
        // More expensive and no better.
        if hull.last().is_some_and(|&last| candidates[at].score >= candidates[last].score) {
            continue;
        }
        while let [.., before, last] = hull[..]
            && gain(candidates[before], candidates[last]) <= gain(candidates[last], candidates[at])
        {
            hull.pop();
        }
        hull.push(at);
    }
    hull
}

/// The gain in score per bit.
fn gain(from: Candidate, to: Candidate) -> f64 {
    (from.score - to.score) / (to.cost - from.cost) as f64
}

pub(super) fn relax(groups: &[Vec<Candidate>], budget: u64) -> Relaxed {
    let hulls: Vec<Vec<usize>> = groups.iter().map(|candidates| hull(candidates)).collect();
    let mut picks: Vec<usize> = hulls.iter().map(|hull| hull[0]).collect();
    let mut steps: Vec<(f64, usize, usize)> = Vec::new();
    for (group, hull) in hulls.iter().enumerate() {
        let candidates = &groups[group];
        steps.extend(hull.windows(2).map(|w| (gain(candidates[w[0]], candidates[w[1]]), group, w[1])));
    }
    // A stable sort: of equal gains the first group's first step comes first, and the steps of a
    // group keep their order.
    steps.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut left = budget - picks.iter().zip(groups).map(|(&pick, group)| group[pick].cost).sum::<u64>();
    let mut multiplier = 0.0;
    let mut closed = vec![false; groups.len()];
    for (gain, group, to) in steps {
        let extra = groups[group][to].cost - groups[group][picks[group]].cost;
        if closed[group] || extra > left {
            // The first step that does not fit determines the bound. Later steps may still fit and
            // improve the choice.
            closed[group] = true;
            multiplier = f64::max(multiplier, gain);
            continue;
        }
        left -= extra;
        picks[group] = to;
    }
    Relaxed { multiplier, picks }
}
