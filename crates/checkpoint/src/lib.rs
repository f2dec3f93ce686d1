#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod compare;
mod error;
mod inspect;
pub mod overlay;
mod plan;
mod progress;
mod run;
pub mod statistics;
mod threads;
mod unfinished;
mod values;
pub mod verify;
mod weights;

pub use lowbit_arch as arch;
pub use lowbit_container as container;
pub use lowbit_layouts as layout;

pub use lowbit_container::{CONFIG, Checkpoint, SINGLE, Tensor, disk, index, safetensors};
pub use lowbit_layouts::{Mapped, Mismatch, Pattern};

use lowbit_container::{json, positioned};

pub use compare::{CompareOptions, ComparedTensor, Comparison, compare};
pub use error::{Error, Result};
pub use inspect::{InspectedLinear, InspectedTensor, Inspection, TensorReport, inspect, inspect_tensor};
pub use plan::{
    Choice, Conversion, ConvertJob, DequantizeJob, Job, OnNonFinite, OutputFile, Plan, PlanSummary,
    PlannedTensor, Settings, natural,
};
pub use progress::{Phase, Progress, Step};
pub use run::{Report, Spent};
pub use verify::verify;
pub use weights::{Weight, Weights};
