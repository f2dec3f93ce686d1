//! A process that is killed at any moment leaves nothing that looks finished, and the run can be gone on with to the same bytes.
//!
//! A child (this test binary again) quantizes onto a disk that kills the child with SIGKILL at its n-th operation, in the middle of a write if it
//! is one. The parent looks at what is left, resumes, and compares with a run that nobody killed.

use crate::model::{austen, contents, plan};
use lowbit_checkpoint::Plan;
use lowbit_checkpoint::disk::{Disk, DiskFile, Filesystem};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts operations; at the last one the process dies.
#[derive(Clone)]
struct Deadly(Arc<AtomicU64>, u64);

struct DeadlyFile(Box<dyn DiskFile>, Deadly);

impl Deadly {
    fn new(last: u64) -> Self {
        Self(Arc::default(), last)
    }

    /// Whether this is the last operation.
    fn is_last(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) + 1 == self.1
    }

    fn die(&self) -> ! {
        Command::new("kill").args(["-9", &std::process::id().to_string()]).status().unwrap();
        loop {
            std::thread::park();
        }
    }

    fn step(&self) {
        if self.is_last() {
            self.die();
        }
    }
}

impl Disk for Deadly {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.step();
        Filesystem.create_dir(dir)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.step();
        Ok(Box::new(DeadlyFile(Filesystem.open(path)?, self.clone())))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        Filesystem.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step();
        Filesystem.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.step();
        Filesystem.sync_dir(dir)
    }
}

impl DiskFile for DeadlyFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.1.is_last() {
            self.0.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            self.1.die();
        }
        self.0.write_all_at(bytes, offset)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.step();
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.step();
        self.0.sync()
    }
    fn lock(&self) -> io::Result<bool> {
        self.0.lock()
    }
}

/// A plan of three shards, whose journal has an entry for every few tiles; on one thread, so that operations come in the same order each time.
fn job(out: &Path, resume: bool) -> Plan {
    plan(&austen(), out, |job| {
        (job.settings.resume, job.settings.max_shard_size, job.settings.journal_bytes) =
            (resume, 600_000, 400_000);
        job.settings.jobs = 1;
    })
}

/// Not a test of its own: what the child process runs.
#[test]
fn child_that_dies() {
    let (Some(out), Ok(last)) = (std::env::var_os("LOWBIT_CHILD_OUT"), std::env::var("LOWBIT_CHILD_LAST"))
    else {
        return;
    };
    let resume = std::env::var_os("LOWBIT_CHILD_RESUME").is_some();
    job(&PathBuf::from(out), resume).run_on(&Deadly::new(last.parse().unwrap()), &()).unwrap();
}

/// Runs the child; whether it was killed.
fn child(out: &Path, last: u64, resume: bool) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["kill::child_that_dies", "--exact"])
        .env("LOWBIT_CHILD_OUT", out)
        .env("LOWBIT_CHILD_LAST", last.to_string());
    if resume {
        command.env("LOWBIT_CHILD_RESUME", "1");
    }
    let output = command.output().unwrap();
    #[cfg(unix)]
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    #[cfg(not(unix))]
    let killed = !output.status.success();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    killed
}

/// A directory with a configuration is whole.
fn is_whole_or_unfinished(out: &Path, want: &Path, at: u64) {
    if out.join("config.json").exists() {
        let (mut got, mut want) = (contents(out), contents(want));
        got.remove(Path::new(".lowbit-journal"));
        want.remove(Path::new(".lowbit-journal"));
        assert!(got == want, "killed at operation {at}: looks finished and is not");
    }
    // A shard under its name has all its bytes, also before the configuration is there.
    for (name, bytes) in contents(want) {
        if name.extension().is_some_and(|e| e == "safetensors") && out.join(&name).exists() {
            assert!(
                std::fs::read(out.join(&name)).unwrap() == bytes,
                "killed at operation {at}: {}",
                name.display()
            );
        }
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs SIGKILL")]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    let counter = Deadly::new(u64::MAX);
    job(whole.path(), false).run_on(&counter, &()).unwrap();
    let operations = counter.0.load(Ordering::SeqCst);
    assert!(operations > 100, "{operations}");
    // Through the whole run in steps, and every operation of its end, where files get their names.
    let points = (1..operations).step_by(operations as usize / 12).chain(operations - 22..=operations);
    let mut resumed = 0;
    for at in points {
        let out = tempfile::tempdir().unwrap();
        assert!(child(out.path(), at, false), "operation {at} of {operations} did not come");
        is_whole_or_unfinished(out.path(), whole.path(), at);
        if at % 5 == 0 && std::fs::read_dir(out.path()).unwrap().count() > 0 {
            // Killed again while it resumes.
            child(out.path(), 25, true);
            is_whole_or_unfinished(out.path(), whole.path(), at);
        }
        if std::fs::read_dir(out.path()).unwrap().count() > 0 && !out.path().join(".lowbit-journal").exists()
        {
            assert!(contents(out.path()) == contents(whole.path()), "killed at operation {at}, finished");
            continue;
        }
        resumed += usize::from(job(out.path(), true).run(&()).unwrap().resumed_tiles > 0);
        assert!(contents(out.path()) == contents(whole.path()), "killed at operation {at}, resumed");
    }
    assert!(resumed > 10, "only {resumed} runs found anything done");
}
