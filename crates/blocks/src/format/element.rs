//! Names of elements in files: `"e2m1"`, `"int4"`, `"nf4"`.

use alloc::string::String;

use lowbit_kernels::Element;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub(super) fn serialize<S: Serializer>(element: &Element, serializer: S) -> Result<S::Ok, S::Error> {
    element.name().serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Element, D::Error> {
    let name = String::deserialize(deserializer)?;
    Element::named(&name).ok_or_else(|| D::Error::custom(format_args!("no element is called {name}")))
}
