//! The command as people use it: the main job on a real model, answers, JSON, and wrong input.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The small model of this repository.
fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/austen-2m")
}

fn lowbit(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lowbit")).args(args).output().expect("the command starts")
}

/// Runs what must succeed, and gives its standard output.
fn answer(args: &[&str]) -> String {
    let output = lowbit(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs what must fail with status 1 and one line, and gives that line.
fn refusal(args: &[&str]) -> String {
    let output = lowbit(args);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "an error is no answer");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&answer(args)).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn the_main_job_and_what_can_be_asked_of_its_result() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out) = (model(), temp.path().join("out"));
    let said = answer(&["quantize", text(&source), "-o", text(&out), "--format", "nvfp4"]);
    assert!(said.contains("21 linears, 1.77M weights, 4.500 bits each"), "{said}");

    let seen = answer(&["inspect", text(&out)]);
    assert!(seen.contains("llama, nvfp4 (21 linears) in compressed-tensors"), "{seen}");
    assert!(seen.contains("1,769,472 of them quantized"), "{seen}");
    let one = answer(&["inspect", text(&out), "--tensor", "model.layers.0.mlp.up_proj"]);
    assert!(one.contains("model.layers.0.mlp.up_proj.weight: nvfp4, 512 x 256"), "{one}");

    let compared = json(&["compare", text(&source), text(&out), "--json"]);
    let rows = compared["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 29);
    let worst = rows[0]["sqnr_db"].as_f64().expect("a number");
    assert!((20.0..21.0).contains(&worst), "NVFP4 gives 20.4 dB on normal weights: {worst}");
    let line = answer(&["compare", text(&source), text(&out), "-n", "1"]);
    assert!(line.contains("20 more differ less") && line.contains("8 are equal"), "{line}");
}

#[test]
fn options_that_decide_no_byte_decide_no_byte() {
    let temp = tempfile::tempdir().expect("a directory");
    let source = model();
    let run = |name: &str, options: &[&str]| {
        let out = temp.path().join(name);
        answer(
            &[
                &["quantize", text(&source), "-o", text(&out), "--quiet", "--format", "int4-g64-asym"],
                options,
            ]
            .concat(),
        );
        std::fs::read(out.join("model.safetensors")).expect("the output")
    };
    let want = run("reference", &["--jobs", "1", "--kernels", "reference"]);
    assert!(run("many", &["--jobs", "5"]) == want);
    assert!(run("json", &["--json"]) == want);
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out) = (model(), temp.path().join("out"));
    let args = ["quantize", text(&source), "-o", text(&out), "--max-shard-size", "500KB", "--dry-run"];
    let plan = json(&[&args[..], &["--json"]].concat());
    assert_eq!(plan["linears"], 21);
    let files =
        plan["tensors"].as_array().expect("tensors").iter().map(|t| t["file"].as_str().expect("a name"));
    assert!(files.collect::<std::collections::BTreeSet<_>>().len() > 2, "500 KB files");
    assert!(answer(&args).contains("Nothing was written now"));
    assert!(!out.exists());
}

#[test]
fn formats_and_recipes_are_listed() {
    let formats = json(&["formats", "--json"]);
    let nvfp4 = &formats.as_array().expect("rows")[0];
    assert_eq!(
        (nvfp4["name"].as_str(), nvfp4["carried_by"][0]["scheme"].as_str()),
        (Some("nvfp4"), Some("NVFP4A16"))
    );
    let table = answer(&["formats"]);
    assert!(table.contains("int4-g128-asym") && table.contains("mxfp6-e2m3"), "{table}");
    let recipes = answer(&["formats", "--recipes"]);
    assert!(recipes.contains("modelopt") && recipes.contains("--parity"), "{recipes}");
    assert!(recipes.lines().all(|line| line.chars().count() <= 110), "fits the page");
}

