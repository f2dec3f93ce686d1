//! Tests of whole checkpoints: what is read, what is written, and what happens when something goes wrong. One binary, because linking takes longer
//! than testing.

mod again;
mod converting;
mod digests;
mod faults;
mod hostile;
mod kill;
mod layout_awq;
mod layout_bitsandbytes;
mod layout_compressed_tensors;
mod layout_fp8;
mod layout_gpt_oss;
mod layout_gptq;
mod layout_hqq;
mod layout_mlx;
mod layout_modelopt;
mod layout_quanto;
mod layout_quark;
mod layout_torchao;
mod layouts;
mod looking;
mod matrix;
mod memory;
mod model;
mod overlay;
mod parity;
mod reading;
mod round_trips;
mod selecting;
mod super_blocks;
mod verify;
mod verify_faults;
mod writing;
