#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod calibrate;
mod collect;
mod error;
mod method;
mod mixed;
mod quantize;
mod report;
mod shared;
mod statistics;

pub use calibrate::{InputStatistics, StatisticsSink, calibrate};
pub use error::{Error, Result};
pub use method::{ColumnOrder, Method, Methods, Prescale, ScaleWeighing};
pub use mixed::{Mix, MixedGroup, MixedJob, Sensitivity};
pub use quantize::CalibratedJob;
pub use report::{LinearReport, ModelReport};
pub use statistics::Statistics;
