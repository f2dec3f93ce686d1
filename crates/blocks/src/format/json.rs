//! Formats as JSON.
//!
//! ```text
//! {"element":"e2m1","block":{"group":16},"scale":"e4m3","tensor_scale":true,"zero":"none"}
//! {"element":"uint4","block":{"group":32},"scale":{"kind":"uint6","outer":{"blocks":8,"kind":"f16"}},"zero":"min"}
//! ```
//!
//! Files of this project contain the first form. Every row without super-blocks is written in it,
//! and its text does not change. The second form is for super-blocks. In the first, `tensor_scale`
//! and `zero` are optional. Unknown fields are an error.

use core::fmt;

use lowbit_kernels::Element;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Block, Format, Zero, element};
use crate::levels::{Outer, Scale};
use crate::scale::ScaleKind;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    #[serde(with = "element")]
    element: Element,
    block: Block,
    scale: Stored,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor_scale: Option<bool>,
    #[serde(default)]
    zero: Zero,
}

/// A scale type, or a scale type with the outer level of a super-block.
#[derive(Serialize)]
#[serde(untagged)]
enum Stored {
    Kind(ScaleKind),
    Levels(Levels),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Levels {
    kind: ScaleKind,
    outer: SuperBlock,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuperBlock {
    blocks: usize,
    kind: ScaleKind,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Stored;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a type of scales, or {"kind": one, "outer": {"blocks": 8, "kind": "f16"}}"#)
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Stored, E> {
                ScaleKind::deserialize(name.into_deserializer()).map(Stored::Kind)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Stored, A::Error> {
                Levels::deserialize(MapAccessDeserializer::new(map)).map(Stored::Levels)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl From<Format> for Row {
    fn from(Format { element, block, scale: Scale { kind, outer }, zero }: Format) -> Self {
        let (scale, tensor_scale) = match outer {
            Outer::None => (Stored::Kind(kind), Some(false)),
            Outer::Matrix => (Stored::Kind(kind), Some(true)),
            Outer::Blocks { count, kind: of } => {
                let outer = SuperBlock { blocks: count, kind: of };
                (Stored::Levels(Levels { kind, outer }), None)
            }
        };
        Self { element, block, scale, tensor_scale, zero }
    }
}

impl TryFrom<Row> for Format {
    type Error = &'static str;

    fn try_from(Row { element, block, scale, tensor_scale, zero }: Row) -> Result<Self, Self::Error> {
        let scale = match (scale, tensor_scale) {
            (Stored::Kind(kind), level) => Scale { kind, outer: Outer::matrix(level == Some(true)) },
            (Stored::Levels(_), Some(_)) => return Err("`tensor_scale` beside a scale with an outer level"),
            (Stored::Levels(Levels { kind, outer }), None) => {
                Scale { kind, outer: Outer::Blocks { count: outer.blocks, kind: outer.kind } }
            }
        };
        Ok(Self { element, block, scale, zero })
    }
}
