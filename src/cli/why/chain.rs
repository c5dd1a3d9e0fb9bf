//! The chain of an object, and its first broken link. Pure: everything was read before.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;

use crate::api::cloud_account::Tenancy;
use crate::api::conditions::{READY, RECONCILING, Reason, STALLED, find};
use crate::api::{CloudAccount, CloudImage, ImageReplica, ImageShare, SharedImageAcceptance};
use crate::cli::reader::{Found, Missing};
use crate::cli::remedies::{Remedy, remedy};
use crate::cluster::guard::Guarded;
use crate::reconcile::convert::{accounts_named, image_named_by};

/// What was read for one explanation, by namespace and name.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) accounts: BTreeMap<(String, String), Found<CloudAccount>>,
    pub(super) images: BTreeMap<(String, String), Found<CloudImage>>,
}

/// The chain, from its beginning to the object that was asked for.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Explanation {
    pub(super) complete: bool,
    pub(super) missing: Vec<Missing>,
    pub(super) chain: Vec<Link>,
    /// The first link that is broken or waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) broken: Option<Link>,
    /// What to check and do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<Remedy>,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    pub(super) kind: &'static str,
    /// `namespace/name`; of a recipient, its type and id.
    pub(super) name: String,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) message: String,
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is as it must be.
    Ok,
    /// Something goes on that ends by itself.
    Waiting,
    /// Somebody must act.
    Broken,
    /// It cannot be judged from here.
    Unknown,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Waiting => "waits",
            Self::Broken => "BROKEN",
            Self::Unknown => "unknown",
        })
    }
}

/// Whether the Secret, and not the account's own fields, is at fault.
fn is_of_the_secret(reason: &str) -> bool {
    let reasons =
        [Reason::SecretNotFound, Reason::SecretForbidden, Reason::SecretDeleting, Reason::CredentialsRejected];
    reasons.iter().any(|of_secret| of_secret.as_str() == reason)
}

impl World {
    pub(super) fn explain_account(&self, namespace: &str, name: &str) -> Explanation {
        conclude(self.account_links(namespace, name))
    }

    pub(super) fn explain_image(&self, namespace: &str, name: &str) -> Explanation {
        conclude(self.image_links(namespace, name))
    }

    pub(super) fn explain_share(&self, share: Option<&Guarded<ImageShare>>) -> Explanation {
        let Some(share) = share else { return Explanation::default() };
        let mut links = image_named_by(share).map(|(ns, name)| self.image_links(&ns, &name)).unwrap_or_default();
        links.push(link_of("ImageShare", share));
        let waiting = share.readable().and_then(|share| share.status.as_ref()).map(|status| status.waiting.as_slice());
        links.extend(waiting.into_iter().flatten().map(|waiting| Link {
            kind: "recipient",
            name: format!("{} {}", waiting.kind, waiting.id),
            state: if matches!(waiting.reason, Reason::Pending | Reason::Revoking) {
                State::Waiting
            } else {
                State::Broken
            },
            reason: Some(waiting.reason.as_str()),
            message: "does not have the image".to_owned(),
        }));
        conclude(links)
    }

    pub(super) fn explain_acceptance(&self, acceptance: Option<&Guarded<SharedImageAcceptance>>) -> Explanation {
        let Some(acceptance) = acceptance else { return Explanation::default() };
        let namespace = acceptance.namespace().unwrap_or_default();
        let account = acceptance.readable().map(|acceptance| acceptance.spec.account_ref.name.as_str());
        let mut links = account.map(|account| self.account_links(&namespace, account)).unwrap_or_default();
        links.push(link_of("SharedImageAcceptance", acceptance));
        conclude(links)
    }

    pub(super) fn explain_replica(&self, replica: Option<&Guarded<ImageReplica>>) -> Explanation {
        let Some(replica) = replica else { return Explanation::default() };
        let namespace = replica.namespace().unwrap_or_default();
        let mut links = Vec::new();
        if let Some(readable) = replica.readable() {
            if let Some(source) = &readable.spec.source.image_ref {
                links.extend(self.image_links(&namespace, &source.name));
            }
            for account in accounts_named(readable, None) {
                let more = self.account_links(&namespace, &account);
                links.extend(more.into_iter().filter(|link| !links.contains(link)).collect::<Vec<_>>());
            }
        }
        links.push(link_of("ImageReplica", replica));
        conclude(links)
    }

