//! A second format behind the seam: one block of memory with block types, typed metadata, alignment and splits, as GGUF has them.
//!
//! ```text
//! "TOY0" | u32 entries | entries: u32 length, name, type byte, rows u64, cols u64, begin u64 | u32 alignment | zeros | tensors, aligned
//! ```

use lowbit_container::safetensors::Safetensors;
use lowbit_container::{
    BlockType, Checkpoint, Container, Dtype, Entry, Error, HeaderWriter, Metadata, MetadataValue, NewTensor,
    Result,
};
use std::cmp::Ordering;
use std::io;
use std::path::{Path, PathBuf};

const Q4_0: Dtype = Dtype::Block(BlockType::new("Q4_0", 32, 18));
const Q6_K: Dtype = Dtype::Block(BlockType::new("Q6_K", 256, 210));
const TYPES: [Dtype; 3] = [Dtype::F32, Q4_0, Q6_K];

/// The format.
#[derive(Debug)]
struct Toy;

impl HeaderWriter for Toy {
    fn order(&self, _: &NewTensor, _: &NewTensor) -> Ordering {
        // As they come.
        Ordering::Equal
    }

    fn header(&self, metadata: &Metadata, tensors: &[NewTensor]) -> Result<(Vec<u8>, Vec<Entry>), String> {
        let alignment = metadata.unsigned("alignment").ok_or("no alignment")?;
        let names: usize = tensors.iter().map(|t| t.name.len()).sum();
        let len = 8 + names as u64 + 29 * tensors.len() as u64 + 4;
        let mut begin = len.next_multiple_of(alignment);
        let mut bytes = b"TOY0".to_vec();
        bytes.extend((tensors.len() as u32).to_le_bytes());
        let mut entries = Vec::new();
        for tensor in tensors {
            let kind = TYPES.iter().position(|t| *t == tensor.dtype);
            let kind = kind.ok_or_else(|| format!("no type {}", tensor.dtype))?;
            let &[rows, cols] = &tensor.shape[..] else { return Err("matrices only".into()) };
            let end = begin + tensor.dtype.bytes(&tensor.shape)?;
            bytes.extend((tensor.name.len() as u32).to_le_bytes());
            bytes.extend(tensor.name.as_bytes());
            bytes.push(kind as u8);
            [rows as u64, cols as u64, begin].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
            let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
            entries.push(Entry { name, dtype, shape, begin, end });
            begin = end.next_multiple_of(alignment);
        }
        bytes.extend((alignment as u32).to_le_bytes());
        assert_eq!(bytes.len() as u64, len);
        bytes.resize(entries.first().map_or(len, |e| e.begin) as usize, 0);
        Ok((bytes, entries))
    }
}

/// A split in memory.
#[derive(Debug)]
struct Memory {
    name: PathBuf,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    metadata: Metadata,
    alignment: u64,
}

impl Memory {
    fn open(name: &str, bytes: Vec<u8>) -> Result<Self> {
        let path = Path::new(name);
        let mut at = 0;
        let mut take = |n: usize| {
            at += n;
            bytes.get(at - n..at).ok_or_else(|| Error::file(path, format!("ends before byte {at}")))
        };
        if take(4)? != b"TOY0" {
            return Err(Error::file(path, "begins otherwise"));
        }
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        let mut entries = Vec::new();
        for _ in 0..word(take(4)?) {
            let len = word(take(4)?) as usize;
            let name = String::from_utf8_lossy(take(len)?).into_owned();
            let kind = take(1)?[0];
            let shape = vec![word(take(8)?) as usize, word(take(8)?) as usize];
            let begin = word(take(8)?);
            let wrong = |reason: String| Error::tensor(path, &name, reason);
            let dtype = *TYPES.get(usize::from(kind)).ok_or_else(|| wrong(format!("type {kind}")))?;
            let end = begin + dtype.bytes(&shape).map_err(wrong)?;
            if end > bytes.len() as u64 {
                return Err(wrong(format!("ends at byte {end} of {}", bytes.len())));
            }
            entries.push(Entry { name, dtype, shape, begin, end });
        }
        let alignment = word(take(4)?);
        let mut metadata = Metadata::new();
        metadata.insert("alignment", MetadataValue::U32(alignment as u32));
        Ok(Self { name: path.to_owned(), bytes, entries, metadata, alignment })
    }
}

impl Container for Memory {
    fn path(&self) -> &Path {
        &self.name
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn file_len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn alignment(&self) -> u64 {
        self.alignment
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }
}

fn tensor(name: &str, dtype: Dtype, shape: [usize; 2]) -> NewTensor {
    NewTensor { name: name.into(), dtype, shape: shape.into() }
}

/// The metadata of a format that aligns to so many bytes.
fn aligned(alignment: u32) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.insert("alignment", MetadataValue::U32(alignment));
    metadata
}

