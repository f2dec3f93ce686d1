//! The trained model of the repository: losses and tokens as transformers has them, and the same bits on any number of threads.

use crate::tiny::{Tiny, testdata};
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{Error, Model, Tokenizer};

/// The first paragraph of Persuasion, by Jane Austen, in part.
const TEXT: &str = "Sir Walter Elliot, of Kellynch Hall, in Somersetshire, was a man who, for his own amusement, never took up any book but the \
Baronetage; there he found occupation for an idle hour, and consolation in a distressed one; there his faculties were roused into admiration and \
respect, by contemplating the limited remnant of the earliest patents; there any unwelcome sensations, arising from domestic affairs changed \
naturally into pity and contempt as he turned over the almost endless creations of the last century.";

#[test]
fn losses_of_a_trained_model_are_those_of_transformers() {
    let checkpoint = Checkpoint::open(testdata().join("austen-2m")).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let tokenizer = Tokenizer::open(checkpoint.dir()).unwrap();
    let tokens = tokenizer.encode(TEXT).unwrap();
    assert_eq!((tokens.len(), &tokens[..5]), (186, &[52, 339, 428, 347, 360][..]));
    assert_eq!(tokenizer.decode(&tokens).unwrap(), TEXT);
    let loss = model.loss(&[&tokens]).unwrap();
    assert_eq!(loss.tokens, 185);
    assert!((loss.sum - 782.149_811).abs() < 2e-3, "{}", loss.sum);
    let loss = model.loss(&[&tokens[..48], &tokens[48..96]]).unwrap();
    assert_eq!(loss.tokens, 94);
    assert!((loss.sum - 424.974_177).abs() < 1e-3, "{}", loss.sum);
    let next = model.generate(&tokens[..20], 12).unwrap();
    assert_eq!(next, [270, 589, 304, 13, 285, 200, 88, 565, 318, 332, 344, 415]);
    assert_eq!(tokenizer.decode(&next).unwrap(), " the world, and\nwhich she had been");
}

#[test]
fn a_model_writes_what_it_expects() {
    let checkpoint = Checkpoint::open(testdata().join("austen-2m")).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let written = model.sample(6, 48, 7, &()).unwrap();
    assert!(written.len() == 6 && written.iter().all(|tokens| tokens.len() == 48));
    assert_eq!(written, model.sample(6, 48, 7, &()).unwrap());
    assert_ne!(written, model.sample(6, 48, 8, &()).unwrap());
    // Its own text surprises it about as much as Austen's does (4.2 nats a token above), chance much more.
    let by_chance = model.random_tokens(6, 48, 7);
    let (own, chance) = (model.loss(&written).unwrap().mean(), model.loss(&by_chance).unwrap().mean());
    assert!(own < 5.0 && chance > 8.0, "{own} {chance}");
    assert!(matches!(model.sample(0, 48, 7, &()), Err(Error::Tokens(_))));
}

#[test]
fn a_model_does_not_diverge_from_itself() {
    let checkpoint = Checkpoint::open(testdata().join("austen-2m")).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let tokens: Vec<u32> = (0..40).map(|i| i * 7 % 1024).collect();
    let same = model.evaluate(&model, &[&tokens[..20], &tokens[20..]], 1).unwrap();
    assert_eq!((same.divergence.positions, same.divergence.agreed), (20, 20));
    assert!(same.divergence.sum.abs() < 1e-9 && same.loss == same.original);
    let other = Tiny::read("llama").write();
    let other = Checkpoint::open(other.path()).unwrap();
    let other = Model::open(&other).unwrap();
    assert!(matches!(model.evaluate(&other, &[[1, 2, 3]], 1), Err(Error::Tokens(_))), "vocabularies differ");
}

#[cfg(feature = "rayon")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let checkpoint = Checkpoint::open(testdata().join("austen-2m")).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    // More tokens than a job of products has, and sequences of several blocks of queries.
    let sequences: Vec<Vec<u32>> = [300, 1, 150].map(|n| (0..n).map(|i| i * i % 1021).collect()).into();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let hidden = model.hidden(&sequences).unwrap();
            (
                hidden.values().iter().map(|x| x.to_bits()).collect::<Vec<_>>(),
                model.head().unwrap().loss(&hidden).unwrap(),
            )
        })
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(5), one);
}
