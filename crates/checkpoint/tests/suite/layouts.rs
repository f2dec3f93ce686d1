//! Every format in every layout that carries it: written, read back, and held against the same recipe run in memory.

use crate::model::{contents, error, llama_config, plan, testdata, weights, write_llama, write_model};
use half::bf16;
use lowbit_blocks::{Dtype, FORMATS, Format, MXFP4, NVFP4, QTensor, Shape, TensorScale, Values};
use lowbit_calib::{Activations, recipes};
use lowbit_checkpoint::layout::{self, LAYOUTS, Packing};
use lowbit_checkpoint::{Checkpoint, Mapped, arch};
use serde_json::json;
use std::borrow::Cow;

/// All formats: the presets, and integers that are none.
pub(crate) fn formats() -> Vec<Format> {
    let more = [
        "int3-g128-asym",
        "int5-g32",
        "int7-g64-asym",
        "int2-channel",
        "int4-channel-asym",
        "int8-g32",
        "int6-g32-asym",
    ];
    // Super-blocks of 256 values do not fit rows of 128; they have a test of their own.
    let presets = FORMATS.iter().map(|(_, format)| *format).filter(|f| f.scale.outer.count().is_none());
    presets.chain(more.iter().map(|name| Format::named(name).unwrap())).collect()
}

/// A source tensor as values.
fn source(checkpoint: &Checkpoint, name: &str) -> Vec<bf16> {
    let bytes = checkpoint.tensor(name).unwrap().read_all().unwrap();
    bytes.as_chunks().0.iter().copied().map(bf16::from_le_bytes).collect()
}

#[test]
fn what_is_written_is_what_the_recipe_makes_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    write_llama(dir.path());
    let original = Checkpoint::open(dir.path()).unwrap();
    let mut pairs = 0;
    // gpt-oss has stacks of experts only.
    for &layout in LAYOUTS.iter().filter(|layout| layout.name() != "gpt-oss") {
        for format in formats() {
            // Static scales of activations are not for quantizing alone: they are read and converted.
            for way in layout.carries(&format).into_iter().filter(|w| w.activations != Activations::Static) {
                let out = tempfile::tempdir().unwrap();
                let context = format!("{format} in {} with {:?}", layout.name(), way.activations);
                let report = plan(dir.path(), out.path(), |job| {
                    (job.format, job.layout, job.activations) = (format, layout, Some(way.activations));
                });
                report.run(&()).unwrap();
                let written = Checkpoint::open(out.path()).unwrap();
                let reading = layout::read(&written).unwrap().expect(&context);
                assert_eq!(reading.layout.name(), layout.name(), "{context}");
                assert_eq!(reading.linears.len(), 3, "{context}");
                // The files are not changed while they are mapped.
                #[allow(unsafe_code)]
                // SAFETY: nothing writes into this test's directory any more.
                let mapped = unsafe { Mapped::open(out.path()) }.unwrap();
                for stored in &reading.linears {
                    let files = layout.stores(&format, Dtype::Bf16);
                    assert_eq!(stored.format.name(), files.name(), "{context}");
                    let got = stored.read(&written).unwrap().weight;
                    let want = in_memory(&original, layout, &format, &stored.linear.weight);
                    assert_eq!(got.codes(), want.codes(), "{context} {}", stored.linear.module);
                    if !layout.rounds_scales {
                        assert_eq!(got.scales(), want.scales(), "{context} {}", stored.linear.module);
                    }
                    assert_eq!(
                        (got.zeros(), got.tensor_scale()),
                        (want.zeros(), want.tensor_scale()),
                        "{context}"
                    );
                    let view = mapped.linear(&stored.linear.module).unwrap();
                    assert_eq!(view.weight, got, "{context}");
                }
                pairs += 1;
            }
        }
    }
    // All of plain, and the others' tables.
    assert!(pairs > formats().len() + 25, "{pairs}");
}

