//! Power-of-two scales from the exponent and mantissa of amax: the OCP MX rules and their
//! relatives.
//!
//! ```text
//! amax = 2^e (1 + m),  largest element value = 2^emax (1 + M),  b = mantissa bits of the element
//!
//! floor        e - emax
//! ceil         e - emax + [m > 0]
//! even         e - emax + [m >= 1 - 2^-(b+1)]      E2M1 from 1.75, E4M3 from 1.9375
//! round-1.75   e - emax + [m >= 0.75]
//! rceil        e - emax + [m > M]                  = ceil(log2(amax / max)), exactly
//! ceil-log2    k + [n > slack(k)], with amax / max rounded to f32 = 2^k (1 + n 2^-23)
//! byte         clamp(127 + exponent, 0, 254);  255 would be NaN;  a zero block stores 0, which is 2^-127
//! ```
//!
//! `slack`: the f32 nearest to log2(2^k (1 + n 2^-23)) is k if n ln 2 <= half an ulp above k, in
//! units of 2^-23.
//!
//! Sources: OCP MX 1.0 section 6.3; torchao `mx_tensor.py` (FLOOR, CEIL, EVEN; its RCEIL is
//! ceil-log2); compressed-tensors `mxfp_utils.py` (`round_to_power_2`); ModelOpt `mxfp4_tensor.py`,
//! `mxfp8_tensor.py`.

use core::f64::consts::LN_2;

use lowbit_blocks::Element;

use crate::scale_rule::ScaleRule;

/// Bits of an f32's mantissa.
const MANTISSA_BITS: i32 = 23;
const MANTISSA_MASK: u32 = (1 << MANTISSA_BITS) - 1;
/// Bias of E8M0 and of f32.
const BIAS: i32 = 127;
/// The largest byte that is not NaN.
const TOP: i32 = 254;

/// The properties of an element that the rules need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MxElement {
    max: f32,
    /// emax, and M in units of 2^-23.
    top: (i32, u32),
    mantissa_bits: u32,
}

impl MxElement {
    /// `None` for elements that do not support power-of-two scales: integers without a binary
    /// point, and tables.
    pub(crate) fn of(element: Element) -> Option<Self> {
        let mantissa_bits = match element.float_format() {
            Some(format) => format.mantissa_bits,
            // 127/64 = 1.984375: a sign and one bit before the point.
            None if element == Element::MxInt8 => element.bits() - 2,
            None => return None,
        };
        Some(Self { max: element.max(), top: split(element.max()), mantissa_bits })
    }
}

/// The exponent and the mantissa of a positive number, with subnormals normalised.
fn split(x: f32) -> (i32, u32) {
    // Exact: a subnormal times 2^32 is normal.
    let (x, shift) = if x < f32::MIN_POSITIVE { (x * 4_294_967_296.0, 32) } else { (x, 0) };
    let bits = x.to_bits();
    ((bits >> MANTISSA_BITS) as i32 - BIAS - shift, bits & MANTISSA_MASK)
}

/// The scale byte of a block.
pub(crate) fn scale_byte(rule: ScaleRule, element: &MxElement, amax: f32) -> u8 {
    if amax == 0.0 {
        return 0;
    }
    let (emax, top) = element.top;
    let (e, m) = split(amax);
    let exponent = match rule {
        ScaleRule::Floor => e - emax,
        ScaleRule::Ceil => e - emax + i32::from(m > 0),
        ScaleRule::Even => {
            e - emax
                + i32::from(m + (1 << (MANTISSA_BITS as u32 - element.mantissa_bits - 1)) > MANTISSA_MASK)
        }
        ScaleRule::Round175 => e - emax + i32::from(m >= 3 << (MANTISSA_BITS - 2)),
        ScaleRule::CeilLog2 => match amax / element.max {
            0.0 => -BIAS,
            ratio => {
                let (k, n) = split(ratio);
                k + i32::from(n > slack(k))
            }
        },
        _ => e - emax + i32::from(m > top),
    };
    (BIAS + exponent).clamp(0, TOP) as u8
}

