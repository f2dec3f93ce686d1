//! Names and JSON of formats: stable, unique, and found again.

use std::collections::HashSet;

use lowbit_blocks::*;
use proptest::prelude::*;

use crate::cases::format;

#[test]
fn table_names_are_unique_and_found() {
    let mut seen = HashSet::new();
    for (name, format) in FORMATS {
        assert!(seen.insert(name), "{name} twice");
        assert_eq!(Format::named(name), Some(*format));
        assert_eq!(format.name(), *name);
        assert_eq!(format.to_string(), *name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_format_is_found_by_its_name(format in format()) {
        let found = Format::named(&format.name()).unwrap();
        prop_assert_eq!(found.scale.kind.is_float(), format.scale.kind.is_float());
        prop_assert_eq!(found.with_scale(format.scale.kind), format);
    }

    #[test]
    fn every_format_survives_json(format in format()) {
        let text = serde_json::to_string(&format).unwrap();
        prop_assert_eq!(serde_json::from_str::<Format>(&text).unwrap(), format);
    }

    #[test]
    fn any_text_is_a_format_or_none(name in "(int4|uint8|e4m3|nf4|[a-z0-9]{1,4})(-[a-z0-9+]{1,8}){0,4}") {
        prop_assert!(Format::named(&name).is_none_or(|format| format.check(Shape::matrix(1, 0)).is_ok()));
    }
}

#[test]
fn families_by_hand() {
    let cases = [
        ("int4-channel", Format::int(4, Block::Channel)),
        ("int8-channel", INT8),
        ("int8-channel-asym", UINT8),
        ("int8-tensor-asym", UINT8_TENSOR),
        ("int2-g32-asym", Format::uint(2, Block::Group(32))),
        ("uint4-g64-bias", Format::uint(4, Block::Group(64)).with_zero(Zero::Bias)),
        ("uint4-g64-nozero", Format::uint(4, Block::Group(64)).with_zero(Zero::None)),
        ("e4m3-g128", FP8.with_block(Block::Group(128)).with_scale(ScaleKind::Bf16)),
        ("e4m3-64x32", FP8.with_block(Block::Tile { rows: 64, cols: 32 })),
        ("e2m1-g16-e4m3-2level", NVFP4),
        ("nf4-flat128", NF4.with_block(Block::Flat(128))),
    ];
    for (name, format) in cases {
        assert_eq!(Format::named(name), Some(format), "{name}");
    }
    let unknown = [
        "",
        "int4",
        "int9-g32",
        "int4-g0",
        "int4-g032",
        "int4-g+32",
        "int4-g32-",
        "int4-g32-asym-asym",
        "e4m3-g32-asym",
        "int4-0x4",
        "NVFP4",
        "mxfp4-g32-e8m0-bias",
        "e4m3-g32-e8m0-bias",
        "int4-flat",
        "int4--g32",
    ];
    for name in unknown {
        assert_eq!(Format::named(name), None, "{name}");
    }
}

/// Files hold this text.
#[test]
fn json_is_this_text() {
    let cases = [
        (
            NVFP4,
            r#"{"element":"e2m1","block":{"group":16},"scale":"e4m3","tensor_scale":true,"zero":"none"}"#,
        ),
        (
            FP8_BLOCK.with_scale(ScaleKind::Bf16),
            r#"{"element":"e4m3","block":{"tile":{"rows":128,"cols":128}},"scale":"bf16","tensor_scale":false,"zero":"none"}"#,
        ),
        (UINT8, r#"{"element":"uint8","block":"channel","scale":"f32","tensor_scale":false,"zero":"int"}"#),
        (
            INT8_TENSOR,
            r#"{"element":"int8","block":"tensor","scale":"f32","tensor_scale":false,"zero":"none"}"#,
        ),
        (NF4, r#"{"element":"nf4","block":{"flat":64},"scale":"f32","tensor_scale":false,"zero":"none"}"#),
        (
            MXFP8,
            r#"{"element":"e4m3","block":{"group":32},"scale":"e8m0","tensor_scale":false,"zero":"none"}"#,
        ),
    ];
    for (format, text) in cases {
        assert_eq!(serde_json::to_string(&format).unwrap(), text);
        assert_eq!(serde_json::from_str::<Format>(text).unwrap(), format);
    }
    // What the first form cannot say.
    let super_blocks = [
        (
            Q4_K,
            r#"{"element":"uint4","block":{"group":32},"scale":{"kind":"uint6","outer":{"blocks":8,"kind":"f16"}},"zero":"min"}"#,
        ),
        (
            Q6_K,
            r#"{"element":"int6","block":{"group":16},"scale":{"kind":"int8","outer":{"blocks":16,"kind":"f16"}},"zero":"none"}"#,
        ),
    ];
    for (format, text) in super_blocks {
        assert_eq!(serde_json::to_string(&format).unwrap(), text);
        assert_eq!(serde_json::from_str::<Format>(text).unwrap(), format);
    }
    let short = r#"{"element":"mxint8","block":{"group":32},"scale":"e8m0"}"#;
    assert_eq!(serde_json::from_str::<Format>(short).unwrap(), MXINT8);
    let refused = [
        (r#"{"element":"e9m9","block":"tensor","scale":"f32"}"#, "no element is called e9m9"),
        (r#"{"element":"int9","block":"tensor","scale":"f32"}"#, "no element is called int9"),
        (r#"{"element":"e4m3","block":"tensor","scale":"f32","nested":true}"#, "unknown field `nested`"),
        (r#"{"element":"e4m3","block":"tensor","scale":"f64"}"#, "unknown variant `f64`"),
        (r#"{"element":"e4m3","block":{"group":-1},"scale":"f32"}"#, "invalid value"),
        (r#"{"element":"int6","block":{"group":16},"scale":{"kind":"int8"}}"#, "missing field `outer`"),
        (
            r#"{"element":"int6","block":{"group":16},"scale":{"kind":"int8","outer":{"blocks":2,"kind":"f16","mean":1}}}"#,
            "unknown field `mean`",
        ),
        (
            r#"{"element":"int6","block":{"group":16},"scale":{"kind":"int8","outer":{"blocks":2,"kind":"f16"}},"tensor_scale":false}"#,
            "`tensor_scale` beside",
        ),
    ];
    for (text, message) in refused {
        let error = serde_json::from_str::<Format>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
