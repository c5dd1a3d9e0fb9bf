//! The controllers' queues of objects to reconcile.

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, SharedImageAcceptance,
};
use crate::cluster::guard::Guarded;

/// Queue senders, one for each controller. Unbounded, but drained at once into the controller's scheduler, which deduplicates
/// objects.
#[derive(Clone)]
pub(crate) struct QueueSenders {
    pub(crate) accounts: UnboundedSender<ObjectRef<Guarded<CloudAccount>>>,
    pub(crate) images: UnboundedSender<ObjectRef<Guarded<CloudImage>>>,
    pub(crate) shares: UnboundedSender<ObjectRef<Guarded<ImageShare>>>,
    pub(crate) acceptances: UnboundedSender<ObjectRef<Guarded<SharedImageAcceptance>>>,
    pub(crate) replicas: UnboundedSender<ObjectRef<Guarded<ImageReplica>>>,
    pub(crate) channels: UnboundedSender<ObjectRef<Guarded<ImageChannel>>>,
    pub(crate) channel_shares: UnboundedSender<ObjectRef<Guarded<ChannelShare>>>,
}

/// Queue receivers, one for each controller.
pub(crate) struct QueueReceivers {
    pub(crate) accounts: UnboundedReceiver<ObjectRef<Guarded<CloudAccount>>>,
    pub(crate) images: UnboundedReceiver<ObjectRef<Guarded<CloudImage>>>,
    pub(crate) shares: UnboundedReceiver<ObjectRef<Guarded<ImageShare>>>,
    pub(crate) acceptances: UnboundedReceiver<ObjectRef<Guarded<SharedImageAcceptance>>>,
    pub(crate) replicas: UnboundedReceiver<ObjectRef<Guarded<ImageReplica>>>,
    pub(crate) channels: UnboundedReceiver<ObjectRef<Guarded<ImageChannel>>>,
    pub(crate) channel_shares: UnboundedReceiver<ObjectRef<Guarded<ChannelShare>>>,
}

/// Creates the queues.
pub(crate) fn queues() -> (QueueSenders, QueueReceivers) {
    let (to_accounts, accounts) = unbounded_channel();
    let (to_images, images) = unbounded_channel();
    let (to_shares, shares) = unbounded_channel();
    let (to_acceptances, acceptances) = unbounded_channel();
    let (to_replicas, replicas) = unbounded_channel();
    let (to_channels, channels) = unbounded_channel();
    let (to_channel_shares, channel_shares) = unbounded_channel();
    let queues = QueueSenders {
        accounts: to_accounts,
        images: to_images,
        shares: to_shares,
        acceptances: to_acceptances,
        replicas: to_replicas,
        channels: to_channels,
        channel_shares: to_channel_shares,
    };
    (queues, QueueReceivers { accounts, images, shares, acceptances, replicas, channels, channel_shares })
}

pub(crate) fn send_all<K: Resource<DynamicType = ()>>(
    to: &UnboundedSender<ObjectRef<K>>,
    objects: impl IntoIterator<Item = ObjectRef<K>>,
) {
    for object in objects {
        if to.send(object).is_err() {
            return; // Its controller has stopped: so will this one.
        }
    }
}
