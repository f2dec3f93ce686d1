//! Experts fused into one 3-D tensor: which way round they are stored, and the per-expert names that quantized checkpoints give them.
//!
//! ```text
//! mlp.experts.gate_up_proj [E, 2 I, H]   ->  mlp.experts.e.gate_proj [I, H], mlp.experts.e.up_proj [I, H]
//!     one after the other                    rows 0 .. I                      rows I .. 2 I
//!     interleaved (gpt-oss)                  rows 0, 2, 4 ..                  rows 1, 3, 5 ..
//! mlp.experts.down_proj    [E, H, I]     ->  mlp.experts.e.down_proj [H, I]
//! ```
//!
//! compressed-tensors and ModelOpt both write experts apart; engines load them so.

/// Which axis of an expert's matrix comes first in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Orientation {
    /// `[experts, out, in]`: rows are output features, blocks run along the input.
    OutIn,
    /// `[experts, in, out]`: `x W` without a transposition.
    InOut,
}

/// How the rows of gate and up lie in a stack of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GateUp {
    /// All of the gate's, then all of up's.
    #[default]
    Apart,
    /// One of the gate's, one of up's, and so on.
    Interleaved,
}

/// One expert's linear inside a 3-D stack: whole rows of one matrix, every [`step`](Self::step)th.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expert {
    /// Module name of the linear, `….experts.7.up_proj`.
    pub module: String,
    /// Which matrix of the stack.
    pub matrix: usize,
    /// First row in that matrix.
    pub first_row: usize,
    /// From one of its rows to the next.
    pub step: usize,
    /// Number of rows.
    pub rows: usize,
}

/// Where an expert's linear goes in a stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Name of the stack, `….experts.gate_up_proj`.
    pub stack: String,
    /// Which matrix of it.
    pub matrix: usize,
    /// Which of the linears that a matrix is made of, and how many these are.
    pub part: usize,
    /// See `part`.
    pub parts: usize,
}

/// The place of a linear that stands apart; `None` if it is no expert with a stack of its own.
pub(crate) fn place(module: &str) -> Option<Place> {
    let (parent, last) = module.rsplit_once('.')?;
    let (experts, matrix) = parent.rsplit_once('.')?;
    let (stack, part, parts) = match last {
        "gate_proj" => ("gate_up_proj", 0, 2),
        "up_proj" => ("gate_up_proj", 1, 2),
        "down_proj" => ("down_proj", 0, 1),
        _ => return None,
    };
    let named = experts.rsplit('.').next() == Some("experts");
    let matrix = matrix.parse().ok().filter(|_| named)?;
    Some(Place { stack: format!("{experts}.{stack}"), matrix, part, parts })
}

impl GateUp {
    /// The first of the rows of one of so many linears of this height, and from one of them to the next.
    pub(crate) const fn rows(self, part: usize, parts: usize, rows: usize) -> (usize, usize) {
        match self {
            Self::Apart => (part * rows, 1),
            Self::Interleaved => (part, parts),
        }
    }
}

/// Whether a 3-D tensor of this name is a stack of experts.
pub(crate) fn is_stack(module: &str) -> bool {
    let mut components = module.rsplit('.');
    let last = components.next().unwrap_or_default();
    let named = ["gate_up_proj", "down_proj", "gate_proj", "up_proj", "w1", "w2", "w3"].contains(&last);
    (named && components.next() == Some("experts")) || ["input_linear", "output_linear"].contains(&last)
}

/// The orientation that the model's hidden size shows: it is the input of gate and up, the output of down. `[out, in]` where it cannot tell.
pub(crate) fn by_shape(module: &str, rows: usize, cols: usize, hidden: Option<usize>) -> Orientation {
    let out_is_hidden = ["down_proj", "w2", "output_linear"].iter().any(|name| module.ends_with(name));
    match hidden {
        Some(h) if rows != cols && h == if out_is_hidden { cols } else { rows } => Orientation::InOut,
        _ => Orientation::OutIn,
    }
}

/// Cuts a stack `[experts, out, in]` into per-expert linears; `None` where no names for them are known.
pub(crate) fn split(module: &str, shape: &[usize], gate_up: GateUp) -> Option<Vec<Expert>> {
    let &[experts, rows, _] = shape else { return None };
    let (parent, last) = module.rsplit_once('.')?;
    let parts: &[&str] = match last {
        "gate_up_proj" if rows % 2 == 0 => &["gate_proj", "up_proj"],
        "gate_proj" | "up_proj" | "down_proj" | "w1" | "w2" | "w3" => &[last],
        _ => return None,
    };
    let rows = rows / parts.len();
    let linear = |matrix: usize, part: usize| {
        let (first_row, step) = gate_up.rows(part, parts.len(), rows);
        Expert { module: format!("{parent}.{matrix}.{}", parts[part]), matrix, first_row, step, rows }
    };
    Some(
        (0..experts).flat_map(|m| (0..parts.len()).map(move |p| (m, p))).map(|(m, p)| linear(m, p)).collect(),
    )
}
