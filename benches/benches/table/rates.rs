//! Every operation, format and size at one level, beside memcpy, what is asked, and ggml.

use lowbit_benches::{
    Case, FORMATS, OPERATIONS, Operation, Placement, Rate, SIZES, Size, Subject, Words, in_turn, levels,
    target,
};
use lowbit_kernels::Kernels;

use super::BUDGET;
use super::peer::{Peer, TWINS};

const HEADING: &str = "| operation | size | level | GB/s | x memcpy | asked | | ggml | x ggml |\n|---|---|---|---|---|---|---|---|---|";

/// Prints the section.
pub(crate) fn print(words: &Words, peer: &Peer) {
    let levels = levels(words);
    let mut copies = vec![(f64::INFINITY, 0f64); SIZES.len()];
    let mut rows = 0;
    for subject in FORMATS {
        let mut cases: Vec<Option<Case>> = SIZES.iter().map(|_| None).collect();
        // Values of 16 bits are compared with the same operation of f32.
        let mut plain = vec![None; SIZES.len()];
        for operation in OPERATIONS {
            for (at, size) in SIZES.into_iter().enumerate() {
                for &kernels in &levels {
                    let tags = ["rates", subject.name, operation.name, size.name, kernels.name()];
                    if !words.want(&tags) || !operation.applies(subject, kernels) {
                        continue;
                    }
                    if rows == 0 {
                        println!("{HEADING}");
                    }
                    let case = cases[at].get_or_insert_with(|| Case::new(subject, size, Placement::Aligned));
                    let row = Row::time(case, subject, operation, size, kernels, peer);
                    let narrow = operation.name.ends_with("16");
                    if !narrow {
                        plain[at] = Some((kernels, row.ours));
                    }
                    row.print(
                        plain[at].filter(|(level, _)| narrow && *level == kernels).map(|(_, rate)| rate),
                    );
                    let copy = row.memcpy.gb_per_s(4 * size.values);
                    copies[at] = (copies[at].0.min(copy), copies[at].1.max(copy));
                    rows += 1;
                }
            }
        }
    }
    if rows > 0 {
        let of = SIZES.into_iter().zip(copies).filter(|(_, (_, most))| *most > 0.0);
        let of: Vec<_> =
            of.map(|(size, (least, most))| format!("{} {least:.1} to {most:.1}", size.name)).collect();
        println!("\nmemcpy over these rows, GB/s: {}.\n", of.join(", "));
    }
}

/// What was measured for one row.
struct Row<'a> {
    subject: &'a Subject,
    operation: &'a Operation,
    size: Size,
    kernels: Kernels,
    ours: Rate,
    memcpy: Rate,
    ggml: Option<Rate>,
}

impl<'a> Row<'a> {
    fn time(
        case: &mut Case,
        subject: &'a Subject,
        operation: &'a Operation,
        size: Size,
        kernels: Kernels,
        peer: &Peer,
    ) -> Self {
        operation.prepare(case, kernels);
        let mut theirs = peer.runs(subject.name, operation.name, case);
        let mut ours = |case: &mut Case| (operation.run)(case, kernels);
        let mut memcpy = Case::memcpy;
        let mut runs: Vec<&mut dyn FnMut(&mut Case)> = vec![&mut ours, &mut memcpy];
        runs.extend(theirs.iter_mut().map(|run| &mut **run as &mut dyn FnMut(&mut Case)));
        let best = in_turn(case, BUDGET, &mut runs);
        let ggml = best[2..].iter().copied().reduce(|a, b| if a < b { a } else { b });
        Self { subject, operation, size, kernels, ours: best[0], memcpy: best[1], ggml }
    }

    /// `plain`: the rate of the same operation with f32, where that is what is asked.
    fn print(&self, plain: Option<Rate>) {
        let bytes = 4 * self.size.values;
        let ratio = self.ours.times(self.memcpy);
        let (asked, verdict) = match plain {
            Some(plain) => ("as f32".to_owned(), reached(self.ours.times(plain), 0.98)),
            None => match target(self.subject.name, self.operation.name, self.size) {
                Some(target) => (target.to_string(), reached(ratio, target)),
                None => Default::default(),
            },
        };
        let (ggml, factor) = match self.ggml {
            Some(ggml) => {
                let factor = self.ours.times(ggml);
                let asked = self.asked_of_ggml();
                let short = if factor < asked { format!(" (asked {asked})") } else { String::new() };
                (format!("{:.2}", ggml.gb_per_s(bytes)), format!("{factor:.1}{short}"))
            }
            None => Default::default(),
        };
        println!(
            "| {} {} | {} | {} | {:.1} | {ratio:.2} | {asked} | {verdict} | {ggml} | {factor} |",
            self.subject.name,
            self.operation.name,
            self.size.name,
            self.kernels.name(),
            self.ours.gb_per_s(bytes),
        );
    }

    /// From memory, to be ahead: eight times ggml's decoder would be twice a memcpy there.
    fn asked_of_ggml(&self) -> f64 {
        if self.size.values > 1 << 20 {
            return 1.0;
        }
        let twin = TWINS.iter().find(|(ours, ..)| *ours == self.subject.name);
        twin.map_or(
            1.0,
            |(_, _, [encode, decode])| {
                if self.operation.name.starts_with("de") { *decode } else { *encode }
            },
        )
    }
}

/// Whether a ratio is there, or how much of it.
fn reached(ratio: f64, target: f64) -> String {
    if ratio >= target { "met".to_owned() } else { format!("{:.2} of it", ratio / target) }
}
