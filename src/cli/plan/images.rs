//! What each image of a set would be shared with, by the operator's own planner: for a cloud that shows the image available,
//! as a system disk, with no recipients yet.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use serde::Serialize;

use super::references::consent;
use super::set::{Finding, Key, Placed, Set};
use crate::api::cloud_image::{CloudImage, CloudImageSpec, UnmanagedRecipients, VisibilityChange};
use crate::api::conditions::Reason;
use crate::api::expiration::Expiration;
use crate::api::image_share::ImageShare;
use crate::api::references::AccountRef;
use crate::api::{CloudAccount, ImageReplica};
use crate::domain::identifiers::{Recipient, RecipientKind};
use crate::domain::image::{ImageFacts, ImageKind, ImageState, Ownership, RecipientList, Visibility};
use crate::domain::share::{Activity, Consent, Finalizer, Share};
use crate::planning::desired::{DesiredRecipients, Terms};
use crate::planning::ledger::Ledger;
use crate::planning::sharing::{PlanInput, Timing, plan};
use crate::reconcile::convert::{asked_recipient, image_of, terms};

/// What would become of one image.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImagePlan {
    pub(crate) namespace: String,
    pub(crate) name: String,
    #[serde(rename = "imageID", skip_serializing_if = "Option::is_none")]
    pub(crate) image_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    /// How many recipients the image may have; absent where there is no limit, or it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<usize>,
    /// How many of them are taken; absent without a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<Slots>,
    pub(crate) grants: Vec<GrantPlan>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) revokes: Vec<RevokePlan>,
    /// Calls that change recipients; absent without a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<usize>,
    /// What must end before any of this happens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<String>,
    /// Why nothing is granted although an `ImageShare` names recipients.
    pub(crate) notes: Vec<String>,
}

impl ImagePlan {
    /// Whether nothing becomes of the image, and nothing is told of it.
    pub(super) fn is_empty(&self) -> bool {
        // What an image waits for matters where something waits.
        let waits = self.waits.is_some() && self.slots.is_none();
        self.grants.is_empty() && self.revokes.is_empty() && self.notes.is_empty() && !waits
    }
}

/// Slots of an image that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Slots {
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// One recipient that would lose the image.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct RevokePlan {
    #[serde(rename = "type")]
    pub(crate) kind: RecipientKind,
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// What ends the access.
    pub(crate) why: String,
    /// What the recipient cannot do any more.
    pub(crate) breaks: String,
}

/// One recipient that would get the image.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GrantPlan {
    #[serde(rename = "type")]
    pub(crate) kind: RecipientKind,
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// The `ImageShares` that ask for it, as `namespace/name`.
    pub(crate) image_shares: Vec<String>,
}

/// The plans of all images that the set shares, and what would be refused.
pub(crate) fn plan_images(set: &Set, now: Timestamp) -> (Vec<ImagePlan>, Vec<Finding>) {
    let mut by_image: BTreeMap<Key, Vec<(usize, &Placed<ImageShare>)>> = BTreeMap::new();
    for image in &set.images {
        by_image.entry(image.key()).or_default();
    }
    for (index, share) in set.shares.iter().enumerate() {
        by_image.entry(image_of(&share.object)).or_default().push((index, share));
    }
    let (mut plans, mut refused) = (Vec::new(), Vec::new());
    for (key, shares) in by_image {
        plans.push(Image::find(set, key).plan(set, &shares, now, &mut refused));
    }
    (plans, refused)
}

/// An image as far as the set tells.
struct Image<'a> {
    key: Key,
    placed: Option<&'a Placed<CloudImage>>,
    spec: Option<CloudImageSpec>,
    account: Option<&'a CloudAccount>,
}

impl<'a> Image<'a> {
    fn find(set: &'a Set, key: Key) -> Self {
        let placed = set.image(&key);
        let spec = placed.map(|image| image.object.spec.clone());
        let spec = spec.or_else(|| set.replica(&key).and_then(|replica| copy_of(set, &replica.object)));
        let account = spec.as_ref().and_then(|spec| set.accounts.get(&(key.0.clone(), spec.account_ref.name.clone())));
        Self { key, placed, spec, account: account.map(|account| &account.object) }
    }

