//! The selection of the tensors to quantize, and the roles of the others.

use crate::arch::{Arch, Role, module_of};
use crate::layout::{Layout, Linear};
use crate::values::value_dtype;
use crate::{Checkpoint, Error, Pattern, Result, Tensor};
use lowbit_blocks::Shape;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A linear to quantize, and the place of its rows in the source.
#[derive(Clone, Debug)]
pub(crate) struct Picked {
    pub(crate) linear: Linear,
    /// The source tensor.
    pub(crate) tensor: String,
    /// Index of the linear's first value in that tensor; its values are contiguous.
    pub(crate) first: u64,
}

/// The reason that a stack of experts stays unquantized where the layout would have to split it.
const NAMELESS: &str = "experts without names of their own";

/// All tensors of the source, by what happens to them.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Linears to quantize; experts of one stack are consecutive.
    pub(crate) picked: Vec<Picked>,
    /// Tensors to copy: name, and reason.
    pub(crate) copied: Vec<(String, String)>,
    /// Linear-like modules that stay unquantized.
    pub(crate) kept: Vec<String>,
    /// Embedding modules.
    pub(crate) embeddings: Vec<String>,
    /// Warnings for the caller.
    pub(crate) warnings: Vec<String>,
}

/// Sorts the tensors of `checkpoint` into a selection. Tensors in `nonfinite` stay unquantized
/// because of their values.
pub(crate) fn select(
    checkpoint: &Checkpoint,
    layout: &Layout,
    (include, exclude): (&[String], &[String]),
    nonfinite: &BTreeSet<String>,
) -> Result<Selection> {
    let arch = Arch::new(checkpoint.config());
    let tied = is_tied(checkpoint, &arch);
    let mut patterns = [Patterns::new(include)?, Patterns::new(exclude)?];
    let mut selection = Selection::default();
    let mut tensors: Vec<_> = checkpoint.tensors().collect();
    tensors.sort_by(|a, b| natural(&a.entry.name, &b.entry.name));
    for tensor in tensors {
        let name = &tensor.entry.name;
        let role = arch.role(name, &tensor.entry.shape);
        let [included, excluded] = patterns.each_mut().map(|p| p.matches(name));
        let matrix = tensor.entry.shape.len() == 2 && name != module_of(name);
        let asked = included == Some(true) && matrix;
        let why = if excluded.is_some() {
            "excluded".to_owned()
        } else if nonfinite.contains(name) {
            "holds NaN or infinity".into()
        } else if !role.is_linear() && !asked {
            role.words().into()
        } else if !include.is_empty() && included.is_none() {
            "not included".into()
        } else if tensor.entry.is_empty() {
            "empty".into()
        } else if value_dtype(tensor.entry.dtype).is_none() {
            selection.warnings.push(format!("{name} is {} and stays as it is", tensor.entry.dtype));
            format!("{} weight", tensor.entry.dtype)
        } else if role == Role::Embedding && tied {
            return Err(tensor
                .error("is an embedding that is tied to the output head, and cannot be quantized")
                .into());
        } else {
            match cut(&arch, layout, tensor) {
                Some(picked) => {
                    selection.picked.extend(picked);
                    continue;
                }
                None => NAMELESS.into(),
            }
        };
        match role {
            Role::Embedding if matrix => selection.embeddings.push(module_of(name).to_owned()),
            _ if is_kept(role, matrix) => selection.kept.push(module_of(name).to_owned()),
            _ => {}
        }
        selection.copied.push((name.clone(), why));
    }
    // The head is tied, or renamed by the engine (`embed_out` of GPT-NeoX). The module exists, and
    // must not be taken for a quantized one.
    let head = arch.head();
    if has_head(checkpoint) && checkpoint.tensor(&format!("{head}.weight")).is_none() {
        selection.kept.push(head.into());
    }
    selection.kept.sort();
    for (option, patterns) in ["include", "exclude"].iter().zip(&patterns) {
        for pattern in patterns.unused() {
            selection.warnings.push(format!("--{option} {pattern} matches no tensor"));
        }
    }
    if selection.picked.is_empty() {
        let mut reasons = BTreeMap::<&str, usize>::new();
        selection.copied.iter().for_each(|(_, why)| *reasons.entry(why).or_default() += 1);
        let reasons: Vec<_> = reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let reasons = if reasons.is_empty() { "it has none".into() } else { reasons.join(", ") };
        return Err(Error::Job(format!("{}: no tensor to quantize ({reasons})", checkpoint.dir().display())));
    }
    selection.warnings.extend(left_stacks(checkpoint, &selection));
    selection.warnings.extend(split_fusions(&arch, &selection));
    Ok(selection)
}

