//! `rand`: every finite value with the same probability, and stochastic rounding with bits drawn from a generator.

use ::rand::Rng;
use ::rand::distr::{Distribution, StandardUniform};

use crate::*;

macro_rules! uniform {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> Distribution<$type> for StandardUniform {
            /// Every finite code with the same probability; both zeros are codes.
            fn sample<R: Rng + ?Sized>(&self, generator: &mut R) -> $type {
                loop {
                    // `from_bits` keeps the lowest bits, and those of a uniform byte are uniform.
                    let value = <$type>::from_bits(generator.random());
                    if value.to_f32().is_finite() {
                        return value;
                    }
                }
            }
        }
    };
}

macro_rules! floats {
    ($($type:ident),*) => {$(
        uniform!([] $type);

        impl $type {
            /// Rounds to one of the two neighbours, so that the mean is the number itself: [`Rounding::Stochastic`] with bits drawn
            /// from `generator`. It saturates.
            pub fn from_f32_stochastic<R: Rng + ?Sized>(x: f32, generator: &mut R) -> Self {
                Self::from_f32_with(x, Rounding::Stochastic(generator.random()), Overflow::Saturate)
            }
        }
    )*};
}

for_every_type!(floats, uniform);
