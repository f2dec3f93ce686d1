//! `serde`: a value is its code, an unsigned integer; `E2M1::from_f32(1.5)` is `3` in JSON.
//!
//! Codes rather than numbers, so that every NaN and both zeros survive and compact formats spend one byte (as `half`
//! does). A code that does not fit the width is an error, not a masked value: the file is about something else.

use core::fmt;

use ::serde::de::{Error, Expected, Unexpected};
use ::serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::*;

/// What a code that is too large should have been.
struct Width(u32);

impl Expected for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a code of {} bits", self.0)
    }
}

macro_rules! codes {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(self.to_bits())
            }
        }

        impl<'de, $($generic)*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let code = u8::deserialize(deserializer)?;
                let value = Self::from_bits(code);
                if value.to_bits() != code {
                    return Err(D::Error::invalid_value(Unexpected::Unsigned(code.into()), &Width(Self::BITS)));
                }
                Ok(value)
            }
        }
    };
}

macro_rules! floats {
    ($($type:ident),*) => {
        $(codes!([] $type);)*
    };
}
for_every_type!(floats, codes);
