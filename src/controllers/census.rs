//! What there is, counted in the caches when somebody asks.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::context::{ImageMetrics, Stores};
use super::image_share::image_key;
use crate::api::cloud_image::GrantState;
use crate::api::conditions::{READY, find};
use crate::api::shared_image::SharedImageState;
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::telemetry::census::{Census, Counted, Image};

impl Stores {
    /// Counts everything, as of now.
    pub(super) fn census(&self, metrics: ImageMetrics, now: Timestamp) -> Census {
        let mut census = Census::default();
        ready::<CloudAccount>(&mut census, "CloudAccount", &self.accounts, |o| Some(&o.status.as_ref()?.conditions));
        ready::<CloudImage>(&mut census, "CloudImage", &self.images, |o| Some(&o.status.as_ref()?.conditions));
        ready::<ImageShare>(&mut census, "ImageShare", &self.shares, |o| Some(&o.status.as_ref()?.conditions));
        let answers = (&self.acceptances, "SharedImageAcceptance");
        ready::<SharedImageAcceptance>(&mut census, answers.1, answers.0, |o| Some(&o.status.as_ref()?.conditions));
        ready::<ImageReplica>(&mut census, "ImageReplica", &self.replicas, |o| Some(&o.status.as_ref()?.conditions));
        let shares = self.shares.state();
        census.grants.wanted = wanted(shares.iter().filter_map(|share| share.readable()), now);
        for image in self.images.state() {
            image.readable().into_iter().for_each(|image| count_image(&mut census, image, metrics));
        }
        for offered in self.shared_images.state() {
            let Some(offered) = offered.readable() else { continue };
            if offered.status.as_ref().and_then(|status| status.state) == Some(SharedImageState::Pending) {
                let whose = (offered.namespace().unwrap_or_default(), offered.spec.account_ref.name.clone());
                *census.offers.entry(whose).or_default() += 1;
            }
        }
        census
    }
}

/// How many recipients shares in force name, each once for an image.
fn wanted<'a>(shares: impl Iterator<Item = &'a ImageShare>, now: Timestamp) -> u64 {
    let in_force = shares.filter(|share| {
        let expired = share.spec.expiration_time.as_ref().is_some_and(|end| end.0 <= now);
        share.metadata.deletion_timestamp.is_none() && !share.spec.suspend && !expired
    });
    let mut all = HashSet::new();
    for share in in_force {
        let (namespace, _) = image_key(share);
        for recipient in &share.spec.recipients {
            all.insert((namespace.clone(), &share.spec.image_ref.name, recipient.kind, &recipient.id));
        }
    }
    number(all.len())
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn ready<K: kube::Resource<DynamicType = ()>>(
    census: &mut Census,
    kind: &'static str,
    store: &Store<Guarded<K>>,
    conditions: impl Fn(&K) -> Option<&Vec<Condition>>,
) where
    Guarded<K>: Clone,
{
    for object in store.state() {
        let ready = object.readable().and_then(&conditions).and_then(|all| find(all, READY));
        let (ready, reason) = match ready {
            Some(condition) => (condition.status.clone(), condition.reason.clone()),
            None => ("Unknown".to_owned(), String::new()),
        };
        *census.objects.entry(Counted { kind, ready, reason }).or_default() += 1;
    }
}

fn count_image(census: &mut Census, image: &CloudImage, metrics: ImageMetrics) {
    let Some(status) = &image.status else { return };
    census.grants.unmanaged += number(status.unmanaged.len());
    for grant in &status.grants {
        match grant.state {
            GrantState::Granted => census.grants.granted += 1,
            GrantState::Intended if grant.refusal.is_some() => census.grants.refused += 1,
            GrantState::Intended | GrantState::Revoking => census.grants.pending += 1,
            GrantState::Retained => census.grants.retained += 1,
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
        census.images.push(Image { namespace, name, recipients, limit });
    }
}