/// The linear as its recipe quantizes it in memory, with the statistics of all that share its scale.
fn in_memory(
    original: &Checkpoint,
    layout: &layout::Layout,
    format: &Format,
    name: &str,
) -> QTensor<'static> {
    let recipe = recipes::recipe(layout.producer, format, Dtype::Bf16, false).unwrap();
    let recipe = recipe.with_scale(layout.stores(&recipe.format, Dtype::Bf16).scale.kind);
    let arch = arch::Arch::new(original.config());
    let key = |name: &str| arch.shares(arch::module_of(name)).filter(|_| format.has_tensor_scale());
    let mut stats = recipe.stats();
    for tensor in original.tensors().map(|t| t.entry) {
        let same = tensor.name == name || key(name).is_some() && key(name) == key(&tensor.name);
        if let Some(stats) = stats.as_mut().filter(|_| same) {
            stats.observe(Values::Bf16(&source(original, &tensor.name))).unwrap();
        }
    }
    let entry = original.tensor(name).unwrap().entry;
    let shape = Shape::matrix(entry.shape[0], entry.shape[1]);
    let stats: Vec<_> = stats.into_iter().collect();
    let quantizer =
        recipe.quantizer(shape, Dtype::Bf16, &stats, lowbit_kernels::Kernels::reference()).unwrap();
    let format = recipe.format;
    let (mut codes, mut scales) = (vec![0; format.codes_len(shape)], vec![0; format.scales_len(shape)]);
    let mut zeros = vec![0; format.zeros_len(shape)];
    let out = lowbit_calib::Out { codes: &mut codes, scales: &mut scales, zeros: &mut zeros };
    quantizer.quantize_rows(0, 0, Values::Bf16(&source(original, name)), out).unwrap();
    let zeros = (!zeros.is_empty()).then_some(Cow::Owned(zeros));
    QTensor::new(format, shape, codes, scales, zeros, quantizer.tensor_scale()).unwrap()
}

#[test]
fn a_view_of_a_mapped_file_copies_nothing_that_lies_there_as_in_memory() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: nothing writes into this test's directory any more.
    let mapped = unsafe { Mapped::open(out.path()) }.unwrap();
    let linear = mapped.linear("model.layers.0.mlp.down_proj").unwrap();
    let (entry, bytes) = mapped.bytes("model.layers.0.mlp.down_proj.weight_packed").unwrap();
    assert_eq!(entry.shape, [128, 128]);
    assert!(std::ptr::eq(linear.weight.codes(), bytes), "codes were copied");
    assert!(matches!(linear.weight.tensor_scale(), TensorScale::Divide(_)));
}

#[test]
fn a_layout_that_cannot_carry_a_format_says_which_can() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    let say = |format: &str, layout: &'static layout::Layout, activations| {
        error(dir.path(), out.path(), |job| {
            (job.format, job.layout, job.activations) = (Format::named(format).unwrap(), layout, activations);
        })
    };
    assert_eq!(
        say("nf4", layout::COMPRESSED_TENSORS, None),
        "layout compressed-tensors cannot carry nf4; layouts that can: bitsandbytes, bitsandbytes-nested, plain"
    );
    assert_eq!(
        say("int4-g128-asym", layout::MODELOPT, None),
        "layout modelopt cannot carry int4-g128-asym; layouts that can: compressed-tensors, gptq, gptq-v2, awq, plain"
    );
    assert_eq!(
        say("nvfp4", layout::COMPRESSED_TENSORS, Some(Activations::Dynamic)),
        "layout compressed-tensors cannot carry nvfp4 with activations dynamic; it can with activations none or static"
    );
    assert_eq!(
        say("nvfp4", layout::COMPRESSED_TENSORS, Some(Activations::Static)),
        "layout compressed-tensors cannot carry nvfp4 as NVFP4; static scales of activations come with calibration"
    );
    assert!(!out.path().join(".lowbit-journal").exists());
}

