//! Tensors, formats and swizzles against definitions written here a second time, one value at a time.

mod cases;
mod error_report;
mod errors;
mod geometry;
mod grid;
mod linear;
mod names;
mod oracle;
mod product;
mod product_layer;
mod round_trip;
mod rows;
mod super_blocks;
mod swizzle;
mod transcode;
