//! A mixture of experts, in numbers.

use crate::decoder::{ExpertColumns, Routing};
use crate::reader::{Reader, unsupported, wrong};
use crate::{Result, Setting};

/// A mixture of experts.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Experts {
    /// Experts of a layer.
    pub count: usize,
    /// Experts of a token.
    pub chosen: usize,
    /// Inner features of an expert.
    pub intermediate: usize,
    /// How their weights are computed.
    pub routing: Routing,
    /// Whether the weights of a token's experts are divided by their sum.
    pub normed: bool,
    /// What their weights are multiplied with.
    pub scale: f32,
    /// Groups of experts, of which each token chooses `chosen_groups`; 1 for no groups.
    pub groups: usize,
    /// See `groups`.
    pub chosen_groups: usize,
    /// Experts that every token goes through, as one MLP.
    pub shared: usize,
    /// Which layers have experts.
    pub sparse: Vec<bool>,
}

impl Experts {
    /// Reads the settings of a mixture.
    pub(crate) fn read(s: &Reader<'_>, columns: &ExpertColumns, layers: usize) -> Result<Self> {
        let key = columns.count.iter().find(|key| s.get(key).is_some()).unwrap_or(&columns.count[0]);
        let (count, chosen) = (s.size(key)?, s.size("num_experts_per_tok")?);
        if chosen > count {
            return Err(wrong("num_experts_per_tok", format!("{chosen} of {count} experts")));
        }
        let normed = columns.always_normed || s.flag("norm_topk_prob", false)?;
        let (groups, chosen_groups) = match columns.shared {
            true => (s.size_or("n_group", 1)?, s.size_or("topk_group", 1)?),
            false => (1, 1),
        };
        if chosen_groups > groups || count % groups != 0 {
            return Err(wrong("n_group", format!("{chosen_groups} of {groups} groups of {count} experts")));
        }
        if columns.routing == Routing::Sigmoid
            && let Some(other) = s.text("scoring_func")?.filter(|name| *name != "sigmoid")
        {
            return Err(unsupported(format!("scoring_func {other}"), "sigmoid is"));
        }
        let sparse = match columns.shared {
            true => {
                let (dense, step) = (s.count("first_k_dense_replace")?, s.size_or("moe_layer_freq", 1)?);
                (0..layers).map(|layer| layer >= dense && layer % step == 0).collect()
            }
            false => sparse(s, layers)?,
        };
        Ok(Self {
            count,
            chosen,
            intermediate: s.size(columns.width)?,
            routing: columns.routing,
            normed,
            scale: if columns.shared {
                s.number("routed_scaling_factor")?.unwrap_or(1.0) as f32
            } else {
                1.0
            },
            groups,
            chosen_groups,
            shared: if columns.shared { s.count("n_shared_experts")? } else { 0 },
            sparse,
        })
    }
}

/// Which layers have experts, by `decoder_sparse_step` and `mlp_only_layers`.
fn sparse(s: &Reader<'_>, layers: usize) -> Result<Vec<bool>> {
    let step = s.size_or("decoder_sparse_step", 1)?;
    let dense = match s.get("mlp_only_layers") {
        Some(Setting::List(layers)) => layers,
        _ => Vec::new(),
    };
    let is_dense = |layer: usize| dense.iter().any(|d| d.as_u64() == Some(layer as u64));
    Ok((0..layers).map(|layer| (layer + 1) % step == 0 && !is_dense(layer)).collect())
}
