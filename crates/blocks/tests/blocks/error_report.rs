//! The error report by hand, and its independence of how rows are cut.

use lowbit_blocks::{ErrorReport, ErrorStats, Values};

use crate::cases::{large, noise};
use crate::round_trip::encode;

fn report(original: &[f32], restored: &[f32]) -> ErrorReport {
    let mut stats = ErrorStats::default();
    stats.observe(original, restored);
    stats.report()
}

#[test]
fn figures_by_hand() {
    // Errors 1 and 0: MSE 1/2. Signal 9 + 16 = 25 over noise 1. Product 6 + 16 = 22 over 5 * sqrt(4 + 16).
    let found = report(&[3.0, 4.0], &[2.0, 4.0]);
    assert_eq!((found.count, found.mse, found.max_error), (2, 0.5, 1.0));
    assert_eq!(found.sqnr_db, 10.0 * 25f64.log10());
    assert_eq!(found.cosine, 22.0 / (5.0 * 20f64.sqrt()));
    // 20 dB is an error a tenth of the signal, here 0.5 of 5 (and powers of two, so that it is exact).
    assert_eq!(report(&[5.0, 0.0], &[5.0, 0.5]).sqnr_db, 20.0);
    assert_eq!(report(&[1.0, -1.0], &[-1.0, 1.0]).cosine, -1.0 / (2f64.sqrt() * 2f64.sqrt()) * 2.0);
}

#[test]
fn nothing_lost_and_nothing_left() {
    let exact = report(&[1.0, 2.0], &[1.0, 2.0]);
    assert_eq!((exact.mse, exact.sqnr_db, exact.max_error), (0.0, f64::INFINITY, 0.0));
    let gone = report(&[1.0, 2.0], &[0.0, 0.0]);
    assert_eq!((gone.mse, gone.sqnr_db, gone.max_error, gone.cosine), (2.5, 0.0, 2.0, 0.0));
    let zeros = report(&[0.0; 3], &[0.0; 3]);
    assert_eq!((zeros.mse, zeros.sqnr_db, zeros.cosine), (0.0, f64::INFINITY, 1.0));
    let nothing = ErrorStats::default().report();
    assert_eq!((nothing.count, nothing.mse, nothing.max_error, nothing.cosine), (0, 0.0, 0.0, 1.0));
}

/// NaN must not hide behind a maximum that skips it, wherever it stands.
#[test]
fn nan_shows_in_every_figure() {
    for at in 0..3 {
        let mut restored = [1.0, 2.0, 3.0];
        restored[at] = f32::NAN;
        let found = report(&[1.0, 2.5, 3.0], &restored);
        assert!(
            found.mse.is_nan() && found.sqnr_db.is_nan() && found.max_error.is_nan() && found.cosine.is_nan()
        );
    }
}

#[test]
fn display_is_one_line() {
    assert_eq!(
        report(&[5.0, 0.0], &[5.0, 0.5]).to_string(),
        "MSE 1.2500e-1, SQNR 20.00 dB, max error 5.0000e-1, cosine 0.995037"
    );
}

/// Rows summed one by one and merged in order: what `compare` does on any number of threads.
#[test]
fn compare_is_the_sum_of_rows_in_order() {
    for case in large() {
        let original = noise(case.shape.len().unwrap());
        let tensor = encode(&case, Values::F32(&original));
        let restored = tensor.to_f32_vec();
        let mut stats = ErrorStats::default();
        for (x, y) in original.chunks(case.shape.cols).zip(restored.chunks(case.shape.cols)) {
            stats.observe(x, y);
        }
        assert_eq!(tensor.error_stats(Values::F32(&original)), Ok(stats), "{}", case.format);
        assert_eq!(tensor.compare(Values::F32(&original)), Ok(stats.report()), "{}", case.format);
    }
}
