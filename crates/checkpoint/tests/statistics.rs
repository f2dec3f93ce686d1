//! Files of statistics: back as they were written, read by name, and whatever their bytes say an answer or an error.

use lowbit_calib::{ChannelStats, Hessian};
use lowbit_checkpoint::safetensors::{Dtype, TensorFile, header_bytes};
use lowbit_checkpoint::statistics::{
    Imatrix, ImatrixEntry, Planned, Precision, StatisticsFile, StatisticsWriter, module_name,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Numbers that repeat on every run.
fn numbers(seed: u32, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn stats(seed: u32, channels: usize, tokens: usize) -> (ChannelStats, Hessian) {
    let rows = numbers(seed, channels * tokens);
    let mut stats = ChannelStats::new(channels);
    stats.observe(&rows).unwrap();
    let mut hessian = vec![0.0; channels * channels];
    for row in rows.chunks(channels) {
        for (i, j) in (0..channels).flat_map(|i| (0..channels).map(move |j| (i, j))) {
            hessian[i * channels + j] += f64::from(row[i]) * f64::from(row[j]);
        }
    }
    (stats, Hessian::from_sums(channels, tokens as u64, hessian).unwrap())
}

const WIDTHS: [(&str, usize, Option<Precision>); 4] = [
    ("model.layers.0.self_attn.q_proj", 7, Some(Precision::F64)),
    ("model.layers.0.mlp.down_proj", 12, Some(Precision::F32)),
    ("model.layers.0.mlp.up_proj", 1, None),
    ("a.hessian", 3, Some(Precision::F64)),
];

fn written(dir: &Path) -> PathBuf {
    let path = dir.join("stats.safetensors");
    let planned =
        WIDTHS.map(|(name, channels, hessian)| Planned { name: name.into(), channels, hessian }).to_vec();
    let about = BTreeMap::from([("model".to_owned(), "a model".to_owned())]);
    let mut writer = StatisticsWriter::create(&path, &planned, &about).unwrap();
    // Out of order.
    for (at, (name, channels, hessian)) in WIDTHS.iter().enumerate().rev() {
        let (stats, sums) = stats(at as u32, *channels, 5 + at);
        writer.write(name, &stats, hessian.map(|_| &sums)).unwrap();
    }
    assert_eq!(writer.missing().count(), 0);
    writer.finish().unwrap();
    path
}

#[test]
fn statistics_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path());
    let file = StatisticsFile::open(&path).unwrap();
    assert_eq!(file.about()["model"], "a model");
    assert_eq!(file.names().count(), 4);
    for (at, (name, channels, precision)) in WIDTHS.iter().enumerate() {
        let (stats, sums) = stats(at as u32, *channels, 5 + at);
        assert_eq!(file.channels(name).unwrap(), stats, "{name}");
        assert_eq!(file.has_hessian(name), precision.is_some());
        let rounded = |x: &f64| if *precision == Some(Precision::F32) { f64::from(*x as f32) } else { *x };
        let want = precision.map(|_| sums.sums().iter().map(rounded).collect::<Vec<f64>>());
        let got = file.hessian(name).unwrap();
        assert!(got.iter().all(|hessian| hessian.tokens() == stats.tokens()));
        assert_eq!(got.map(|hessian| hessian.sums()), want, "{name}");
    }
    assert!(file.channels("nobody").is_err() && file.hessian("nobody").is_err());
    // One file and nothing else, readable as any other of its kind.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(TensorFile::open(&path).unwrap().header().entries.len(), 4 * 5 + 3);
}

