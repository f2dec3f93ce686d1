//! MXFP4 weights made of bf16 ones, times a vector of bf16.

use half::bf16;
use lowbit::{MXFP4, QLinear, Recipe, Shape};

fn main() -> lowbit::Result<()> {
    let weights: Vec<bf16> = (0..2 * 32).map(|i| bf16::from_f32(if i < 32 { 6.0 } else { -3.0 })).collect();
    let layer = QLinear::from(Recipe::new(MXFP4)?.quantize(Shape::matrix(2, 32), &weights)?);
    let x = [bf16::ONE; 32];
    let mut y = [0.0; 2];
    layer.matvec(&x, &mut y)?;
    assert_eq!(y, [192.0, -96.0]); // 32 * 6, 32 * -3
    assert_eq!(layer.matvec_vec(&x)?, y);
    Ok(())
}
