//! Checks of the output head: a tensor of its own or the embedding, as the configuration says.

use super::checks::Code;
use super::finding::Finding;
use super::floats::chunks;
use crate::arch::{Arch, Role};
use crate::plan::has_head;
use crate::{Checkpoint, Result};
use lowbit_container::Tensor;
use serde_json::Value;

/// Compares the configuration with the tensors, and a tied head with the embedding.
pub(super) fn check(checkpoint: &Checkpoint, findings: &mut Vec<Finding>) -> Result<()> {
    let config = checkpoint.config();
    let text = config.and_then(|c| c.get("text_config")).and_then(Value::as_object);
    let said = [text, config].into_iter().flatten().find_map(|c| c.get("tie_word_embeddings")?.as_bool());
    let Some(tied) = said.filter(|_| has_head(checkpoint)) else { return Ok(()) };
    let arch = Arch::new(config);
    let weight = |role| {
        let is = |t: &Tensor<'_>| {
            t.entry.name.ends_with(".weight") && arch.role(&t.entry.name, &t.entry.shape) == role
        };
        checkpoint.tensors().find(is)
    };
    let any_head = checkpoint.tensors().find(|t| {
        let module = super::names::module_of(&t.entry.name);
        arch.role(&format!("{module}.weight"), &[1, 1]) == Role::Head
    });
    match (tied, any_head) {
        (false, None) => {
            let detail = format!("tie_word_embeddings is false, and there is no {}.weight", arch.head());
            findings.push(Finding::new(Code::HeadMissing, detail));
        }
        (true, Some(head)) => {
            // The first embedding in name order may be one of positions; the head has the shape of
            // the token embedding.
            let same_shape = |t: &Tensor<'_>| t.entry.shape == head.entry.shape;
            let embedding = weight(Role::Embedding).filter(same_shape);
            if !embedding.map_or(Ok(false), |embedding| equal(head, embedding))? {
                let with = embedding.map_or("is no table of the model", |_| "differs from the embedding");
                let detail = format!("tie_word_embeddings is true, and the head {with}");
                let finding = Finding::new(Code::TiedHead, detail);
                findings.push(finding.in_file(head.file.path()).about(&head.entry.name));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether two tensors have the same bytes.
fn equal(a: Tensor<'_>, b: Tensor<'_>) -> Result<bool> {
    if a.entry.dtype != b.entry.dtype || a.entry.len() != b.entry.len() {
        return Ok(false);
    }
    for range in chunks(a.entry.len()) {
        let mut both =
            [vec![0; (range.end - range.start) as usize], vec![0; (range.end - range.start) as usize]];
        a.read(range.start, &mut both[0])?;
        b.read(range.start, &mut both[1])?;
        if both[0] != both[1] {
            return Ok(false);
        }
    }
    Ok(true)
}
