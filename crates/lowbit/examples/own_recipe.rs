//! A recipe of one's own: another scale rule, another producer's arithmetic, and what that does to the error.
//!
//! ```sh
//! cargo run -p lowbit --example own_recipe
//! ```

#![allow(clippy::print_stdout)] // printing is what an example is for

use lowbit::{MXFP4, NVFP4, Recipe, ScaleRule, Shape};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shape = Shape::matrix(32, 512);
    let weights: Vec<f32> =
        (0..32 * 512).map(|i| (i as f32 * 0.37).sin() * (1.0 + (i % 97) as f32 / 40.0)).collect();

    for format in [NVFP4, MXFP4] {
        println!("{format}:");
        for rule in ScaleRule::fitting(&format) {
            let recipe = Recipe::new(format)?.with_scale_rule(rule)?;
            let q = recipe.quantize(shape, &weights[..])?;
            println!("  {:<14} {:>6.2} dB", rule.to_string(), q.compare(&weights[..])?.sqnr_db);
        }
    }

    // Every choice is a field. A recipe is data: compare it, store it as JSON, hand it to another machine, and get the same bytes.
    let mine = Recipe::new(NVFP4)?.with_quotient(lowbit::calib::Quotient::Reciprocal);
    mine.check()?;
    let (divided, multiplied) =
        (Recipe::new(NVFP4)?.quantize(shape, &weights[..])?, mine.quantize(shape, &weights[..])?);
    let differ = divided.codes().iter().zip(multiplied.codes()).filter(|(a, b)| a != b).count();
    println!(
        "dividing by the scale or multiplying by its reciprocal: {differ} of {} bytes differ",
        divided.codes().len()
    );
    Ok(())
}
