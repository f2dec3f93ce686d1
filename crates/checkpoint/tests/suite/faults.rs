//! What happens when the disk or the directory will not have it: one line that says so, the source untouched, and a run that can be gone on with.

use crate::model::{austen, contents, error, plan, write_llama};
use lowbit_checkpoint::disk::{Disk, DiskFile, Filesystem};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A disk that is full after so many bytes.
struct SmallDisk(Arc<AtomicI64>);

struct SmallFile(Box<dyn DiskFile>, Arc<AtomicI64>);

impl Disk for SmallDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        Filesystem.create_dir(dir)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SmallFile(Filesystem.open(path)?, Arc::clone(&self.0))))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Filesystem.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        Filesystem.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        Filesystem.sync_dir(dir)
    }
}

impl DiskFile for SmallFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.1.fetch_sub(bytes.len() as i64, Ordering::Relaxed) < bytes.len() as i64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.write_all_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn lock(&self) -> io::Result<bool> {
        self.0.lock()
    }
}

/// Nothing in the directory has a name that a loader would open.
fn looks_unfinished(out: &Path) {
    for name in [
        "config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "model-00001-of-00003.safetensors",
    ] {
        assert!(!out.join(name).exists(), "{name} is there");
    }
}

#[test]
fn a_full_disk_is_told_and_the_run_can_go_on() {
    let whole = tempfile::tempdir().unwrap();
    plan(&austen(), whole.path(), |job| job.settings.max_shard_size = 600_000).run(&()).unwrap();
    let before = contents(&austen());
    for room in [0, 100, 9_000, 300_000, 900_000, 1_400_000] {
        let out = tempfile::tempdir().unwrap();
        let disk = SmallDisk(Arc::new(AtomicI64::new(room)));
        let job = |resume| {
            plan(&austen(), out.path(), |job| {
                (job.settings.resume, job.settings.max_shard_size, job.settings.journal_bytes) =
                    (resume, 600_000, 1)
            })
        };
        let error = job(false).run_on(&disk, &()).unwrap_err().to_string();
        assert!(error.starts_with("cannot write ") && !error.contains('\n'), "{room}: {error}");
        assert!(
            error.contains(&out.path().display().to_string()) && error.contains("no storage space"),
            "{room}: {error}"
        );
        looks_unfinished(out.path());
        job(true).run(&()).unwrap();
        assert!(contents(out.path()) == contents(whole.path()), "{room}");
    }
    assert!(contents(&austen()) == before, "the source was touched");
}

#[test]
fn a_limit_on_file_sizes_is_told_before_the_system_ends_the_process() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    // 100 blocks of 512 bytes, or of 1024: far below the 1.5 MB of the file.
    let child = Command::new("sh")
        .args(["-c", "ulimit -f 100; exec \"$0\" faults::child_that_quantizes --exact --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env("LOWBIT_CHILD_OUT", out.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success(), "{text}");
    assert!(
        text.contains("model.safetensors needs 15")
            && text.contains("bytes, but this process may write files of "),
        "{text}"
    );
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

/// Not a test of its own: what the child process of another runs.
#[test]
fn child_that_quantizes() {
    let Some(out) = std::env::var_os("LOWBIT_CHILD_OUT") else { return };
    if let Err(error) = plan(&austen(), out.as_ref(), |_| {}).run(&()) {
        panic!("{error}");
    }
}

#[test]
fn an_output_directory_that_cannot_be_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let out = dir.path().join("file/out");
    let message = error(&austen(), &out, |_| {});
    assert!(message.starts_with("cannot ") && message.contains("file/out"), "{message}");
}

#[test]
fn an_output_directory_that_is_taken_is_left_alone() {
    let source = tempfile::tempdir().unwrap();
    write_llama(source.path());
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("notes.txt"), "mine").unwrap();
    let say = |out: &Path, resume| error(source.path(), out, |job| job.settings.resume = resume);
    assert!(say(out.path(), false).ends_with("is not empty (1 files, notes.txt first)"));
    assert!(
        say(out.path(), true)
            .ends_with("has no .lowbit-journal: it is finished, or not an output of this tool")
    );
    assert_eq!(contents(out.path()).len(), 1);

    let before = contents(source.path());
    assert!(say(source.path(), false).ends_with("is the source; write to another directory"));
    assert!(say(&source.path().join("a/b"), false).contains("lies in the source"));
    assert!(say(&source.path().join("a/../b"), false).contains("lies in the source"));
    assert!(say(source.path().parent().unwrap(), false).contains("holds the source"));
    if cfg!(unix) {
        let link = out.path().join("link");
        #[cfg(unix)]
        std::os::unix::fs::symlink(source.path(), &link).unwrap();
        assert!(say(&link, false).ends_with("is the source; write to another directory"));
        assert!(say(&link.join("x"), false).contains("lies in the source"));
    }
    assert!(contents(source.path()) == before);
}

#[test]
fn a_journal_goes_only_with_its_plan_and_its_source() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(source.path());
    let disk = SmallDisk(Arc::new(AtomicI64::new(20_000)));
    plan(source.path(), out.path(), |_| {}).run_on(&disk, &()).unwrap_err();
    let resume = |change: &dyn Fn(&mut lowbit_checkpoint::Job)| {
        error(source.path(), out.path(), |job| {
            job.settings.resume = true;
            change(job);
        })
    };
    assert!(
        error(source.path(), out.path(), |_| {})
            .contains("holds an interrupted run; go on with it with --resume")
    );
    let other = "holds an interrupted run of another job, or its source has changed since";
    assert!(resume(&|job| job.format = lowbit_blocks::MXFP4).contains(other));
    assert!(resume(&|job| job.exclude = vec!["*.k_proj".into()]).contains(other));
    assert!(resume(&|job| job.scale_rule = Some("mse".parse().unwrap())).contains(other));
    // The same weights, but written a moment later.
    write_llama(source.path());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let file = fs::OpenOptions::new().write(true).open(source.path().join("model.safetensors")).unwrap();
    file.set_modified(later).unwrap();
    assert!(resume(&|_| {}).contains(other));
}

#[test]
fn a_source_that_is_cut_while_it_is_read_is_told() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(source.path());
    let plan = plan(source.path(), out.path(), |_| {});
    let path = source.path().join("model.safetensors");
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 10_000).unwrap();
    let error = plan.run(&()).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read ")
            && error.contains("(tensor `")
            && error.contains("model.safetensors"),
        "{error}"
    );
    looks_unfinished(out.path());
}

#[test]
fn a_source_without_configuration_is_told() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(source.path());
    fs::remove_file(source.path().join("config.json")).unwrap();
    assert!(error(source.path(), out.path(), |_| {}).ends_with("there is no config.json"));
}
