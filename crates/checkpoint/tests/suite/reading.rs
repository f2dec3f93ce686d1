//! Files that are not what they should be: each is refused in one line that names file, tensor and number; and files that are odd but right.

use crate::model::{weights, write_file};
use lowbit_checkpoint::safetensors::{Dtype, TensorFile};
use lowbit_checkpoint::{Checkpoint, index::Index};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file with this JSON and so many bytes of data.
fn file(dir: &Path, json: &str, data: usize) -> String {
    let path = dir.join("model.safetensors");
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    fs::write(&path, bytes).unwrap();
    refusal(&path)
}

fn refusal(path: &Path) -> String {
    let error = Checkpoint::open(path).expect_err("must be refused").to_string();
    assert!(!error.contains('\n'), "not one line: {error}");
    assert!(error.contains("safetensors"), "no file named: {error}");
    error
}

#[test]
fn broken_headers_are_refused_with_tensor_and_number() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        // Offsets that overlap, leave a hole, run backwards, do not begin at zero.
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#,
            6,
            "tensor `b`: begins at byte 2 but tensor `a` before it ends at byte 4: overlap of 2 bytes",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[9,13]}}"#,
            13,
            "tensor `b`: begins at byte 9 but tensor `a` before it ends at byte 4: hole of 5 bytes",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[8,4]}}"#,
            8,
            "tensor `a`: data offsets [8, 4) run backwards",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}"#,
            5,
            "tensor `a`: begins at byte 1 but the data starts at byte 0",
        ),
        // Shapes that do not fit their bytes, in either direction, or in any number.
        (
            r#"{"a":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,10]}}"#,
            10,
            "tensor `a`: shape [3, 2] of BF16 needs 12 bytes, data offsets [0, 10) hold 10",
        ),
        (
            r#"{"a":{"dtype":"BF16","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#,
            0,
            "tensor `a`: shape [4294967296, 4294967296] of BF16 overflows 64 bits",
        ),
        (
            r#"{"a":{"dtype":"BF16","shape":[2305843009213693952],"data_offsets":[0,0]}}"#,
            0,
            "overflows 64 bits",
        ),
        (
            r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}"#,
            2,
            "tensor `a`: shape [3] of F4 is 12 bits, not whole bytes",
        ),
        // Files that are too short or too long.
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
            3,
            "tensor `a`: ends at byte 4 of the data, but the file holds only 3 bytes of it",
        ),
        (
            r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
            7,
            "3 bytes after the last tensor, which ends at byte 4 of the data",
        ),
        // JSON that is none, and names and types that cannot be.
        (
            r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#,
            0,
            "`a` appears twice",
        ),
        (r#"{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}"#, 1, "`a`: unknown variant `F7`"),
        (r#"{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#, 1, "`a`: invalid value: integer `-1`"),
        (
            r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1.5]}}"#,
            1,
            "`a`: invalid type: floating point `1.5`",
        ),
        (r#"{"__metadata__":{"format":1}}"#, 0, "`__metadata__`: invalid type: integer `1`"),
        (r#"{"a":"#, 0, "header is not valid"),
        (r"[1]", 0, "header is not valid"),
        (r"{} x", 0, "header is not valid: trailing characters"),
    ];
    for (json, data, want) in cases {
        let error = file(dir.path(), json, data);
        assert!(error.contains(want), "{json}\n  gave {error}\n  not  {want}");
    }
}

#[test]
fn headers_that_are_no_headers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    fs::write(&path, [1, 2, 3]).unwrap();
    assert!(refusal(&path).ends_with("3 bytes; a safetensors file has at least 8"));
    fs::write(&path, 9u64.to_le_bytes()).unwrap();
    assert!(refusal(&path).ends_with("header of 9 bytes runs past the end of a file of 8 bytes"));
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    assert!(refusal(&path).ends_with("header of 18446744073709551615 bytes; the limit is 100000000"));
    fs::write(&path, [2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]).unwrap();
    assert!(refusal(&path).ends_with("header is not UTF-8 at byte 8"));
    // A header one byte over the limit, in a file that is long enough for it. The file has a hole; no disk is used.
    fs::write(&path, 100_000_001u64.to_le_bytes()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100_000_100).unwrap();
    assert!(refusal(&path).ends_with("header of 100000001 bytes; the limit is 100000000"));
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write_file(&path, vec![weights("a.weight", &[4, 8]), weights("b.weight", &[2, 8])]);
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        refusal(&path);
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        // Refused or not: what matters is that it comes back, and that what it accepts can be read.
        if let Ok(checkpoint) = Checkpoint::open(&path) {
            checkpoint.tensors().for_each(|t| drop(t.read_all().unwrap()));
        }
    }
}