/// The scale bytes of many blocks.
///
/// Rounding up is a carry out of the mantissa, so all rules but one add a constant to the bits and
/// keep the exponent. A subnormal amax has no exponent field, but for elements with a maximum of 2
/// or more it gets byte 0, whatever its mantissa.
pub(crate) fn scale_bytes(rule: ScaleRule, element: &MxElement, amax: &[f32], out: &mut [u8]) {
    let (emax, top) = element.top;
    let below = match rule {
        ScaleRule::Floor => 0,
        ScaleRule::Ceil => MANTISSA_MASK,
        ScaleRule::Even => 1 << (MANTISSA_BITS as u32 - element.mantissa_bits - 1),
        ScaleRule::Round175 => 1 << (MANTISSA_BITS - 2),
        _ => MANTISSA_MASK - top,
    };
    if rule == ScaleRule::CeilLog2 || emax < 1 {
        out.iter_mut().zip(amax).for_each(|(byte, &amax)| *byte = scale_byte(rule, element, amax));
        return;
    }
    for (byte, amax) in out.iter_mut().zip(amax) {
        let exponent = (amax.to_bits() + below) >> MANTISSA_BITS;
        *byte = (exponent as i32 - emax).clamp(0, TOP) as u8;
    }
}

/// The largest n for which the base-2 logarithm of 2^k (1 + n 2^-23), rounded to f32, is k.
fn slack(k: i32) -> u32 {
    // The binade of the numbers just above k: [2^j, 2^(j+1)) for k > 0, and towards zero for k < 0.
    let magnitude = if k > 0 { k } else { -k - 1 };
    match magnitude.checked_ilog2() {
        // An ulp there is 2^(j-23); half of it, times ln 2.
        Some(j) => (f64::from(1u32 << j) / 2.0 * LN_2) as u32,
        None => 0,
    }
}

