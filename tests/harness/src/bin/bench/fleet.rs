//! What is in place: so many images with one share of so many recipients each, spread over a hundred accounts, each with
//! its images and shares in a namespace of its own. At the cloud, in Kubernetes.

use serde_json::{Value, json};

pub(crate) const REGION: &str = "cn-hangzhou";

/// Accounts that own images.
const OWNERS: usize = 100;

/// Accounts that images are shared with.
const RECIPIENTS: usize = 1_000;

/// Images, recipients of each, and accounts that own them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fleet {
    pub(crate) images: usize,
    pub(crate) recipients: usize,
    pub(crate) owners: usize,
}

/// A key of the simulated cloud.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A fraction of a count, at least one.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small counts")]
fn scaled(count: usize, scale: f64) -> usize {
    ((count as f64 * scale).round() as usize).max(1)
}

impl Fleet {
    /// So many images with so many recipients each, both images and accounts scaled down.
    pub(crate) fn new(images: usize, recipients: usize, scale: f64) -> Self {
        let images = scaled(images, scale);
        Self { images, recipients, owners: scaled(OWNERS, scale).min(images) }
    }

    /// Recipients of all images together.
    pub(crate) fn grants(&self) -> usize {
        self.images * self.recipients
    }

    /// The account that owns an image. Neighbours belong to different ones.
    pub(crate) fn owner_of(&self, image: usize) -> usize {
        image % self.owners
    }

    /// Where an image's objects are.
    pub(crate) fn namespace_of(&self, image: usize) -> String {
        namespace(self.owner_of(image))
    }

    /// The accounts an image is shared with; `more` of them beyond those wished at the start.
    pub(crate) fn recipients_of(&self, image: usize, more: usize) -> Vec<String> {
        (0..self.recipients + more).map(|n| recipient_id((image * self.recipients + n) % RECIPIENTS)).collect()
    }

    /// The world of the simulator.
    pub(crate) fn world(&self) -> Value {
        let owners = (0..self.owners).map(|owner| {
            let Key { id, secret } = key(owner);
            json!({"id": owner_id(owner), "keys": [{"id": id, "secret": secret}]})
        });
        let recipients = (0..RECIPIENTS).map(|n| json!({"id": recipient_id(n)}));
        let accounts: Vec<Value> = owners.chain(recipients).collect();
        let image =
            |n| json!({"id": image_id(n), "region": REGION, "owner": owner_id(self.owner_of(n)), "name": name(n)});
        let images: Vec<Value> = (0..self.images).map(image).collect();
        json!({"rules": {"receivedImages": null}, "regions": [REGION], "accounts": accounts, "images": images})
    }

    /// The `CloudImage` of an image.
    pub(crate) fn image(&self, n: usize) -> Value {
        json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage",
            "metadata": {"name": name(n), "namespace": self.namespace_of(n)},
            "spec": {"accountRef": {"name": "owner"}, "region": REGION, "imageID": image_id(n)}})
    }

    /// The `ImageShare` of an image.
    pub(crate) fn share(&self, n: usize) -> Value {
        json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
            "metadata": {"name": name(n), "namespace": self.namespace_of(n)},
            "spec": {"imageRef": {"name": name(n)}, "recipients": wishes(&self.recipients_of(n, 0))}})
    }
}

/// Everything of one account but its images.
pub(crate) fn account(owner: usize, cloud: &str) -> [Value; 3] {
    let Key { id, secret } = key(owner);
    let metadata = json!({"name": "owner", "namespace": namespace(owner)});
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(owner)}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata,
            "stringData": {"accessKeyID": id, "accessKeySecret": secret}}),
        json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudAccount", "metadata": metadata,
            "spec": {"alibaba": {"accountID": owner_id(owner), "site": "International",
                "credentials": {"secretRef": {"name": "owner"}}, "endpoint": cloud}}}),
    ]
}

/// Recipients as `spec.recipients` names them.
pub(crate) fn wishes(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({"type": "Account", "id": id})).collect()
}

pub(crate) fn namespace(owner: usize) -> String {
    format!("bench-{owner:03}")
}

/// The name of an image's objects.
pub(crate) fn name(image: usize) -> String {
    format!("golden-{image:05}")
}

/// The id of an image at the cloud.
pub(crate) fn image_id(image: usize) -> String {
    format!("m-bp1bench{image:05}")
}

pub(crate) fn owner_id(owner: usize) -> String {
    format!("200000000000{owner:04}")
}

fn recipient_id(n: usize) -> String {
    format!("100000000000{n:04}")
}

/// What an account's calls are signed with.
pub(crate) fn key(owner: usize) -> Key {
    Key { id: format!("LTAIbench{owner:04}"), secret: format!("bench-secret-{owner:04}") }
}
