//! Formats as JSON.
//!
//! ```text
//! {"element":"e2m1","block":{"group":16},"scale":"e4m3","tensor_scale":true,"zero":"none"}
//! ```
//!
//! Files of this project hold that text, so it does not change. `tensor_scale` and `zero` may be left out. A field that is not
//! among these is refused.

use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};

use super::{Block, Format, Outer, Scale, Zero, element};
use crate::scale::ScaleKind;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(with = "element")]
    element: Element,
    block: Block,
    scale: ScaleKind,
    #[serde(default)]
    tensor_scale: bool,
    #[serde(default)]
    zero: Zero,
}

impl From<Format> for Row {
    fn from(Format { element, block, scale, zero }: Format) -> Self {
        Self { element, block, scale: scale.kind, tensor_scale: scale.outer == Outer::Matrix, zero }
    }
}

impl From<Row> for Format {
    fn from(Row { element, block, scale, tensor_scale, zero }: Row) -> Self {
        Self { element, block, scale: Scale { kind: scale, outer: Outer::matrix(tensor_scale) }, zero }
    }
}