/// 2^(byte - 127).
pub(crate) fn scale(byte: u8) -> f32 {
    match byte {
        0 => f32::MIN_POSITIVE / 2.0,
        _ => f32::from_bits(u32::from(byte) << MANTISSA_BITS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(rule: ScaleRule, element: Element, amax: &[f32]) -> Vec<u8> {
        let element = MxElement::of(element).unwrap();
        amax.iter().map(|&amax| scale_byte(rule, &element, amax)).collect()
    }

    /// Scale bytes printed by torchao 0.18.
    #[test]
    fn torchao_golden_bytes() {
        let amax = [1.0, 1.5, 1.75, 1.9376, 6.0, 7.0, 448.0, 449.0];
        let table: [(ScaleRule, Element, [u8; 8]); 8] = [
            (ScaleRule::Floor, Element::E2m1, [125, 125, 125, 125, 127, 127, 133, 133]),
            (ScaleRule::Ceil, Element::E2m1, [125, 126, 126, 126, 128, 128, 134, 134]),
            (ScaleRule::Even, Element::E2m1, [125, 125, 126, 126, 127, 128, 134, 134]),
            (ScaleRule::Rceil, Element::E2m1, [125, 125, 126, 126, 127, 128, 134, 134]),
            (ScaleRule::Floor, Element::E4m3, [119, 119, 119, 119, 121, 121, 127, 127]),
            (ScaleRule::Ceil, Element::E4m3, [119, 120, 120, 120, 122, 122, 128, 128]),
            (ScaleRule::Even, Element::E4m3, [119, 119, 119, 120, 121, 121, 127, 127]),
            (ScaleRule::Rceil, Element::E4m3, [119, 119, 119, 120, 121, 121, 127, 128]),
        ];
        for (rule, element, want) in table {
            assert_eq!(bytes(rule, element, &amax), want, "{rule} {element}");
        }
        assert_eq!(bytes(ScaleRule::Rceil, Element::E2m1, &[1.5001, 6.0001]), [126, 128]);
        assert_eq!(bytes(ScaleRule::Even, Element::E2m1, &[1.5001, 6.0001]), [125, 127]);
    }

    /// Scale bytes printed by compressed-tensors 0.19.
    #[test]
    fn compressed_tensors_golden_bytes() {
        let fp4 = [1.0, 1.5, 1.74, 1.75, 2.0, 3.0, 5.9, 6.0, 7.0, 8.0];
        assert_eq!(
            bytes(ScaleRule::Round175, Element::E2m1, &fp4),
            [125, 125, 125, 126, 126, 126, 127, 127, 128, 128]
        );
        let fp8 = [1.0, 1.74, 1.75, 3.0, 6.0, 7.0, 8.0, 447.0, 448.0];
        assert_eq!(
            bytes(ScaleRule::Round175, Element::E4m3, &fp8),
            [119, 119, 120, 120, 121, 122, 122, 127, 128]
        );
    }

    /// ModelOpt's own edge cases: 448 -> exponent 0, 1 -> -8, 0 -> -127.
    #[test]
    fn modelopt_golden_bytes() {
        assert_eq!(
            bytes(ScaleRule::CeilLog2, Element::E4m3, &[448.0, 1.0, 0.0, f32::MAX]),
            [127, 119, 0, 127 + 120]
        );
    }

    /// The results of `torch.ceil(torch.log2(x)) == k` for x just above 2^k.
    #[test]
    fn slack_is_what_the_f32_logarithm_loses() {
        let want = |k: i32| match k {
            4..=7 | -8..=-5 => 1,
            8..=15 | -16..=-9 => 2,
            16..=31 | -32..=-17 => 5,
            32..=63 | -64..=-33 => 11,
            64..=127 | -127..=-65 => 22,
            _ => 0,
        };
        for k in -127..=127 {
            assert_eq!(slack(k), want(k), "{k}");
        }
    }

    /// Many blocks at once give the bytes of each one alone: at every exponent, on both sides of
    /// each carry.
    #[test]
    fn many_scales_are_each_one_alone() {
        use ScaleRule::*;
        let mantissas: Vec<u32> = (0..=8u32)
            .flat_map(|i| [(i << 20).wrapping_sub(1), i << 20, (i << 20) + 1])
            .chain((14..23).map(|i| MANTISSA_MASK - (1 << i)))
            .map(|m| m & MANTISSA_MASK)
            .collect();
        let amax: Vec<f32> = (0..255)
            .flat_map(|exponent| mantissas.iter().map(move |m| f32::from_bits(exponent << 23 | m)))
            .collect();
        for rule in [Floor, Ceil, Even, Rceil, Round175, CeilLog2, Mse] {
            for element in Element::ALL {
                let Some(mx) = MxElement::of(element) else { continue };
                let mut got = vec![0; amax.len()];
                scale_bytes(rule, &mx, &amax, &mut got);
                assert_eq!(got, bytes(rule, element, &amax), "{rule} {element}");
            }
        }
    }

    /// The scale does not clip, and half of it clips, for every element, binade and mantissa edge.
    #[test]
    fn rceil_is_the_least_scale_that_does_not_clip() {
        for element in Element::ALL {
            let Some(mx) = MxElement::of(element) else { continue };
            let max = f64::from(element.max());
            for exponent in -100..=126 {
                for mantissa in
                    [0u32, 1, mx.top.1.saturating_sub(1), mx.top.1, mx.top.1 + 1, 1 << 22, MANTISSA_MASK]
                {
                    let amax = f32::from_bits(((exponent + BIAS) as u32) << 23 | mantissa.min(MANTISSA_MASK));
                    let s = f64::from(scale(scale_byte(ScaleRule::Rceil, &mx, amax)));
                    assert!(
                        f64::from(amax) <= s * max && f64::from(amax) > s / 2.0 * max,
                        "{element} {amax:e}"
                    );
                }
            }
        }
    }

    #[test]
    fn bytes_stay_in_range_and_rise_with_amax() {
        for rule in [
            ScaleRule::Floor,
            ScaleRule::Ceil,
            ScaleRule::Even,
            ScaleRule::Rceil,
            ScaleRule::Round175,
            ScaleRule::CeilLog2,
        ] {
            for element in Element::ALL {
                let Some(mx) = MxElement::of(element) else { continue };
                let mut before = 0;
                for bits in (0..0x7f80_0000u32).step_by(0x1_0001) {
                    let byte = scale_byte(rule, &mx, f32::from_bits(bits));
                    assert!(byte >= before && byte <= 254, "{rule} {element} {bits:08x}");
                    before = byte;
                }
            }
        }
    }
}
