//! The floor of a throughput case: the same cloud calls and the same number of Kubernetes writes of each kind, upon a fleet
//! of the same size, with the same concurrency, by a client that reads nothing, waits for nothing and decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::bare::{BareCloud, BareKubernetes, RECIPIENTS_PER_CALL};
use crate::fleet::{Fleet, name, namespace};
use crate::objects::Readiness;
use crate::processes::{cpu_seconds, cpu_seconds_of_all};
use crate::requests::{Write, Writes};
use crate::stage::Stage;

/// Images, and shares, that are worked on at once: as many as the operator looks at.
pub(crate) const CONCURRENCY: usize = 64;

/// What an operator spent: cloud calls by action, writes by kind, and statuses as it writes them.
#[derive(Debug, Clone)]
pub(crate) struct Toll {
    pub(crate) calls: BTreeMap<String, u64>,
    pub(crate) writes: Writes,
    pub(crate) image_status: Value,
    pub(crate) share_status: Value,
}

/// What a bare client took for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) servers_cpu: f64,
}

/// Pays a toll on a stage of the same size, where no operator has been.
pub(crate) async fn pay(stage: &Stage, toll: Toll) -> Result<Floor> {
    let payer = Arc::new(Payer {
        cloud: BareCloud::new(stage.cloud.cloud(), stage.fleet)?,
        kubernetes: BareKubernetes::new(stage.client_as_operator().await?),
        fleet: stage.fleet,
        toll,
    });
    // The API server has as many watches to serve as in the operator's run but for the operator's own.
    let (_images, _shares) =
        (Readiness::watch(&stage.client, "CloudImage").await?, Readiness::watch(&stage.client, "ImageShare").await?);
    let pids = stage.server_pids();
    let (me, before) = (std::process::id(), cpu_seconds_of_all(&pids));
    let (begun, cpu) = (Instant::now(), cpu_seconds(me)?);
    each(payer.fleet.owners, |owner| payer.account(owner)).await?;
    // As the operator: images and shares are worked on beside each other.
    let (images, shares) = (each(payer.fleet.images, |n| payer.image(n)), each(payer.fleet.images, |n| payer.share(n)));
    tokio::try_join!(images, shares)?;
    Ok(Floor {
        seconds: begun.elapsed().as_secs_f64(),
        cpu: cpu_seconds(me)? - cpu,
        servers_cpu: cpu_seconds_of_all(&pids) - before,
    })
}

/// Works on all numbers below `count`, as many at once as the operator would.
pub(crate) async fn each<F: Future<Output = Result<()>>>(count: usize, work: impl Fn(usize) -> F) -> Result<()> {
    futures::stream::iter((0..count).map(work)).buffer_unordered(CONCURRENCY).try_collect().await
}

/// The part of a total that falls to one of `count`, so that all parts add up to the total.
fn part(total: u64, n: usize, count: usize) -> u64 {
    let (n, count) = (u64::try_from(n).unwrap_or(u64::MAX), u64::try_from(count).unwrap_or(u64::MAX).max(1));
    total * (n + 1) / count - total * n / count
}

struct Payer {
    cloud: BareCloud,
    kubernetes: BareKubernetes,
    fleet: Fleet,
    toll: Toll,
}

impl Payer {
    fn calls(&self, action: &str, n: usize, count: usize) -> u64 {
        part(self.toll.calls.get(action).copied().unwrap_or_default(), n, count)
    }

    /// The writes to a resource that fall to one object.
    fn writes(&self, resource: &str, n: usize, count: usize) -> impl Iterator<Item = (&Write, u64)> {
        let of = self.toll.writes.iter().filter(move |(write, _)| write.resource == resource);
        of.map(move |(write, total)| (write, part(*total, n, count)))
    }

    async fn account(&self, owner: usize) -> Result<()> {
        for _ in 0..self.calls("GetCallerIdentity", owner, self.fleet.owners) {
            self.cloud.identity(owner).await?;
        }
        for _ in 0..self.calls("DescribeRegions", owner, self.fleet.owners) {
            self.cloud.regions(owner).await?;
        }
        for (write, count) in self.writes("cloudaccounts", owner, self.fleet.owners) {
            let status = |turn| json!({"conditions": [condition(turn)]});
            self.write(write, count, "CloudAccount", (&namespace(owner), "owner"), status).await?;
        }
        Ok(())
    }

    async fn image(&self, n: usize) -> Result<()> {
        let count = self.fleet.images;
        let (namespace, name) = (self.fleet.namespace_of(n), name(n));
        for _ in 0..self.calls("DescribeImages", n, count) {
            self.cloud.describe(n).await?;
        }
        for (write, count) in self.writes("cloudimages", n, count) {
            let status = |turn| changed(&self.toll.image_status, turn);
            self.write(write, count, "CloudImage", (&namespace, &name), status).await?;
        }
        let recipients = self.fleet.recipients_of(n, 0);
        let mut batches = recipients.chunks(RECIPIENTS_PER_CALL);
        for _ in 0..self.calls("ModifyImageSharePermission", n, count) {
            // Where the operator made more calls than are needed, so does this.
            let batch = batches.next().unwrap_or_default();
            self.cloud.change(n, "AddAccount", batch).await?;
        }
        for _ in 0..self.calls("DescribeImageSharePermission", n, count) {
            self.cloud.recipients(n).await?;
        }
        for (_, events) in self.writes("events", n, count) {
            for _ in 0..events {
                self.kubernetes.tell(&namespace, &name).await?;
            }
        }
        Ok(())
    }

    async fn share(&self, n: usize) -> Result<()> {
        let (namespace, name) = (self.fleet.namespace_of(n), name(n));
        for (write, count) in self.writes("imageshares", n, self.fleet.images) {
            let status = |turn| changed(&self.toll.share_status, turn);
            self.write(write, count, "ImageShare", (&namespace, &name), status).await?;
        }
        Ok(())
    }

    /// Writes an object so often, each time something else: a status, or metadata.
    async fn write(
        &self,
        write: &Write,
        count: u64,
        kind: &str,
        (namespace, name): (&str, &str),
        status: impl Fn(u64) -> Value,
    ) -> Result<()> {
        for turn in 0..count {
            if write.subresource != "status" {
                self.kubernetes.annotate(kind, namespace, name, &turn.to_string()).await?;
            } else if turn == 0 {
                // The first one only says that the object was noticed.
                let noticed = json!({"conditions": [condition(turn)]});
                self.kubernetes.apply_status(kind, namespace, name, &noticed).await?;
            } else {
                self.kubernetes.apply_status(kind, namespace, name, &status(turn)).await?;
            }
        }
        Ok(())
    }
}

fn condition(turn: u64) -> Value {
    json!({"type": "Ready", "status": "True", "reason": "Verified", "message": format!("turn {turn}"),
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

/// A status that differs from turn to turn, so that each is written.
fn changed(status: &Value, turn: u64) -> Value {
    let mut status = status.clone();
    if let Some(message) = status.pointer_mut("/conditions/0/message") {
        *message = json!(format!("turn {turn}"));
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_total() {
        for (total, count) in [(10, 3), (3, 10), (0, 4), (20_001, 10_000)] {
            assert_eq!((0..count).map(|n| part(total, n, count)).sum::<u64>(), total);
        }
    }

    #[test]
    fn a_status_differs_from_turn_to_turn() {
        let status = json!({"conditions": [condition(0)]});
        assert_ne!(changed(&status, 1), changed(&status, 2));
    }
}
