//! A small layer, norms, grouped heads, a gated feed-forward part with a router: scales folded and rotations fused leave its outputs alone.

use crate::support::normal::normal;
use lowbit_calib::{Rotation, absorb_norm, fold, smooth};

const D: usize = 24;
const HEADS: usize = 4;
const KV: usize = 2;
const HEAD: usize = 8;
const FF: usize = 20;
const TOKENS: usize = 6;

/// Weights `[out, in]`.
#[derive(Clone)]
struct Layer {
    embed: Vec<f32>,
    norm1: Vec<f32>,
    v: Vec<f32>,
    v_bias: Vec<f32>,
    o: Vec<f32>,
    norm2: Vec<f32>,
    router: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    down: Vec<f32>,
    head: Vec<f32>,
    offset: bool,
}

fn layer(offset: bool) -> Layer {
    let near_one = |seed| normal(seed, D).iter().map(|x| if offset { 0.1 } else { 1.0 } + 0.2 * x).collect();
    Layer {
        embed: normal(1, TOKENS * D),
        norm1: near_one(2),
        v: normal(3, KV * HEAD * D),
        v_bias: normal(4, KV * HEAD),
        o: normal(5, D * HEADS * HEAD),
        norm2: near_one(6),
        router: normal(7, 2 * D),
        gate: normal(8, FF * D),
        up: normal(9, FF * D),
        down: normal(10, D * FF),
        head: normal(11, 5 * D),
        offset,
    }
}

fn times(w: &[f32], x: &[f64]) -> Vec<f64> {
    w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
}

fn rms(weight: &[f32], offset: bool, x: &[f64]) -> Vec<f64> {
    let size = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + 1e-6).sqrt();
    x.iter().zip(weight).map(|(x, w)| x / size * (f64::from(*w) + f64::from(u8::from(offset)))).collect()
}

impl Layer {
    /// Logits of every token. Attention looks at all earlier tokens alike, each head with its own decay.
    fn forward(&self) -> Vec<f64> {
        let mut stream: Vec<Vec<f64>> =
            self.embed.chunks(D).map(|e| e.iter().map(|x| f64::from(*x)).collect()).collect();
        let values: Vec<Vec<f64>> = stream
            .iter()
            .map(|x| times(&self.v, &rms(&self.norm1, self.offset, x)))
            .map(|v| v.iter().zip(&self.v_bias).map(|(v, b)| v + f64::from(*b)).collect())
            .collect();
        for (t, x) in stream.iter_mut().enumerate() {
            let mut heads = vec![0.0; HEADS * HEAD];
            for (head, at) in (0..HEADS).flat_map(|h| (0..HEAD).map(move |i| (h, i))) {
                let value = |s: usize| values[s][head * KV / HEADS * HEAD + at];
                let decay = |s: usize| 0.5f64.powi((t - s) as i32 * (head as i32 + 1));
                let all: f64 = (0..=t).map(decay).sum();
                heads[head * HEAD + at] = (0..=t).map(|s| decay(s) * value(s)).sum::<f64>() / all;
            }
            x.iter_mut().zip(times(&self.o, &heads)).for_each(|(x, y)| *x += y);
        }
        let mut logits = Vec::new();
        for x in &mut stream {
            let h = rms(&self.norm2, self.offset, x);
            let route = times(&self.router, &h);
            let share = 1.0 / (1.0 + (route[1] - route[0]).exp());
            let gate = times(&self.gate, &h).into_iter().map(|g| g / (1.0 + (-g).exp()));
            let inner: Vec<f64> = gate.zip(times(&self.up, &h)).map(|(g, u)| g * u * share).collect();
            x.iter_mut().zip(times(&self.down, &inner)).for_each(|(x, y)| *x += y);
            logits.extend(times(&self.head, &rms(&[1.0; D], false, x)));
        }
        logits
    }
}

fn assert_same(got: &Layer, want: &Layer) {
    let (got, want) = (got.forward(), want.forward());
    let size = want.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let off = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off < 1e-5 * size, "{off} of {size}");
}

/// Scales between 1/4 and 4.
fn some_scales(seed: u64, n: usize) -> Vec<f32> {
    normal(seed, n).iter().map(|x| x.exp().clamp(0.25, 4.0)).collect()
}