    /// The Secret's name, and the account.
    fn account_links(&self, namespace: &str, name: &str) -> Vec<Link> {
        let full_name = format!("{namespace}/{name}");
        let account = match self.accounts.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Found::There(account)) => account,
            Some(Found::Absent) => return vec![absent("CloudAccount", full_name, Reason::AccountNotFound)],
            Some(Found::Hidden) | None => return vec![hidden("CloudAccount", full_name)],
        };
        let of_account = link_of("CloudAccount", account.as_ref());
        let tenancy = account.readable().and_then(|account| account.spec.tenancy());
        let named = tenancy.and_then(Tenancy::secret_name);
        let Some(secret) = named.map(|secret| format!("{namespace}/{secret}")) else {
            return vec![of_account];
        };
        let secret = Link { kind: "Secret", name: secret, ..of_account.clone() };
        match (of_account.state, &of_account.reason) {
            (State::Ok, _) => {
                let message = "its key is in force; this command reads no Secret".to_owned();
                vec![Link { reason: None, message, ..secret }, of_account]
            }
            (_, Some(reason)) if is_of_the_secret(reason) => vec![secret, of_account],
            _ => {
                let message = "not judged: this command reads no Secret".to_owned();
                vec![Link { state: State::Unknown, reason: None, message, ..secret }, of_account]
            }
        }
    }

    fn image_links(&self, namespace: &str, name: &str) -> Vec<Link> {
        let full_name = format!("{namespace}/{name}");
        match self.images.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Found::There(image)) => {
                let account = image.readable().map(|image| image.spec.account_ref.name.as_str());
                let mut links = account.map(|account| self.account_links(namespace, account)).unwrap_or_default();
                links.push(link_of("CloudImage", image.as_ref()));
                links
            }
            Some(Found::Absent) => vec![absent("CloudImage", full_name, Reason::ImageRefUnresolved)],
            Some(Found::Hidden) | None => vec![hidden("CloudImage", full_name)],
        }
    }
}

fn conclude(chain: Vec<Link>) -> Explanation {
    let broken = chain.iter().find(|link| matches!(link.state, State::Broken | State::Waiting)).cloned();
    let remedy = broken.as_ref().and_then(|link| remedy(link.reason.as_deref()?));
    Explanation { complete: true, missing: Vec::new(), chain, broken, remedy }
}

fn absent(kind: &'static str, name: String, reason: Reason) -> Link {
    let message = format!("there is no such {kind}");
    Link { kind, name, state: State::Broken, reason: Some(reason.as_str()), message }
}

fn hidden(kind: &'static str, name: String) -> Link {
    Link { kind, name, state: State::Unknown, reason: None, message: "you may not read it".to_owned() }
}

/// How an object itself says that it is.
fn link_of<K: Resource<DynamicType = ()> + Serialize>(kind: &'static str, object: &Guarded<K>) -> Link {
    let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    let status = match object {
        Guarded::Readable(object) => serde_json::to_value(object).ok().and_then(|value| value.get("status").cloned()),
        Guarded::Unreadable(left) => Some(left.status.clone()),
    };
    let status = status.unwrap_or_default();
    let conditions: Vec<Condition> =
        serde_json::from_value(status.get("conditions").cloned().unwrap_or(Value::Null)).unwrap_or_default();
    let observed = status.get("observedGeneration").and_then(Value::as_i64);
    let is_stale = object.meta().generation.is_some_and(|generation| observed.is_none_or(|seen| seen < generation));
    let Some(ready) = find(&conditions, READY).filter(|_| !is_stale) else {
        let message = "the operator has not reconciled this version of the object yet".to_owned();
        return Link { kind, name, state: State::Waiting, reason: Some(Reason::Pending.as_str()), message };
    };
    let holds = |kind: &str| find(&conditions, kind).is_some_and(|condition| condition.status == "True");
    let state = match ready.status.as_str() {
        "True" => State::Ok,
        _ if holds(STALLED) => State::Broken,
        "Unknown" => State::Waiting,
        _ if holds(RECONCILING) => State::Waiting,
        // Stopped on purpose: nothing goes on that would end by itself.
        _ => State::Broken,
    };
    Link { kind, name, state, reason: Some(ready.reason.clone()), message: ready.message.clone() }
}