#[test]
fn wrong_input_is_one_line_that_says_what_is_wrong() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out, full) = (model(), temp.path().join("out"), temp.path().join("full"));
    std::fs::create_dir(&full).expect("a directory");
    std::fs::write(full.join("precious"), "data").expect("a file");
    let quantize =
        |options: &[&str]| refusal(&[&["quantize", text(&source), "-o", text(&out)], options].concat());

    assert!(quantize(&["--format", "fp3"]).contains("no format is called `fp3`"));
    assert!(
        quantize(&["--layout", "gguf"])
            .contains("no layout is called gguf; there are compressed-tensors, modelopt, ")
    );
    let carried = quantize(&["--format", "nf4"]);
    assert!(
        carried.contains("layout compressed-tensors cannot carry nf4") && carried.contains("plain"),
        "{carried}"
    );
    let rule = quantize(&["--scale-rule", "floor"]);
    assert!(rule.contains("floor") && rule.contains("four-over-six"), "names what fits: {rule}");
    assert!(quantize(&["--kernels", "mmx"]).contains("no kernel level `mmx`"));
    assert!(quantize(&["--include", "re:("]).contains("re:("));
    assert!(!out.exists(), "nothing was written");

    let taken = refusal(&["quantize", text(&source), "-o", text(&full)]);
    assert!(taken.contains("full"), "{taken}");
    assert_eq!(std::fs::read(full.join("precious")).expect("still there"), b"data");
    assert!(refusal(&["inspect", text(&out)]).contains("out"));
    assert!(refusal(&["inspect", text(&source), "-t", "nothing"]).contains("there is no weight `nothing`"));
    assert!(refusal(&["compare", text(&source), text(&full)]).contains("full"));
    assert_eq!(lowbit(&["quantize", text(&source)]).status.code(), Some(2), "no output: wrong usage");
}

#[test]
fn a_failure_is_told_once_with_what_to_do_next() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out) = (temp.path().join("source"), temp.path().join("out"));
    std::fs::create_dir(&source).expect("a directory");
    std::fs::write(source.join("config.json"), "{}").expect("a file");
    let write = |name: &str, cols: usize, value: f32| {
        let data: Vec<u8> = (0..cols).flat_map(|_| value.to_le_bytes()).collect();
        let header =
            serde_json::json!({name: {"dtype": "F32", "shape": [1, cols], "data_offsets": [0, 4 * cols]}});
        let header = header.to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&data);
        std::fs::write(source.join("model.safetensors"), file).expect("a file");
    };
    let quantize = || refusal(&["quantize", text(&source), "-o", text(&out)]);

    write("a\n\u{1b}[31mb.weight", 17, 1.0);
    let said = quantize();
    assert!(
        said.contains("tensor `a\\n\\u{1b}[31mb.weight`: row of 17 values"),
        "no escape gets through: {said}"
    );

    write("a.weight", 32, f32::NAN);
    let said = Command::new(env!("CARGO_BIN_EXE_lowbit"))
        .args(["quantize", text(&source), "-o", text(&out), "-q"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8(said.stderr).expect("UTF-8");
    let want = "is NaN; leave such tensors unquantized with --on-nonfinite keep; what is in ";
    assert!(said.contains(want) && said.ends_with("is of no further use\n"), "not to be resumed: {said}");

    let seen = answer(&["inspect", text(&source), "-t", "a"]);
    assert!(seen.contains("values    none is finite") && seen.contains("NaN, inf  32"), "{seen}");
    let empty = r#"{"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}}"#;
    std::fs::write(source.join("config.json"), empty).expect("a file");
    let seen = answer(&["inspect", text(&source)]);
    assert!(seen.contains("no quantized linears in modelopt"), "{seen}");

    let missing = refusal(&["inspect", text(&temp.path().join("missing"))]);
    assert_eq!(missing.matches("(os error").count(), 1, "told once: {missing}");
}

#[test]
fn a_checkpoint_is_verified_and_what_is_wrong_is_said_with_a_code() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out) = (model(), temp.path().join("out"));
    answer(&["quantize", text(&source), "-o", text(&out), "--format", "nvfp4", "--quiet"]);
    let good = answer(&["verify", text(&out), "--against", text(&source)]);
    assert!(good.ends_with("out: nothing wrong (71 tensors, 21 quantized linears, 1.52 MB).\n"), "{good}");
    assert_eq!(json(&["verify", text(&out), "--json"])["errors"], 0);

    // A file beside the model is odd and no error; a configuration that is lost is one.
    std::fs::copy(out.join("model.safetensors"), out.join("consolidated.safetensors")).expect("a copy");
    assert!(answer(&["verify", text(&out), "-q"]).contains("warning LB-F12 stray-file: "));
    std::fs::remove_file(out.join("config.json")).expect("no configuration");
    let output = lowbit(&["verify", text(&out), "--quiet"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error LB-F01 no-config: ") && said.contains("\n  fix: "), "{said}");
    assert!(said.contains("out: 2 errors, 1 warning (71 tensors"), "{said}");
    assert!(output.stderr.is_empty(), "what is wrong is the answer");
    let output = lowbit(&["verify", text(&out), "--json"]);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &said["findings"][1]["code"]), (Some(1), &"LB-F01".into()));
    assert!(refusal(&["verify", text(&temp.path().join("missing"))]).contains("missing"));
}

