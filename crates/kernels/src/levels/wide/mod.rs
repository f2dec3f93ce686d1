//! The `wide` crate: the instructions that the target is known to have when this is compiled.

mod lanes;
mod product;

pub(crate) use lanes::Wide;

use crate::decode::Decode;
use crate::encode::Encode;

impl Encode for Wide {}
impl Decode for Wide {}