/// The tensors of a quantized checkpoint that belong to no quantized linear.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Tensors that are copied unchanged: name, and reason.
    pub(crate) copied: Vec<(String, String)>,
    /// Linear-like modules that are not quantized.
    pub(crate) kept: Vec<String>,
    /// Embedding modules that are not quantized.
    pub(crate) embeddings: Vec<String>,
}

/// Sorts the tensors of a quantized checkpoint that are not in `consumed`.
pub(crate) fn rest(checkpoint: &Checkpoint, arch: &Arch, consumed: &BTreeSet<String>) -> Rest {
    let mut rest = Rest::default();
    for tensor in checkpoint.tensors().filter(|t| !consumed.contains(&t.entry.name)) {
        let name = &tensor.entry.name;
        let role = arch.role(name, &tensor.entry.shape);
        let matrix = tensor.entry.shape.len() == 2 && name != module_of(name);
        match role {
            Role::Embedding if matrix => rest.embeddings.push(module_of(name).to_owned()),
            _ if is_kept(role, matrix) => rest.kept.push(module_of(name).to_owned()),
            _ => {}
        }
        let why = if role.is_linear() { "not quantized in the source" } else { role.words() };
        rest.copied.push((name.clone(), why.to_owned()));
    }
    let head = arch.head();
    if has_head(checkpoint) && !consumed.iter().any(|name| module_of_part(name) == head) {
        let known = rest.kept.iter().any(|module| module == head);
        rest.kept.extend((!known).then(|| head.to_owned()));
    }
    rest.kept.sort();
    rest
}

/// The module of a part: its name without the last component.
fn module_of_part(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(module, _)| module)
}

/// Whether quantizers see a linear that is not quantized: a matrix named `.weight` that is no norm,
/// no convolution and not transposed.
const fn is_kept(role: Role, matrix: bool) -> bool {
    matrix && !matches!(role, Role::Norm | Role::Conv | Role::Transposed)
}

/// A warning with the number of weights that stay unquantized because their stack cannot be split
/// or is transposed: often most of the model.
fn left_stacks(checkpoint: &Checkpoint, selection: &Selection) -> Option<String> {
    let left = selection.copied.iter().filter(|(_, why)| why == Role::Transposed.words() || why == NAMELESS);
    let left: Vec<&String> = left.map(|(name, _)| name).collect();
    let weights: u64 = left.iter().filter_map(|name| Some(checkpoint.tensor(name)?.entry.elements())).sum();
    let (first, count) = (left.first()?, left.len());
    Some(format!(
        "{count} tensors with {weights} weights stay unquantized, `{first}` first: stored [in, out], or experts without names"
    ))
}

/// A warning about linears of one fused group of which only some are quantized: engines that fuse
/// them refuse such checkpoints.
fn split_fusions(arch: &Arch, selection: &Selection) -> Option<String> {
    let picked = selection.picked.iter().map(|p| p.linear.module.as_str());
    let quantized: BTreeMap<String, &str> = picked.filter_map(|m| Some((arch.shares(m)?, m))).collect();
    let kept = selection.kept.iter().filter_map(|m| Some((m, *quantized.get(&arch.shares(m)?)?)));
    let split: Vec<_> = kept.collect();
    let ((kept, quantized), count) = (split.first()?, split.len());
    Some(format!(
        "engines fuse {kept} (not quantized) with {quantized} (quantized) and may refuse that; {count} linears are kept alone like this"
    ))
}

