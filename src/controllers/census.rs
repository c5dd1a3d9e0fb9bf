//! What there is, counted in the caches when somebody asks.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use super::context::Stores;
use crate::api::cloud_image::GrantState;
use crate::api::conditions::{READY, Reason, find};
use crate::api::shared_image::SharedImageState;
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::telemetry::census::{Census, Counted, Image, TakeCensus};

impl TakeCensus for Stores {
    fn take(&self) -> Census {
        let mut census = Census::default();
        ready::<CloudAccount>(&mut census, "CloudAccount", &self.accounts, |o| Some(&o.status.as_ref()?.conditions));
        ready::<CloudImage>(&mut census, "CloudImage", &self.images, |o| Some(&o.status.as_ref()?.conditions));
        ready::<ImageShare>(&mut census, "ImageShare", &self.shares, |o| Some(&o.status.as_ref()?.conditions));
        let answers = (&self.acceptances, "SharedImageAcceptance");
        ready::<SharedImageAcceptance>(&mut census, answers.1, answers.0, |o| Some(&o.status.as_ref()?.conditions));
        ready::<ImageReplica>(&mut census, "ImageReplica", &self.replicas, |o| Some(&o.status.as_ref()?.conditions));
        for share in self.shares.state() {
            let wanted = share.readable().filter(|share| share.metadata.deletion_timestamp.is_none());
            census.grants.wanted += wanted.map_or(0, |share| number(share.spec.recipients.len()));
        }
        for image in self.images.state() {
            image.readable().into_iter().for_each(|image| count_image(&mut census, image));
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
        let (ready, reason) = match object.readable().map(|object| conditions(object).and_then(|all| find(all, READY)))
        {
            Some(Some(condition)) => (condition.status.clone(), condition.reason.clone()),
            Some(None) => ("Unknown".to_owned(), String::new()),
            None => ("False".to_owned(), Reason::Unreadable.as_str()),
        };
        *census.objects.entry(Counted { kind, ready, reason }).or_default() += 1;
    }
}

fn count_image(census: &mut Census, image: &CloudImage) {
    let Some(status) = &image.status else { return };
    census.grants.unmanaged += number(status.unmanaged.len());
    for grant in &status.grants {
        match grant.state {
            GrantState::Granted => census.grants.granted += 1,
            GrantState::Intended | GrantState::Revoking => census.grants.pending += 1,
            GrantState::Retained => census.grants.retained += 1,
            GrantState::ImageGone => {}
        }
    }
    let Some(places) = status.recipients.as_deref() else { return };
    let (used, limit) = places.split_once('/').map_or((places, None), |(used, limit)| (used, Some(limit)));
    let Ok(recipients) = used.parse() else { return };
    let (namespace, name) = (image.namespace().unwrap_or_default(), image.name_any());
    census.images.push(Image { namespace, name, recipients, limit: limit.and_then(|limit| limit.parse().ok()) });
}
