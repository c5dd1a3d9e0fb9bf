//! How long one wish takes among many that are fulfilled, while the operator looks at all of them again all the time: from
//! the call that tells Kubernetes to the cloud having done it, by the cloud's own journal.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::bare::{BareCloud, BareKubernetes, RECIPIENTS_PER_CALL};
use crate::fleet::{image_id, name, wishes};
use crate::journal::{Call, Tail};
use crate::objects::{api, status};
use crate::report::{Figure, Goal, Report};
use crate::stage::Stage;

/// Wishes that are timed.
const EDITS: usize = 200;
const DELETES: usize = 100;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds recipients to shares, one after the other.
pub(crate) struct Editor {
    /// How many were added to each share.
    added: Vec<usize>,
}

impl Editor {
    pub(crate) fn new(stage: &Stage) -> Self {
        Self { added: vec![0; stage.fleet.images] }
    }

    /// Adds a recipient to a share; gives when that was asked for, and whom.
    pub(crate) async fn add(&mut self, stage: &Stage, image: usize) -> Result<(Timestamp, String)> {
        let added = self.added.get_mut(image).context("no such image")?;
        *added += 1;
        let recipients = stage.fleet.recipients_of(image, *added);
        let newcomer = recipients.last().context("no recipient")?.clone();
        let change = Patch::Merge(json!({"spec": {"recipients": wishes(&recipients)}}));
        let asked = Timestamp::now();
        let shares = api(&stage.client, "ImageShare", &stage.fleet.namespace_of(image));
        shares.patch(&name(image), &PatchParams::default(), &change).await?;
        Ok((asked, newcomer))
    }

    /// All recipients that a share wishes.
    fn recipients_of(&self, stage: &Stage, image: usize) -> Vec<String> {
        stage.fleet.recipients_of(image, self.added.get(image).copied().unwrap_or_default())
    }
}

/// When an image came to be shared with somebody, if it did in these calls.
pub(crate) fn granted_at(calls: &[Call], image: usize, recipient: &str) -> Option<Timestamp> {
    let id = image_id(image);
    calls.iter().find(|call| call.image == id && call.added.iter().any(|added| added == recipient)).map(|call| call.at)
}

/// Milliseconds of each wish, sorted.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<f64>);

impl Latencies {
    pub(crate) fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self(milliseconds)
    }

    /// The value that this part of all does not exceed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    pub(crate) fn at(&self, part: f64) -> f64 {
        let rank = (self.0.len() as f64 * part).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
    }
}

/// How many of the fleet are edited: the first ones. As many at the end may be deleted.
fn edits(stage: &Stage) -> usize {
    EDITS.min(stage.fleet.images / 2)
}

/// Adds a recipient to one share after the other.
pub(crate) async fn edit(stage: &Stage, editor: &mut Editor) -> Result<Latencies> {
    let mut tail = Tail::begin(&stage.cloud).await?;
    let mut took = Vec::new();
    for image in 0..edits(stage) {
        let (asked, newcomer) = editor.add(stage, image).await?;
        let what = format!("{newcomer} to have image {image}");
        let there = |calls: &[Call]| granted_at(calls, image, &newcomer).is_some();
        let calls = tail.until(&stage.cloud, PATIENCE, &what, there).await?;
        let granted = granted_at(&calls, image, &newcomer).context("it was granted")?;
        took.push(granted.duration_since(asked).as_secs_f64() * 1000.0);
    }
    Ok(Latencies::new(took))
}

