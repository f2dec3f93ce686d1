//! What is asked of an operation, as a ratio to a memcpy of as many f32: one row per family of formats.

use crate::Size;

/// Format prefix; encode from L2 and from DRAM; decode from L2 and from DRAM.
///
/// The decode of NVFP4 and MXFP4 from DRAM is 1.4 with ordinary stores and 1.8 with streaming ones.
const TARGETS: &[(&str, [f64; 2], [f64; 2])] = &[
    ("nvfp4", [0.35, 0.95], [1.5, 1.4]),
    ("mxfp4", [0.40, 1.0], [1.5, 1.4]),
    ("mxfp6", [0.25, 0.8], [0.8, 1.2]),
    ("fp8", [0.45, 1.0], [1.2, 1.3]),
    ("mxfp8", [0.45, 1.0], [1.2, 1.3]),
    ("int4", [0.45, 1.0], [1.4, 1.4]),
    ("int8", [0.5, 1.0], [1.2, 1.3]),
    ("nf4", [0.25, 0.8], [0.8, 1.2]),
];

/// For L2 the size is 1 MB; nothing is asked at 256 KB, where a memcpy is twice as fast.
pub fn target(format: &str, operation: &str, size: Size) -> Option<f64> {
    let column = match size.name {
        "1MB" => 0,
        "64MB" => 1,
        _ => return None,
    };
    let (_, encode, decode) = TARGETS.iter().find(|(family, ..)| format.starts_with(family))?;
    if operation.starts_with("encode") || operation.starts_with("quantize") {
        Some(encode[column])
    } else if operation.starts_with("de") {
        Some(decode[column])
    } else if operation == "absmax" {
        Some([3.0, 1.2][column])
    } else {
        None
    }
}
