//! Logits of every family are those of transformers.

use crate::tiny::Tiny;
use lowbit_checkpoint::Checkpoint;
use lowbit_model::Model;

#[test]
fn logits_of_every_family_are_those_of_transformers() {
    let names = Tiny::names();
    assert_eq!(names.len(), 12);
    for name in names {
        let tiny = Tiny::read(&name);
        let dir = tiny.write();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let model = Model::open(&checkpoint).unwrap();
        let hidden = model.hidden(&tiny.tokens).unwrap();
        let (head, vocab, width) = (model.head().unwrap(), model.description().vocab, hidden.width());
        for (sequence, want) in tiny.logits.iter().enumerate() {
            let end = (sequence + 1) * tiny.tokens[0].len() * width;
            let got = head.logits(&hidden.values()[end - want.len() / vocab * width..end]).unwrap();
            assert_eq!(got.len(), want.len());
            let worst = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{name}: logits differ by {worst}");
        }
    }
}

#[test]
fn tokens_after_what_is_kept_are_those_of_the_whole_sequence() {
    for name in Tiny::names() {
        let tiny = Tiny::read(&name);
        let dir = tiny.write();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let model = Model::open(&checkpoint).unwrap();
        let mut whole = tiny.tokens[0].clone();
        let got = model.generate(&whole, 12).unwrap();
        for (nth, next) in got.iter().enumerate() {
            // The likeliest where everything is run again, or as good as that.
            let hidden = model.hidden(&[&whole]).unwrap();
            let last = &hidden.values()[(whole.len() - 1) * hidden.width()..];
            let logits = model.head().unwrap().logits(last).unwrap();
            let most = logits.iter().copied().fold(f32::MIN, f32::max);
            assert!(logits[*next as usize] > most - 1e-4, "{name}, token {nth}");
            whole.push(*next);
        }
    }
}

#[test]
fn generated_tokens_are_the_likeliest_one_by_one() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    // All but the last of a sequence whose next tokens transformers' logits say.
    let (prompt, logits) = (&tiny.tokens[0][..21], &tiny.logits[0]);
    let first = &logits[..model.description().vocab];
    let want = first.iter().position(|&l| l == first.iter().copied().fold(f32::MIN, f32::max)).unwrap();
    let got = model.generate(prompt, 3).unwrap();
    assert_eq!((got.len(), got[0] as usize), (3, want));
    let longer: Vec<u32> = prompt.iter().chain(&got[..2]).copied().collect();
    assert_eq!(model.generate(&longer, 1).unwrap(), got[2..]);
    assert!(model.generate(prompt, 0).unwrap().is_empty());
}
