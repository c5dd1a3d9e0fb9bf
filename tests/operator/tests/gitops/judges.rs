//! What GitOps tools make of an object, by the rules that docs/gitops.md tells users to paste.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::assets;
use imageshare_harness::history::Version;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the three say of one object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Verdict {
    pub kstatus: String,
    pub argo: String,
    pub flux: String,
}

impl Verdict {
    /// The same thing in each one's words. Only Argo CD has a word for what is suspended, only kstatus one for what is being
    /// deleted.
    pub fn is_one(&self) -> bool {
        let argo: &[&str] = match self.kstatus.as_str() {
            "Current" => &["Healthy"],
            "Failed" => &["Degraded"],
            "InProgress" => &["Progressing", "Suspended"],
            "Terminating" => &["Progressing"],
            _ => &[],
        };
        let flux = if self.kstatus == "Terminating" { "InProgress" } else { &self.kstatus };
        argo.contains(&self.argo.as_str()) && self.flux == flux
    }
}

/// Judges objects, each by itself.
pub fn judge(objects: &[Value]) -> Result<Vec<Verdict>> {
    let mut command = Command::new(assets::judge()?);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut judge = command.spawn().context("starting the judge")?;
    let mut input = judge.stdin.take().context("the judge listens")?;
    let lines: Vec<String> = std::iter::once(&rules()?).chain(objects).map(|line| format!("{line}\n")).collect();
    // Written beside: the judge answers before it has read all.
    let writer = std::thread::spawn(move || input.write_all(lines.concat().as_bytes()));
    let output = judge.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
    let verdicts = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Verdict>();
    let verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
    ensure!(verdicts.len() == objects.len(), "{} verdicts on {} objects", verdicts.len(), objects.len());
    Ok(verdicts)
}

/// The rules as the page has them, to be pasted.
fn rules() -> Result<Value> {
    let page = fs::read_to_string(assets::workspace().join("docs/gitops.md"))?;
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let blocks = blocks.map(parsed).collect::<Result<Vec<Value>>>()?;
    let of_kind = |kind: &str| blocks.iter().find(|block| block["kind"] == kind).with_context(|| format!("no {kind}"));
    let argo = of_kind("ConfigMap")?["data"]["resource.customizations"].as_str().context("no customizations")?;
    let argo = parsed(argo)?["imageshare.dev/*"]["health.lua"].clone();
    ensure!(argo.is_string(), "no health.lua");
    Ok(json!({"lua": argo, "flux": of_kind("Kustomization")?["spec"]["healthCheckExprs"]}))
}

fn parsed(text: &str) -> Result<Value> {
    serde_yaml::from_str(text).with_context(|| format!("docs/gitops.md: {text}"))
}

/// One version of an object, and what is made of it.
#[derive(Debug)]
pub struct Judged {
    pub version: Version,
    pub verdict: Verdict,
}

impl Judged {
    fn field(&self, pointer: &str) -> Option<i64> {
        self.version.object.pointer(pointer)?.as_i64()
    }

    /// A condition of it.
    pub fn condition(&self, kind: &str) -> Option<&Value> {
        let all = self.version.object.pointer("/status/conditions")?.as_array()?;
        all.iter().find(|condition| condition["type"] == kind)
    }

    /// What holds of every version: one verdict, `Current` only by a `Ready` of this very generation, and `Failed` where and
    /// only where the operator says that somebody must act.
    pub fn check(&self) -> Result<()> {
        let of = || format!("{:?} of {}", self.verdict, self.version.object);
        ensure!(self.verdict.is_one(), "the judges differ: {}", of());
        if self.version.kind() == "SharedImage" {
            return Ok(());
        }
        let generation = self.field("/metadata/generation");
        let holds = |kind| self.condition(kind).is_some_and(|c| c["status"] == "True");
        if self.verdict.kstatus == "Current" {
            let ready = self.condition("Ready").with_context(of)?;
            ensure!(holds("Ready") && ready["observedGeneration"].as_i64() == generation, "not so: {}", of());
        }
        let leaving = self.version.object.pointer("/metadata/deletionTimestamp").is_some();
        let stuck = !leaving && self.field("/status/observedGeneration") == generation && holds("Stalled");
        ensure!((self.verdict.kstatus == "Failed") == stuck, "Failed without Stalled, or the other way: {}", of());
        let idle = !leaving
            && self
                .condition("Ready")
                .is_some_and(|c| c["status"] == "False" && !holds("Reconciling") && !holds("Stalled"));
        let explained =
            ["Suspended", "Expired"].iter().any(|why| self.condition("Ready").is_some_and(|c| c["reason"] == *why));
        ensure!(!idle || explained, "neither under way nor stuck: {}", of());
        Ok(())
    }
}
