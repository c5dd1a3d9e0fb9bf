//! Where the binaries are that the harness starts. Building them is for `make assets` and `cargo build`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The servers of a control plane without a controller manager, and kubectl: what envtest publishes too.
const SERVERS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// The binary that is not built of the operator's sources.
const SIMULATOR: &str = "cloud-simulator";

/// The folder of the workspace, where `Cargo.toml`, `crds/` and `target/` are.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// The folder that holds etcd, kube-apiserver and kubectl: `KUBEBUILDER_ASSETS` if it holds all, else `target/assets`.
///
/// Fails when neither holds all of them.
pub fn servers() -> Result<PathBuf> {
    let holds_all = |folder: &PathBuf| SERVERS.iter().all(|server| folder.join(server).is_file());
    let found = folders().into_iter().find(holds_all);
    found.with_context(|| format!("target/assets does not hold {}: run `make assets`", SERVERS.join(", ")))
}

/// The kube-controller-manager, found as [`servers`] are, but for itself: envtest publishes none.
///
/// Fails when there is none.
pub fn controller_manager() -> Result<PathBuf> {
    let found = folders().into_iter().map(|folder| folder.join("kube-controller-manager")).find(|path| path.is_file());
    found.context("target/assets does not hold kube-controller-manager: run `make assets`")
}

fn folders() -> Vec<PathBuf> {
    let given = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    given.into_iter().chain([workspace().join("target/assets")]).collect()
}

/// The helm that `make assets` builds.
///
/// Fails when it has not been built.
pub fn helm() -> Result<PathBuf> {
    let helm = workspace().join("target/assets/helm");
    if helm.is_file() { Ok(helm) } else { bail!("{} is not there: run `make assets`", helm.display()) }
}

/// What GitOps tools make of objects, as a program that `make assets` builds.
///
/// Fails when it has not been built.
pub fn judge() -> Result<PathBuf> {
    let judge = workspace().join("target/assets/judge");
    if judge.is_file() { Ok(judge) } else { bail!("{} is not there: run `make assets`", judge.display()) }
}

/// A binary of this workspace, found beside the running test or program.
///
/// Fails when it has not been built: cargo builds only a package's own binaries before its tests.
pub fn built(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("finding the running program")?;
    // target/debug/demo has its siblings beside it; target/debug/deps/test-1234 has them one folder up.
    let found = here.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    let found = found.with_context(|| format!("no {name} beside {}: run `cargo build --workspace`", here.display()))?;
    // A test prints this only if it fails. Whoever edits while a suite runs wants no failure.
    let sources = if name == SIMULATOR { "tests/simulator/src" } else { "src" };
    if let Some(newer) = newer_source(&found, &workspace().join(sources)) {
        eprintln!("note: {} is older than {}: run `cargo build --workspace`", found.display(), newer.display());
    }
    Ok(found)
}

/// A file of this folder that changed after a binary was built.
fn newer_source(binary: &Path, sources: &Path) -> Option<PathBuf> {
    let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let built = changed(binary)?;
    let mut folders = vec![sources.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().ok()?.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if changed(&path) > Some(built) {
                return Some(path);
            }
        }
    }
    None
}