    fn plan(
        &self,
        set: &Set,
        shares: &[(usize, &Placed<ImageShare>)],
        now: Timestamp,
        refused: &mut Vec<Finding>,
    ) -> ImagePlan {
        let asking: Vec<Share> = shares.iter().map(|(index, share)| to_share(set, *index, share)).collect();
        let mut plan = ImagePlan {
            namespace: self.key.0.clone(),
            name: self.key.1.clone(),
            image_id: self.spec.as_ref().map(|spec| spec.image_id.clone()).filter(|id| !id.is_empty()),
            region: self.spec.as_ref().map(|spec| spec.region.clone()),
            notes: asking.iter().filter_map(|share| idle(share, now)).collect(),
            ..ImagePlan::default()
        };
        if self.account.is_some_and(|account| account.spec.suspend) {
            plan.notes.push("its CloudAccount is suspended: nothing is granted".to_owned());
            return plan;
        }
        let Some(terms) = self.terms(refused) else {
            let desired = DesiredRecipients::gather_unjudged(&asking, &Ledger::default(), now);
            plan.grants = grants(desired.wanted.keys(), &asking, now);
            return plan;
        };
        if let (Some(site), Some(image)) = (terms.site.filter(|site| !terms.sold_on(*site)), self.placed) {
            refused.push(image.finding("spec.region", format!("{} is not sold on the {site} site", terms.region)));
            return plan;
        }
        let desired = DesiredRecipients::gather(&terms, &asking, &Ledger::default(), now);
        let decided = decide(&terms, &asking, &desired, now);
        plan.limit = Some(decided.limit).filter(|limit| *limit > 0);
        plan.grants = grants(decided.granted.iter(), &asking, now);
        for (recipient, reason) in &decided.declined {
            let wanted = desired.wanted.len();
            let message = declined(*reason, recipient, &terms, decided.limit, wanted);
            refused.extend(places(recipient, shares).map(|(share, field)| share.finding(&field, message.clone())));
        }
        plan
    }

    fn terms(&self, refused: &mut Vec<Finding>) -> Option<Terms> {
        match terms(self.account?, &self.spec.as_ref()?.region) {
            Ok(terms) => Some(terms),
            Err(problem) => {
                refused.extend(self.placed.map(|image| image.finding("spec.accountRef", problem.message)));
                None
            }
        }
    }
}

/// The `CloudImage` that the operator creates for a copy, as far as the set tells; the copy's id is not known yet.
fn copy_of(set: &Set, replica: &ImageReplica) -> Option<CloudImageSpec> {
    let spec = &replica.spec;
    let source = spec
        .source
        .image_ref
        .as_ref()
        .and_then(|source| set.image(&(replica.namespace().unwrap_or_default(), source.name.clone())));
    let account: AccountRef = spec
        .destination
        .account_ref
        .clone()
        .or_else(|| spec.source.received.as_ref().map(|received| received.account_ref.clone()))
        .or_else(|| source.map(|source| source.object.spec.account_ref.clone()))?;
    let image = CloudImageSpec::of(account, spec.destination.region.clone(), String::new());
    Some(CloudImageSpec { shareable_from: spec.shareable_from.clone(), ..image })
}

/// A share as the planner takes it. Nothing of the set exists yet: its order stands for age, and its name for the uid.
fn to_share(set: &Set, index: usize, placed: &Placed<ImageShare>) -> Share {
    let share = &placed.object;
    let (namespace, name) = placed.key();
    let second = i64::try_from(index).unwrap_or(i64::MAX);
    Share {
        uid: format!("{namespace}/{name}"),
        namespace,
        name,
        generation: 1,
        created: Timestamp::from_second(second).unwrap_or(Timestamp::MAX),
        deleting: false,
        suspended: share.spec.suspend,
        finalizer: Finalizer::Carried,
        requested: None,
        expires: share.spec.expiration_time.as_ref().and_then(Expiration::at),
        retain: false,
        // What the set cannot tell is taken for granted here, and told beside the plan.
        consent: match consent(set, placed) {
            Consent::Withheld => Consent::Withheld,
            Consent::Given | Consent::Unknown => Consent::Given,
        },
        recipients: share.spec.recipients.iter().map(asked_recipient).collect(),
    }
}

