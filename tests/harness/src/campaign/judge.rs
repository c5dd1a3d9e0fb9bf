//! What a campaign asks when its faults are over: did all come to what was wished, and soon; is all at rest; and did every
//! invariant hold on the way, by the journal's word and etcd's.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::Finding;
use super::clouds::world;
use super::outcome::{Outcome, Sight};
use super::plan::Plan;
use super::stage::{GRACE, Stage};
use super::texts;
use super::wish::Wish;
use crate::auditor::{Auditor, Pace, Promptness, Violation};
use crate::history::Version;
use crate::proxy::Call;

/// How soon all must be as wished.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// What was done last may be heard of by others only when they look the next time.
const SETTLING: Duration = Duration::from_secs(5);

/// How long nothing may change then: longer than any look at what is at rest is away.
const REST: Duration = Duration::from_secs(6);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// How long anybody waits at most, whatever strangers do.
const BOUND: SignedDuration = SignedDuration::from_secs(30);

/// What the watch of the history lags behind at least.
const LAG: SignedDuration = SignedDuration::from_millis(500);

/// Findings told of one campaign.
const TOLD: usize = 8;

impl Stage {
    /// Everything that must not be; the invariants first.
    pub(super) async fn judge(&self, plan: &Plan, stuck: Option<Finding>) -> Result<Vec<Finding>> {
        let outcome = Outcome::of(plan);
        let late = self.converge(&outcome).await?;
        let restless = if late.is_empty() { self.rest(&outcome).await? } else { Vec::new() };
        let mut findings = self.audit(plan).await?;
        findings.extend(self.processes());
        findings.extend(texts::judge(self).await?);
        findings.extend(stuck);
        findings.extend(late);
        findings.extend(restless);
        if !findings.is_empty() {
            self.keep_evidence(plan, &findings).await?;
        }
        findings.truncate(TOLD);
        Ok(findings)
    }

    /// What the witnesses said goes beside the logs.
    async fn keep_evidence(&self, plan: &Plan, findings: &[Finding]) -> Result<()> {
        let lines = |values: Vec<String>| values.join("\n") + "\n";
        let journal = self.people.cloud.journal(0).await?.iter().map(ToString::to_string).collect();
        let told = |v: &Version| format!("{:?} {} {} {}", v.change, v.revision, v.seen_at, v.object);
        let versions = self.history.versions().await?.iter().map(told).collect();
        let called = |call: &Call| format!("{} {:?} {}", call.asked_at, call.answered_at, call.line());
        let calls = self.calls().iter().map(called).collect();
        let steps = plan.lines().collect();
        let found = findings.iter().map(ToString::to_string).collect();
        let all = [("journal", journal), ("history", versions), ("calls", calls), ("plan", steps), ("found", found)];
        for (name, kept) in all {
            let path = self.run.join(format!("{name}.txt"));
            std::fs::write(&path, lines(kept)).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    async fn sight(&self) -> Result<Sight> {
        let objects = self.people.api.all().await?;
        Ok(Sight { clouds: self.people.cloud.get("/world").await?, objects })
    }

    /// Waits until all is as wished; what is not by then.
    async fn converge(&self, outcome: &Outcome) -> Result<Vec<Finding>> {
        let deadline = Instant::now() + CONVERGENCE;
        loop {
            self.people.release_secrets().await?;
            self.victims.revive().await?;
            let amiss = outcome.amiss(&self.sight().await?);
            if amiss.is_empty() {
                return Ok(Vec::new());
            }
            if Instant::now() > deadline {
                let finding = |what| Finding { check: "Convergence".to_owned(), what };
                return Ok(amiss.into_iter().map(finding).collect());
            }
            sleep(PAUSE).await;
        }
    }

    /// What changes, or is asked to change, while all is as wished.
    async fn rest(&self, outcome: &Outcome) -> Result<Vec<Finding>> {
        sleep(SETTLING).await;
        let began = Timestamp::now();
        sleep(REST).await;
        let finding = |what: String| Finding { check: "Rest".to_owned(), what };
        let asked = self.wrote_after(began).map(|call| finding(format!("{} {}", call.line(), call.summary)));
        let amiss = outcome.amiss(&self.sight().await?);
        Ok(asked.into_iter().chain(amiss.into_iter().map(finding)).collect())
    }

    async fn audit(&self, plan: &Plan) -> Result<Vec<Finding>> {
        let journal = self.people.cloud.journal(0).await?;
        let (versions, calls) = (self.history.versions().await?, self.calls());
        let lived = versions.iter().any(|version| version.object.get("status").is_some());
        ensure!(lived, "the operator never wrote a status: does it start at all?");
        let lag = lag(&versions, &calls);
        let (per_second, burst) = self.pace;
        let pace = Pace { per_second, burst, ended: self.victims.kills() };
        let auditor =
            Auditor::new(&journal, versions).owners_of(&world()).carried(&calls).lag(lag).paced(pace).graced(GRACE);
        let lean = plan.lean();
        let auditor = if lean.corner.is_adversarial() { auditor.prompt(self.promptness(plan)) } else { auditor };
        let auditor = lean.repetitions().into_iter().fold(auditor, Auditor::patient);
        let found = auditor.audit();
        let finding = |violation: &Violation| {
            let text = violation.to_string();
            let what = text.split_once(": ").map_or(text.as_str(), |(_, what)| what).to_owned();
            Finding { check: format!("{:?}", violation.invariant), what }
        };
        Ok(found.iter().map(finding).collect())
    }

    /// Whatever strangers do: how soon owners are served.
    fn promptness(&self, plan: &Plan) -> Promptness {
        let owners = plan.wishes().filter_map(|wish| match wish {
            Wish::Namespace { name, seats } if !seats.is_empty() => Some(name.clone()),
            _ => None,
        });
        let (excuses, owners) = (plan.excuses(self.began()), owners.collect());
        Promptness { bound: BOUND, excuses, owners, until: Timestamp::now() }
    }

    /// Nothing ends the operator but whoever kills it.
    fn processes(&self) -> Vec<Finding> {
        let ended = self.victims.ended_by_itself().into_iter();
        let finding = |status| Finding {
            check: "NoPanic".to_owned(),
            what: format!("the operator ended by itself with status {status}"),
        };
        ended.map(finding).collect()
    }
}

/// How late the watch told a version, at most: on a busy machine more than usual. Those that the proxy carried show it.
fn lag(versions: &[Version], calls: &[Call]) -> SignedDuration {
    let answered: std::collections::BTreeMap<u64, Timestamp> =
        calls.iter().filter_map(|call| Some((call.version?, call.answered_at?))).collect();
    let late = versions.iter().filter_map(|version| {
        let answered = answered.get(&version.revision)?;
        Some(version.seen_at.duration_since(*answered))
    });
    // An answer may come sooner than the watch, and a write that changed nothing tells an old version.
    let most = late.max().unwrap_or_default();
    LAG.max(most.saturating_mul(2))
}

/// All logs of the operator, by file name.
pub(super) fn logs(run: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(run).with_context(|| format!("reading {}", run.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("imageshare-operator") {
            logs.push((name, String::from_utf8_lossy(&std::fs::read(&path)?).into_owned()));
        }
    }
    Ok(logs)
}