#[test]
fn packings_are_those_of_the_tools() {
    // compressed-tensors: -8..7 in one word is 0x76543210 after the offset.
    let codes: Vec<u8> = (0..4).map(|i| ((2 * i + 8) & 15) | ((2 * i + 9) & 15) << 4).collect();
    let mut words = [0; 4];
    Packing::Words { bits: 4, signed: true }.pack(1, 8, &codes, &mut words);
    assert_eq!(u32::from_le_bytes(words), 0x7654_3210);
    // -128, -1, 0, 127 in eight bits: 0xff807f00.
    Packing::Words { bits: 8, signed: true }.pack(1, 4, &[0x80, 0xff, 0, 0x7f], &mut words);
    assert_eq!(u32::from_le_bytes(words), 0xff80_7f00);
    // Three bits, eleven codes of -4: zeros, and nothing after them but zeros.
    let minus_four = [0b0010_0100, 0b0100_1001, 0b1001_0010, 0b0010_0100, 0b1];
    let mut two = [0xaa; 8];
    Packing::Words { bits: 3, signed: true }.pack(1, 11, &minus_four, &mut two);
    assert_eq!(two, [0; 8]);
    // Version 0.17: ten codes of three bits to a word, and nothing in its two top bits. -4 is zero in the file.
    let mut ten = [0; 8];
    Packing::Padded { bits: 3, signed: true }.pack(
        1,
        11,
        &[0b0010_0011, 0b0100_1001, 0b1001_0010, 0b0010_0100, 0b1],
        &mut ten,
    );
    assert_eq!(ten, [7, 0, 0, 0, 0, 0, 0, 0]);
    // A byte for each code of four bits, 2 and -1; unsigned 10 and 7 are the same.
    let mut bytes = [0; 2];
    Packing::Wide { bits: 4, signed: true }.pack(1, 2, &[0xf2], &mut bytes);
    assert_eq!(bytes, [2, 0xff]);
    Packing::Wide { bits: 4, signed: false }.pack(1, 2, &[0x7a], &mut bytes);
    assert_eq!(bytes, [2, 0xff]);
    // Down a column: nine zero points of four bits are two words.
    let mut down = [0; 8];
    Packing::Down { bits: 4 }.pack(9, 1, &[1, 2, 3, 4, 5, 6, 7, 8, 9], &mut down);
    assert_eq!(down, [0x21, 0x43, 0x65, 0x87, 0x09, 0, 0, 0]);
    // torchao's FP6: the bits alone.
    Packing::OneByte { bits: 6 }.pack(1, 2, &[0xbf, 0x08], &mut bytes);
    assert_eq!(bytes, [0x3f, 0x22]);
    // HQQ: four codes of two rows in two bytes, the first row high; quanto has it low. Three bits: ten rows to a word.
    let halves = |high_first| Packing::Split { bits: 4, width: 2, high_first };
    halves(true).pack(2, 2, &[0x21, 0x43], &mut bytes);
    assert_eq!(bytes, [0x13, 0x24]);
    halves(false).pack(2, 2, &[0x21, 0x43], &mut bytes);
    assert_eq!(bytes, [0x31, 0x42]);
    let mut word = [0; 4];
    Packing::Split { bits: 3, width: 1, high_first: true }.pack(1, 3, &[0b10_001_111, 0b0], &mut word);
    assert_eq!(i32::from_le_bytes(word), 7 << 27 | 1 << 24 | 2 << 21);
    Packing::Negated { bytes: 2 }.pack(1, 2, &[0, 0x3f, 0, 0], &mut word);
    assert_eq!(word, [0, 0xbf, 0, 0x80]);
    // ModelOpt: rows 0 and 1 in one row of bytes.
    let mut pairs = [0; 4];
    Packing::RowPairs.pack(2, 4, &[0x21, 0x43, 0xba, 0xdc], &mut pairs);
    assert_eq!(pairs, [0xa1, 0xb2, 0xc3, 0xd4]);
}