#[test]
fn help_teaches() {
    let help = answer(&["--help"]);
    assert!(help.contains("lowbit quantize MODEL_DIR -o OUT_DIR --format nvfp4"), "{help}");
    let quantize = answer(&["quantize", "--help"]);
    for word in ["Examples:", "--resume", "--parity", "re:", "5GB"] {
        assert!(quantize.contains(word), "{word} in {quantize}");
    }
}

#[test]
fn a_checkpoint_goes_into_another_layout_and_back_to_plain_weights() {
    let temp = tempfile::tempdir().expect("a directory");
    let [first, second, plain] = ["mxfp4", "nvfp4", "plain"].map(|name| temp.path().join(name));
    answer(&["quantize", text(&model()), "-o", text(&first), "--format", "mxfp4"]);
    let said =
        answer(&["convert", text(&first), "-o", text(&second), "--layout", "modelopt", "--format", "nvfp4"]);
    assert!(said.contains("linears    21 of 1.77M weights, 21 exact"), "{said}");
    let same = answer(&["compare", text(&first), text(&second)]);
    assert!(same.contains("0 tensors differ, 29 are equal."), "{same}");

    let said = answer(&["dequantize", text(&second), "-o", text(&plain), "--dtype", "f32"]);
    assert!(said.contains("21 exact"), "{said}");
    assert!(answer(&["compare", text(&first), text(&plain)]).contains("0 tensors differ"));

    let dry = json(&[
        "convert",
        text(&second),
        "-o",
        text(&temp.path().join("dry")),
        "--layout",
        "plain",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(dry["conversions"].as_array().expect("lines").len(), 21);
    assert!(!temp.path().join("dry").exists());
}

#[test]
fn conversions_that_cannot_be_are_refused_in_one_line() {
    let temp = tempfile::tempdir().expect("a directory");
    let (quantized, out) = (temp.path().join("int8"), temp.path().join("out"));
    answer(&["quantize", text(&model()), "-o", text(&quantized), "--format", "int8"]);
    let convert = |more: &[&str]| refusal(&[&["convert", text(&quantized), "-o", text(&out)], more].concat());
    let line = convert(&["--layout", "modelopt", "--format", "mxfp4", "--exact-only"]);
    assert!(
        line.contains("21 of 21 linears would not be exact") && line.contains("nothing was written"),
        "{line}"
    );
    assert!(
        convert(&["--layout", "nonsense"])
            .contains("no layout is called nonsense; there are compressed-tensors")
    );
    assert!(convert(&["--layout", "plain", "--format", "fp5"]).contains("no format is called `fp5`"));
    assert!(
        refusal(&["convert", text(&model()), "-o", text(&out), "--layout", "plain"])
            .contains("is not quantized")
    );
    assert!(refusal(&["dequantize", text(&model()), "-o", text(&out)]).contains("is not quantized"));
    assert!(refusal(&["quantize", text(&quantized), "-o", text(&out)]).contains("`convert` changes that"));
    assert!(!out.exists());
}

/// Text of this repository, as arguments.
fn book() -> [String; 6] {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/text/persuasion.txt");
    ["--text", text(&path), "--window", "64", "--windows", "12"].map(str::to_owned)
}

fn with<'a>(book: &[&'a str], args: &[&'a str]) -> Vec<&'a str> {
    [args, book].concat()
}

#[test]
fn codes_are_chosen_by_what_the_layers_see_and_the_result_is_judged() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, book) = (model(), book());
    let book: Vec<&str> = book.iter().map(String::as_str).collect();
    let at = |name: &str| temp.path().join(name).to_str().expect("UTF-8").to_owned();
    let (gptq, rtn, stats, by_stats) = (at("gptq"), at("rtn"), at("stats.safetensors"), at("by-stats"));

    let said = answer(&with(&book, &["quantize", text(&source), "-o", &gptq, "-f", "mxfp4", "-m", "gptq"]));
    assert!(said.contains("21 linears by 768 tokens") && said.contains("worst outputs"), "{said}");
    answer(&["quantize", text(&source), "-o", &rtn, "-f", "mxfp4"]);
    let judged = |dir: &str| json(&with(&book, &["eval", dir, "--against", text(&source), "--json"]));
    let (by_gptq, by_rtn) = (judged(&gptq), judged(&rtn));
    let kl = |figures: &Value| figures["kl"].as_f64().expect("a number");
    assert!(kl(&by_gptq) < kl(&by_rtn), "{by_gptq} {by_rtn}");
    assert!(answer(&with(&book, &["eval", &gptq])).contains("perplexity"));

    let said = answer(&with(&book, &["calibrate", text(&source), "-o", &stats, "--hessians", "-q"]));
    assert!(said.contains("12 inputs over 768 tokens"), "{said}");
    answer(&["quantize", text(&source), "-o", &by_stats, "-m", "gptq", "--stats", &stats, "-q"]);
    let matrix = at("austen.imatrix");
    answer(&with(&book, &["calibrate", text(&source), "-o", &matrix, "-q"]));
    let by_matrix = at("by-matrix");
    answer(&["quantize", text(&source), "-o", &by_matrix, "-m", "sweep", "--stats", &matrix, "-q"]);
    let refused =
        refusal(&["quantize", text(&source), "-o", &at("x"), "-m", "gptq", "--stats", &matrix, "-q"]);
    assert!(refused.contains("Hessian") && refused.contains("austen.imatrix"), "{refused}");

    let page = at("report.html");
    answer(&["report", &gptq, "--against", text(&source), "--stats", &stats, "-o", &page, "-q"]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("<svg") && page.contains("model.layers.2.mlp.down_proj"));
    assert!(!page.contains("http"), "a page that loads nothing");

    let w4a4 = at("w4a4");
    answer(&with(
        &book,
        &["quantize", text(&source), "-o", &w4a4, "--layout", "modelopt", "--activations", "static", "-q"],
    ));
    let figures = json(&with(&book, &["eval", &w4a4, "--activations", "configured", "--json"]));
    let plain = json(&with(&book, &["eval", &w4a4, "--json"]));
    assert!(figures["loss"].as_f64() != plain["loss"].as_f64(), "activations are rounded: {figures}");

    let mixed = at("mixed");
    let args = ["quantize", text(&source), "-o", &mixed, "-m", "sweep", "--bits", "5.5", "--json"];
    let mix = &json(&with(&book, &args))["mix"];
    assert!(mix["bits"].as_f64().is_some_and(|bits| bits <= 5.5 && bits > 5.0), "{mix}");
}

