//! A copy of the sources in which bugs are planted, one at a time, and operators built.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets;
use imageshare_harness::planted::{Bug, Test};

/// What of the workspace is not copied.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

/// The operator's package and binary.
const OPERATOR: &str = "imageshare-operator";

/// Most lines shown of what a build says.
const TAIL: usize = 40;

/// The copy, `target/planted/tree`, with a target folder of its own.
pub(crate) struct Tree {
    workspace: PathBuf,
    planted: PathBuf,
}

impl Tree {
    /// Makes the copy, or brings an older one into step.
    pub(crate) fn open() -> Result<Self> {
        let workspace = assets::workspace();
        let tree = Self { planted: workspace.join("target/planted"), workspace };
        tree.restore()?;
        Ok(tree)
    }

    fn folder(&self) -> PathBuf {
        self.planted.join("tree")
    }

    /// The sources as they are. What does not differ is not written: only what changed is built again.
    fn restore(&self) -> Result<()> {
        mirror(&self.workspace, &self.folder(), &LEFT_OUT)?;
        // The copy's tests look for what `make assets` built in the copy.
        let (assets, target) = (self.workspace.join("target/assets"), self.folder().join("target"));
        fs::create_dir_all(&target)?;
        symlink(&assets, target.join("assets")).with_context(|| format!("linking to {}", assets.display()))
    }

    /// The sources with this bug in them, or with none.
    fn plant(&self, bug: Option<&Bug>) -> Result<()> {
        self.restore()?;
        let Some(bug) = bug else { return Ok(()) };
        let path = self.folder().join(&bug.file);
        let source = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        fs::write(&path, bug.plant(&source)?).with_context(|| format!("writing {}", path.display()))
    }

    /// An operator with this bug, or with none; built unless that was done before from the same sources.
    pub(crate) fn operator(&self, bug: Option<&Bug>) -> Result<PathBuf> {
        self.plant(bug)?;
        let name = bug.map_or("sound", |bug| &bug.name);
        let folder = self.planted.join("operators");
        let operator = folder.join(format!("{name}-{:016x}", fingerprint(&self.folder())?));
        if operator.is_file() {
            return Ok(operator);
        }
        // With any test, dependencies get the features that those tests need which find bugs, and are built once for both.
        let built = self.cargo("build").args(["--bin", OPERATOR, "--test", "layering"]).output();
        let built = built.context("starting cargo")?;
        ensure!(built.status.success(), "{name} does not compile:\n{}", tail(&built));
        fs::create_dir_all(&folder)?;
        remove_older(&folder, name)?;
        fs::copy(self.target().join("debug").join(OPERATOR), &operator).context("keeping the operator")?;
        Ok(operator)
    }

    /// Whether a test fails with this bug. Fails where it does so without the bug too: it finds nothing then.
    pub(crate) fn test_fails(&self, bug: &Bug, test: &Test) -> Result<bool> {
        ensure!(!self.fails(None, test)?, "{} fails without {} too", test.name, bug.name);
        self.fails(Some(bug), test)
    }

    fn fails(&self, bug: Option<&Bug>, test: &Test) -> Result<bool> {
        self.plant(bug)?;
        let name = bug.map_or("sound", |bug| &bug.name);
        let target = if test.target == "lib" { vec!["--lib"] } else { vec!["--test", &test.target] };
        let built = self.cargo("test").args(&target).arg("--no-run").output().context("starting cargo")?;
        ensure!(built.status.success(), "{name} does not compile:\n{}", tail(&built));
        let run = self.cargo("test").args(&target).args(["--", "--exact", &test.name]).output()?;
        let told = String::from_utf8_lossy(&run.stdout);
        ensure!(told.contains("running 1 test"), "{name}: no test {} in {}", test.name, test.target);
        Ok(!run.status.success() && told.contains(&format!("test {} ... FAILED", test.name)))
    }

    fn target(&self) -> PathBuf {
        self.planted.join("target")
    }

    fn cargo(&self, what: &str) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(self.folder()).env_remove("CARGO_TARGET_DIR");
        if let Ok(servers) = assets::servers() {
            command.env("KUBEBUILDER_ASSETS", servers);
        }
        command.args([what, "--locked", "--package", OPERATOR, "--target-dir"]).arg(self.target());
        command
    }
}

/// The last lines of what a build says.
fn tail(built: &Output) -> String {
    let told = String::from_utf8_lossy(&built.stderr);
    let lines: Vec<&str> = told.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}

/// Operators of this name from other sources are of no use any more.
fn remove_older(folder: &Path, name: &str) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if file.rsplit_once('-').is_some_and(|(of, _)| of == name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes `to` the same as `from`, but for what is left out at its top.
fn mirror(from: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    let mut kept = BTreeSet::new();
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if left_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let copy = to.join(&name);
        kept.insert(name);
        if entry.is_dir() {
            mirror(&entry, &copy, &[])?;
        } else if entry.is_file() {
            let content = fs::read(&entry).with_context(|| format!("reading {}", entry.display()))?;
            if fs::read(&copy).ok().as_ref() != Some(&content) {
                // With its permissions: some are scripts.
                fs::copy(&entry, &copy).with_context(|| format!("writing {}", copy.display()))?;
            }
        }
    }
    for entry in fs::read_dir(to)?.flatten().filter(|entry| !kept.contains(&entry.file_name())) {
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

/// What tells the sources of one operator from those of another.
fn fingerprint(folder: &Path) -> Result<u64> {
    let mut files = vec![folder.join("Cargo.toml"), folder.join("Cargo.lock"), folder.join("src")];
    let mut hasher = DefaultHasher::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let mut inside: Vec<PathBuf> = fs::read_dir(&path)?.flatten().map(|entry| entry.path()).collect();
            inside.sort();
            files.extend(inside);
        } else {
            path.hash(&mut hasher);
            fs::read(&path)?.hash(&mut hasher);
        }
    }
    Ok(hasher.finish())
}
