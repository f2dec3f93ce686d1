//! Pairs drawn at random: exact means the same bits.

use lowbit_blocks::transcode::Exactness;
use lowbit_blocks::{Error, Format, QTensor, TensorScale};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::pairs::pair;
use crate::round_trip::bits;

/// What became of a pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Outcome {
    Exact,
    Rounded,
    Refused,
}

fn check(from: &QTensor<'_>, to: Format, divide: bool) -> Result<Outcome, TestCaseError> {
    let (there, exactness) = match from.transcode(to, divide) {
        Ok(result) => result,
        Err(Error::Transcode { .. }) => return Ok(Outcome::Refused),
        Err(error) => return Err(TestCaseError::fail(error.to_string())),
    };
    prop_assert_eq!(there.format(), to);
    let (got, want) = (there.to_f32_vec(), from.to_f32_vec());
    match exactness {
        Exactness::Exact => prop_assert_eq!(bits(&got), bits(&want)),
        // Off by that, and by what rounding the products adds on either side; more where scales come near to subnormal numbers.
        Exactness::TensorScaleRounded { relative_error }
        | Exactness::ScalesRounded { relative_error, .. } => {
            if from.zeros().is_none() || to.zero == lowbit_blocks::Zero::None {
                for (got, want) in
                    got.iter().zip(&want).filter(|(_, want)| want.is_finite() && want.abs() > 1e-30)
                {
                    let error = f64::from(*got) / f64::from(*want) - 1.0;
                    prop_assert!(error.abs() <= relative_error * 1.001 + 1e-6, "{got} for {want}");
                }
            }
            return Ok(Outcome::Rounded);
        }
        _ => unreachable!(),
    }
    // Back again: wherever that is possible at all, the values are the same once more.
    let back = matches!(from.tensor_scale(), TensorScale::Divide(_));
    if let Ok((back, Exactness::Exact)) = there.transcode(from.format(), back) {
        prop_assert_eq!(bits(&back.to_f32_vec()), bits(&want));
    }
    Ok(Outcome::Exact)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 1000, ..ProptestConfig::default() })]

    #[test]
    fn exact_is_the_same_bits((from, to) in pair(), divide in any::<bool>()) {
        check(&from, to, divide)?;
    }
}

/// The property above would hold if everything were refused.
#[test]
fn pairs_of_each_outcome_are_drawn() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut counts = [0; 3];
    for _ in 0..1000 {
        let (from, to) = pair().new_tree(&mut runner).unwrap().current();
        if !from.is_empty() {
            counts[check(&from, to, false).unwrap() as usize] += 1;
        }
    }
    assert!(counts.iter().all(|&count| count > 50), "exact, rounded, refused: {counts:?}");
}