#[test]
fn a_whole_hessian_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let metadata =
        [("format", "lowbit-statistics"), ("version", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let tensors = [
        ("x.tokens", Dtype::I64, vec![1], 8),
        ("x.hessian", Dtype::F64, vec![2, 2], 32),
        ("x.sum", Dtype::F64, vec![2], 16),
        ("x.sum_abs", Dtype::F64, vec![2], 16),
        ("x.sum_square", Dtype::F64, vec![2], 16),
        ("x.absmax", Dtype::F32, vec![2], 8),
    ];
    let (mut bytes, _) =
        header_bytes(&metadata.into(), tensors.map(|(n, d, s, len)| (n.to_owned(), d, s, len)));
    bytes.extend(3i64.to_le_bytes());
    bytes.extend([4.0f64, 1.0, 1.0, 2.0, -2.0, 2.0, 2.0, 2.0, 4.0, 2.0].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend([2.0f32, 1.0].iter().flat_map(|x| x.to_le_bytes()));
    fs::write(&path, &bytes).unwrap();
    let file = StatisticsFile::open(&path).unwrap();
    assert_eq!(file.hessian("x").unwrap().unwrap().sums(), [4.0, 1.0, 1.0, 2.0]);
    assert_eq!((file.channels("x").unwrap().tokens(), file.channels("x").unwrap().amax()), (3, 2.0));
}

#[test]
fn what_was_not_planned_or_not_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stats");
    let planned = [Planned { name: "a".into(), channels: 2, hessian: Some(Precision::F32) }];
    let mut writer = StatisticsWriter::create(&path, &planned, &BTreeMap::new()).unwrap();
    let two = stats(1, 2, 3).0;
    assert!(writer.write("b", &two, None).is_err());
    assert!(writer.write("a", &two, None).is_err());
    assert!(writer.write("a", &stats(1, 3, 3).0, None).is_err());
    assert!(writer.write("a", &two, Some(&Hessian::new(2))).is_err());
    assert!(writer.finish().unwrap_err().to_string().contains("statistics of a and 0 others are missing"));
    assert!(!path.exists());
    let twice = [planned[0].clone(), planned[0].clone()];
    assert!(StatisticsWriter::create(&path, &twice, &BTreeMap::new()).is_err());
    let huge = [Planned { name: "a".into(), channels: usize::MAX / 2, hessian: Some(Precision::F64) }];
    assert!(StatisticsWriter::create(&path, &huge, &BTreeMap::new()).is_err());
}

/// Reads all there is; answers and errors are both right.
fn read_all(path: &Path) -> bool {
    let Ok(file) = StatisticsFile::open(path) else { return false };
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    names.iter().all(|name| file.channels(name).is_ok() & file.hessian(name).is_ok())
}

#[test]
fn cut_and_changed_statistics_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(written(dir.path())).unwrap();
    let path = dir.path().join("changed");
    for len in (0..bytes.len()).step_by(23) {
        fs::write(&path, &bytes[..len]).unwrap();
        assert!(StatisticsFile::open(&path).is_err(), "{len} bytes");
    }
    for at in (0..bytes.len()).step_by(7) {
        for value in [0xff, bytes[at] ^ 1] {
            let mut changed = bytes.clone();
            changed[at] = value;
            fs::write(&path, &changed).unwrap();
            read_all(&path);
        }
    }
    // A number that is none, and one that cannot be a sum of squares.
    let file = TensorFile::open(dir.path().join("stats.safetensors")).unwrap();
    for (tensor, number) in
        [("hessian", f64::NAN), ("hessian", -1.0), ("sum_abs", f64::INFINITY), ("sum_square", -1.0)]
    {
        let name = format!("model.layers.0.self_attn.q_proj.{tensor}");
        let begin = file.header().entries.iter().find(|e| e.name == name).unwrap().begin as usize;
        let mut changed = bytes.clone();
        changed[begin..begin + 8].copy_from_slice(&number.to_le_bytes());
        fs::write(&path, &changed).unwrap();
        assert!(!read_all(&path), "{tensor} {number}");
    }
    fs::write(&path, String::from_utf8_lossy(&bytes).replace("lowbit-statistics", "lowbit-statistixx"))
        .unwrap();
    assert!(StatisticsFile::open(&path).is_err());
}

/// Two linears and a stack of three experts, one of which saw no token.
fn importance() -> Imatrix {
    let mut matrix = Imatrix::default();
    matrix.datasets = vec!["text.txt".into(), "more.txt".into()];
    (matrix.chunk_count, matrix.chunk_size) = (3, 4);
    matrix.observe("model.layers.0.self_attn.q_proj", &stats(1, 6, 12).0).unwrap();
    matrix.observe("model.layers.0.mlp.experts.0.up_proj", &stats(2, 5, 12).0).unwrap();
    matrix.observe("model.layers.0.mlp.experts.2.up_proj", &stats(3, 5, 7).0).unwrap();
    matrix.observe("lm_head", &stats(4, 9, 12).0).unwrap();
    matrix
}

