//! The architecture table as it applies to one model.

use crate::{
    Expert, FAMILIES, Family, Feed, Keys, Orientation, Place, RULES, Role, experts, families, feeds,
};

/// The table as it applies to one model.
#[derive(Clone, Debug)]
pub struct Arch {
    family: &'static Family,
    hidden_size: Option<usize>,
    first_mtp_layer: Option<usize>,
}

impl Arch {
    /// Picks the family by `model_type`, and reads what else the rules need; the generic row where there are no settings or no row for the model.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// let config = serde_json::json!({"model_type": "gpt_oss"});
    /// let arch = Arch::new(config.as_object());
    /// assert_eq!(arch.family(), "gpt-oss");
    /// ```
    pub fn new<K: Keys + ?Sized>(keys: Option<&K>) -> Self {
        let Some(keys) = keys else { return Self::generic() };
        let types = keys.model_types();
        let family = FAMILIES
            .iter()
            .find(|family| types.iter().any(|t| family.model_types.contains(&t.as_str())))
            .unwrap_or(&families::GENERIC);
        let number = |key: &str| keys.get_u64(key).and_then(|n| usize::try_from(n).ok());
        let predicts = number("num_nextn_predict_layers").is_some_and(|n| n > 0);
        let first_mtp_layer = number("num_hidden_layers").filter(|_| predicts);
        Self { family, hidden_size: number("hidden_size"), first_mtp_layer }
    }

    /// The generic row.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// assert_eq!(Arch::generic().family(), "generic");
    /// ```
    pub fn generic() -> Self {
        Self { family: &families::GENERIC, hidden_size: None, first_mtp_layer: None }
    }

