//! The page: one HTML file that includes its style and its charts, and loads nothing.

use std::fmt::Write as _;

use super::data::{Candidate, Collected, Histogram, LayerFigures};
use super::svg::{Axis, Chart, escape, number};
use crate::quantize::short;
use crate::units::size;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #6a737d; --grid: #d9dee3; --one: #0b6bcb; --two: #d1690e; --back: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --soft: #98a1ab; --grid: #333a41; --one: #58a6ff; --two: #f0883e; --back: #14171a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 760px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
p { color: var(--soft); } b { color: var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 13px; } td, th { padding: 2px 8px; text-align: right; border-bottom: 1px solid var(--grid); }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; margin: .5em 0; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } svg .l { fill: var(--ink); font-size: 12px; }
svg .g { stroke: var(--grid); stroke-width: 1; } svg .a { stroke: var(--soft); } svg .t { stroke: var(--ink); stroke-width: 1.5; }
svg .m { stroke: var(--one); stroke-width: 1; opacity: .6; }
svg .w, svg .d1, svg .b1 { fill: var(--one); } svg .d2, svg .b2 { fill: var(--two); } svg .b1, svg .b2 { opacity: .75; }
svg .p1 { fill: none; stroke: var(--one); stroke-width: 1.5; }
i.one { color: var(--one); font-style: normal; } i.two { color: var(--two); font-style: normal; }
";

/// The page as HTML.
pub(super) fn html(data: &Collected) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\n<title>lowbit report: {0}</title>\n<style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
        escape(&data.title)
    );
    summary(&mut page, data);
    layers(&mut page, data);
    worst(&mut page, data);
    histograms(&mut page, data);
    lines(&mut page, data);
    candidates(&mut page, data);
    all_layers(&mut page, data);
    let _ = writeln!(
        page,
        "<p>Written by lowbit {}. SQNR = 10 log10(sum w² / sum (w - ŵ)²).</p>\n</body></html>",
        env!("CARGO_PKG_VERSION")
    );
    page
}

fn summary(page: &mut String, data: &Collected) {
    let weights: u64 = data.layers.iter().map(|l| l.count).sum();
    let bits: f64 = data.layers.iter().map(|l| l.bits * l.count as f64).sum::<f64>() / weights.max(1) as f64;
    let _ = writeln!(
        page,
        "<p>Against <b>{}</b>: {} quantized linears of {} weights, <b>{bits:.3} bits</b> each; <b>{} dB</b> over all weights. {} became {}.</p>",
        escape(&data.original),
        data.layers.len(),
        short(weights),
        decibels(data.total_sqnr),
        size(data.original_bytes),
        size(data.bytes)
    );
}

fn has_output(data: &Collected) -> bool {
    data.layers.iter().any(|layer| layer.output_db.is_some())
}

fn layers(page: &mut String, data: &Collected) {
    page.push_str("<h2>Every layer</h2>\n");
    if has_output(data) {
        page.push_str("<p><i class=one>Blue</i>: signal to noise of the weight. <i class=two>Orange</i>: of the layer's output on the calibration data. Lower is worse. Point at a dot for its name.</p>\n");
    } else {
        page.push_str("<p>Signal to noise of each weight, in the order of the model. Lower is worse. Point at a dot for its name. With <code>--stats</code>, the layers' outputs are judged too.</p>\n");
    }
    let values = data.layers.iter().flat_map(|l| [Some(l.sqnr_db), l.output_db]).flatten();
    let x =
        Axis { from: -1.0, to: data.layers.len() as f64, label: "linear, in the order of the model".into() };
    let mut chart = Chart::new(300.0, x, Axis::around(values, "SQNR, dB"));
    for (at, layer) in data.layers.iter().enumerate() {
        let hint = format!("{}: {} dB, {}", layer.module, decibels(layer.sqnr_db), layer.format);
        chart.dot((at as f64, layer.sqnr_db), "d1", &hint);
        if let Some(output) = layer.output_db {
            chart.dot(
                (at as f64, output),
                "d2",
                &format!("{}: output {} dB", layer.module, decibels(output)),
            );
        }
    }
    page.push_str(&chart.finish());
}

const WORST: usize = 12;

fn worst(page: &mut String, data: &Collected) {
    let by_output = has_output(data);
    let key = |layer: &LayerFigures| layer.output_db.filter(|_| by_output).unwrap_or(layer.sqnr_db);
    let mut order: Vec<&LayerFigures> = data.layers.iter().collect();
    order.sort_by(|a, b| key(a).total_cmp(&key(b)));
    let _ = writeln!(page, "<h2>Worst layers{}</h2>", if by_output { ", by output" } else { "" });
    table(page, order.into_iter().take(WORST));
}

fn all_layers(page: &mut String, data: &Collected) {
    let _ = writeln!(page, "<h2>All figures</h2>\n<details><summary>{} linears</summary>", data.layers.len());
    table(page, data.layers.iter());
    page.push_str("</details>\n");
}