#[test]
fn packings_come_back_and_tile_at_every_width() {
    for bits in 1..=8 {
        let mut packings = vec![
            Packing::Words { bits, signed: true },
            Packing::Words { bits, signed: false },
            Packing::Down { bits },
            Packing::Padded { bits, signed: true },
            Packing::Padded { bits, signed: false },
            Packing::PaddedDown { bits },
            Packing::Wide { bits, signed: true },
            Packing::Wide { bits, signed: false },
            Packing::Lowered { bits },
            Packing::OneByte { bits },
        ];
        packings.extend((bits == 4).then_some(Packing::RowPairs));
        for packing in packings {
            for (rows, cols) in [(2, 2), (32, 6), (34, 10), (64, 16), (70, 4)] {
                let width = packing.row_bytes(cols);
                // Rows end in zero bits, and a zero point is a number of so many bits.
                let keep = match packing {
                    Packing::Down { .. } | Packing::PaddedDown { .. } | Packing::Lowered { .. } => {
                        vec![0xff >> (8 - bits); width]
                    }
                    _ => (0..width)
                        .map(|b| 0xff >> (8 * (b + 1)).saturating_sub(cols * bits as usize).min(8))
                        .map(|m: u16| m as u8)
                        .collect(),
                };
                let memory: Vec<u8> =
                    (0..rows * width).map(|i| (i * 167 + 13) as u8 & keep[i % width]).collect();
                let mut file = vec![0; packing.packed_len(rows, cols)];
                packing.pack(rows, cols, &memory, &mut file);
                let mut back = vec![0; memory.len()];
                packing.unpack(rows, cols, &file, &mut back);
                assert_eq!(back, memory, "{packing:?} {rows}x{cols}");
                if packing.quantum() > rows {
                    continue;
                }
                // The same in two tiles.
                let half = rows / 2 / packing.quantum() * packing.quantum();
                let mut tiled = vec![0; file.len()];
                let (a, b) = tiled.split_at_mut(packing.packed_len(half, cols));
                packing.pack(half, cols, &memory[..half * width], a);
                packing.pack(rows - half, cols, &memory[half * width..], b);
                assert_eq!(tiled, file, "{packing:?} {rows}x{cols}");
            }
        }
    }
}

#[test]
fn other_conventions_are_named() {
    let name = |config, tensor: &str| {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config, vec![weights(tensor, &[2, 8])]);
        layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string()
    };
    let readable = LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    for method in ["eetq", "aqlm"] {
        let error = name(json!({"quantization_config": {"quant_method": method}}), "a.weight");
        assert!(error.contains(&format!("quantized with {method}")), "{error}");
        assert!(error.contains(&format!("which is not read yet; read are: {readable}")), "{error}");
    }
    assert!(name(json!({}), "model.layers.0.mlp.up_proj.qweight").contains("quantized with gptq or awq"));
}

#[test]
fn a_quantized_checkpoint_that_contradicts_itself_is_refused() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    let config = std::fs::read_to_string(out.path().join("config.json")).unwrap();
    for (from, to, want) in [
        ("\"group_size\": 16", "\"group_size\": 32", "F8_E4M3"),
        ("\"num_bits\": 4", "\"num_bits\": 5", "is no format that can be read"),
        ("\"Linear\"\n", "\"re:nothing\"\n", "no config group takes its module"),
    ] {
        assert!(config.contains(from), "{from}");
        std::fs::write(out.path().join("config.json"), config.replace(from, to)).unwrap();
        let error = layout::read(&Checkpoint::open(out.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains("model.layers.0.") && error.contains(want), "{error}");
    }
    std::fs::write(out.path().join("config.json"), config.replace("\"Linear\"\n", "\"re:(\"\n")).unwrap();
    let message = layout::read(&Checkpoint::open(out.path()).unwrap()).unwrap_err().to_string();
    assert!(message.contains("config.json: quantization_config: pattern `re:(`"), "{message}");
    // And it is not quantized twice.
    std::fs::write(out.path().join("config.json"), config).unwrap();
    let again = tempfile::tempdir().unwrap();
    assert!(error(out.path(), again.path(), |_| {}).contains("is quantized already (compressed-tensors)"));
}