    /// Name of the family's row.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// let config = serde_json::json!({"model_type": "gemma2"});
    /// assert_eq!(Arch::new(config.as_object()).family(), "gemma 2");
    /// ```
    pub fn family(&self) -> &'static str {
        self.family.name
    }

    /// The family's row.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// let config = serde_json::json!({"model_type": "gpt_oss"});
    /// let arch = Arch::new(config.as_object());
    /// assert_eq!(arch.row().gguf, Some("gpt-oss"));
    /// ```
    pub fn row(&self) -> &'static Family {
        self.family
    }

    /// Module of the output head in engines, whether the checkpoint has a tensor for it or not.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// assert_eq!(Arch::generic().head(), "lm_head");
    /// ```
    pub fn head(&self) -> &'static str {
        self.family.head
    }

    /// What the tensor of this name and shape is.
    ///
    /// ```
    /// use lowbit_arch::{Arch, Role};
    /// assert_eq!(Arch::generic().role("model.embed_tokens.weight", &[1024, 256]), Role::Embedding);
    /// ```
    pub fn role(&self, name: &str, shape: &[usize]) -> Role {
        let module = module_of(name);
        if let Some(first) = self.first_mtp_layer
            && layer_of(module).is_some_and(|layer| layer >= first)
        {
            return Role::Mtp;
        }
        if let Some(rule) = self.family.rules.iter().chain(RULES).find(|rule| rule.takes(module)) {
            return rule.role;
        }
        match shape {
            [_, _] if name.len() > module.len() => Role::Linear,
            &[_, rows, cols] if experts::is_stack(module) => {
                let by_shape = experts::by_shape(module, rows, cols, self.hidden_size);
                match self.family.experts.unwrap_or(by_shape) {
                    Orientation::OutIn => Role::Experts,
                    Orientation::InOut => Role::Transposed,
                }
            }
            _ => Role::Other,
        }
    }

    /// What linears of this module's parent share one tensor scale with it: a key that is equal for all of them.
    ///
    /// ```
    /// let arch = lowbit_arch::Arch::generic();
    /// assert_eq!(arch.shares("l.0.attn.q_proj"), arch.shares("l.0.attn.v_proj"));
    /// assert_ne!(arch.shares("l.0.attn.q_proj"), arch.shares("l.1.attn.q_proj"));
    /// assert_eq!(arch.shares("l.0.attn.o_proj"), None);
    /// ```
    pub fn shares(&self, module: &str) -> Option<String> {
        let (parent, last) = module.rsplit_once('.').unwrap_or(("", module));
        let row = self.family.fused.iter().find(|row| row.contains(&last))?;
        Some(format!("{parent}.{}", row.join("+")))
    }

    /// The feeds among the modules (names of weights without `.weight`) of one decoder layer: norms first, then linears, each in the order of names.
    ///
    /// ```
    /// let names = ["input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"];
    /// let modules: Vec<String> = names.iter().map(|name| format!("model.layers.0.{name}")).collect();
    /// let found = lowbit_arch::Arch::generic().feeds("model.layers.0", modules.iter().map(String::as_str));
    /// assert_eq!(found[0].from, "model.layers.0.input_layernorm");
    /// assert_eq!(found[0].to.len(), 3);
    /// assert_eq!((&found[1].from[..], &found[1].to[0][..]), ("model.layers.0.self_attn.v_proj", "model.layers.0.self_attn.o_proj"));
    /// ```
    pub fn feeds<'a>(&self, layer: &str, modules: impl IntoIterator<Item = &'a str>) -> Vec<Feed> {
        feeds::feeds(self.family.norms, layer, modules)
    }

    /// The per-expert linears that a 3-D stack of experts is cut into; `None` if it has no such names.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// let cut = Arch::generic().split_experts("l.0.mlp.experts.gate_up_proj", &[8, 64, 32]).unwrap();
    /// assert_eq!((cut.len(), &cut[3].module[..], cut[3].first_row), (16, "l.0.mlp.experts.1.up_proj", 32));
    /// ```
    pub fn split_experts(&self, name: &str, shape: &[usize]) -> Option<Vec<Expert>> {
        experts::split(module_of(name), shape, self.family.gate_up)
    }

    /// Where the linear of an expert goes in a stack; `None` if it is no such linear.
    ///
    /// ```
    /// let place = lowbit_arch::Arch::generic().place_in_stack("l.0.mlp.experts.7.up_proj").unwrap();
    /// assert_eq!((&place.stack[..], place.matrix, place.part, place.parts), ("l.0.mlp.experts.gate_up_proj", 7, 1, 2));
    /// ```
    pub fn place_in_stack(&self, module: &str) -> Option<Place> {
        experts::place(module)
    }

    /// The first row in its matrix of a linear with so many rows, and from one of its rows to the next.
    ///
    /// ```
    /// use lowbit_arch::Arch;
    /// let config = serde_json::json!({"model_type": "gpt_oss"});
    /// let arch = Arch::new(config.as_object());
    /// let up = arch.place_in_stack("l.0.mlp.experts.7.up_proj").unwrap();
    /// assert_eq!(arch.rows_in_stack(&up, 2880), (1, 2)); // gate and up in turns
    /// ```
    pub fn rows_in_stack(&self, place: &Place, rows: usize) -> (usize, usize) {
        self.family.gate_up.rows(place.part, place.parts, rows)
    }

    /// How stacks of this family lie in an unquantized checkpoint, where shapes need not be asked.
    ///
    /// ```
    /// use lowbit_arch::{Arch, Orientation};
    /// assert_eq!(Arch::generic().stacks(), Orientation::OutIn);
    /// ```
    pub fn stacks(&self) -> Orientation {
        self.family.experts.unwrap_or(Orientation::OutIn)
    }
}

/// The module of a tensor: its name without `.weight`.
///
/// ```
/// use lowbit_arch::module_of;
/// assert_eq!(module_of("model.norm.weight"), "model.norm");
/// assert_eq!(module_of("model.layers.0.mlp.experts.down_proj"), "model.layers.0.mlp.experts.down_proj");
/// ```
pub fn module_of(name: &str) -> &str {
    name.strip_suffix(".weight").unwrap_or(name)
}

/// The layer number in a name: the component after the first `layers`.
fn layer_of(module: &str) -> Option<usize> {
    let mut components = module.split('.');
    components.find(|c| *c == "layers")?;
    components.next()?.parse().ok()
}
