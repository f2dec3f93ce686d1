//! The linears of a mapped NVFP4 model in a structure of one's own.

use lowbit::{QLinear, checkpoint::Mapped};
use std::collections::BTreeMap;

struct Engine {
    linears: BTreeMap<String, QLinear<'static>>,
}

fn main() -> lowbit::Result<()> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/layouts/made/ct-nvfp4a16");
    // SAFETY: nobody writes to a finished checkpoint.
    let mapped = unsafe { Mapped::open(std::env::args().nth(1).as_deref().unwrap_or(dir)) }?;
    let engine = Engine { linears: mapped.named_linears().collect::<Result<_, _>>()? };
    drop(mapped); // the linears keep the files mapped
    for (name, linear) in &engine.linears {
        println!(
            "{name}: {:?}",
            linear.matvec_vec(&vec![1.0; linear.weight.shape().cols])?.iter().sum::<f32>()
        );
    }
    Ok(())
}
