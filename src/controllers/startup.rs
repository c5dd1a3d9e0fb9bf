//! Which objects to enqueue once the caches have synced, and in which order: first those that a user may wait for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::time::sleep;

use crate::api::conditions::{READY, find};
use crate::api::{CloudAccount, CloudImage, ImageShare};
use crate::cluster::guard::Guarded;
use crate::controllers::triggers::{Change, SHARE};
use crate::reconcile::context::Stores;
use crate::reconcile::queue::{QueueSenders, send_all};

/// How long settled objects are deferred in favour of the others. Ten thousand reconciles take about as long.
const REST_AFTER: Duration = Duration::from_millis(250);

/// Enqueues every cached object for its controller, once the controllers are `ready`.
pub(super) async fn enqueue_all(ready: impl Future<Output = ()>, queues: QueueSenders, stores: Stores) {
    ready.await;
    let shares = found(&stores.shares, of_share, false);
    for share in &shares {
        (SHARE.enqueue)(&queues, &stores, share, &Change::default());
    }
    send_all(&queues.images, references(&found(&stores.images, of_image, false)));
    send_all(&queues.accounts, references(&found(&stores.accounts, of_account, false)));
    send_all(&queues.shares, references(&shares));
    send_all(&queues.acceptances, references(&stores.acceptances.state()));
    send_all(&queues.replicas, references(&stores.replicas.state()));
    sleep(REST_AFTER).await;
    send_all(&queues.accounts, references(&found(&stores.accounts, of_account, true)));
    send_all(&queues.images, references(&found(&stores.images, of_image, true)));
    send_all(&queues.shares, references(&found(&stores.shares, of_share, true)));
}

/// The observed generation and the conditions in an object's status.
type Seen<'a> = Option<(Option<i64>, &'a Vec<Condition>)>;

fn of_account(account: &CloudAccount) -> Seen<'_> {
    account.status.as_ref().map(|status| (status.observed_generation, &status.conditions))
}

fn of_image(image: &CloudImage) -> Seen<'_> {
    image.status.as_ref().map(|status| (status.observed_generation, &status.conditions))
}

fn of_share(share: &ImageShare) -> Seen<'_> {
    share.status.as_ref().map(|status| (status.observed_generation, &status.conditions))
}

/// The settled objects, or the others: edited since the last reconcile, being deleted, or not `Ready`.
fn found<K: Resource<DynamicType = ()>>(
    store: &Store<Guarded<K>>,
    seen: fn(&K) -> Seen<'_>,
    settled: bool,
) -> Vec<Arc<Guarded<K>>>
where
    Guarded<K>: Clone,
{
    store.state_filter(|object| object.readable().is_some_and(|object| is_settled(object, seen(object))) == settled)
}

fn is_settled<K: Resource>(object: &K, seen: Seen<'_>) -> bool {
    let (meta, ready) = (object.meta(), |all| find(all, READY).is_some_and(|condition| condition.status == "True"));
    meta.deletion_timestamp.is_none() && seen.is_some_and(|(of, all)| of == meta.generation && ready(all))
}

fn references<K: Resource<DynamicType = ()>>(
    objects: &[Arc<Guarded<K>>],
) -> impl Iterator<Item = ObjectRef<Guarded<K>>> {
    objects.iter().map(|object| ObjectRef::from_obj(object.as_ref()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;
    use crate::controllers::run::stores;
    use crate::reconcile::queue::queues;

    fn keep<K>(writer: &mut Writer<Guarded<K>>, name: &str, spec: &Value, change: &Value)
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
        Guarded<K>: Clone,
    {
        let mut object = json!({"metadata": {"namespace": "here", "name": name, "generation": 2}, "spec": spec,
            "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "status": "True", "reason": "Shared",
                "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        for (pointer, value) in change.as_object().unwrap() {
            *object.pointer_mut(pointer).unwrap() = value.clone();
        }
        writer.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
    }

    fn told<K: Resource<DynamicType = ()>>(mut queue: UnboundedReceiver<ObjectRef<K>>) -> Vec<String> {
        std::iter::from_fn(|| queue.try_recv().ok()).map(|object| object.name).collect()
    }

    #[tokio::test]
    async fn unsettled_objects_are_enqueued_before_settled_ones() {
        let (stores, mut writers) = stores();
        let (queues, told_of) = queues();
        let image = json!({"accountRef": {"name": "owner"}, "region": "here", "imageID": "m-1"});
        let not_ready = json!({"/status/conditions/0/status": "False"});
        for (name, change) in [("settled", json!({})), ("of-edited-share", json!({})), ("not-ready", not_ready)] {
            keep(&mut writers.images, name, &image, &change);
        }
        let edited = json!({"/metadata/generation": 3});
        for (name, of, change) in [("quiet", "settled", json!({})), ("edited", "of-edited-share", edited)] {
            let spec = json!({"imageRef": {"name": of}, "recipients": [{"type": "Account", "id": "10000"}]});
            keep(&mut writers.shares, name, &spec, &change);
        }
        enqueue_all(std::future::ready(()), queues, stores).await;
        let (images, shares) = (told(told_of.images), told(told_of.shares));
        assert_eq!(images[..2], ["of-edited-share", "not-ready"]);
        assert_eq!(BTreeSet::from_iter(&images[2..]), BTreeSet::from([&"settled".into(), &"of-edited-share".into()]));
        assert_eq!(shares, ["edited", "quiet"]);
    }
}