#[test]
fn a_model_is_calibrated_on_no_data() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, book) = (model(), book());
    let book: Vec<&str> = book.iter().map(String::as_str).collect();
    let at = |name: &str| temp.path().join(name).to_str().expect("UTF-8").to_owned();
    let judged = |name: &str, rest: &[&str]| {
        let out = at(name);
        let args = [&["quantize", text(&source), "-o", &out, "-f", "mxfp4", "-q"], rest].concat();
        answer(&args);
        json(&with(&book, &["eval", &out, "--against", text(&source), "--json"]))["kl"].as_f64().expect("KL")
    };
    let plain = judged("sweep", &["-m", "sweep"]);
    let short = ["--window", "64", "--windows", "12"];
    let random = judged("random", &[&["-m", "sweep", "--synthetic", "random"][..], &short].concat());
    let written = judged("written", &[&["-m", "gptq", "--synthetic", "written"][..], &short].concat());
    // The inputs of this small model are about as strong as each other, so chance has little to tell.
    assert!(random != plain && random < 1.1 * plain && written < 0.7 * plain, "{plain} {random} {written}");
    let stats = at("stats.safetensors");
    let said = answer(
        &[&["calibrate", text(&source), "-o", &stats, "--synthetic", "random", "-q"][..], &short].concat(),
    );
    assert!(said.contains("over 768 tokens"), "{said}");
}

#[test]
fn calibration_that_cannot_be_is_refused_in_one_line() {
    let temp = tempfile::tempdir().expect("a directory");
    let (source, out) = (model(), temp.path().join("out"));
    let quantize = |rest: &[&str]| refusal(&[&["quantize", text(&source), "-o", text(&out)], rest].concat());
    assert!(quantize(&["-m", "gptq"]).contains("--text FILE"));
    assert!(quantize(&["-m", "gptq"]).contains("--synthetic written"));
    assert!(
        refusal(&["calibrate", text(&source), "-o", "x.safetensors"])
            .contains("say what to run the model over")
    );
    assert!(quantize(&["--activations", "static"]).contains("come with calibration"));
    assert!(quantize(&["--text", "x.txt"]).contains("looks at no inputs"));
    assert!(quantize(&["-m", "gptq", "--text", "nowhere.txt"]).contains("cannot read nowhere.txt"));
    let short = temp.path().join("short.txt");
    std::fs::write(&short, "Sir Walter Elliot").expect("a file");
    let said = quantize(&["-m", "gptq", "--text", text(&short), "-q"]);
    assert!(said.contains("tokens fill 0 windows of 512"), "{said}");
    assert!(!out.exists());
    let said = refusal(&["report", text(&source), "--against", text(&source)]);
    assert!(said.contains("no quantized linears"), "{said}");
    let page = temp.path().join("stats.txt");
    let said =
        refusal(&["calibrate", text(&source), "--text", text(&short), "-o", text(&page), "--window", "4"]);
    assert!(said.contains("neither .safetensors nor .imatrix"), "{said}");
}
