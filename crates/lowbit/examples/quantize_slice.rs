//! Quantizes a slice in several formats and prints what each costs and loses.
//!
//! ```sh
//! cargo run -p lowbit --example quantize_slice
//! ```

#![allow(clippy::print_stdout)] // printing is what an example is for

use lowbit::{Format, Recipe, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 64 x 256 weights of about the size that a model has; any f32, f16 or bf16 slice will do.
    let shape = Shape::matrix(64, 256);
    let weights: Vec<f32> = (0..64 * 256).map(|i| ((i * 7919 % 4001) as f32 / 4001.0 - 0.5) * 0.08).collect();

    println!("{:<12} {:>10} {:>9} {:>12}", "format", "bits/w", "SQNR dB", "largest error");
    for name in ["fp8-channel", "mxfp8", "mxfp6-e2m3", "nvfp4", "mxfp4", "int4-g128", "nf4"] {
        let format = Format::named(name).expect("a name from `lowbit formats`");
        let q = Recipe::new(format)?.quantize(shape, &weights)?;
        let report = q.compare(&weights)?;
        println!(
            "{name:<12} {:>10.3} {:>9.2} {:>12.6}",
            q.bits_per_weight(),
            report.sqnr_db,
            report.max_error
        );
    }
    Ok(())
}