fn table<'a>(page: &mut String, layers: impl Iterator<Item = &'a LayerFigures>) {
    page.push_str(
        "<table><tr><th>linear<th>format<th>shape<th>bits<th>weight dB<th>output dB<th>largest error</tr>\n",
    );
    for layer in layers {
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{:.3}<td>{}<td>{}<td>{:.3e}</tr>",
            escape(&layer.module),
            escape(&layer.format),
            escape(&layer.shape),
            layer.bits,
            decibels(layer.sqnr_db),
            layer.output_db.map_or("".into(), decibels),
            layer.max_error
        );
    }
    page.push_str("</table>\n");
}

fn histograms(page: &mut String, data: &Collected) {
    page.push_str("<h2>Weights and errors</h2>\n<p>How often a value comes, of each weight divided by the root mean square of its matrix (logarithmic). <i class=one>Blue</i>: the weights. <i class=two>Orange</i>: what quantization changed them by.</p>\n");
    let share = |h: &Histogram, at: usize| h.counts[at] as f64 / h.total.max(1) as f64;
    let log = |share: f64| share.max(1e-9).log10();
    let x = Axis {
        from: -Histogram::REACH,
        to: Histogram::REACH,
        label: "value / root mean square of the matrix".into(),
    };
    let y = Axis { from: -7.0, to: 0.0, label: "log10 of the share".into() };
    let mut chart = Chart::new(260.0, x, y);
    for (histogram, class, what) in [(&data.weights, "b1", "weights"), (&data.errors, "b2", "errors")] {
        for at in 0..Histogram::BINS {
            let share = share(histogram, at);
            if share > 0.0 {
                let (from, to) = Histogram::bin(at);
                let hint = format!("{what} from {} to {}: {:.4} %", number(from), number(to), 100.0 * share);
                chart.bar((from, to), log(share), class, &hint);
            }
        }
    }
    page.push_str(&chart.finish());
}

fn lines(page: &mut String, data: &Collected) {
    if data.lines.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "<h2>Where weights go</h2>\n<p>The first weights of <b>{}</b> (dots), and the values that their block has in each format (ticks): E4M3 scales come within 6 % of the one that fits, E8M0 scales are powers of two.</p>",
        escape(&data.lines_of)
    );
    let all = data.lines.iter().flat_map(|line| line.weights.iter());
    let reach = 1.1 * all.fold(0f32, |reach, w| reach.max(w.abs()));
    data.lines.iter().for_each(|line| page.push_str(&line.svg(reach)));
}

fn candidates(page: &mut String, data: &Collected) {
    if data.candidates.is_empty() {
        return;
    }
    let weighted = data.candidates.iter().any(|c| c.output_db.is_some());
    let _ = writeln!(
        page,
        "<h2>Bits and quality of the candidates</h2>\n<p>Each format with each of its scale rules, on a sample of {} weights of the original{}. <i class=two>Orange</i>: what this checkpoint has.</p>",
        short(data.sampled),
        if weighted { ", errors weighted by the mean square of the input that meets them" } else { "" }
    );
    let quality = |c: &Candidate| c.output_db.unwrap_or(c.sqnr_db);
    let x = Axis::around(data.candidates.iter().map(|c| c.bits), "bits for each weight");
    let y = Axis::around(data.candidates.iter().map(quality), "SQNR, dB");
    let mut chart = Chart::new(340.0, x, y);
    // The frontier: the candidates that are better than all candidates of fewer bits.
    let mut order: Vec<&Candidate> = data.candidates.iter().filter(|c| !c.present).collect();
    order.sort_by(|a, b| a.bits.total_cmp(&b.bits).then(quality(b).total_cmp(&quality(a))));
    let mut best = f64::NEG_INFINITY;
    let mut frontier = Vec::new();
    for candidate in order {
        if quality(candidate) > best {
            best = quality(candidate);
            frontier.push((candidate.bits, best));
            chart.text((candidate.bits, best), &candidate.name);
        }
    }
    chart.line(&frontier, "p1");
    for candidate in &data.candidates {
        let hint =
            format!("{}: {:.3} bits, {} dB", candidate.name, candidate.bits, decibels(quality(candidate)));
        chart.dot((candidate.bits, quality(candidate)), if candidate.present { "d2" } else { "d1" }, &hint);
    }
    page.push_str(&chart.finish());
    page.push_str("<details><summary>as a table</summary><table><tr><th>format and rule<th>bits<th>weight dB<th>weighted dB</tr>\n");
    for candidate in &data.candidates {
        let _ = writeln!(
            page,
            "<tr><td>{}<td>{:.3}<td>{}<td>{}</tr>",
            escape(&candidate.name),
            candidate.bits,
            decibels(candidate.sqnr_db),
            candidate.output_db.map_or("".into(), decibels)
        );
    }
    page.push_str("</table></details>\n");
}

/// An SQNR in dB as text; `equal` if it is infinite.
fn decibels(sqnr: f64) -> String {
    if sqnr == f64::INFINITY { "equal".into() } else { format!("{sqnr:.2}") }
}