#[test]
fn targets_of_several_groups_take_modules_in_the_order_of_compressed_tensors() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    plan(dir.path(), out.path(), |job| job.format = MXFP4).run(&()).unwrap();
    let path = out.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let groups = &mut config["quantization_config"]["config_groups"];
    // A class that takes everything, a wrong group that is only reached by order of groups, and the right one by the first pattern in the alphabet.
    let right = groups["group_0"].clone();
    let mut wrong = right.clone();
    wrong["weights"]["group_size"] = json!(16);
    (wrong["targets"], groups["group_0"]) = (json!(["Linear", "re:.*zz"]), wrong.clone());
    groups["group_1"] = right;
    groups["group_1"]["targets"] = json!(["re:model", "model.layers.0.mlp.down_proj"]);
    std::fs::write(&path, config.to_string()).unwrap();
    let reading = layout::read(&Checkpoint::open(out.path()).unwrap()).unwrap().unwrap();
    assert!(reading.linears.iter().all(|l| l.format == MXFP4));
}

#[test]
fn stacks_of_experts_stay_whole_in_plain_and_are_cut_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let moe = [
        weights("model.layers.0.mlp.experts.gate_up_proj", &[3, 64, 32]),
        weights("model.layers.0.mlp.experts.down_proj", &[3, 32, 32]),
    ];
    let mut config = llama_config();
    config["hidden_size"] = json!(32);
    write_model(dir.path(), config, moe.to_vec());
    let out = tempfile::tempdir().unwrap();
    plan(dir.path(), out.path(), |job| job.layout = layout::PLAIN).run(&()).unwrap();
    let whole = Checkpoint::open(out.path()).unwrap();
    let reading = layout::read(&whole).unwrap().unwrap();
    assert_eq!(reading.linears[1].linear.weight, "model.layers.0.mlp.experts.gate_up_proj");
    let stack = reading.linears[1].read(&whole).unwrap().weight;
    assert_eq!((stack.shape(), stack.format()), (Shape { matrices: 3, rows: 64, cols: 32 }, NVFP4));

    let cut = tempfile::tempdir().unwrap();
    plan(dir.path(), cut.path(), |job| job.layout = layout::MODELOPT).run(&()).unwrap();
    let apart = Checkpoint::open(cut.path()).unwrap();
    let reading = layout::read(&apart).unwrap().unwrap();
    assert_eq!(reading.linears.len(), 9);
    for stored in &reading.linears {
        let linear = stored.read(&apart).unwrap().weight;
        let parts: Vec<&str> = stored.linear.module.split('.').collect();
        let (expert, part) = (parts[5].parse::<usize>().unwrap(), parts[6]);
        if part == "down_proj" {
            continue;
        }
        // One tensor scale for a whole expert of the stack, and the same for its halves: so the same codes.
        let first = if part == "gate_proj" { 0 } else { 32 };
        let rows = stack.rows(expert, first..first + 32);
        assert_eq!(linear.codes(), rows.codes(), "{}", stored.linear.module);
        assert_eq!(linear.scales(), rows.scales(), "{}", stored.linear.module);
        assert_eq!(linear.tensor_scale(), &stack.tensor_scale().matrix(expert));
    }
}

#[test]
fn configurations_are_the_bytes_that_compressed_tensors_writes() {
    let out = tempfile::tempdir().unwrap();
    plan(&testdata("austen-2m"), out.path(), |_| {}).run(&()).unwrap();
    let files = contents(out.path());
    let config = String::from_utf8_lossy(&files[std::path::Path::new("config.json")]);
    assert!(config.starts_with(
        "{\n  \"architectures\": [\n    \"LlamaForCausalLM\"\n  ],\n  \"attention_bias\": false,"
    ));
    assert!(config.contains("\n  \"rms_norm_eps\": 1e-06,\n") && config.ends_with("\"vocab_size\": 1024\n}"));
    let names: Vec<_> = files.keys().map(|path| path.to_string_lossy()).collect();
    let rest = [
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ];
    assert_eq!(names, rest);
}