/// Why a share grants nothing by its own fields.
pub(super) fn idle(share: &Share, now: Timestamp) -> Option<String> {
    let name = share.full_name();
    if share.suspended {
        Some(format!("{name} is suspended: it grants nothing"))
    } else if share.expired(now) {
        Some(format!("{name} has expired: it grants nothing"))
    } else {
        None
    }
}

struct Decided {
    granted: Vec<Recipient>,
    declined: BTreeMap<Recipient, Reason>,
    limit: usize,
}

/// The planner's decision about an image that has no recipients.
fn decide(terms: &Terms, shares: &[Share], desired: &DesiredRecipients, now: Timestamp) -> Decided {
    let zero = SignedDuration::ZERO;
    let timing = Timing {
        absence_window: zero,
        lagging_absence_window: zero,
        lost_job_window: zero,
        unmanaged_grace: zero,
        refusal_retry: zero,
        answer_poll: zero,
        left_within: zero,
    };
    let image = ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::SystemDisk,
        name: String::new(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: BTreeSet::new(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: None,
    };
    let plan = plan(&PlanInput {
        now,
        timing,
        others_until: Timestamp::MIN,
        terms,
        unmanaged: UnmanagedRecipients::default(),
        visibility_change: VisibilityChange::default(),
        deleting: false,
        requested: false,
        shares,
        desired,
        ledger: &Ledger::default(),
        image: &image,
        recipients: &RecipientList { recipients: BTreeMap::new(), complete: true },
        copies: None,
    });
    Decided { granted: plan.add, declined: plan.settled.declined, limit: plan.limit }
}

pub(super) fn grants<'a>(
    recipients: impl Iterator<Item = &'a Recipient>,
    shares: &[Share],
    now: Timestamp,
) -> Vec<GrantPlan> {
    let active: Vec<&Share> = shares.iter().filter(|share| share.activity(now) == Activity::Active).collect();
    let granted: BTreeSet<&Recipient> = recipients.collect();
    let grant = |recipient: &Recipient| {
        let asks = |share: &&&Share| {
            share.recipients.iter().any(|asked| asked.kind == recipient.kind && asked.id == recipient.id.as_str())
        };
        let asking: Vec<&&Share> = active.iter().filter(asks).collect();
        let mut names = asking.iter().flat_map(|share| share.names());
        GrantPlan {
            kind: recipient.kind,
            id: recipient.id.to_string(),
            name: names.find(|(named, _)| named == recipient).map(|(_, name)| name.to_owned()),
            image_shares: asking.iter().map(|share| share.full_name()).collect(),
        }
    };
    granted.into_iter().map(grant).collect()
}

/// Where the shares name a recipient.
pub(super) fn places<'a>(
    recipient: &'a Recipient,
    shares: &'a [(usize, &'a Placed<ImageShare>)],
) -> impl Iterator<Item = (&'a Placed<ImageShare>, String)> {
    shares.iter().flat_map(move |(_, share)| {
        let named = share.object.spec.recipients.iter().enumerate();
        let named = named.filter(|(_, asked)| asked.kind == recipient.kind && asked.id == recipient.id.as_str());
        named.map(|(index, _)| (*share, format!("spec.recipients[{index}]")))
    })
}

pub(super) fn declined(reason: Reason, recipient: &Recipient, terms: &Terms, limit: usize, wanted: usize) -> String {
    let provider = terms.provider;
    let why = match reason {
        Reason::RecipientLimit => {
            format!("{recipient} would wait: {wanted} recipients are asked for, and the image may have {limit}")
        }
        Reason::RecipientKindUnsupported => {
            let kinds: Vec<String> = provider.rules().recipient_kinds.iter().map(ToString::to_string).collect();
            format!("{recipient}: {provider} shares with {} only", kinds.join(", "))
        }
        Reason::InvalidRecipient => format!("{recipient} is no id of {provider}"),
        Reason::RecipientIsOwner => format!("{recipient} is the owner of the image"),
        Reason::RegionNotOnSite => {
            format!("{recipient}: {} is not sold on the site that is named for it", terms.region)
        }
        _ => format!("{recipient} is not granted"),
    };
    format!("{why} ({})", reason.as_str())
}
