//! The folder of one run: logs, certificates and kubeconfigs of the servers it starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

use crate::assets::workspace;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Makes a new folder under `target/tmp`, and removes those of the same name whose process has ended.
///
/// It stays after the run, for its logs, until the next run of that name, which [`keep`] keeps it from.
pub fn folder(name: &str) -> Result<PathBuf> {
    let parent = workspace().join("target/tmp").join(name);
    fs::create_dir_all(&parent).with_context(|| format!("making {}", parent.display()))?;
    for entry in fs::read_dir(&parent)?.flatten() {
        let file = entry.file_name();
        let process = file.to_str().and_then(|file| file.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
        if process.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another process may be removing it too.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let run = parent.join(format!("{}-{count}", std::process::id()));
    fs::create_dir_all(&run).with_context(|| format!("making {}", run.display()))?;
    Ok(run)
}

/// Keeps the folder of a run beside others' under a name that says why, instead of what was kept under it before.
pub fn keep(run: &Path, why: &str) -> Result<PathBuf> {
    let kept = run.with_file_name(why);
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("removing {}", kept.display()))?;
    }
    fs::rename(run, &kept).with_context(|| format!("keeping {}", run.display()))?;
    Ok(kept)
}

/// Makes a run folder named after the running test binary.
pub fn folder_of_this_binary() -> Result<PathBuf> {
    let binary = std::env::current_exe()?;
    let stem = binary.file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
    // Cargo appends a hash to the name of a test binary.
    folder(stem.rsplit_once('-').map_or(stem, |(name, _)| name))
}
