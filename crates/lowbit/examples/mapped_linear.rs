//! A tiny linear layer that runs straight from a mapped checkpoint: codes and scales are views of the file, nothing is copied.
//!
//! ```sh
//! cargo run -p lowbit --example mapped_linear
//! ```

#![allow(clippy::print_stdout)] // printing is what an example is for

use std::error::Error;
use std::path::Path;

use lowbit::checkpoint::{Job, Mapped};
use lowbit::{NVFP4, QLinear};

/// y = W x, one row of W at a time in a buffer that stays in the first cache.
fn forward(linear: &QLinear<'_>, x: &[f32], y: &mut [f32]) {
    let mut row = vec![0.0; x.len()];
    for (at, y) in y.iter_mut().enumerate() {
        linear.weight.dequantize_rows(0, at..at + 1, &mut row);
        *y = row.iter().zip(x).map(|(w, x)| w * x).sum();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A checkpoint to map: the small model of this repository, quantized where the system keeps temporary files.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/austen-2m");
    let out = std::env::temp_dir().join(format!("lowbit-mapped-linear-{}", std::process::id()));
    let mut job = Job::new(source, &out);
    job.format = NVFP4;
    job.plan()?.run(&())?;

    // SAFETY: the directory is ours alone and was renamed into place; nobody writes to it while it is mapped.
    #[allow(unsafe_code)]
    let mapped = unsafe { Mapped::open(&out) }?;
    let linear = mapped.linear("model.layers.0.mlp.gate_proj")?;
    let shape = linear.weight.shape();
    let (_, file) = mapped.bytes("model.layers.0.mlp.gate_proj.weight_packed")?;
    assert!(
        std::ptr::eq(linear.weight.codes().as_ptr(), file.as_ptr()),
        "the codes are the file's own bytes"
    );

    let x: Vec<f32> = (0..shape.cols).map(|i| (i as f32 * 0.1).sin()).collect();
    let mut y = vec![0.0; shape.rows];
    forward(&linear, &x, &mut y);
    println!(
        "{} x {} weights in {} bytes, borrowed from the map",
        shape.rows,
        shape.cols,
        linear.weight.size_bytes()
    );
    println!("y = {:.4?} …", &y[..4]);

    drop(mapped);
    std::fs::remove_dir_all(out)?;
    Ok(())
}
