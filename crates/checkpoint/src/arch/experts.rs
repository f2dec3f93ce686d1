//! Experts fused into one 3-D tensor: which way round they are stored, and the per-expert names that quantized checkpoints give them.
//!
//! ```text
//! mlp.experts.gate_up_proj [E, 2 I, H]   ->  mlp.experts.e.gate_proj [I, H], mlp.experts.e.up_proj [I, H]
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

/// One expert's linear inside a 3-D stack: whole rows of one matrix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expert {
    /// Module name of the linear, `….experts.7.up_proj`.
    pub module: String,
    /// Which matrix of the stack.
    pub matrix: usize,
    /// First row in that matrix.
    pub first_row: usize,
    /// Number of rows.
    pub rows: usize,
}

/// Whether a 3-D tensor of this name is a stack of experts.
pub(super) fn is_stack(module: &str) -> bool {
    let mut components = module.rsplit('.');
    let last = components.next().unwrap_or_default();
    let named = ["gate_up_proj", "down_proj", "gate_proj", "up_proj", "w1", "w2", "w3"].contains(&last);
    (named && components.next() == Some("experts")) || ["input_linear", "output_linear"].contains(&last)
}

/// The orientation that the model's hidden size shows: it is the input of gate and up, the output of down. `[out, in]` where it cannot tell.
pub(super) fn by_shape(module: &str, rows: usize, cols: usize, hidden: Option<usize>) -> Orientation {
    let out_is_hidden = ["down_proj", "w2", "output_linear"].iter().any(|name| module.ends_with(name));
    match hidden {
        Some(h) if rows != cols && h == if out_is_hidden { cols } else { rows } => Orientation::InOut,
        _ => Orientation::OutIn,
    }
}

/// Cuts a stack `[experts, out, in]` into per-expert linears; `None` where no names for them are known.
pub(super) fn split(module: &str, shape: &[usize]) -> Option<Vec<Expert>> {
    let &[experts, rows, _] = shape else { return None };
    let (parent, last) = module.rsplit_once('.')?;
    let parts: &[&str] = match last {
        "gate_up_proj" if rows % 2 == 0 => &["gate_proj", "up_proj"],
        "gate_proj" | "up_proj" | "down_proj" | "w1" | "w2" | "w3" => &[last],
        _ => return None,
    };
    let rows = rows / parts.len();
    let linear = |matrix: usize, part: usize| Expert {
        module: format!("{parent}.{matrix}.{}", parts[part]),
        matrix,
        first_row: part * rows,
        rows,
    };
    Some(
        (0..experts).flat_map(|m| (0..parts.len()).map(move |p| (m, p))).map(|(m, p)| linear(m, p)).collect(),
    )
}