/// Deletes one share after the other.
pub(crate) async fn delete(stage: &Stage, editor: &Editor) -> Result<Latencies> {
    let mut tail = Tail::begin(&stage.cloud).await?;
    let mut took = Vec::new();
    for n in 0..DELETES.min(stage.fleet.images / 2) {
        let image = stage.fleet.images - 1 - n;
        let shares = api(&stage.client, "ImageShare", &stage.fleet.namespace_of(image));
        let asked = Timestamp::now();
        shares.delete(&name(image), &DeleteParams::default()).await?;
        let id = image_id(image);
        let mut left: BTreeSet<String> = editor.recipients_of(stage, image).into_iter().collect();
        let mut gone_at = asked;
        let gone = |calls: &[Call]| {
            for call in calls.iter().filter(|call| call.image == id) {
                left.retain(|recipient| !call.removed.contains(recipient));
                gone_at = gone_at.max(call.at);
            }
            left.is_empty()
        };
        tail.until(&stage.cloud, PATIENCE, &format!("nobody to have image {image}"), gone).await?;
        took.push(gone_at.duration_since(asked).as_secs_f64() * 1000.0);
    }
    Ok(Latencies::new(took))
}

/// What one wish takes at least: the same calls, one after the other, with nothing to watch or to decide. No operator may
/// run.
pub(crate) struct Bare<'a> {
    stage: &'a Stage,
    cloud: BareCloud,
    kubernetes: BareKubernetes,
    status: Value,
}

impl<'a> Bare<'a> {
    pub(crate) async fn new(stage: &'a Stage) -> Result<Self> {
        let cloud = BareCloud::new(stage.cloud.cloud(), stage.fleet)?;
        let status = status(&stage.client, "CloudImage", &stage.fleet.namespace_of(0), &name(0)).await?;
        let kubernetes = BareKubernetes::new(stage.client_as_operator().await?);
        Ok(Self { stage, cloud, kubernetes, status })
    }

    /// Two reads, the ledger, and the call.
    async fn carry_out(&self, image: usize, parameter: &str, recipients: &[String]) -> Result<()> {
        self.cloud.describe(image).await?;
        self.cloud.recipients(image).await?;
        let mut status = self.status.clone();
        if let Some(state) = status.pointer_mut("/state") {
            *state = json!(format!("turn {}", rand::random::<u32>()));
        }
        let namespace = self.stage.fleet.namespace_of(image);
        self.kubernetes.apply_status("CloudImage", &namespace, &name(image), &status).await?;
        for batch in recipients.chunks(RECIPIENTS_PER_CALL) {
            self.cloud.change(image, parameter, batch).await?;
        }
        Ok(())
    }

    pub(crate) async fn edit(&self, editor: &mut Editor) -> Result<Latencies> {
        let mut took = Vec::new();
        for image in 0..edits(self.stage) {
            let begun = Instant::now();
            let (_, newcomer) = editor.add(self.stage, image).await?;
            self.carry_out(image, "AddAccount", &[newcomer]).await?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(Latencies::new(took))
    }

    /// Of those that were edited: the others may be gone.
    pub(crate) async fn delete(&self, editor: &Editor) -> Result<Latencies> {
        let mut took = Vec::new();
        for image in 0..DELETES.min(self.stage.fleet.images / 2) {
            let begun = Instant::now();
            let shares = api(&self.stage.client, "ImageShare", &self.stage.fleet.namespace_of(image));
            shares.delete(&name(image), &DeleteParams::default()).await?;
            self.carry_out(image, "RemoveAccount", &editor.recipients_of(self.stage, image)).await?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(Latencies::new(took))
    }
}

/// Reports how long wishes of one kind took, beside their floor.
pub(crate) fn report(case: &str, what: &str, measured: &Latencies, floor: &Latencies, report: &mut Report) {
    report.add(Figure::new(case, &format!("{what}, P50"), "ms", measured.at(0.5)).floor(floor.at(0.5)));
    let slowest = Figure::new(case, &format!("{what}, P99"), "ms", measured.at(0.99)).floor(floor.at(0.99));
    report.add(slowest.goal(Goal::Below(1000.0)));
    report.note(case, what, u64::try_from(measured.0.len()).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let latencies = Latencies::new((1..=200).rev().map(f64::from).collect());
        assert!((latencies.at(0.5) - 100.0).abs() < f64::EPSILON);
        assert!((latencies.at(0.99) - 198.0).abs() < f64::EPSILON);
        assert!((Latencies::new(vec![7.0]).at(0.99) - 7.0).abs() < f64::EPSILON);
    }
}
