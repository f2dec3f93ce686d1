//! Charts as inline SVG: bars, dots and lines between two labelled axes. Colours come from the
//! page's style sheet.

use std::fmt::Write as _;

/// Size of a chart and its margins, in the units of its view box.
const WIDTH: f64 = 720.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// Escapes text for use between tags and in attributes: names come from files.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// An axis: the numbers at its ends, and its label.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) label: String,
}

impl Axis {
    /// An axis with room for all values and a margin. Values that are not finite are ignored.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, label: &str) -> Self {
        let finite = values.into_iter().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let room = if high > low { 0.06 * (high - low) } else { low.abs().max(1.0) * 0.1 };
        Self { from: low - room, to: high + room, label: label.to_owned() }
    }

    /// About `count` round numbers on the axis.
    fn ticks(&self, count: f64) -> Vec<f64> {
        let raw = (self.to - self.from) / count;
        if !(raw.is_finite() && raw > 0.0) {
            return Vec::new();
        }
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= raw).unwrap_or(raw);
        let first = (self.from / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|v| *v <= self.to).take(64).collect()
    }
}

/// A chart that is being drawn.
pub(super) struct Chart {
    height: f64,
    x: Axis,
    y: Axis,
    body: String,
    /// Positions of the texts that are drawn already.
    words: Vec<(f64, f64)>,
}

impl Chart {
    /// A chart with two axes and their ticks.
    pub(super) fn new(height: f64, x: Axis, y: Axis) -> Self {
        let mut chart = Self { height, x, y, body: String::new(), words: Vec::new() };
        for tick in chart.x.ticks(9.0) {
            let at = chart.x_of(tick);
            let (top, bottom) = (TOP, height - BOTTOM);
            let text = number(tick);
            let _ = write!(
                chart.body,
                "<line class=g x1={at:.1} x2={at:.1} y1={top} y2={bottom} /><text x={at:.1} y={:.1} text-anchor=middle>{text}</text>",
                bottom + 14.0
            );
        }
        for tick in chart.y.ticks(5.0) {
            let at = chart.y_of(tick);
            let (left, right) = (LEFT, WIDTH - RIGHT);
            let text = number(tick);
            let _ = write!(
                chart.body,
                "<line class=g x1={left} x2={right} y1={at:.1} y2={at:.1} /><text x={:.1} y={:.1} text-anchor=end>{text}</text>",
                left - 5.0,
                at + 3.5
            );
        }
        let _ = write!(
            chart.body,
            "<text x={:.1} y={:.1} text-anchor=middle class=l>{}</text><text transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=middle class=l>{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            height - 8.0,
            escape(&chart.x.label),
            (TOP + height - BOTTOM) / 2.0,
            escape(&chart.y.label)
        );
        chart
    }

    fn x_of(&self, v: f64) -> f64 {
        let share = (v - self.x.from) / (self.x.to - self.x.from);
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y_of(&self, v: f64) -> f64 {
        let share = (v - self.y.from) / (self.y.to - self.y.from);
        self.height - BOTTOM - share.clamp(0.0, 1.0) * (self.height - TOP - BOTTOM)
    }

    /// Draws a dot with a text that a pointer over it shows.
    pub(super) fn dot(&mut self, at: (f64, f64), class: &str, hint: &str) {
        if at.0.is_finite() && at.1.is_finite() {
            let (x, y) = (self.x_of(at.0), self.y_of(at.1));
            let hint = escape(hint);
            let _ = write!(
                self.body,
                "<circle class={class} cx={x:.1} cy={y:.1} r=4><title>{hint}</title></circle>"
            );
        }
    }

    /// Draws text next to a point, unless other text is there.
    pub(super) fn text(&mut self, at: (f64, f64), words: &str) {
        let (x, y) = (self.x_of(at.0), self.y_of(at.1));
        if self.words.iter().any(|(a, b)| (x - a).abs() < 110.0 && (y - b).abs() < 12.0) {
            return;
        }
        self.words.push((x, y));
        // Text near the right end is placed to the left of its point.
        let (dx, anchor) = if x > WIDTH - 150.0 { (-7.0, "end") } else { (7.0, "start") };
        let _ = write!(
            self.body,
            "<text x={:.1} y={:.1} text-anchor={anchor}>{}</text>",
            x + dx,
            y - 5.0,
            escape(words)
        );
    }

    /// Draws a bar from the bottom, between two numbers of the x axis.
    pub(super) fn bar(&mut self, x: (f64, f64), y: f64, class: &str, hint: &str) {
        let (left, right, top) = (self.x_of(x.0), self.x_of(x.1), self.y_of(y));
        let bottom = self.height - BOTTOM;
        let _ = write!(
            self.body,
            "<rect class={class} x={left:.1} y={top:.1} width={:.2} height={:.1}><title>{}</title></rect>",
            (right - left).max(0.5),
            (bottom - top).max(0.0),
            escape(hint)
        );
    }

    /// Draws a line through points; points that are not finite are skipped.
    pub(super) fn line(&mut self, points: &[(f64, f64)], class: &str) {
        let points = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
        let path: Vec<_> = points.map(|p| format!("{:.1},{:.1}", self.x_of(p.0), self.y_of(p.1))).collect();
        let _ = write!(self.body, "<polyline class={class} points=\"{}\" />", path.join(" "));
    }

    /// The chart as an SVG element.
    pub(super) fn finish(self) -> String {
        element(self.height, &self.body)
    }
}

/// An SVG element of the page's width.
pub(super) fn element(height: f64, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img>{body}</svg>\n")
}

/// A number as text for an axis.
pub(super) fn number(v: f64) -> String {
    let v = if v == 0.0 { 0.0 } else { v };
    match v.abs() {
        0.0 => "0".into(),
        m if !(1e-3..1e5).contains(&m) => format!("{v:.0e}"),
        m if m >= 100.0 => format!("{v:.0}"),
        _ => {
            let text = format!("{v:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files_are_text_and_nothing_else() {
        assert_eq!(escape("<script>\"a\" & b\u{1b}"), "&lt;script&gt;&quot;a&quot; &amp; b ");
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis { from: -0.3, to: 10.2, label: String::new() };
        assert_eq!(axis.ticks(5.0), [0.0, 5.0, 10.0]);
        assert!(Axis { from: f64::NAN, to: 1.0, label: String::new() }.ticks(5.0).is_empty());
        let nothing = Axis::around([f64::NAN, f64::INFINITY], "");
        assert_eq!((nothing.from, nothing.to), (-0.06, 1.06));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 0.5, 12.0, 1234.0, 1e-5].map(number), ["0", "0.5", "12", "1234", "1e-5"]);
    }
}
