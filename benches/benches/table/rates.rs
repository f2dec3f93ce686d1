//! Every operation and format at one level, beside memcpy, what is asked, and ggml: one row each, one column per size.
//!
//! ```text
//! 29.2 (0.51 ≥ 0.35)     GB/s, the ratio to memcpy, and what is asked of that; short of it, the figure is bold and the sign is <
//! ```

use lowbit_benches::{
    Case, FORMATS, OPERATIONS, Operation, Placement, Rate, SIZES, Size, Subject, Words, in_turn, levels,
    target,
};
use lowbit_kernels::Kernels;

use super::BUDGET;
use super::peer::{Peer, TWINS};

/// Prints the section.
pub(crate) fn print(words: &Words, peer: &Peer) {
    let levels = levels(words);
    let mut copies = Copies::default();
    for subject in FORMATS {
        let mut cases: Vec<Option<Case>> = SIZES.iter().map(|_| None).collect();
        // Values of 16 bits are compared with the same operation of f32: it is timed just before.
        let mut plain = Row::default();
        for operation in OPERATIONS {
            for &kernels in &levels {
                let mut row = Row::default();
                for (at, size) in SIZES.into_iter().enumerate() {
                    let tags = ["rates", subject.name, operation.name, size.name, kernels.name()];
                    if !words.want(&tags) || !operation.applies(subject, kernels) {
                        continue;
                    }
                    if copies.is_empty() {
                        heading();
                    }
                    let case = cases[at].get_or_insert_with(|| Case::new(subject, size, Placement::Aligned));
                    let cell = Cell::time(case, subject, operation, kernels, peer);
                    copies.add(at, cell.memcpy.gb_per_s(4 * size.values));
                    row.0[at] = Some(cell);
                }
                if row.0.iter().all(Option::is_none) {
                    continue;
                }
                let narrow = operation.name.ends_with("16");
                row.print(subject, operation, kernels, if narrow { Some(&plain) } else { None });
                if !narrow {
                    plain = row;
                }
            }
        }
    }
    copies.print();
}

fn heading() {
    println!("### Encode and decode, one thread\n");
    print!("| GB/s (x memcpy) | level |");
    SIZES.iter().for_each(|size| print!(" {} |", size.name));
    println!(" ggml | x ggml |\n|---|---|{}---|---|", "---|".repeat(SIZES.len()));
}

/// What was measured for one size.
#[derive(Clone, Copy)]
struct Cell {
    ours: Rate,
    memcpy: Rate,
    ggml: Option<Rate>,
}

impl Cell {
    fn time(
        case: &mut Case,
        subject: &Subject,
        operation: &Operation,
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
        // Of several ways that ggml has, the fastest.
        let ggml = best[2..].iter().copied().reduce(|a, b| if a < b { a } else { b });
        Self { ours: best[0], memcpy: best[1], ggml }
    }
}

/// What was measured for each size.
#[derive(Default)]
struct Row([Option<Cell>; SIZES.len()]);

impl Row {
    /// `plain`: the same with f32, where that is what a row is compared with.
    fn print(&self, subject: &Subject, operation: &Operation, kernels: Kernels, plain: Option<&Self>) {
        print!("| {} {} | {} |", subject.name, operation.name, kernels.name());
        for (at, size) in SIZES.into_iter().enumerate() {
            let Some(cell) = self.0[at] else {
                print!(" |");
                continue;
            };
            let (rate, ratio) = (cell.ours.gb_per_s(4 * size.values), cell.ours.times(cell.memcpy));
            match plain {
                Some(plain) => match plain.0[at] {
                    Some(plain) => {
                        print!(" {rate:.1} ({ratio:.2}, {:.2} of f32) |", cell.ours.times(plain.ours));
                    }
                    None => print!(" {rate:.1} ({ratio:.2}) |"),
                },
                None => match target(subject.name, operation.name, size) {
                    Some(target) if ratio >= target => print!(" {rate:.1} ({ratio:.2} ≥ {target}) |"),
                    Some(target) => print!(" **{rate:.1}** ({ratio:.2} < {target}) |"),
                    None => print!(" {rate:.1} ({ratio:.2}) |"),
                },
            }
        }
        let theirs =
            SIZES.into_iter().zip(self.0).filter_map(|(size, cell)| Some((size, cell?.ours, cell?.ggml?)));
        let (mut rates, mut factors) = (Vec::new(), Vec::new());
        for (size, ours, ggml) in theirs {
            rates.push(format!("{:.2}", ggml.gb_per_s(4 * size.values)));
            let factor = ours.times(ggml);
            let bold = if factor < asked_of_ggml(subject, operation, size) { "**" } else { "" };
            factors.push(format!("{bold}{factor:.1}{bold}"));
        }
        println!(" {} | {} |", rates.join(" / "), factors.join(" / "));
    }
}

/// How many times as fast as ggml. From memory, to be ahead: eight times ggml's decoder would be twice a memcpy there.
fn asked_of_ggml(subject: &Subject, operation: &Operation, size: Size) -> f64 {
    if size.values > 1 << 20 {
        return 1.0;
    }
    let twin = TWINS.iter().find(|(ours, ..)| *ours == subject.name);
    twin.map_or(
        1.0,
        |(_, _, [encode, decode])| {
            if operation.name.starts_with("de") { *decode } else { *encode }
        },
    )
}

/// The slowest and the fastest memcpy that rows of each size were compared with: the noise.
struct Copies([(f64, f64); SIZES.len()]);

impl Default for Copies {
    fn default() -> Self {
        Self([(f64::INFINITY, 0.0); SIZES.len()])
    }
}

impl Copies {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, most)| *most == 0.0)
    }

    fn add(&mut self, size: usize, rate: f64) {
        let (least, most) = &mut self.0[size];
        (*least, *most) = (least.min(rate), most.max(rate));
    }

    fn print(&self) {
        let seen = SIZES.into_iter().zip(self.0).filter(|(_, (_, most))| *most > 0.0);
        let seen: Vec<_> =
            seen.map(|(size, (least, most))| format!("{least:.1} to {most:.1} at {}", size.name)).collect();
        if !seen.is_empty() {
            println!("\nmemcpy beside these rows, GB/s: {}.\n", seen.join(", "));
        }
    }
}
