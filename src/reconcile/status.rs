//! What the status of every kind has in common.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use kube::core::object::HasStatus;
use serde::Serialize;

use crate::api::acceptance::SharedImageAcceptanceStatus;
use crate::api::channel_share::ChannelShareStatus;
use crate::api::cloud_account::CloudAccountStatus;
use crate::api::cloud_image::CloudImageStatus;
use crate::api::conditions::{READY, find};
use crate::api::image_channel::ImageChannelStatus;
use crate::api::image_replica::ImageReplicaStatus;
use crate::api::image_share::ImageShareStatus;
use crate::reconcile::convert::requested_at;

/// The fields that the status of every kind has.
pub(crate) trait Status: Serialize + Clone + Default + PartialEq + Send + Sync {
    /// Its conditions.
    fn conditions(&self) -> &[Condition];
    /// Its observed generation.
    fn observed_generation(&self) -> Option<i64>;
    /// The reconcile request that was handled last.
    fn last_handled(&self) -> Option<&String>;
    /// Sets the conditions.
    fn set_conditions(&mut self, conditions: Vec<Condition>);
    /// Records the generation, and the reconcile request if there is one, that this status answers.
    fn stamp(&mut self, generation: Option<i64>, requested: Option<String>);
}

macro_rules! statuses {
    ($($status:ty),*) => {$(
        impl Status for $status {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }

            fn observed_generation(&self) -> Option<i64> {
                self.observed_generation
            }

            fn last_handled(&self) -> Option<&String> {
                self.last_handled_reconcile_at.as_ref()
            }

            fn set_conditions(&mut self, conditions: Vec<Condition>) {
                self.conditions = conditions;
            }

            fn stamp(&mut self, generation: Option<i64>, requested: Option<String>) {
                self.observed_generation = generation;
                self.last_handled_reconcile_at = requested.or_else(|| self.last_handled_reconcile_at.take());
            }
        }
    )*};
}

statuses!(
    ChannelShareStatus,
    CloudAccountStatus,
    CloudImageStatus,
    ImageChannelStatus,
    ImageReplicaStatus,
    ImageShareStatus,
    SharedImageAcceptanceStatus
);

/// The conditions in an object's status.
pub(crate) fn conditions_of<K: HasStatus<Status: Status>>(object: &K) -> &[Condition] {
    object.status().map_or(&[], Status::conditions)
}

/// Whether an object's status says that it is `Ready`.
pub(crate) fn is_ready<K: HasStatus<Status: Status>>(object: &K) -> bool {
    find(conditions_of(object), READY).is_some_and(|ready| ready.status == "True")
}

/// Whether an object's status is about its current generation.
pub(crate) fn is_observed<K: Resource + HasStatus<Status: Status>>(object: &K) -> bool {
    object.status().and_then(Status::observed_generation) == object.meta().generation
}

/// Whether a user requested a reconcile of the object that the operator has not handled yet.
pub(crate) fn is_requested<K: Resource + HasStatus<Status: Status>>(object: &K) -> bool {
    let handled = object.status().and_then(Status::last_handled);
    requested_at(object).is_some_and(|at| handled != Some(&at))
}
