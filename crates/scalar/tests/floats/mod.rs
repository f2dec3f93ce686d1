//! The floating-point types as a list, so that a test can say something about all of them.
#![allow(dead_code, unused_macros, unused_imports)]

use lowbit_scalar::*;

/// Expands `$body` once per floating-point type, with `$type` an alias of it.
macro_rules! for_each_float {
    ($type:ident => $body:block) => {
        for_each_float!(@ $type => $body;
            E2M1 E3M2 E2M3 E4M3 E5M2 E8M0 E4M3FNUZ E5M2FNUZ E4M3B11FNUZ E4M3Ieee E3M4 E3M0 UE5M3);
    };
    (@ $type:ident => $body:block; $($name:ident)*) => {
        $({
            type $type = lowbit_scalar::$name;
            $body
        })*
    };
}
pub(crate) use for_each_float;

/// Every floating-point type by name.
pub(crate) const FLOATS: [(&str, FloatFormat); 13] = [
    ("E2M1", E2M1::FORMAT),
    ("E3M2", E3M2::FORMAT),
    ("E2M3", E2M3::FORMAT),
    ("E4M3", E4M3::FORMAT),
    ("E5M2", E5M2::FORMAT),
    ("E8M0", E8M0::FORMAT),
    ("E4M3FNUZ", E4M3FNUZ::FORMAT),
    ("E5M2FNUZ", E5M2FNUZ::FORMAT),
    ("E4M3B11FNUZ", E4M3B11FNUZ::FORMAT),
    ("E4M3Ieee", E4M3Ieee::FORMAT),
    ("E3M4", E3M4::FORMAT),
    ("E3M0", E3M0::FORMAT),
    ("UE5M3", UE5M3::FORMAT),
];

/// Those that `ml_dtypes` has too.
pub(crate) const ML_DTYPES: &[(&str, FloatFormat)] = FLOATS.split_at(11).0;

/// Codes of a format.
pub(crate) fn codes(format: &FloatFormat) -> impl Iterator<Item = u8> + use<> {
    0..=format.mask()
}