#[test]
fn importance_comes_back_from_both_forms() {
    let matrix = importance();
    let name = Path::new("importance");
    assert_eq!(Imatrix::parse(name, &matrix.to_gguf()).unwrap(), matrix);
    assert_eq!(
        matrix.names().collect::<Vec<_>>(),
        ["blk.0.attn_q.weight", "blk.0.ffn_up_exps.weight", "output.weight"]
    );
    let older = Imatrix::parse(name, &matrix.to_legacy()).unwrap();
    assert_eq!((older.chunk_count, &older.datasets[..]), (3, &["text.txt".to_owned()][..]));
    for (module, n, seed) in [
        ("model.layers.0.self_attn.q_proj", 6, 1),
        ("model.layers.0.mlp.experts.0.up_proj", 5, 2),
        ("model.layers.0.mlp.experts.2.up_proj", 5, 3),
    ] {
        let want = stats(seed, n, if seed == 3 { 7 } else { 12 }).0.mean_square();
        for matrix in [&matrix, &older] {
            let got = matrix.mean_square(module, n).unwrap().unwrap();
            for (a, b) in got.iter().zip(&want) {
                assert!((a / b - 1.0).abs() < 1e-6, "{module}: {a} {b}");
            }
        }
    }
    // The expert without tokens: nothing is known, which the older form writes as ones.
    let idle = "model.layers.0.mlp.experts.1.up_proj";
    assert_eq!(matrix.mean_square(idle, 5).unwrap(), None);
    assert_eq!(older.mean_square(idle, 5).unwrap().unwrap(), [1.0; 5]);
    assert!(matrix.mean_square("model.layers.0.self_attn.q_proj", 3).is_err());
    assert!(matrix.mean_square("model.layers.0.mlp.experts.3.up_proj", 5).is_err());
    assert_eq!(matrix.mean_square("model.layers.7.self_attn.q_proj", 6).unwrap(), None);
    assert!(importance().observe("model.norm", &stats(1, 6, 1).0).is_err());
    assert!(importance().observe("lm_head", &stats(1, 6, 1).0).is_err());
    assert!(importance().observe("model.layers.0.mlp.experts.99999.up_proj", &stats(1, 5, 1).0).is_err());
}

#[test]
fn importance_of_other_tools_is_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/imatrix");
    let means: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("means.json")).unwrap()).unwrap();
    let gguf = Imatrix::read(dir.join("made.gguf")).unwrap();
    let older = Imatrix::read(dir.join("made.dat")).unwrap();
    assert_eq!(
        (gguf.chunk_count, gguf.chunk_size, &gguf.datasets[..]),
        (3, 4, &["one.txt".to_owned(), "two.txt".to_owned()][..])
    );
    assert_eq!((older.chunk_count, &older.datasets[..]), (3, &["one.txt".to_owned()][..]));
    assert_eq!(gguf.get("blk.0.ffn_up_exps.weight").unwrap().counts(), [12.0, 0.0, 7.0]);
    let mut compared = 0;
    for (tensor, matrices) in means.as_object().unwrap() {
        let matrices = matrices.as_array().unwrap();
        for (at, want) in matrices.iter().enumerate() {
            let module = module_name(tensor, (matrices.len() > 1).then_some(at)).unwrap();
            let Some(want) = want.as_array() else {
                assert_eq!(gguf.mean_square(&module, 5).unwrap(), None);
                assert_eq!(older.mean_square(&module, 5).unwrap().unwrap(), [1.0; 5]);
                continue;
            };
            for matrix in [&gguf, &older] {
                let got = matrix.mean_square(&module, want.len()).unwrap().unwrap();
                for (got, want) in got.iter().zip(want) {
                    assert!((f64::from(*got) / want.as_f64().unwrap() - 1.0).abs() < 1e-6, "{module}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * (6 + 5 + 5 + 9));
    assert_eq!(Imatrix::parse(&dir, &gguf.to_gguf()).unwrap(), gguf);
}

#[test]
fn cut_and_changed_importance_never_panics() {
    let matrix = importance();
    let name = Path::new("importance");
    for bytes in [matrix.to_gguf(), matrix.to_legacy()] {
        for len in 0..bytes.len() - 32 {
            // The older form may end before its trailer; a cut anywhere else is an error.
            let cut = Imatrix::parse(name, &bytes[..len]);
            assert!(cut.is_err() || !bytes.starts_with(b"GGUF"), "{len} bytes");
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 0x10] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = Imatrix::parse(name, &changed);
            }
        }
    }
    assert!(Imatrix::parse(name, &[]).is_err());
    // Two thousand million entries in four bytes.
    let error = Imatrix::parse(name, &i32::MAX.to_le_bytes()).unwrap_err();
    assert!(error.to_string().contains("2147483647 entries, and 0 bytes are left"), "{error}");
    assert!(Imatrix::parse(name, &(-1i32).to_le_bytes()).is_err());
    assert!(ImatrixEntry::new(vec![1.0; 3], vec![1.0; 2]).is_err());
    assert!(ImatrixEntry::new(vec![f32::NAN], vec![1.0]).is_err());
    assert!(ImatrixEntry::new(vec![], vec![]).is_err());
}
