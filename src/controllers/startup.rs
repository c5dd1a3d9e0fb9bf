//! Which objects to enqueue once the caches have synced, and in which order: first those that a user may wait for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::core::object::HasStatus;
use kube::runtime::reflector::Store;
use tokio::time::sleep;

use crate::cluster::guard::Guarded;
use crate::cluster::object::Object;
use crate::controllers::triggers::{Change, SHARE, references};
use crate::reconcile::context::Stores;
use crate::reconcile::queue::{QueueSenders, send_all};
use crate::reconcile::status::{Status, is_observed, is_ready};

/// How long settled objects are deferred in favour of the others. Ten thousand reconciles take about as long.
const SETTLED_AFTER: Duration = Duration::from_millis(250);

/// Enqueues every cached object for its controller, once the controllers are `ready`.
pub(super) async fn enqueue_all(ready: impl Future<Output = ()>, queues: QueueSenders, stores: Stores) {
    ready.await;
    let shares = found(&stores.shares, false);
    for share in &shares {
        (SHARE.enqueue)(&queues, &stores, share, &Change::default());
    }
    send_all(&queues.images, references(&found(&stores.images, false)));
    send_all(&queues.accounts, references(&found(&stores.accounts, false)));
    send_all(&queues.shares, references(&shares));
    send_all(&queues.acceptances, references(&stores.acceptances.state()));
    send_all(&queues.replicas, references(&stores.replicas.state()));
    send_all(&queues.channels, references(&stores.channels.state()));
    send_all(&queues.channel_shares, references(&stores.channel_shares.state()));
    sleep(SETTLED_AFTER).await;
    send_all(&queues.accounts, references(&found(&stores.accounts, true)));
    send_all(&queues.images, references(&found(&stores.images, true)));
    send_all(&queues.shares, references(&found(&stores.shares, true)));
}

/// The settled objects, or the others: edited since the last reconcile, being deleted, or not `Ready`.
fn found<K: Object + HasStatus<Status: Status>>(store: &Store<Guarded<K>>, settled: bool) -> Vec<Arc<Guarded<K>>> {
    store.state_filter(|object| object.readable().is_some_and(is_settled) == settled)
}

fn is_settled<K: Object + HasStatus<Status: Status>>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_none() && is_observed(object) && is_ready(object)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kube::Resource;
    use kube::runtime::reflector::{ObjectRef, store::Writer};
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

    fn enqueued<K: Resource<DynamicType = ()>>(mut queue: UnboundedReceiver<ObjectRef<K>>) -> Vec<String> {
        std::iter::from_fn(|| queue.try_recv().ok()).map(|object| object.name).collect()
    }

    #[tokio::test]
    async fn unsettled_objects_are_enqueued_before_settled_ones() {
        let (stores, mut writers) = stores();
        let (queues, receivers) = queues();
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
        let (images, shares) = (enqueued(receivers.images), enqueued(receivers.shares));
        assert_eq!(images[..2], ["of-edited-share", "not-ready"]);
        assert_eq!(BTreeSet::from_iter(&images[2..]), BTreeSet::from([&"settled".into(), &"of-edited-share".into()]));
        assert_eq!(shares, ["edited", "quiet"]);
    }
}
