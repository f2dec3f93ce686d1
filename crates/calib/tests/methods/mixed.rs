//! Mixed precision: the optimum of small problems by trying everything, and proofs and limits on larger ones.

use crate::support::normal::{Random, normal};
use lowbit_calib::mixed::{Candidate, NODES, choose, fuse};
use lowbit_calib::{Error, channel_error, output_error};

fn random_problem(random: &mut Random, groups: usize) -> Vec<Vec<Candidate>> {
    let mut problem = Vec::new();
    for _ in 0..groups {
        let weights = 1 + random.bits() % 40;
        let n = 1 + random.bits() % 4;
        let candidate = |_| {
            let cost = weights * (2 + random.bits() % 15);
            // Few distinct scores, so that ties occur; some are negative, some dearer candidates are worse.
            Candidate { cost, score: (random.bits() % 64) as f64 / 8.0 - 1.0 }
        };
        problem.push((0..n).map(candidate).collect());
    }
    problem
}

/// The least score within the budget, by visiting every choice.
fn brute_force(groups: &[Vec<Candidate>], budget: u64) -> Option<f64> {
    let Some((first, rest)) = groups.split_first() else { return Some(0.0) };
    let of = |c: &Candidate| Some(c.score + brute_force(rest, budget.checked_sub(c.cost)?)?);
    first.iter().filter_map(of).min_by(f64::total_cmp)
}

#[test]
fn equals_brute_force_on_small_problems() {
    let mut random = Random(7);
    let (mut solved, mut refused) = (0, 0);
    for round in 0..400 {
        let groups = random_problem(&mut random, 1 + round % 7);
        let all: u64 = groups.iter().map(|g| g.iter().map(|c| c.cost).max().unwrap()).sum();
        let budget = all * (20 + random.bits() % 85) / 100;
        match (choose(&groups, budget, NODES), brute_force(&groups, budget)) {
            (Ok(choice), Some(best)) => {
                let picked = || choice.picks.iter().zip(&groups).map(|(&p, g)| g[p]);
                assert_eq!(choice.score, best, "round {round}: {groups:?} within {budget}");
                assert_eq!((choice.gap(), choice.bound), (0.0, best));
                assert_eq!(choice.cost, picked().map(|c| c.cost).sum::<u64>());
                assert_eq!(choice.score, picked().map(|c| c.score).sum::<f64>());
                assert!(choice.cost <= budget);
                solved += 1;
            }
            (Err(Error::Budget { .. }), None) => refused += 1,
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(solved > 200 && refused > 10, "{solved} {refused}");
}

#[test]
fn a_model_of_two_hundred_groups_is_proved_or_bounded() {
    let mut random = Random(3);
    let groups: Vec<Vec<Candidate>> = (0..200)
        .map(|_| {
            let weights = 64 * (1 + random.bits() % 100);
            let loss = random.uniform().powi(3) * weights as f64;
            let formats = [(9, 1.0), (17, 0.09), (32, 0.0)]; // half bits: NVFP4, FP8 and a bit for its scales, BF16
            formats.map(|(half, score)| Candidate { cost: weights * half / 2, score: score * loss }).to_vec()
        })
        .collect();
    let weights: u64 = groups.iter().map(|g| g[2].cost / 16).sum();
    let budget = weights * 48 / 10;
    let choice = choose(&groups, budget, 200_000).unwrap();
    assert!(choice.cost <= budget && choice.bound <= choice.score);
    assert!(choice.gap() <= 1e-3 * choice.score, "{} {}", choice.gap(), choice.score);
    // More nodes never do worse, and one node still answers.
    let hasty = choose(&groups, budget, 1).unwrap();
    assert!(hasty.score >= choice.score && hasty.bound <= choice.score && hasty.nodes <= 1);
    assert!(hasty.gap() <= 0.02 * hasty.score, "{} {}", hasty.gap(), hasty.score);
    assert_eq!(choice, choose(&groups, budget, 200_000).unwrap());
    // Any rule that gives the same bits to a fixed set of groups does worse: here the first and the last ones.
    let mut left = budget - groups.iter().map(|g| g[0].cost).sum::<u64>();
    let mut fixed = 0.0;
    for at in (0..100).flat_map(|i| [i, 199 - i]) {
        let extra = groups[at][1].cost - groups[at][0].cost;
        let fits = extra <= left;
        left -= if fits { extra } else { 0 };
        fixed += groups[at][usize::from(fits)].score;
    }
    assert!(choice.score < 0.9 * fixed, "{} {fixed}", choice.score);
}

#[test]
fn what_cannot_be_decided_is_an_error() {
    let one = |cost, score| vec![Candidate { cost, score }];
    assert_eq!(choose(&[one(8, 1.0)], 7, NODES), Err(Error::Budget { budget: 7, least: 8 }));
    assert!(matches!(choose(&[one(1, 1.0), vec![]], 9, NODES), Err(Error::Group { group: 1, .. })));
    assert!(matches!(choose(&[one(1, f64::NAN)], 9, NODES), Err(Error::Group { group: 0, .. })));
    assert!(choose(&[one(u64::MAX, 1.0), one(u64::MAX, 1.0)], u64::MAX, NODES).is_err());
    let nothing = choose(&[], 0, NODES).unwrap();
    assert_eq!((nothing.score, nothing.picks.len(), nothing.gap()), (0.0, 0, 0.0));
    assert!(fuse(&[&one(1, 1.0), &[]]).is_err());
    assert!(output_error(&[1.0], &[1.0], 0).is_err() && output_error(&[1.0], &[1.0; 3], 1).is_err());
    assert!(channel_error(&[1.0; 3], &[1.0; 2]).is_err());
}

#[test]
fn output_error_is_that_of_the_outputs() {
    let (rows, n, tokens) = (11, 9, 20);
    let (delta, x) = (normal(1, rows * n), normal(2, tokens * n));
    let mut hessian = vec![0.0; n * n];
    let mut outputs = 0.0;
    for x in x.chunks(n) {
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            hessian[i * n + j] += f64::from(x[i]) * f64::from(x[j]);
        }
        for row in delta.chunks(n) {
            outputs += row.iter().zip(x).map(|(d, x)| f64::from(*d) * f64::from(*x)).sum::<f64>().powi(2);
        }
    }
    let error = output_error(&delta, &hessian, tokens as u64).unwrap();
    assert!((error / (outputs / tokens as f64) - 1.0).abs() < 1e-12);
    let diagonal: Vec<f32> = (0..n).map(|i| (hessian[i * n + i] / tokens as f64) as f32).collect();
    let mut only = vec![0.0; n * n];
    (0..n).for_each(|i| only[i * n + i] = f64::from(diagonal[i]));
    let (a, b) = (channel_error(&delta, &diagonal).unwrap(), output_error(&delta, &only, 1).unwrap());
    assert!((a / b - 1.0).abs() < 1e-12);
}