#[test]
fn all_dtypes_and_misaligned_tensors_are_read() {
    const ALL: [(Dtype, usize); 22] = [
        (Dtype::BOOL, 8),
        (Dtype::F4, 4),
        (Dtype::F6_E2M3, 6),
        (Dtype::F6_E3M2, 6),
        (Dtype::U8, 8),
        (Dtype::I8, 8),
        (Dtype::F8_E5M2, 8),
        (Dtype::F8_E4M3, 8),
        (Dtype::F8_E8M0, 8),
        (Dtype::F8_E4M3FNUZ, 8),
        (Dtype::F8_E5M2FNUZ, 8),
        (Dtype::I16, 16),
        (Dtype::U16, 16),
        (Dtype::F16, 16),
        (Dtype::BF16, 16),
        (Dtype::I32, 32),
        (Dtype::U32, 32),
        (Dtype::F32, 32),
        (Dtype::C64, 64),
        (Dtype::F64, 64),
        (Dtype::I64, 64),
        (Dtype::U64, 64),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    // Ascending, behind one odd byte: nothing after it is aligned. No writer does this; the format allows it.
    let mut json = String::from(r#"{" ":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#);
    let mut at = 1;
    for (i, (dtype, bits)) in ALL.iter().enumerate() {
        let len = 4 * bits / 8;
        json +=
            &format!(r#","{i:02}":{{"dtype":"{dtype}","shape":[2,2],"data_offsets":[{at},{}]}}"#, at + len);
        at += len;
    }
    json += r#","none":{"dtype":"F64","shape":[3,0],"data_offsets":["#;
    json += &format!("{at},{at}]}}}}");
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(json.as_bytes());
    bytes.extend((0..at).map(|i| i as u8));
    fs::write(&path, bytes).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.header().entries.len(), ALL.len() + 2);
    let mut next = 0u8;
    for entry in &file.header().entries {
        let mut data = vec![0; entry.len() as usize];
        file.read(entry, 0, &mut data).unwrap();
        for byte in data {
            assert_eq!(byte, next, "{}", entry.name);
            next = next.wrapping_add(1);
        }
        assert!(
            file.read(entry, 1, &mut vec![0; entry.len() as usize]).is_err(),
            "past the end of {}",
            entry.name
        );
    }
}

/// A checkpoint of two shards and an index, which `change` may spoil.
fn sharded(change: impl FnOnce(&mut BTreeMap<String, String>)) -> (tempfile::TempDir, [String; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let shards = [1, 2].map(|n| format!("model-0000{n}-of-00002.safetensors"));
    write_file(
        &dir.path().join(&shards[0]),
        vec![weights("a.weight", &[4, 8]), weights("b.weight", &[4, 8])],
    );
    write_file(&dir.path().join(&shards[1]), vec![weights("c.weight", &[4, 8])]);
    let mut map = BTreeMap::from([
        ("a.weight".to_owned(), shards[0].clone()),
        ("b.weight".to_owned(), shards[0].clone()),
        ("c.weight".to_owned(), shards[1].clone()),
    ]);
    change(&mut map);
    fs::write(dir.path().join("model.safetensors.index.json"), Index::new(map, 192).to_bytes()).unwrap();
    (dir, shards)
}

#[test]
fn shards_are_held_against_the_index() {
    let (dir, _) = sharded(|_| {});
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!((checkpoint.tensors().len(), checkpoint.total_size()), (3, 192));
    assert!(checkpoint.has_index() && checkpoint.warnings().is_empty());

    let (dir, shards) = sharded(|_| {});
    fs::remove_file(dir.path().join(&shards[0])).unwrap();
    let error = refusal(dir.path());
    assert!(
        error.ends_with(&format!("shard {} is missing; 2 tensors are in it, `a.weight` first", shards[0])),
        "{error}"
    );

    let (dir, shards) = sharded(|map| _ = map.insert("d.weight".into(), map["c.weight"].clone()));
    let error = refusal(dir.path());
    assert!(
        error.ends_with(&format!("tensor `d.weight`: should be in {}, but no shard has it", shards[1])),
        "{error}"
    );

    let (dir, shards) = sharded(|map| _ = map.insert("c.weight".into(), map["a.weight"].clone()));
    write_file(&dir.path().join(&shards[1]), vec![weights("b.weight", &[4, 8])]);
    let error = refusal(dir.path());
    assert!(error.contains("tensor `c.weight`: should be in") && error.contains(&shards[0]), "{error}");

    let (dir, shards) = sharded(|_| {});
    write_file(
        &dir.path().join(&shards[1]),
        vec![weights("c.weight", &[4, 8]), weights("a.weight", &[4, 8])],
    );
    let error = refusal(dir.path());
    assert!(
        error.starts_with("tensor `a.weight` is in both ") && shards.iter().all(|s| error.contains(s)),
        "{error}"
    );

    let (dir, _) = sharded(|map| _ = map.insert("c.weight".into(), "../model.safetensors".into()));
    assert!(
        refusal(dir.path())
            .contains("tensor `c.weight` is in `../model.safetensors`, which is not a file name")
    );

    let (dir, _) = sharded(|map| _ = map.remove("b.weight"));
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(
        checkpoint.warnings(),
        ["1 tensors are not named by model.safetensors.index.json, `b.weight` first"]
    );
    assert_eq!(checkpoint.tensors().len(), 3);
}

#[test]
fn a_directory_without_weights_says_what_it_has_instead() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), b"x").unwrap();
    let error = refusal(dir.path());
    assert!(
        error.ends_with("no model.safetensors and no model.safetensors.index.json (found pytorch_model.bin)"),
        "{error}"
    );
    let error = Checkpoint::open(dir.path().join("nowhere")).unwrap_err().to_string();
    assert!(error.starts_with("cannot open ") && error.contains("nowhere"), "{error}");
    fs::write(dir.path().join("config.json"), b"{\"a\": ").unwrap();
    write_file(&dir.path().join("model.safetensors"), vec![]);
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("config.json: not a JSON object: EOF while parsing"), "{error}");
    fs::write(dir.path().join("config.json"), json!([1]).to_string()).unwrap();
    let error = Checkpoint::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("config.json: not a JSON object"), "{error}");
}
