//! Object metrics, computed from the caches at each scrape.

use std::collections::HashSet;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::core::object::HasStatus;
use kube::runtime::reflector::Store;

use crate::api::cloud_image::GrantState;
use crate::api::conditions::{READY, Reason, find};
use crate::api::expiration::Expiration;
use crate::api::shared_image::SharedImageState;
use crate::api::{CloudImage, ImageShare};
use crate::cluster::guard::Guarded;
use crate::cluster::object::Object;
use crate::reconcile::context::{ImageMetrics, Stores};
use crate::reconcile::status::{Status, conditions_of};
use crate::telemetry::object_metrics::{Counted, Image, NotReady, ObjectCounts, round_robin};

impl Stores {
    /// Counts all objects as of now.
    pub(crate) fn object_metrics(&self, metrics: ImageMetrics, now: Timestamp) -> ObjectCounts {
        let mut object_metrics = ObjectCounts::default();
        ready(&mut object_metrics, "CloudAccount", &self.accounts);
        ready(&mut object_metrics, "CloudImage", &self.images);
        ready(&mut object_metrics, "ImageShare", &self.shares);
        ready(&mut object_metrics, "SharedImageAcceptance", &self.acceptances);
        ready(&mut object_metrics, "ImageReplica", &self.replicas);
        ready(&mut object_metrics, "ImageChannel", &self.channels);
        ready(&mut object_metrics, "ChannelShare", &self.channel_shares);
        if metrics == ImageMetrics::Off {
            object_metrics.not_ready.clear();
        }
        object_metrics.not_ready = round_robin(object_metrics.not_ready);
        let shares = self.shares.state();
        object_metrics.grants.wanted = wanted(shares.iter().filter_map(|share| share.readable()), now);
        for image in self.images.state() {
            image.readable().into_iter().for_each(|image| count_image(&mut object_metrics, image, metrics));
        }
        for offered in self.shared_images.state() {
            let Some(offered) = offered.readable() else { continue };
            if offered.status.as_ref().and_then(|status| status.state) == Some(SharedImageState::Pending) {
                let whose = (offered.namespace().unwrap_or_default(), offered.spec.account_ref.name.clone());
                *object_metrics.offers.entry(whose).or_default() += 1;
            }
        }
        object_metrics
    }
}

