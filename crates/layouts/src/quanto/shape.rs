//! Infers what quanto's files do not store for packed weights: the bits of a code, and the number
//! of rows.

use super::super::stored;
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::Shape;
use serde_json::{Map, Value};

/// The bits of codes in `groups` rows that are packed into `pieces` rows. With one or two groups
/// both 2 and 4 fit; then the configuration decides.
pub(super) fn bits(checkpoint: &Checkpoint, pieces: usize, groups: usize) -> Option<u8> {
    let fits = |bits: usize| groups.div_ceil(8 / bits) == pieces;
    match (fits(4), fits(2)) {
        (true, true) => {
            let config = stored::any_quantization_config(checkpoint);
            let word = config.and_then(|config| config.get("weights")).and_then(Value::as_str);
            Some(if word.is_some_and(|word| word.ends_with("int2")) { 2 } else { 4 })
        }
        (true, false) => Some(4),
        (false, true) => Some(2),
        (false, false) => None,
    }
}

/// Modules by the last component of their names, and the configuration keys of their input length.
const INPUTS: &[(&[&str], &[&str])] = &[
    (
        &[
            "q_proj",
            "k_proj",
            "v_proj",
            "qkv_proj",
            "query_key_value",
            "gate_proj",
            "up_proj",
            "gate_up_proj",
            "fc1",
            "c_attn",
            "c_fc",
            "w1",
            "w3",
            "lm_head",
        ],
        &["hidden_size", "n_embd", "d_model"],
    ),
    (&["down_proj", "fc2", "w2"], &["intermediate_size", "ffn_dim", "n_inner", "d_ff"]),
    (&["o_proj", "out_proj"], &["hidden_size", "n_embd", "d_model"]),
];

/// The shape of a weight with `groups` groups: rows from its bias, or columns from the
/// configuration.
pub(super) fn of(
    checkpoint: &Checkpoint,
    codes: Tensor<'_>,
    module: &str,
    groups: usize,
    group: usize,
) -> Result<Shape> {
    let values = groups.checked_mul(group);
    let values =
        values.ok_or_else(|| codes.error(format!("{groups} groups of {group} are too many values")))?;
    let fits = |cols: usize| cols > 0 && cols.is_multiple_of(group.max(1)) && values.is_multiple_of(cols);
    if let Some(bias) = checkpoint.tensor(&format!("{module}.bias")) {
        let rows = usize::try_from(bias.entry.elements()).unwrap_or(0);
        let cols = values.checked_div(rows).filter(|&cols| fits(cols) && cols * rows == values);
        let cols = cols.ok_or_else(|| {
            bias.error(format!("{values} values do not divide into {rows} rows of groups of {group}"))
        })?;
        return Ok(Shape::matrix(rows, cols));
    }
    let config = checkpoint.config();
    let text = config.and_then(|config| config.get("text_config")).and_then(Value::as_object);
    let said = text.into_iter().chain(config).find_map(|config| input(config, module));
    match said.filter(|&cols| fits(cols)) {
        Some(cols) => Ok(Shape::matrix(values / cols, cols)),
        None => Err(codes.error(format!(
            "has {values} values in groups of {group}; how many are a row is said by no tensor, and config.json says {said:?} for it"
        )).into()),
    }
}

/// The length of a module's input, from the configuration.
fn input(config: &Map<String, Value>, module: &str) -> Option<usize> {
    let last = module.rsplit('.').next().unwrap_or(module);
    let (_, keys) = INPUTS.iter().find(|(modules, _)| modules.contains(&last))?;
    let number = |key: &str| config.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let heads = || number("num_attention_heads")?.checked_mul(number("head_dim")?);
    // The input of the output projection is all heads, whose total length may differ from the
    // hidden size.
    let of_heads = if matches!(last, "o_proj" | "out_proj") { heads() } else { None };
    of_heads.or_else(|| keys.iter().find_map(|key| number(key)))
}
