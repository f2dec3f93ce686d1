//! Per-channel statistics: against a second implementation, in any division, and of samples that are no samples.

use crate::support::normal::normal;
use lowbit_calib::{ChannelStats, Error};

#[test]
fn division_into_calls_changes_nothing_and_merging_adds() {
    let (tokens, n) = (37, 24);
    let rows = normal(1, tokens * n);
    let mut whole = ChannelStats::new(n);
    whole.observe(&rows).unwrap();
    let mut divided = ChannelStats::new(n);
    for part in rows.chunks(5 * n) {
        divided.observe(part).unwrap();
    }
    assert_eq!(whole, divided);

    let column = |c: usize| rows.iter().skip(c).step_by(n).map(|&x| f64::from(x));
    for c in 0..n {
        assert_eq!(f64::from(whole.absmax()[c]), column(c).fold(0.0, |m: f64, x| m.max(x.abs())));
        assert_eq!(whole.sum()[c], column(c).sum::<f64>());
        assert_eq!(whole.sum_abs()[c], column(c).map(f64::abs).sum::<f64>());
        assert_eq!(whole.mean_square()[c], (column(c).map(|x| x * x).sum::<f64>() / tokens as f64) as f32);
    }
    assert_eq!(whole.amax(), rows.iter().fold(0.0, |m, x| x.abs().max(m)));

    let (mut first, mut second) = (ChannelStats::new(n), ChannelStats::new(n));
    first.observe(&rows[..10 * n]).unwrap();
    second.observe(&rows[10 * n..]).unwrap();
    let mut other_way = second.clone();
    first.merge(&second).unwrap();
    other_way
        .merge(&{
            let mut first = ChannelStats::new(n);
            first.observe(&rows[..10 * n]).unwrap();
            first
        })
        .unwrap();
    assert_eq!(first, other_way);
    assert_eq!((first.tokens(), first.absmax()), (37, whole.absmax()));
    for (a, b) in first.sum_square().iter().zip(whole.sum_square()) {
        assert!((a / b - 1.0).abs() < 1e-14);
    }
}

#[test]
fn bad_samples_are_errors_and_leave_the_statistics_as_they_were() {
    let mut stats = ChannelStats::new(3);
    stats.observe(&[1.0, 2.0, 3.0]).unwrap();
    let before = stats.clone();
    assert_eq!(stats.observe(&[1.0; 4]), Err(Error::Tokens { values: 4, features: 3 }));
    assert!(matches!(stats.observe(&[9.0, 9.0, f32::NAN]), Err(Error::Observed { index: 2, .. })));
    assert_eq!(
        stats.observe(&[9.0, f32::NEG_INFINITY, 9.0]),
        Err(Error::Observed { index: 1, value: f32::NEG_INFINITY })
    );
    assert_eq!(stats.merge(&ChannelStats::new(2)), Err(Error::Channels { got: 2, want: 3 }));
    assert_eq!(stats, before);
    stats.observe(&[]).unwrap();
    assert_eq!(stats, before);
    assert_eq!(ChannelStats::new(2).mean_square(), [0.0; 2]);
    assert_eq!(ChannelStats::new(0).observe(&[1.0]), Err(Error::Tokens { values: 1, features: 0 }));
    let sums = |x: f64| ChannelStats::from_sums(vec![1.0], vec![-1.0], vec![1.0], vec![x], 1);
    assert!(sums(f64::NAN).is_err() && sums(-1.0).is_err() && sums(2.0).is_ok());
    assert!(ChannelStats::from_sums(vec![1.0], vec![1.0], vec![1.0, 2.0], vec![1.0], 1).is_err());
}
