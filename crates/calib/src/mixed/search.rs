//! Branch and bound over the groups, with a lower bound of the remaining groups that costs a few
//! additions.
//!
//! ```text
//! rest_m[d]  = sum of min_j (score + m cost) over groups d, d+1, …
//!              computed once for eleven multipliers m around the relaxed one
//! bound      = score so far + max_m (rest_m[d] - m * bits left)
//!              pruned unless it beats the best known choice
//! ```
//!
//! With the relaxed multiplier nearly every wrong candidate is pruned at once. The other
//! multipliers bound the parts of the tree with more or fewer bits left than the relaxation has.
//! Groups with the widest range of costs come first, candidates in the order of score + m cost.

use super::hull::Relaxed;
use super::{Candidate, Choice};

/// Multipliers, relative to the relaxed one.
const MULTIPLIERS: [f64; 11] = [0.0, 0.25, 0.5, 0.75, 0.875, 1.0, 1.125, 1.25, 1.5, 2.0, 4.0];
/// The index of the relaxed one.
const RELAXED: usize = 5;
/// Relative differences of scores below this are rounding errors.
const ROUNDING: f64 = 1e-13;

/// The problem with its groups in the order of the search.
struct Tree<'a> {
    groups: Vec<&'a [Candidate]>,
    /// Useful candidates of each group, the most promising first.
    orders: Vec<Vec<usize>>,
    multipliers: [f64; MULTIPLIERS.len()],
    /// The least score + m cost of the groups from d on.
    rest: Vec<[f64; MULTIPLIERS.len()]>,
    /// The least cost of the groups from d on.
    cheapest: Vec<u64>,
    rounding: f64,
}

impl Tree<'_> {
    fn bound(&self, depth: usize, score: f64, left: u64) -> f64 {
        let bits = left as f64;
        let of = |(rest, m): (&f64, &f64)| rest - m * bits;
        score + self.rest[depth].iter().zip(&self.multipliers).map(of).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Candidates that no other candidate of the group dominates, in the order of score + m cost.
fn worth_trying(candidates: &[Candidate], multiplier: f64) -> Vec<usize> {
    let better = |a: usize, b: usize| {
        let (a, b, first) = (candidates[a], candidates[b], a < b);
        a.cost <= b.cost && a.score <= b.score && (a != b || first)
    };
    let all = 0..candidates.len();
    let mut order: Vec<usize> =
        all.clone().filter(|&b| !all.clone().any(|a| a != b && better(a, b))).collect();
    let key = |i: usize| candidates[i].score + multiplier * candidates[i].cost as f64;
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    order
}

fn tree<'a>(groups: &'a [Vec<Candidate>], order: &[usize], relaxed: &Relaxed) -> Tree<'a> {
    let multipliers = MULTIPLIERS.map(|m| m * relaxed.multiplier);
    let groups: Vec<&[Candidate]> = order.iter().map(|&group| &groups[group][..]).collect();
    let orders = groups.iter().map(|group| worth_trying(group, relaxed.multiplier)).collect();
    let mut rest = vec![[0.0; MULTIPLIERS.len()]; groups.len() + 1];
    let mut cheapest = vec![0; groups.len() + 1];
    for depth in (0..groups.len()).rev() {
        let candidates = || groups[depth].iter();
        for (m, multiplier) in multipliers.iter().enumerate() {
            let least =
                candidates().map(|c| c.score + multiplier * c.cost as f64).fold(f64::INFINITY, f64::min);
            rest[depth][m] = rest[depth + 1][m] + least;
        }
        cheapest[depth] = cheapest[depth + 1] + candidates().map(|c| c.cost).min().unwrap_or(0);
    }
    let size: f64 = groups.iter().map(|g| g.iter().map(|c| c.score.abs()).fold(0.0, f64::max)).sum();
    Tree { groups, orders, multipliers, rest, cheapest, rounding: size * ROUNDING }
}

pub(super) fn branch_and_bound(
    groups: &[Vec<Candidate>],
    budget: u64,
    relaxed: &Relaxed,
    limit: u64,
) -> Choice {
    let range = |g: usize| {
        let costs = || groups[g].iter().map(|c| c.cost);
        costs().max().unwrap_or(0) - costs().min().unwrap_or(0)
    };
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_key(|&group| (std::cmp::Reverse(range(group)), group));
    let tree = tree(groups, &order, relaxed);
    let score_of = |picks: &[usize]| picks.iter().zip(groups).map(|(&p, group)| group[p].score).sum::<f64>();

    let mut best = relaxed.picks.clone();
    let mut best_score = score_of(&best);
    let depth_of_all = groups.len();
    // The next candidate at each depth, and the score and bits left above it.
    let mut next = vec![0; depth_of_all + 1];
    let mut taken = vec![(0.0, budget); depth_of_all + 1];
    let mut path = vec![0; depth_of_all];
    let (mut depth, mut nodes) = (0, 0);
    let complete = loop {
        let (score, left) = taken[depth];
        if depth == depth_of_all {
            if score < best_score - tree.rounding {
                order.iter().zip(&path).for_each(|(&group, &pick)| best[group] = pick);
                best_score = score;
            }
            if depth == 0 {
                break true;
            }
            depth -= 1;
            continue;
        }
        let Some(&pick) = tree.orders[depth].get(next[depth]) else {
            if depth == 0 {
                break true;
            }
            next[depth] = 0;
            depth -= 1;
            continue;
        };
        if nodes >= limit {
            break false;
        }
        nodes += 1;
        next[depth] += 1;
        let candidate = tree.groups[depth][pick];
        let Some(left) = left.checked_sub(candidate.cost) else { continue };
        let score = score + candidate.score;
        if left < tree.cheapest[depth + 1] || tree.bound(depth + 1, score, left) >= best_score - tree.rounding
        {
            continue;
        }
        path[depth] = pick;
        depth += 1;
        (taken[depth], next[depth]) = ((score, left), 0);
    };
    let score = score_of(&best);
    let root = tree.rest.first().map_or(0.0, |rest| rest[RELAXED] - relaxed.multiplier * budget as f64);
    let cost = best.iter().zip(groups).map(|(&p, group)| group[p].cost).sum();
    Choice { picks: best, cost, score, bound: if complete { score } else { root.min(score) }, nodes }
}
