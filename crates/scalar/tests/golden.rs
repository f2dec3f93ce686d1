//! Every code and every input against what `ml_dtypes` 0.6 says, apart from differences listed here by their exact range.
//!
//! The tables in `testdata/scalar` hold whole functions as runs of equal codes over all inputs in the order of their
//! bits, so nothing is sampled: all 2^16 halves are visited here, all 2^32 f32 in the ignored test, and both ends of
//! every run of f32 in the quick one.

mod floats;

use floats::{ML_DTYPES, codes};
use lowbit_scalar::*;
use std::ops::RangeInclusive;

macro_rules! table {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/scalar/", $file))
    };
}

/// The cells of the line of this type.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no line for {name}")).split(' ').collect()
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text, 16).expect("a hexadecimal number")
}

/// Runs of equal codes: first input and code.
fn runs(table: &str, name: &str) -> Vec<(u32, u8)> {
    let run = |cell: &str| {
        let (start, code) = cell.split_once(':').expect("START:CODE");
        (hex(start), hex(code) as u8)
    };
    row(table, name).into_iter().map(run).collect()
}

fn golden_code(runs: &[(u32, u8)], input: u32) -> u8 {
    runs[runs.partition_point(|&(start, _)| start <= input) - 1].1
}

/// A 16- or 32-bit float: how wide, where its NaNs begin.
#[derive(Clone, Copy)]
struct Source {
    table: &'static str,
    infinity: u32,
    sign: u32,
    to_f32: fn(u32) -> f32,
}

const F32: Source =
    Source { table: table!("from_f32.txt"), infinity: 0x7F80_0000, sign: 1 << 31, to_f32: f32::from_bits };
const BF16: Source = Source {
    table: table!("from_bf16.txt"),
    infinity: 0x7F80,
    sign: 1 << 15,
    to_f32: |bits| f32::from_bits(bits << 16),
};
#[cfg(feature = "half")]
const F16: Source = Source {
    table: table!("from_f16.txt"),
    infinity: 0x7C00,
    sign: 1 << 15,
    to_f32: |bits| half::f16::from_bits(bits as u16).to_f32(),
};

impl Source {
    /// Where we differ from `ml_dtypes` on purpose: inputs, and the code we give instead.
    fn differences(&self, name: &str) -> Vec<(RangeInclusive<u32>, u8)> {
        match name {
            // NaN is +0 where there is no NaN; ml_dtypes gives a zero of the opposite sign.
            "E2M1" | "E3M2" | "E2M3" => {
                let last = self.sign - 1;
                vec![(self.infinity + 1..=last, 0), (self.infinity + 1 + self.sign..=last + self.sign, 0)]
            }
            // What is above 2^-127 and below 1.5 * 2^-127 is nearest to 2^-127; ml_dtypes rounds it all up.
            "E8M0" if self.infinity == F32.infinity => vec![(0x0040_0001..=0x005F_FFFF, 0)],
            "E8M0" if self.infinity == BF16.infinity => vec![(0x0041..=0x005F, 0)],
            _ => vec![],
        }
    }

    fn expected(&self, name: &str, runs: &[(u32, u8)], input: u32) -> u8 {
        let difference = self.differences(name).into_iter().find(|(range, _)| range.contains(&input));
        difference.map_or_else(|| golden_code(runs, input), |(_, code)| code)
    }

    /// Asserts the codes of these inputs; returns how many there were.
    fn check(&self, name: &str, format: &FloatFormat, inputs: impl Iterator<Item = u32>) -> usize {
        let runs = runs(self.table, name);
        let mut count = 0;
        for input in inputs {
            let got = format.encode_f32((self.to_f32)(input), Rounding::NearestEven, Overflow::NonFinite);
            let want = self.expected(name, &runs, input);
            assert_eq!(got, want, "{name} of {input:#x} = {}", (self.to_f32)(input));
            count += 1;
        }
        count
    }
}

#[test]
fn every_code_decodes_as_in_ml_dtypes() {
    for &(name, format) in ML_DTYPES {
        let golden = row(table!("decode.txt"), name);
        assert_eq!(golden.len(), 1 << format.bits(), "{name}");
        for (code, want) in codes(&format).zip(golden) {
            assert_eq!(format.decode_f32(code).to_bits(), hex(want), "{name} code {code:#x}");
            let wide = format.decode_f64(code);
            assert_eq!(
                (wide as f32).to_bits() & 0x7FFF_FFFF,
                hex(want) & 0x7FFF_FFFF,
                "{name} code {code:#x}"
            );
            assert_eq!(wide.is_sign_negative(), hex(want) >> 31 == 1, "{name} code {code:#x}");
        }
    }
}

