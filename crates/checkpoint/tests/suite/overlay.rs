//! Linears that were quantized one by one, laid over their source and written in a layout.

use crate::model::{contents, plan, write_file, write_llama};
use lowbit_blocks::{QLinear, QTensor, Values};
use lowbit_calib::{Activations, Out};
use lowbit_checkpoint::layout::{self, COMPRESSED_TENSORS, GPTQ, MODELOPT};
use lowbit_checkpoint::overlay::{Sheet, overlaid};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, ConvertJob, Job};
use std::path::{Path, PathBuf};
use tempfile::tempdir;

/// The weight of a choice, as f32.
fn weight(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let bytes = checkpoint.require(name).unwrap().read_all().unwrap();
    bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect()
}

/// A sheet for each linear that `job` quantizes, each with the statistics of those that share its scale.
fn sheets(job: &Job, dir: &Path, change: impl Fn(&mut QLinear<'static>)) -> Vec<PathBuf> {
    let checkpoint = Checkpoint::open(&job.settings.source).unwrap();
    let choices = job.choices(&()).unwrap();
    let mut paths = Vec::new();
    for (nth, choice) in choices.iter().enumerate() {
        let sharing: Vec<_> = choices.iter().filter(|c| c.shares == choice.shares).collect();
        let mut stats = choice.recipe.stats();
        for one in sharing {
            if let Some(stats) = &mut stats {
                stats.observe(&weight(&checkpoint, &one.linear.weight)[..]).unwrap();
            }
        }
        let values = weight(&checkpoint, &choice.linear.weight);
        let halves: Vec<_> = values.iter().map(|x| half::bf16::from_f32(*x)).collect();
        let kernels = lowbit_kernels::Kernels::best();
        let stats = stats.into_iter().collect::<Vec<_>>();
        let quantizer = choice
            .recipe
            .quantizer(choice.linear.shape, lowbit_blocks::Dtype::Bf16, &stats, kernels)
            .unwrap();
        let (format, shape) = (choice.recipe.format, choice.linear.shape);
        let (mut codes, mut scales) = (vec![0; format.codes_len(shape)], vec![0; format.scales_len(shape)]);
        let rows = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
        quantizer.quantize_rows(0, 0, Values::Bf16(&halves), rows).unwrap();
        let quantized = QTensor::new(format, shape, codes, scales, None, quantizer.tensor_scale()).unwrap();
        let mut linear = QLinear::from(quantized);
        change(&mut linear);
        let mut sheet = Sheet::new();
        sheet.linear(&choice.linear, &linear, choice.activations).unwrap();
        let path = dir.join(format!("{nth}.safetensors"));
        sheet.write(&path).unwrap();
        paths.push(path);
    }
    paths
}

#[test]
fn linears_quantized_one_by_one_come_out_as_the_bytes_of_the_job() {
    for layout in [COMPRESSED_TENSORS, MODELOPT] {
        let (source, whole, parts, out) =
            (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
        write_llama(source.path());
        plan(source.path(), whole.path(), |job| job.layout = layout).run(&()).unwrap();
        let mut job = Job::new(source.path(), out.path());
        job.layout = layout;
        let overlay = sheets(&job, parts.path(), |_| ());
        let mut convert = ConvertJob::new(source.path(), out.path(), layout);
        convert.overlay = overlay;
        convert.exact_only = true;
        convert.plan().unwrap().run(&()).unwrap();
        assert_eq!(contents(whole.path()), contents(out.path()), "{}", layout.name());
    }
}

#[test]
fn what_belongs_to_a_linear_goes_with_it() {
    let (source, parts, out) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    let mut job = Job::new(source.path(), out.path());
    (job.layout, job.activations) = (MODELOPT, Some(Activations::Static));
    let overlay = sheets(&job, parts.path(), |linear| linear.input_scale = Some(0.125));
    let mut convert = ConvertJob::new(source.path(), out.path(), MODELOPT);
    convert.overlay = overlay;
    convert.plan().unwrap().run(&()).unwrap();
    let checkpoint = Checkpoint::open(out.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    assert!(!reading.linears.is_empty());
    for stored in &reading.linears {
        assert_eq!(stored.activations, Activations::Static);
        assert_eq!(stored.read(&checkpoint).unwrap().input_scale, Some(0.125));
    }
}

#[test]
fn a_permutation_reaches_the_g_idx_of_gptq() {
    let (source, parts, out) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    let mut job = Job::new(source.path(), out.path());
    (job.layout, job.format) = (GPTQ, lowbit_blocks::Format::named("int4-g32").unwrap());
    // Every linear reads its features backwards.
    let backwards = |linear: &mut QLinear<'static>| {
        linear.perm = Some((0..linear.weight.shape().cols as u32).rev().collect());
    };
    let overlay = sheets(&job, parts.path(), backwards);
    let before = overlaid(Checkpoint::open(source.path()).unwrap(), &overlay).unwrap();
    let reading = layout::read(&before).unwrap().unwrap();
    let of = |checkpoint: &Checkpoint, stored: &layout::Stored| {
        stored.read(checkpoint).unwrap().effective_weight()
    };
    let was: Vec<_> = reading.linears.iter().map(|stored| of(&before, stored)).collect();
    let mut convert = ConvertJob::new(source.path(), out.path(), GPTQ);
    (convert.overlay, convert.exact_only) = (overlay, true);
    convert.plan().unwrap().run(&()).unwrap();
    let after = Checkpoint::open(out.path()).unwrap();
    let reading = layout::read(&after).unwrap().unwrap();
    let is: Vec<_> = reading.linears.iter().map(|stored| of(&after, stored)).collect();
    assert_eq!(was, is);
    assert!(after.tensors().any(|tensor| tensor.entry.name.ends_with("g_idx")));
}

#[test]
fn a_changed_tensor_takes_the_place_of_the_sources() {
    let (source, parts, out) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    let job = Job::new(source.path(), out.path());
    let mut overlay = sheets(&job, parts.path(), |_| ());
    let original = Checkpoint::open(source.path()).unwrap();
    let norm = original.tensors().find(|t| t.entry.name.ends_with("norm.weight")).unwrap().entry.clone();
    let mut sheet = Sheet::new();
    sheet.tensor(&norm.name, norm.dtype, &norm.shape, vec![7; norm.len() as usize]);
    overlay.push(parts.path().join("norm.safetensors"));
    sheet.write(overlay.last().unwrap()).unwrap();
    let mut convert = ConvertJob::new(source.path(), out.path(), COMPRESSED_TENSORS);
    convert.overlay = overlay;
    convert.plan().unwrap().run(&()).unwrap();
    let after = Checkpoint::open(out.path()).unwrap();
    assert_eq!(after.require(&norm.name).unwrap().read_all().unwrap(), vec![7; norm.len() as usize]);
}

#[test]
fn a_file_that_is_no_sheet_is_refused() {
    let (source, parts) = (tempdir().unwrap(), tempdir().unwrap());
    write_llama(source.path());
    let path = parts.path().join("x.safetensors");
    write_file(&path, vec![("a".into(), Dtype::U8, vec![2], vec![1, 2])]);
    let error = overlaid(Checkpoint::open(source.path()).unwrap(), &[&path]).unwrap_err().to_string();
    assert!(error.contains("no sheet") && error.contains("x.safetensors"), "{error}");
    let mut wrong = Sheet::new();
    wrong.tensor("a", Dtype::F32, &[2], vec![0; 7]);
    let error = wrong.write(&path).unwrap_err().to_string();
    assert!(error.contains("7 bytes for F32 [2]"), "{error}");
}
