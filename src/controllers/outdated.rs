//! While the API server serves older definitions than this version needs, no controller runs, and the objects report why. The
//! operator does not write an object whose own definition lacks fields: the write would drop its hidden fields for good.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::ListParams;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::api::conditions::{Decision, READY, RECONCILING, Reason, STALLED, Truth, conditions};
use crate::api::definitions::Lacking;
use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImageAcceptance, all_crds,
};
use crate::cluster::definitions::Served;
use crate::cluster::events::EventReason;
use crate::cluster::guard::Guarded;
use crate::cluster::object::Object;
use crate::cluster::status::apply_status;
use crate::cluster::{ClusterError, within_deadline};
use crate::controllers::run;
use crate::reconcile::context::Context;
use crate::telemetry::object_metrics::{ObjectCounts, ObjectMetrics};

/// How long fields must be missing before objects report it: the API server describes a new group only after a moment.
const REPORT_AFTER: Duration = Duration::from_secs(2);

/// Objects per page of a list.
const PAGE: u32 = 500;

/// The controllers that run now, for metrics and readiness.
#[derive(Clone)]
pub struct Controllers {
    /// The context of the controllers; each start gets new caches.
    template: Arc<Context>,
    current: Arc<Mutex<Option<Arc<Context>>>>,
}

impl Controllers {
    /// No controller runs yet. The caches of `template` are never filled.
    pub fn new(template: Context) -> Self {
        Self { template: Arc::new(template), current: Arc::default() }
    }

    fn current(&self) -> Option<Arc<Context>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs every controller until `stop` is cancelled, as long as the definitions are complete. When they no longer are, this
    /// drops running reconciles, as a lost lease does; when they are again, all controllers restart with new caches.
    pub async fn run(&self, stop: CancellationToken) {
        let definitions = &self.template.definitions;
        loop {
            tokio::select! {
                () = definitions.until(true) => {}
                () = report_until_dropped(&self.template) => {}
                () = stop.cancelled() => return,
            }
            let (stores, writers) = run::stores();
            let now = self.template.clock.now();
            let context = Context { stores, begun_at: now, ..Context::clone(&self.template) }.without_memory();
            let context = Arc::new(context);
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&context));
            tokio::select! {
                () = run::run(context, writers, stop.clone()) => return,
                () = definitions.until(false) => tracing::error!("nobody acts until the definitions are updated"),
            }
        }
    }

    /// Why the process is not ready; `None` if it is.
    pub fn not_ready(&self) -> Option<String> {
        let definitions = &self.template.definitions;
        let filled = || self.current().is_some_and(|context| context.filled.is_cancelled());
        let unfilled = "the caches are not filled yet: is the API server there, and are the CRDs?";
        let known = definitions.api_server().problem().or_else(|| definitions.served().problem());
        known.or_else(|| (!filled()).then(|| unfilled.to_owned()))
    }
}

impl ObjectMetrics for Controllers {
    fn take(&self) -> ObjectCounts {
        let (metrics, now) = (self.template.settings.image_metrics, self.template.clock.now());
        let mut object_metrics =
            self.current().map(|context| context.stores.object_metrics(metrics, now)).unwrap_or_default();
        let served = self.template.definitions.served();
        let missing = |kind: &str| match &served {
            Served::Lacking(lacking) => lacking.0.get(kind).map_or(0, Vec::len),
            Served::Unknown(_) | Served::Whole => 0,
        };
        for crd in all_crds() {
            let kind = crd.spec.names.kind;
            let missing = u64::try_from(missing(&kind)).unwrap_or(u64::MAX);
            object_metrics.missing_fields.insert(kind, missing);
        }
        object_metrics
    }
}