/// The linears of one tensor: itself, or each expert of a stack. `None` where a stack cannot be
/// split.
fn cut(arch: &Arch, layout: &Layout, tensor: Tensor<'_>) -> Option<Vec<Picked>> {
    let entry = tensor.entry;
    let dtype = value_dtype(entry.dtype)?;
    let picked = |module: String, weight: String, shape: Shape, first: usize| Picked {
        linear: Linear { module, weight, shape, dtype, ..Linear::default() },
        tensor: entry.name.clone(),
        first: first as u64,
    };
    let whole = |shape| picked(module_of(&entry.name).to_owned(), entry.name.clone(), shape, 0);
    match entry.shape[..] {
        [rows, cols] => Some(vec![whole(Shape::matrix(rows, cols))]),
        [matrices, rows, cols] if layout.keeps_stacks(arch.stacks()) => {
            let mut stack = whole(Shape { matrices, rows, cols });
            stack.linear.stacked = true;
            Some(vec![stack])
        }
        [_, rows, cols] => {
            let experts = arch.split_experts(&entry.name, &entry.shape)?;
            // The values of a picked linear must be contiguous.
            if experts.iter().any(|expert| expert.step != 1) {
                return None;
            }
            let linear = |e: crate::arch::Expert| {
                let weight = format!("{}.weight", e.module);
                picked(e.module, weight, Shape::matrix(e.rows, cols), (e.matrix * rows + e.first_row) * cols)
            };
            Some(experts.into_iter().map(linear).collect())
        }
        _ => None,
    }
}

/// Whether the output head is tied to the embedding. Where the configuration does not say (Gemma
/// omits its default), a model that needs a head and has no tensor for one is tied.
fn is_tied(checkpoint: &Checkpoint, arch: &Arch) -> bool {
    let config = checkpoint.config();
    let text = config.and_then(|c| c.get("text_config")).and_then(Value::as_object);
    let mut said =
        [text, config].into_iter().flatten().filter_map(|c| c.get("tie_word_embeddings")?.as_bool());
    let is_head = |t: Tensor<'_>| arch.role(&t.entry.name, &t.entry.shape) == Role::Head;
    said.next().unwrap_or_else(|| has_head(checkpoint) && !checkpoint.tensors().any(is_head))
}

/// Whether the model has an output head, judged by the name of its class.
pub(crate) fn has_head(checkpoint: &Checkpoint) -> bool {
    let classes = checkpoint.config().and_then(|c| c.get("architectures")).and_then(|a| a.as_array());
    let named = |class: &str| {
        ["CausalLM", "LMHead", "MaskedLM", "ConditionalGeneration"].iter().any(|n| class.contains(n))
    };
    classes.is_some_and(|classes| classes.iter().filter_map(|c| c.as_str()).any(named))
}

/// Patterns that record whether they have matched.
struct Patterns(Vec<(Pattern, bool)>);

impl Patterns {
    fn new(texts: &[String]) -> Result<Self> {
        Ok(Self(Pattern::list(texts)?.into_iter().map(|pattern| (pattern, false)).collect()))
    }

    /// Whether any pattern matches the tensor or its module (`Some`), and whether one of those is
    /// an exact name.
    fn matches(&mut self, name: &str) -> Option<bool> {
        let mut found = None;
        for (pattern, used) in &mut self.0 {
            if pattern.matches(name) || pattern.matches(module_of(name)) {
                *used = true;
                found = Some(found.unwrap_or(false) | pattern.is_name());
            }
        }
        found
    }

    fn unused(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, used)| !used).map(|(pattern, _)| pattern.as_str())
    }
}

/// Name order in which numbers compare as numbers: layer 2 before layer 10.
pub fn natural(a: &str, b: &str) -> std::cmp::Ordering {
    let number = |part: &str| part.parse::<u64>().map_err(|_| part.to_owned());
    // Numbers (`Ok`) sort before text (`Err`), as digits sort before letters.
    a.split('.').map(number).cmp(b.split('.').map(number)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn layers_are_in_the_order_of_their_numbers() {
        let mut names = ["l.10.a", "l.2.b", "norm", "l.2.a", "l.02.a", "embed", "l.x"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["embed", "l.02.a", "l.2.a", "l.2.b", "l.10.a", "l.x", "norm"]);
    }
}
