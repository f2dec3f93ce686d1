//! The linears of a mapped NVFP4 model in a structure of one's own.

use lowbit::{QLinear, checkpoint::Mapped};
use std::{collections::BTreeMap, path::Path};

struct Engine(BTreeMap<String, QLinear<'static>>);

fn main() -> lowbit::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts/made/ct-nvfp4a16");
    // SAFETY: nobody writes to a finished checkpoint.
    let mapped = unsafe { Mapped::open(dir) }?;
    let engine = Engine(mapped.named_linears().collect::<Result<_, _>>()?);
    drop(mapped); // the linears keep the files mapped
    for (name, linear) in &engine.0 {
        let x = vec![1.0f32; linear.weight.shape().cols];
        println!("{name}: the first output is {}", linear.matvec_vec(&x)?[0]);
    }
    assert!(!engine.0.is_empty());
    Ok(())
}
