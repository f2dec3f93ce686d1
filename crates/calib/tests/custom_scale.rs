//! Scale rules of one's own: what they see, what is stored, and that streaming gives the same bytes.

use std::sync::{Arc, Mutex};

use lowbit_blocks::{
    Block, Dtype, FP8, FP8_BLOCK, Format, INT8, MXFP4, NVFP4, QTensor, Shape, TensorScale, UINT8,
};
use lowbit_calib::{Out, Recipe};
use lowbit_kernels::Kernels;

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 16.0).collect()
}

fn keep(_: &[f32], proposed: f32) -> f32 {
    proposed
}

#[test]
fn a_rule_that_keeps_what_is_proposed_changes_no_byte() {
    let tile = FP8_BLOCK.with_block(Block::Tile { rows: 2, cols: 16 });
    let int4 = Format::int(4, Block::Group(16));
    for format in [NVFP4, MXFP4, INT8, tile, int4] {
        let (recipe, shape, x) = (Recipe::new(format).unwrap(), Shape::matrix(4, 64), numbers(256));
        assert_eq!(
            recipe.quantize_with(shape, &x, keep).unwrap(),
            recipe.quantize(shape, &x).unwrap(),
            "{format}"
        );
    }
}

/// Tiles of 2 x 16 in 4 x 40 values: the last of each row of tiles is half as wide.
#[test]
fn it_sees_every_value_of_a_block_once() {
    let tile = FP8_BLOCK.with_block(Block::Tile { rows: 2, cols: 16 });
    let (shape, x) = (Shape::matrix(4, 40), numbers(160));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let blocks = seen.clone();
    let rule = move |block: &[f32], proposed: f32| {
        blocks.lock().unwrap().push(block.to_vec());
        proposed
    };
    Recipe::new(tile).unwrap().quantize_with(shape, &x, rule).unwrap();
    let mut want = Vec::new();
    for top in [0, 2] {
        for columns in [0..16, 16..32, 32..40] {
            want.push([top, top + 1].map(|row: usize| x[row * 40..][columns.clone()].to_vec()).concat());
        }
    }
    let mut got = seen.lock().unwrap().clone();
    let key = |block: &Vec<f32>| block.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    got.sort_by_key(key);
    want.sort_by_key(key);
    assert_eq!(got, want);
}

/// NVFP4's block scale is E4M3 times the tensor scale, here 6 / (6 * 448).
#[test]
fn the_answer_is_stored_under_the_tensor_scale() {
    let mut x = [0.0f32; 32];
    (x[0], x[16]) = (6.0, 3.0);
    let recipe = Recipe::new(NVFP4).unwrap();
    let q = recipe.quantize_with(Shape::matrix(1, 32), &x, |_: &[f32], _: f32| 0.5).unwrap();
    let TensorScale::Multiply(tensor) = q.tensor_scale() else { panic!("NVFP4 multiplies") };
    assert_eq!(q.effective_scales(0), [224.0 * tensor[0]; 2]); // 0.5 * 448 is an E4M3 number
    let six = 6.0 * (224.0 * tensor[0]);
    assert_eq!((q.to_f32_vec()[0], q.to_f32_vec()[16]), (six, six));
}

#[test]
fn an_answer_that_is_no_scale_keeps_the_proposed_one() {
    let (recipe, shape, x) = (Recipe::new(NVFP4).unwrap(), Shape::matrix(1, 32), numbers(32));
    let usual = recipe.quantize(shape, &x).unwrap();
    for wrong in [0.0, f32::NAN, f32::INFINITY, 1e-30] {
        assert_eq!(
            recipe.quantize_with(shape, &x, move |_: &[f32], _: f32| wrong).unwrap(),
            usual,
            "{wrong}"
        );
    }
}

#[test]
fn rows_that_are_streamed_get_the_bytes_of_the_whole() {
    let halve = |block: &[f32], proposed: f32| if block[0] > 0.0 { proposed / 2.0 } else { proposed };
    let (recipe, shape, x) = (Recipe::new(MXFP4).unwrap(), Shape::matrix(4, 64), numbers(256));
    let whole = recipe.quantize_with(shape, &x, halve).unwrap();
    assert_ne!(whole, recipe.quantize(shape, &x).unwrap());
    let quantizer =
        recipe.quantizer(shape, Dtype::F32, &[], Kernels::best()).unwrap().with_scale_choice(halve).unwrap();
    let (mut codes, mut scales) = (vec![0; whole.codes().len()], vec![0; whole.scales().len()]);
    for (row, x) in x.chunks(64).enumerate() {
        let (codes, scales) = (&mut codes[row * 32..][..32], &mut scales[row * 2..][..2]);
        quantizer.quantize_rows(0, row, x, Out { codes, scales, zeros: &mut [] }).unwrap();
    }
    assert_eq!(QTensor::new(MXFP4, shape, codes, scales, None, TensorScale::None).unwrap(), whole);
}

#[test]
fn zero_points_and_the_scale_of_a_whole_matrix_are_refused() {
    for format in [UINT8, FP8] {
        let error = Recipe::new(format).unwrap().quantize_with(Shape::matrix(1, 32), &numbers(32), keep);
        assert!(error.unwrap_err().to_string().contains("a scale rule of one's own"), "{format}");
    }
}
