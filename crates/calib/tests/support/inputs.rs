//! Activations of a linear as layers see them: channels of unequal power that go together.

use lowbit_calib::Hessian;

use super::normal::{Random, normal};

/// `tokens x channels` numbers: a few common factors, noise of each channel, and powers over two orders of magnitude.
pub fn correlated(seed: u64, tokens: usize, channels: usize) -> Vec<f32> {
    let factors = channels.div_ceil(8);
    // The mixing belongs to the layer, not to the tokens.
    let mixing = normal(7, factors * channels);
    let mut random = Random(11);
    let power: Vec<f32> = (0..channels).map(|_| (2.3 * random.uniform()).exp() as f32 * 0.3).collect();
    let hidden = normal(seed, tokens * factors);
    let noise = normal(seed ^ 0xff, tokens * channels);
    let mut x = noise;
    for (x, hidden) in x.chunks_exact_mut(channels).zip(hidden.chunks_exact(factors)) {
        for (channel, x) in x.iter_mut().enumerate() {
            let common: f32 =
                hidden.iter().enumerate().map(|(f, h)| h * mixing[f * channels + channel]).sum();
            *x = (0.6 * *x + common / (factors as f32).sqrt()) * power[channel];
        }
    }
    x
}

/// The Hessian of such activations.
#[cfg(feature = "gptq")]
pub fn hessian(seed: u64, tokens: usize, channels: usize) -> Hessian {
    let mut hessian = Hessian::new(channels);
    hessian.observe(&correlated(seed, tokens, channels)).unwrap();
    hessian
}

/// tr(D H D^T) / tokens, and tr(W H W^T) / tokens, in f64.
pub fn losses(weight: &[f32], quantized: &[f32], hessian: &Hessian) -> (f64, f64) {
    let n = hessian.size();
    let sums = hessian.sums();
    let form = |rows: &[f64]| -> f64 {
        let of_row = |row: &[f64]| -> f64 {
            let products = sums.chunks_exact(n).map(|h| h.iter().zip(row).map(|(h, e)| h * e).sum::<f64>());
            products.zip(row).map(|(g, e)| g * e).sum()
        };
        rows.chunks_exact(n).map(of_row).sum::<f64>() / hessian.tokens() as f64
    };
    let errors: Vec<f64> = weight.iter().zip(quantized).map(|(w, q)| f64::from(*w) - f64::from(*q)).collect();
    let weight: Vec<f64> = weight.iter().map(|w| f64::from(*w)).collect();
    (form(&errors), form(&weight))
}