#[test]
fn integers_and_tables_decode_as_in_ml_dtypes_and_bitsandbytes() {
    fn check(name: &str, decode: impl Fn(u8) -> f32) {
        for (code, want) in row(table!("decode.txt"), name).into_iter().enumerate() {
            // bitsandbytes writes +0 for the FP4 code 8 in Python, and its kernel multiplies 0 by -1.
            let want = if (name, code) == ("Fp4", 8) { 0x8000_0000 } else { hex(want) };
            assert_eq!(decode(code as u8).to_bits(), want, "{name} code {code}");
        }
    }
    check("Int1", |code| Int1::from_bits(code).to_f32());
    check("Int2", |code| Int2::from_bits(code).to_f32());
    check("Int4", |code| Int4::from_bits(code).to_f32());
    check("Uint1", |code| Uint1::from_bits(code).to_f32());
    check("Uint2", |code| Uint2::from_bits(code).to_f32());
    check("Uint4", |code| Uint4::from_bits(code).to_f32());
    check("Nf4", |code| Nf4::from_bits(code).to_f32());
    check("Fp4", |code| Fp4::from_bits(code).to_f32());
}

#[test]
fn every_bf16_encodes_as_in_ml_dtypes() {
    for &(name, format) in ML_DTYPES {
        assert_eq!(BF16.check(name, &format, 0..=0xFFFF), 65_536);
    }
}

#[cfg(feature = "half")]
#[test]
fn every_f16_encodes_as_in_ml_dtypes() {
    for &(name, format) in ML_DTYPES {
        assert_eq!(F16.check(name, &format, 0..=0xFFFF), 65_536);
    }
}

#[test]
fn both_ends_of_every_run_of_f32_encode_as_in_ml_dtypes() {
    for &(name, format) in ML_DTYPES {
        let starts: Vec<u32> = runs(F32.table, name).into_iter().map(|(start, _)| start).collect();
        let edges = F32
            .differences(name)
            .into_iter()
            .flat_map(|(range, _)| [*range.start(), range.end().wrapping_add(1)]);
        let inputs = starts.into_iter().chain(edges).flat_map(|start| [start.wrapping_sub(1), start]);
        assert!(F32.check(name, &format, inputs) > 32);
    }
}

/// The listed differences are no wider than needed: at both ends of each range `ml_dtypes` does say something else.
#[test]
fn every_listed_difference_is_one() {
    for &(name, _) in ML_DTYPES {
        for source in [F32, BF16] {
            let runs = runs(source.table, name);
            for (range, code) in source.differences(name) {
                if (*range.start()) & source.sign != 0 && code == 0 && golden_code(&runs, *range.start()) == 0
                {
                    continue; // a negative NaN is +0 in ml_dtypes too
                }
                assert_ne!(golden_code(&runs, *range.start()), code, "{name} {range:x?}");
                assert_ne!(golden_code(&runs, *range.end()), code, "{name} {range:x?}");
            }
        }
    }
}

/// `cargo test --release -p lowbit-scalar --test golden -- --ignored` (about three minutes on two cores)
#[test]
#[ignore = "visits 11 * 2^32 inputs"]
fn every_f32_encodes_as_in_ml_dtypes() {
    std::thread::scope(|scope| {
        for &(name, format) in ML_DTYPES {
            scope.spawn(move || {
                let runs = runs(F32.table, name);
                let differences = F32.differences(name);
                for (i, &(start, code)) in runs.iter().enumerate() {
                    let last = runs.get(i + 1).map_or(u32::MAX, |&(next, _)| next - 1);
                    for input in start..=last {
                        let x = f32::from_bits(input);
                        let got = format.encode_f32(x, Rounding::NearestEven, Overflow::NonFinite);
                        if got != code {
                            let listed = differences.iter().find(|(range, _)| range.contains(&input));
                            assert_eq!(
                                listed.map(|(_, code)| *code),
                                Some(got),
                                "{name} of {input:#x} = {x}"
                            );
                        }
                    }
                }
            });
        }
    });
}
