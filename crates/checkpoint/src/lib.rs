#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod checkpoint;
mod compare;
pub mod disk;
mod error;
pub mod index;
mod inspect;
mod json;
pub mod layout;
mod mapped;
pub mod overlay;
mod pattern;
mod plan;
mod positioned;
mod progress;
mod run;
pub mod safetensors;
pub mod statistics;
mod threads;
pub mod verify;
mod weights;

pub use lowbit_arch as arch;

pub use checkpoint::{CONFIG, Checkpoint, SINGLE, Tensor};
pub use compare::{CompareOptions, ComparedTensor, Comparison, compare};
pub use error::{Error, Mismatch, Result};
pub use inspect::{InspectedLinear, InspectedTensor, Inspection, TensorReport, inspect, inspect_tensor};
pub use mapped::Mapped;
pub use pattern::Pattern;
pub use plan::{
    Choice, Conversion, ConvertJob, DequantizeJob, Job, OnNonFinite, OutputFile, Plan, PlanSummary,
    PlannedTensor, Settings, natural,
};
pub use progress::{Phase, Progress, Step};
pub use run::{Report, Spent};
pub use verify::verify;
pub use weights::{Weight, Weights};
