//! A scale rule of one's own: clip each block at its second largest magnitude.

use lowbit::{NVFP4, Recipe, Shape};

fn main() -> lowbit::Result<()> {
    let clip = |block: &[f32], proposed: f32| {
        let mut magnitudes: Vec<f32> = block.iter().map(|x| x.abs()).collect();
        magnitudes.sort_by(f32::total_cmp);
        proposed * magnitudes[block.len() - 2] / magnitudes[block.len() - 1]
    };
    let mut weights = [0.5f32; 32];
    weights[0] = 6.0;
    let recipe = Recipe::new(NVFP4)?;
    let usual = recipe.quantize(Shape::matrix(1, 32), &weights)?.to_f32_vec();
    let clipped = recipe.quantize_with(Shape::matrix(1, 32), &weights, clip)?.to_f32_vec();
    println!("6 and 0.5 as {:?}, clipped as {:?}", &usual[..2], &clipped[..2]);
    assert!(clipped[0] < 0.6 && (clipped[1] - 0.5).abs() < 0.02);
    Ok(())
}
