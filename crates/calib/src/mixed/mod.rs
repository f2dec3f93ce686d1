//! Mixed precision: a format for each linear, for the least loss within a budget of bits.
//!
//! ```text
//! group    linears with one format (engines fuse them): q, k, v      candidates = formats
//! minimise   sum_g score[g][pick_g]       subject to   sum_g cost[g][pick_g] <= budget
//! ```
//!
//! This is the multiple-choice knapsack problem. Its relaxation is solved exactly by the lower
//! convex hulls of the groups (`hull.rs`), the problem itself by branch and bound (`search.rs`).
//! Scores are an input: the error of a layer's output ([`output_error`](crate::output_error)) times
//! the sensitivity of the model to that layer, a KL divergence, or a score from gradients.
//!
//! Sources: Sinha and Zoltners, The Multiple-Choice Knapsack Problem (1979); ModelOpt's
//! AutoQuantize, which solves the same problem by an integer program, without a bound.

mod hull;
mod search;

use crate::error::Error;

/// The cost and the loss of a group in one of its formats.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate {
    /// Total bits: weights times bits per weight.
    pub cost: u64,
    /// The loss, any finite number; less is better.
    pub score: f64,
}

/// The chosen candidate of each group, and a bound of the optimum.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// Index of the candidate of each group.
    pub picks: Vec<usize>,
    /// Total bits.
    pub cost: u64,
    /// Total score.
    pub score: f64,
    /// A lower bound of the score of every choice within the budget. Equal to `score` if the
    /// optimum is proved.
    pub bound: f64,
    /// The number of nodes that the search visited.
    pub nodes: u64,
}

impl Choice {
    /// The largest possible distance of the score from the optimum: 0 if the optimum is proved.
    #[must_use]
    pub fn gap(&self) -> f64 {
        (self.score - self.bound).max(0.0)
    }
}

/// A default limit of nodes for [`choose`]: about a second.
pub const NODES: u64 = 10_000_000;

/// Chooses one candidate of each group, for the least score within `budget` bits. Ties go to the
/// first choice found, which depends on the arguments only.
///
/// After `nodes` nodes the search ends with the best choice so far. [`Choice::gap`] then bounds how
/// much better another choice could be.
///
/// ```
/// use lowbit_calib::mixed::{Candidate, NODES, choose};
/// let candidates = |scores: [f64; 2]| [(4, scores[0]), (8, scores[1])].map(|(cost, score)| Candidate { cost, score }).to_vec();
/// // Three layers at 4 or 8 bits, with a budget of 18 bits: only the layer that gains most gets 8.
/// let choice = choose(&[candidates([3.0, 1.0]), candidates([9.0, 2.0]), candidates([5.0, 4.0])], 18, NODES)?;
/// assert_eq!((choice.picks, choice.cost, choice.score, choice.bound), (vec![0, 1, 0], 16, 10.0, 10.0));
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Group`] for a group without candidates, or with a score that is NaN or infinite;
/// [`Error::Budget`] if the cheapest candidates exceed the budget.
pub fn choose(groups: &[Vec<Candidate>], budget: u64, nodes: u64) -> Result<Choice, Error> {
    for (group, candidates) in groups.iter().enumerate() {
        if candidates.is_empty() {
            return Err(Error::Group { group, reason: "no candidates".into() });
        }
        if let Some(bad) = candidates.iter().position(|c| !c.score.is_finite()) {
            let reason = format!("a score of {} for candidate {bad}", candidates[bad].score);
            return Err(Error::Group { group, reason });
        }
    }
    let cheapest = groups.iter().flat_map(|group| group.iter().map(|c| c.cost).min());
    let least = cheapest.fold(0u64, u64::saturating_add);
    // The sums of the most expensive candidates must not overflow either.
    let dearest = groups.iter().flat_map(|group| group.iter().map(|c| c.cost).max());
    let most = dearest.fold(0u128, |sum, cost| sum + u128::from(cost));
    if least > budget || most > u128::from(u64::MAX) {
        return Err(Error::Budget { budget, least });
    }
    let relaxed = hull::relax(groups, budget);
    Ok(search::branch_and_bound(groups, budget, &relaxed, nodes))
}

/// Fuses linears that take the same format into one group: costs and scores are added candidate by
/// candidate.
///
/// ```
/// use lowbit_calib::mixed::{Candidate, fuse};
/// let (gate, up) = ([Candidate { cost: 4, score: 1.0 }], [Candidate { cost: 4, score: 0.5 }]);
/// assert_eq!(fuse(&[&gate, &up])?, [Candidate { cost: 8, score: 1.5 }]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Group`] if the members have different numbers of candidates.
pub fn fuse(members: &[&[Candidate]]) -> Result<Vec<Candidate>, Error> {
    let Some((first, rest)) = members.split_first() else { return Ok(Vec::new()) };
    let mut fused = first.to_vec();
    for (member, candidates) in rest.iter().enumerate() {
        if candidates.len() != fused.len() {
            let reason =
                format!("{} candidates where the first member has {}", candidates.len(), fused.len());
            return Err(Error::Group { group: member + 1, reason });
        }
        for (sum, candidate) in fused.iter_mut().zip(*candidates) {
            sum.cost = sum.cost.saturating_add(candidate.cost);
            sum.score += candidate.score;
        }
    }
    Ok(fused)
}

/// Mean bits per weight of linears, each given as (weights, bits): the usual unit of a budget.
///
/// ```
/// // ModelOpt counts NVFP4 as 4.5 bits: 16 codes and one E4M3 scale are 72 bits for 16 weights.
/// assert_eq!(lowbit_calib::mixed::effective_bits([(1600, 7200), (400, 3200)]), 5.2);
/// ```
#[must_use]
pub fn effective_bits(linears: impl IntoIterator<Item = (u64, u64)>) -> f64 {
    let (weights, bits) =
        linears.into_iter().fold((0u128, 0u128), |(w, b), (n, c)| (w + u128::from(n), b + u128::from(c)));
    if weights == 0 { 0.0 } else { bits as f64 / weights as f64 }
}
