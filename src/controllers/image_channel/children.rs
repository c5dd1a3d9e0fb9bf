//! The `CloudImages` of a channel. One that names the image already is used as it is, whoever made it; only those that the
//! channel made are changed, and none is deleted. They have no owner reference: garbage collection must not end access.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::api::channel_share::{ChannelShare, SharedStage};
use crate::api::cloud_image::CloudImageSpec;
use crate::api::conditions::{READY, Reason, find};
use crate::api::image_channel::{ChannelMode, ImageChannel};
use crate::api::{CHANNEL_LABEL, CloudImage, ImageShare, VERSION_ANNOTATION};
use crate::cluster::creation::create_unless_named;
use crate::cluster::guard::Guarded;
use crate::cluster::{ClusterError, json_patch, within_deadline};
use crate::domain::identifiers::ImageId;
use crate::domain::share::Consent;
use crate::planning::channel::{Facts, Holders, Served, Version, image_name, wants_image};
use crate::planning::channel_share::{is_over, is_paused};
use crate::planning::problem::Problem;
use crate::reconcile::context::{Context, Stores};
use crate::reconcile::convert::{channel_of, consent_to, made_for, place_key, shares_naming};
use crate::reconcile::status::{conditions_of, is_observed};

/// The `CloudImages` of a channel's images, and who shares them.
pub(super) struct Children<'a> {
    ctx: &'a Context,
    channel: &'a ImageChannel,
    namespace: String,
    /// The uids of the `ChannelShares` that share the Current version.
    followers: Vec<String>,
    /// The `ChannelShares` that the channel does not refuse, by uid, and whether each keeps what it has.
    makers: BTreeMap<String, bool>,
}

impl<'a> Children<'a> {
    pub(super) fn observe(ctx: &'a Context, channel: &'a ImageChannel, now: Timestamp) -> Self {
        let namespace = channel.namespace().unwrap_or_default();
        let stores = &ctx.stores;
        let follows = |share: &ChannelShare| {
            channel_of(share) == (namespace.clone(), channel.name_any())
                && share.metadata.deletion_timestamp.is_none()
                && !share.spec.suspend
                && !is_over(share, now)
                && share.spec.stages.contains(&SharedStage::Current)
                && consent_to(&channel.spec.shareable_from, &namespace, &share.namespace().unwrap_or_default(), stores)
                    == Consent::Given
        };
        let all = stores.channel_shares.state_filter(|share| share.readable().is_some_and(follows));
        let followers = all.iter().filter_map(|share| share.uid()).collect();
        let makers = makers(channel, &namespace, stores);
        Self { ctx, channel, namespace, followers, makers }
    }

    /// The `CloudImage` of an image: by identity, the channel's own one late, and one that is no duplicate before all.
    pub(super) fn image_of(&self, image: &ImageId) -> Option<CloudImage> {
        let spec = &self.channel.spec;
        let key = place_key(&spec.region, image.as_str());
        let stores = &self.ctx.stores;
        let found: Vec<Arc<Guarded<CloudImage>>> = stores.images_by_identity.find(&key, &stores.images);
        let wanted = CloudImageSpec::of(spec.account_ref.clone(), spec.region.clone(), image.to_string());
        let same = |found: &&CloudImage| {
            found.namespace().as_ref() == Some(&self.namespace)
                && found.spec.names_same_image(&wanted)
                && found.metadata.deletion_timestamp.is_none()
        };
        let mut ours: Vec<&CloudImage> = found.iter().filter_map(|found| found.readable()).filter(same).collect();
        let is_duplicate = |found: &CloudImage| {
            find(conditions_of(found), READY).is_some_and(|ready| ready.reason == Reason::DuplicateImage.as_str())
        };
        ours.sort_by_key(|found| (is_duplicate(found), self.is_child(found), found.name_any()));
        ours.first().map(|found| (*found).clone())
    }

    fn is_child(&self, image: &CloudImage) -> bool {
        image.labels().get(CHANNEL_LABEL) == Some(&self.channel.name_any())
    }
}

/// The `ChannelShares` that the channel does not refuse, by uid, and whether each is paused.
fn makers(channel: &ImageChannel, namespace: &str, stores: &Stores) -> BTreeMap<String, bool> {
    let here = (namespace.to_owned(), channel.name_any());
    let all = stores.channel_shares.state_filter(|share| share.readable().is_some_and(|it| channel_of(it) == here));
    let maker = |share: &ChannelShare| {
        let of = share.namespace().unwrap_or_default();
        let paused = match consent_to(&channel.spec.shareable_from, namespace, &of, stores) {
            Consent::Given => is_paused(share),
            Consent::Unknown => true,
            Consent::Withheld => return None,
        };
        Some((share.uid()?, paused))
    };
    all.iter().filter_map(|share| maker(share.readable()?)).collect()
}