#[test]
fn scales_folded_into_norms_and_linears_change_nothing() {
    for offset in [false, true] {
        let original = layer(offset);
        let mut folded = original.clone();
        let divide = if offset { fold::divide_offset } else { fold::divide };
        let s = some_scales(31, D);
        divide(&mut folded.norm1, &s).unwrap();
        fold::multiply_columns(&mut folded.v, &s).unwrap();
        let s = smooth::scales(
            &some_scales(32, D),
            &smooth::weight_absmax(&[&folded.gate, &folded.up], D).unwrap(),
            0.5,
        )
        .unwrap();
        divide(&mut folded.norm2, &s).unwrap();
        for reader in [&mut folded.gate, &mut folded.up, &mut folded.router] {
            fold::multiply_columns(reader, &s).unwrap();
        }
        let s = some_scales(33, FF);
        fold::divide_rows(&mut folded.up, &s).unwrap();
        fold::multiply_columns(&mut folded.down, &s).unwrap();
        // Two heads read each value head.
        let shared = fold::share_heads(&some_scales(34, HEADS * HEAD), HEAD, HEADS / KV).unwrap();
        fold::divide_rows(&mut folded.v, &shared).unwrap();
        fold::divide(&mut folded.v_bias, &shared).unwrap();
        fold::multiply_columns(&mut folded.o, &fold::repeat_heads(&shared, HEAD, HEADS / KV).unwrap())
            .unwrap();
        assert_ne!(folded.down, original.down);
        assert_same(&folded, &original);

        // The router left out, as AutoAWQ leaves it, is another network.
        folded.router = original.router.clone();
        let (a, b) = (folded.forward(), original.forward());
        assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 1e-3));
    }
}

#[test]
fn rotations_of_the_stream_and_of_heads_change_nothing() {
    for offset in [false, true] {
        let original = layer(offset);
        let mut rotated = original.clone();
        absorb_norm(&mut rotated.norm1, offset, &mut [&mut rotated.v]).unwrap();
        absorb_norm(
            &mut rotated.norm2,
            offset,
            &mut [&mut rotated.gate, &mut rotated.up, &mut rotated.router],
        )
        .unwrap();
        assert_same(&rotated, &original);
        let r1 = Rotation::new(D).unwrap().with_signs(7);
        for reader in [
            &mut rotated.embed,
            &mut rotated.v,
            &mut rotated.gate,
            &mut rotated.up,
            &mut rotated.router,
            &mut rotated.head,
        ] {
            r1.rows(reader).unwrap();
        }
        r1.columns(&mut rotated.o, HEADS * HEAD).unwrap();
        r1.columns(&mut rotated.down, FF).unwrap();
        assert_same(&rotated, &original);
        let r2 = Rotation::new(HEAD).unwrap().with_signs(8);
        r2.columns(&mut rotated.v, D).unwrap();
        r2.columns(&mut rotated.v_bias, 1).unwrap();
        r2.rows(&mut rotated.o).unwrap();
        assert_same(&rotated, &original);
        assert_ne!(rotated.o, original.o);
    }
}

#[test]
fn smooth_scales_are_clamped_and_dead_channels_left_alone() {
    let s = smooth::scales(&[1e30, 1e-9, 0.0, 4.0], &[1e-3, 1e3, 1.0, 0.0], 0.5).unwrap();
    assert_eq!(s[..3], [1e4, 1e-4, 1.0]);
    assert!((s[3] - (4.0f32 / 1e-5).sqrt()).abs() < 1e-2);
    assert_eq!(smooth::scales(&[3.0], &[2.0], 1.0).unwrap(), [3.0]);
    assert_eq!(smooth::scales(&[3.0], &[2.0], 0.0).unwrap(), [0.5]);
    assert!(smooth::scales(&[1.0], &[1.0, 2.0], 0.5).is_err());
    assert!(
        smooth::scales(&[f32::NAN], &[1.0], 0.5).is_err() && smooth::scales(&[1.0], &[-1.0], 0.5).is_err()
    );
    assert!(smooth::scales(&[1.0], &[1.0], 1.5).is_err());
    assert!(fold::divide(&mut [1.0], &[1.0, 2.0]).is_err() && fold::divide_rows(&mut [1.0], &[]).is_err());
    assert!(fold::share_heads(&[1.0; 6], 2, 2).is_err() && fold::repeat_heads(&[1.0; 3], 2, 2).is_err());
}