/// How many recipients active shares name, each once per image.
fn wanted<'a>(shares: impl Iterator<Item = &'a ImageShare>, now: Timestamp) -> u64 {
    let in_force = shares.filter(|share| {
        let expiration = share.spec.expiration_time.as_ref();
        let expired = expiration.and_then(Expiration::at).is_some_and(|end| end <= now);
        share.metadata.deletion_timestamp.is_none() && !share.spec.suspend && !expired
    });
    let mut all = HashSet::new();
    for share in in_force {
        let namespace = share.spec.image_ref.namespace.clone().or_else(|| share.namespace());
        for recipient in &share.spec.recipients {
            all.insert((namespace.clone(), &share.spec.image_ref.name, recipient.kind, &recipient.id));
        }
    }
    number(all.len())
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn ready<K: Object + HasStatus<Status: Status>>(
    object_metrics: &mut ObjectCounts,
    kind: &'static str,
    store: &Store<Guarded<K>>,
) {
    for object in store.state() {
        let (ready, reason) = match object.readable().map(|object| find(conditions_of(object), READY)) {
            Some(Some(condition)) => (condition.status.clone(), condition.reason.clone()),
            Some(None) => ("Unknown".to_owned(), String::new()),
            None => ("False".to_owned(), Reason::Unreadable.as_str()),
        };
        // Suspended and expired objects are as their users ask.
        if ready == "False" && ![Reason::Suspended, Reason::Expired].map(Reason::as_str).contains(&reason) {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            object_metrics.not_ready.push(NotReady { namespace, kind, name, reason: reason.clone() });
        }
        *object_metrics.objects.entry(Counted { kind, ready, reason }).or_default() += 1;
    }
}

fn count_image(object_metrics: &mut ObjectCounts, image: &CloudImage, metrics: ImageMetrics) {
    let Some(status) = &image.status else { return };
    object_metrics.grants.unmanaged += number(status.unmanaged.len());
    for grant in &status.grants {
        match grant.state {
            GrantState::Granted => object_metrics.grants.granted += 1,
            GrantState::Intended if grant.refusal.is_some() => object_metrics.grants.refused += 1,
            GrantState::Intended | GrantState::Revoking => object_metrics.grants.pending += 1,
            GrantState::Retained => object_metrics.grants.retained += 1,
            GrantState::ImageGone => {}
        }
    }
    let Some(places) = status.recipients.as_deref() else { return };
    let (used, limit) = places.split_once('/').map_or((places, None), |(used, limit)| (used, Some(limit)));
    let Ok(recipients) = used.parse::<u64>() else { return };
    let limit = limit.and_then(|limit| limit.parse::<u64>().ok());
    let near = limit.is_some_and(|limit| recipients.saturating_mul(5) >= limit.saturating_mul(4));
    if metrics == ImageMetrics::All || (metrics == ImageMetrics::NearLimit && near) {
        let (namespace, name) = (image.namespace().unwrap_or_default(), image.name_any());
        object_metrics.images.push(Image { namespace, name, recipients, limit });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_is_counted_as_not_ready_whatever_its_status_says() {
        let (store, mut writer) = kube::runtime::reflector::store::<Guarded<ImageShare>>();
        for (name, kind) in [("odd", "Planet"), ("new", "Account")] {
            let share = json!({
                "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare", "metadata": {"name": name, "namespace": "n"},
                "spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": kind, "id": "1000000000000001"}]},
            });
            let share: Guarded<ImageShare> = serde_json::from_value(share).unwrap();
            writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(share));
        }
        let mut object_metrics = ObjectCounts::default();
        ready(&mut object_metrics, "ImageShare", &store);
        let counted = |ready: &str, reason: &str| {
            let (ready, reason) = (ready.to_owned(), reason.to_owned());
            object_metrics.objects.get(&Counted { kind: "ImageShare", ready, reason }).copied()
        };
        assert_eq!((counted("False", "Unreadable"), counted("Unknown", "")), (Some(1), Some(1)));
        let named: Vec<&str> = object_metrics.not_ready.iter().map(|object| object.name.as_str()).collect();
        assert_eq!(named, ["odd"], "an object that nobody has reconciled yet is not unready");
    }

    fn share(name: &str, recipients: &[&str], change: &Value) -> ImageShare {
        let recipients: Vec<Value> = recipients.iter().map(|id| json!({"type": "Account", "id": id})).collect();
        let mut share = json!({"metadata": {"name": name, "namespace": "team"},
            "spec": {"imageRef": {"name": "golden"}, "recipients": recipients}});
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            share.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        serde_json::from_value(share).unwrap()
    }

    #[test]
    fn wanted_is_who_is_named_by_a_share_in_force_and_once_for_an_image() {
        let then = "2026-01-01T00:00:00Z";
        let shares = [
            share("one", &["10001", "10002"], &json!({})),
            share("same", &["10002", "10003"], &json!({})),
            share("other-image", &["10001"], &json!({"/spec/imageRef": {"name": "silver"}})),
            share("named-in-full", &["10001"], &json!({"/spec/imageRef": {"name": "golden", "namespace": "team"}})),
            share("suspended", &["10004"], &json!({"/spec/suspend": true})),
            share("expired", &["10005"], &json!({"/spec/expirationTime": then})),
            share("leaving", &["10006"], &json!({"/metadata/deletionTimestamp": then})),
        ];
        assert_eq!(wanted(shares.iter(), "2026-06-01T00:00:00Z".parse().unwrap()), 4);
        assert_eq!(wanted(shares.iter(), "2025-06-01T00:00:00Z".parse().unwrap()), 5, "not expired yet");
    }

    fn image(recipients: &str, grants: &Value) -> CloudImage {
        serde_json::from_value(json!({"metadata": {"name": "golden", "namespace": "team"},
            "spec": {"accountRef": {"name": "owner"}, "region": "here", "imageID": "m-1"},
            "status": {"recipients": recipients, "grants": grants}}))
        .unwrap()
    }

    #[test]
    fn who_was_refused_does_not_wait() {
        let grant = |id: &str, state: &str| json!({"type": "Account", "id": id, "state": state, "since": "2026-01-01T00:00:00Z"});
        let mut refused = grant("10003", "Intended");
        refused["refusal"] = json!("InvalidRecipient");
        let all = json!([grant("10001", "Granted"), grant("10002", "Intended"), refused, grant("10004", "Revoking")]);
        let mut object_metrics = ObjectCounts::default();
        count_image(&mut object_metrics, &image("1/50", &all), ImageMetrics::All);
        let grants = object_metrics.grants;
        assert_eq!((grants.granted, grants.pending, grants.refused), (1, 2, 1));
    }

    #[test]
    fn there_are_metrics_of_the_images_that_were_chosen() {
        let counted = |recipients: &str, metrics| {
            let mut object_metrics = ObjectCounts::default();
            count_image(&mut object_metrics, &image(recipients, &json!([])), metrics);
            object_metrics.images.len()
        };
        let chosen = |recipients| {
            [ImageMetrics::All, ImageMetrics::NearLimit, ImageMetrics::Off].map(|m| counted(recipients, m))
        };
        assert_eq!(chosen("39/50"), [1, 0, 0]);
        assert_eq!(chosen("40/50"), [1, 1, 0]);
        assert_eq!(chosen("40"), [1, 0, 0], "without a limit");
    }
}