/// A whole file: the header, then each tensor filled with its number, counted from 1.
fn file(alignment: u32, tensors: &[NewTensor]) -> Vec<u8> {
    let (mut bytes, entries) = Toy.header(&aligned(alignment), tensors).unwrap();
    for (at, entry) in entries.iter().enumerate() {
        bytes.resize(entry.begin as usize, 0);
        bytes.resize(entry.end as usize, at as u8 + 1);
    }
    bytes
}

#[test]
fn splits_in_memory_are_a_checkpoint_without_a_directory() {
    let first = file(64, &[tensor("a", Q4_0, [3, 64]), tensor("b", Dtype::F32, [1, 5])]);
    let second = file(32, &[tensor("c", Q6_K, [2, 512])]);
    let splits = [("one.toy", first), ("two.toy", second)];
    let splits =
        splits.map(|(name, bytes)| Box::new(Memory::open(name, bytes).unwrap()) as Box<dyn Container>);
    let checkpoint = Checkpoint::of_containers("model.toy", splits.into()).unwrap();

    let lens: Vec<_> = checkpoint.tensors().map(|t| (t.entry.name.as_str(), t.entry.len())).collect();
    // 6 blocks of 18 bytes, 5 words, 4 blocks of 210 bytes.
    assert_eq!(lens, [("a", 108), ("b", 20), ("c", 840)]);
    for tensor in checkpoint.tensors() {
        assert_eq!(tensor.entry.begin % tensor.file.alignment(), 0, "{tensor:?}");
    }
    assert_eq!(checkpoint.require("b").unwrap().read_all().unwrap(), [2; 20]);
    // The second row of blocks, read alone.
    let mut row = [0; 36];
    checkpoint.require("a").unwrap().read(36, &mut row).unwrap();
    assert_eq!(row, [1; 36]);
    let error = checkpoint.require("a").unwrap().read(100, &mut row).unwrap_err().to_string();
    assert_eq!(error, "one.toy: tensor `a`: 36 bytes at byte 100 are not inside its 108 bytes");
    assert_eq!(checkpoint.require("d").unwrap_err().to_string(), "model.toy: there is no tensor `d`");

    assert_eq!(checkpoint.files()[0].metadata().unsigned("alignment"), Some(64));
    assert!(checkpoint.config().is_none() && checkpoint.tokenizer().unwrap().is_none());
    let checkpoint = checkpoint.with_config(r#"{"model_type": "llama"}"#).unwrap().with_tokenizer("{}");
    assert_eq!(checkpoint.config().unwrap()["model_type"], "llama");
    assert_eq!(checkpoint.tokenizer().unwrap().unwrap(), b"{}");
}

#[test]
fn names_types_and_lengths_that_do_not_fit_are_refused() {
    let split = |name| -> Box<dyn Container> {
        Box::new(Memory::open(name, file(32, &[tensor("a", Q4_0, [1, 32])])).unwrap())
    };
    let error = Checkpoint::of_containers("m", vec![split("x"), split("y")]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `a` is in both x and y");

    let refused = |dtype, cols| Toy.header(&aligned(32), &[tensor("a", dtype, [1, cols])]).unwrap_err();
    assert_eq!(refused(Q4_0, 48), "rows of 48 do not divide into blocks of 32 of Q4_0");
    assert_eq!(refused(Dtype::F16, 48), "no type F16");

    let whole = file(32, &[tensor("a", Q4_0, [1, 32])]);
    for len in 0..whole.len() {
        assert!(Memory::open("cut", whole[..len].to_vec()).is_err(), "{len} bytes");
    }
    assert_eq!(
        Q6_K.bytes(&[usize::MAX, 256]).unwrap_err(),
        format!("shape [{}, 256] of Q6_K overflows 64 bits", usize::MAX)
    );
}

#[test]
fn safetensors_says_what_it_cannot_hold() {
    let plain = tensor("a", Dtype::F4, [2, 6]);
    let (bytes, entries) = Safetensors.header(&Metadata::new(), std::slice::from_ref(&plain)).unwrap();
    assert_eq!((bytes.len() as u64, entries[0].len()), (entries[0].begin, 6));
    let refused =
        |metadata: &Metadata, tensor: NewTensor| Safetensors.header(metadata, &[tensor]).unwrap_err();
    assert_eq!(refused(&aligned(32), plain), "metadata `alignment` is U32(32); safetensors has texts only");
    let none = Metadata::new();
    assert_eq!(refused(&none, tensor("a", Q4_0, [1, 32])), "tensor `a`: safetensors has no type Q4_0");
    let odd = tensor("a", Dtype::F4, [1, 3]);
    assert_eq!(refused(&none, odd), "tensor `a`: shape [1, 3] of F4 is 12 bits, not whole bytes");
}