/// While the definitions are incomplete, reports on all objects why the operator does nothing for them. Only the leader does.
async fn report_until_dropped(ctx: &Context) {
    ctx.leading.begun.cancelled().await;
    let mut reported = HashSet::new();
    loop {
        sleep(REPORT_AFTER).await;
        if let Served::Lacking(lacking) = ctx.definitions.served() {
            report_all::<CloudAccount>(ctx, &lacking, &mut reported).await;
            report_all::<CloudImage>(ctx, &lacking, &mut reported).await;
            report_all::<ImageShare>(ctx, &lacking, &mut reported).await;
            report_all::<SharedImageAcceptance>(ctx, &lacking, &mut reported).await;
            report_all::<ImageReplica>(ctx, &lacking, &mut reported).await;
            report_all::<ImageChannel>(ctx, &lacking, &mut reported).await;
            report_all::<ChannelShare>(ctx, &lacking, &mut reported).await;
        }
        sleep(ctx.settings.intervals.blocked).await;
    }
}

async fn report_all<K>(ctx: &Context, lacking: &Lacking, reported: &mut HashSet<String>)
where
    K: Object + Serialize + Send + Sync + 'static,
{
    for api in ctx.scope.apis::<Guarded<K>>(&ctx.client) {
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = match within_deadline(api.list(&page)).await {
                Ok(list) => list,
                Err(error) => return tracing::warn!(kind = %K::kind(&()), %error, "objects cannot be listed"),
            };
            for object in list.items.iter().filter_map(Guarded::readable) {
                if let Err(error) = report(ctx, object, lacking, reported).await {
                    tracing::warn!(object.name = %object.name_any(), %error, "the object cannot report why it stands still");
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
    }
}

async fn report<K: Object + Serialize>(
    ctx: &Context,
    object: &K,
    lacking: &Lacking,
    reported: &mut HashSet<String>,
) -> Result<(), ClusterError> {
    if lacking.affects(&K::kind(&())) {
        // A user may wait for the deletion, and finds the reason in the events.
        let deleting = object.meta().deletion_timestamp.is_some();
        if deleting && reported.insert(object.uid().unwrap_or_default()) {
            ctx.events.publish(object, EventReason::DefinitionsOutdated, lacking.message());
        }
        return Ok(());
    }
    let whole = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    let old = whole.get("status").cloned().unwrap_or_else(|| json!({}));
    let new = stalled(&old, &lacking.message(), object.meta().generation, ctx.clock.now());
    if new != old {
        apply_status(&ctx.client, object, &object.resource_version().unwrap_or_default(), &new).await?;
    }
    Ok(())
}

/// This status with conditions that report that reconciliation has stopped, and why.
fn stalled(old: &Value, why: &str, generation: Option<i64>, now: jiff::Timestamp) -> Value {
    let mut all: Vec<Condition> =
        old.get("conditions").and_then(|all| serde_json::from_value(all.clone()).ok()).unwrap_or_default();
    let decide = |kind, truth| Decision { kind, truth, reason: Reason::DefinitionsOutdated, message: why.to_owned() };
    let decided = conditions(&all, [decide(READY, Truth::False), decide(STALLED, Truth::True)], generation, now);
    all.retain(|condition| condition.type_ != RECONCILING);
    for condition in decided {
        match all.iter_mut().find(|old| old.type_ == condition.type_) {
            Some(old) => *old = condition,
            None => all.push(condition),
        }
    }
    let mut new = old.clone();
    if let Some(status) = new.as_object_mut() {
        status.insert("conditions".to_owned(), json!(all));
        status.insert("observedGeneration".to_owned(), json!(generation));
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_says_once_why_nothing_goes_on_and_keeps_everything_else() {
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": "Shared", "message": "",
                "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let all = [condition(READY, "True"), condition("Shared", "True"), condition(RECONCILING, "True")];
        let old = json!({"observedGeneration": 3, "recipients": "1/1", "conditions": all});
        let new = stalled(&old, "why", Some(4), jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(new["recipients"], "1/1");
        let said: Vec<[&str; 3]> = new["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| ["type", "status", "reason"].map(|field| c[field].as_str().unwrap()))
            .collect();
        let outdated = "DefinitionsOutdated";
        assert_eq!(said, [[READY, "False", outdated], ["Shared", "True", "Shared"], [STALLED, "True", outdated]]);
        assert_eq!(stalled(&new, "why", Some(4), jiff::Timestamp::now()), new, "nothing to write");
    }
}
