//! What the rows were measured on.

use std::fs;
use std::thread::available_parallelism;

use lowbit_kernels::Kernels;

/// CPU, cores, best level.
pub(crate) fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let cpu = field("model name").unwrap_or("CPU without a name");
    let family = field("cpu family").unwrap_or("?");
    let cores = available_parallelism().map_or(1, usize::from);
    format!(
        "{cpu} (family {family}), {cores} threads of it, best level {}{}. GB/s count the f32 side, 4 bytes a value.",
        Kernels::best().name(),
        if cfg!(feature = "streaming") { ", streaming stores" } else { "" },
    )
}