impl Facts for Children<'_> {
    fn served(&self, image: &ImageId) -> Served {
        if self.channel.spec.mode == ChannelMode::Observe {
            return Served { ready: Some(true), shared: true };
        }
        let Some(found) = self.image_of(image) else { return Served { ready: None, shared: false } };
        let ready = find(conditions_of(&found), READY).filter(|_| is_observed(&found));
        let ready = ready.and_then(|ready| match ready.status.as_str() {
            "True" => Some(true),
            "False" if ready.reason != Reason::Pending.as_str() => Some(false),
            _ => None,
        });
        Served { ready, shared: self.is_shared(&found) }
    }

    fn holders(&self, image: &ImageId) -> Holders {
        let mut holders = Holders::default();
        let Some(found) = self.image_of(image) else { return holders };
        for share in shares_naming(&self.namespace, &found.name_any(), &self.ctx.stores) {
            let Some(paused) = made_for(share.as_ref()).and_then(|uid| self.makers.get(uid)) else { continue };
            let named = format!("{}/{}", share.namespace().unwrap_or_default(), share.name_any());
            holders.add(named, *paused, share.readable(), share.readable().is_some_and(is_observed));
        }
        holders
    }
}

impl Children<'_> {
    /// Whether every follower has shared this image, or says why it does not.
    fn is_shared(&self, image: &CloudImage) -> bool {
        let shares = shares_naming(&self.namespace, &image.name_any(), &self.ctx.stores);
        let told = |share: &ImageShare| {
            let ready = find(conditions_of(share), READY).filter(|_| is_observed(share));
            ready.is_some_and(|ready| ready.status != "Unknown" && ready.reason != Reason::Pending.as_str())
        };
        self.followers.iter().all(|uid| {
            let made = shares.iter().find(|share| made_for(share.as_ref()) == Some(uid.as_str()));
            made.is_some_and(|share| share.readable().is_none_or(told))
        })
    }

    /// Makes the `CloudImages` that are missing, and gives those that the channel made its consent.
    pub(super) async fn make(&self, versions: &[Version]) -> Result<Result<(), Problem>, ClusterError> {
        for version in versions.iter().filter(|version| wants_image(version.stage)) {
            match self.image_of(&version.image) {
                Some(found) if self.is_child(&found) => self.consent(&found).await?,
                Some(_) => {}
                None => {
                    if let Err(problem) = self.create(version).await? {
                        return Ok(Err(problem));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn images(&self) -> Api<CloudImage> {
        Api::namespaced(self.ctx.client.clone(), &self.namespace)
    }

    /// The name of the `CloudImage` that the channel makes for an image.
    pub(super) fn name_of(&self, image: &ImageId) -> String {
        image_name(&self.channel.spec.account_ref.name, &self.channel.spec.region, image)
    }

    async fn create(&self, version: &Version) -> Result<Result<(), Problem>, ClusterError> {
        let (spec, name) = (&self.channel.spec, self.name_of(&version.image));
        let of = CloudImageSpec::of(spec.account_ref.clone(), spec.region.clone(), version.image.to_string());
        let image = CloudImage {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([(CHANNEL_LABEL.to_owned(), self.channel.name_any())])),
                annotations: Some(BTreeMap::from([(VERSION_ANNOTATION.to_owned(), version.version.clone())])),
                ..ObjectMeta::default()
            },
            spec: CloudImageSpec { shareable_from: spec.shareable_from.clone(), ..of },
            status: None,
        };
        if create_unless_named(&self.images(), &image).await?.is_some() {
            return Ok(Ok(()));
        }
        // The cache lags behind our own write, or the name is taken.
        let found = within_deadline(self.images().get_opt(&name)).await?;
        let same = found.is_none_or(|found| found.spec.names_same_image(&image.spec));
        let message =
            format!("CloudImage {name} names another image, and has the name that this channel needs: delete it");
        Ok(if same { Ok(()) } else { Err(Problem::blocked(Reason::NameTaken, message)) })
    }

    async fn consent(&self, image: &CloudImage) -> Result<(), ClusterError> {
        let wanted = &self.channel.spec.shareable_from;
        if image.spec.shareable_from == *wanted {
            return Ok(());
        }
        let operations = json!([
            json_patch::test("/metadata/uid", image.uid()),
            {"op": "add", "path": "/spec/shareableFrom", "value": wanted},
        ]);
        let patched = json_patch::patch(&self.images(), &image.name_any(), None, operations).await;
        patched.map(drop).map_err(ClusterError::elsewhere)
    }
}
