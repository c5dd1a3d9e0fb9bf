//! Who has an image, and which images an account has: the ledgers of `CloudImages`, with names and expiry of
//! `ImageShares`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde::Serialize;

use super::arguments::{Connection, Format, WhoHas};
use super::output::{print, safe, table};
use super::reader::{self, Missing, Reader, Scope};
use super::{Answer, CliError, DONE, NOTHING_FOUND};
use crate::api::cloud_image::{CloudImageStatus, Grant, GrantState};
use crate::api::conditions::{READY, Reason, find};
use crate::api::image_share::SpecRecipient;
use crate::api::limits::UNMANAGED_LISTED_MAX;
use crate::api::{CloudImage, ImageShare};
use crate::cluster::guard::Guarded;
use crate::domain::identifiers::RecipientKind;
use crate::domain::image::Answer as Reply;

/// Namespaces whose shares are listed one by one.
const NAMESPACES_MAX: usize = 8;

/// What is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    /// A `CloudImage` by `name` or `namespace/name`, or the image's id at the cloud.
    Image(String),
    /// A recipient by its id.
    Recipient(String),
}

/// The answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Holdings {
    /// Whether everything could be read that the answer depends on.
    complete: bool,
    /// Rights that were missing.
    missing: Vec<Missing>,
    /// What else is unknown, as sentences.
    unknown: Vec<String>,
    recipients: Vec<Holding>,
}

/// One recipient of one image.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Holding {
    pub(super) image: ImageName,
    #[serde(rename = "type")]
    pub(super) kind: RecipientKind,
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Reply>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// The `ImageShares` that hold the grant, as `namespace/name`.
    pub(super) image_shares: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Expires>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageName {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) account: String,
    pub(super) region: String,
    #[serde(rename = "imageID")]
    pub(super) image_id: String,
}

impl Holding {
    /// The state, and why the cloud refused the recipient, if it did.
    pub(super) fn shown_state(&self) -> String {
        match (self.state, self.refusal) {
            (State::Ledger(state), Some(refusal)) => format!("{state:?} ({})", refusal.as_str()),
            (State::Ledger(state), None) => format!("{state:?}"),
            (State::Outside(state), _) => format!("{state:?}"),
        }
    }

    /// When access ends by itself; empty where no share holds the grant.
    pub(super) fn shown_expiry(&self) -> String {
        match self.expires {
            Some(Expires::At(time)) => time.to_string(),
            Some(Expires::Otherwise(Otherwise::Never)) => "never".to_owned(),
            Some(Expires::Otherwise(Otherwise::Unknown)) => "unknown".to_owned(),
            None => String::new(),
        }
    }
}

/// Where a recipient is: the states of the ledger, and the one outside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum State {
    Ledger(GrantState),
    Outside(Outside),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Outside {
    Unmanaged,
}

/// When the last share that holds a grant expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub(super) enum Expires {
    At(Timestamp),
    Otherwise(Otherwise),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Otherwise {
    /// A share could not be read.
    Unknown,
    Never,
}

pub(super) async fn run(connection: &Connection, asked: &WhoHas) -> Result<Answer, CliError> {
    let query = match (&asked.image, &asked.account) {
        (Some(image), _) => Query::Image(image.clone()),
        (None, Some(account)) => Query::Recipient(account.clone()),
        (None, None) => return Err(CliError::Refused("name an IMAGE, or --account ID".to_owned())),
    };
    let mut reader = Reader::connect(connection).await?;
    let mut scope = reader.scope(connection, &asked.search);
    if let (Query::Image(image), Scope::AllOr(_) | Scope::One(_)) = (&query, &scope)
        && let Some((namespace, _)) = image.split_once('/')
    {
        scope = Scope::One(namespace.to_owned());
    }
    let images = reader.list::<CloudImage>(&scope).await?;
    let shares = shares_of(&mut reader, &query, &images).await?;
    let holdings = holdings(&query, &images, &shares, reader.missing)?;
    let otherwise = if holdings.recipients.is_empty() { NOTHING_FOUND } else { DONE };
    let gaps: Vec<String> =
        holdings.missing.iter().map(ToString::to_string).chain(holdings.unknown.iter().cloned()).collect();
    let format = asked.search.output;
    let text = print(format, &holdings, |holdings| shown(&query, holdings))?;
    Ok(reader::answer(text, &gaps, format == Format::Table, otherwise))
}

/// The shares that the ledgers name: each namespace by itself, so that a right that is missing there is told only where it
/// matters; all at once where they are many.
async fn shares_of(
    reader: &mut Reader,
    query: &Query,
    images: &[Guarded<CloudImage>],
) -> Result<Vec<Guarded<ImageShare>>, CliError> {
    let meant = images.iter().filter(|image| is_meant(query, image)).filter_map(|image| image.readable());
    let served = meant.filter_map(|image| image.status.as_ref()).flat_map(|status| &status.shares);
    let namespaces: BTreeSet<String> = served.map(|share| share.namespace.clone()).collect();
    if namespaces.len() > NAMESPACES_MAX {
        return reader.list(&Scope::AllOr(reader.namespace.clone())).await;
    }
    let mut shares = Vec::new();
    for namespace in namespaces {
        shares.append(&mut reader.list(&Scope::One(namespace)).await?);
    }
    Ok(shares)
}

/// The answer to a query. Fails where no `CloudImage` is meant, and all could be read.
fn holdings(
    query: &Query,
    images: &[Guarded<CloudImage>],
    shares: &[Guarded<ImageShare>],
    missing: Vec<Missing>,
) -> Result<Holdings, CliError> {
    let shares = Shares::of(shares);
    let (mut recipients, mut unknown, mut meant) = (Vec::new(), Vec::new(), 0);
    for image in images.iter().filter(|image| is_meant(query, image)) {
        meant += 1;
        let full_name = full_name(image);
        let Guarded::Readable(image) = image else {
            unknown.push(format!("the CloudImage {full_name} cannot be read by this version of the plugin"));
            continue;
        };
        unknown.extend(doubts(image).map(|doubt| format!("the CloudImage {full_name} {doubt}")));
        recipients.extend(holdings_of(image, &shares));
    }
    if let Query::Recipient(id) = query {
        recipients.retain(|holding| holding.id == *id);
    }
    if let (Query::Image(name), 0, true) = (query, meant, missing.is_empty()) {
        return Err(CliError::Refused(format!(
            "no CloudImage is called {name} or names the image {name}: see `kubectl get cloudimages -A`"
        )));
    }
    recipients.sort_by(|a, b| {
        let key = |holding: &Holding| {
            (holding.image.namespace.clone(), holding.image.name.clone(), holding.kind, holding.id.clone())
        };
        key(a).cmp(&key(b))
    });
    Ok(Holdings { complete: missing.is_empty() && unknown.is_empty(), missing, unknown, recipients })
}

fn full_name<K: Resource<DynamicType = ()>>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

fn is_meant(query: &Query, image: &Guarded<CloudImage>) -> bool {
    let Query::Image(asked) = query else { return true };
    let id = image.readable().map(|image| image.spec.image_id.as_str());
    match asked.split_once('/') {
        Some((namespace, name)) => image.namespace().as_deref() == Some(namespace) && image.name_any() == name,
        None => image.name_any() == *asked || id == Some(asked),
    }
}

/// Why the ledger may not be all that there is, for people.
pub(super) fn doubts(image: &CloudImage) -> impl Iterator<Item = String> {
    let status = image.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, READY);
    let unobserved = match ready {
        None => Some("was not reconciled yet: who has it at the cloud is unknown".to_owned()),
        Some(ready) if ready.status == "True" => None,
        // The cloud answered, and what it said is the problem: the list of recipients was read all the same, or is empty.
        Some(ready) if Reason::named(&ready.reason).is_some_and(is_observed) => None,
        Some(ready) => Some(format!(
            "is not ready ({}): recipients are as last observed, and unmanaged ones may be missing",
            ready.reason
        )),
    };
    let cut = (status.unmanaged.len() >= UNMANAGED_LISTED_MAX)
        .then(|| format!("lists {UNMANAGED_LISTED_MAX} unmanaged recipients, and counts the others only"));
    unobserved.into_iter().chain(cut)
}

/// Reasons that leave the recipients observed.
fn is_observed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ImageDeleting
            | Reason::ShareExists
            | Reason::ReplicaExists
            | Reason::UnmanagedRecipients
            | Reason::Revoking
            | Reason::ImageInUse
            | Reason::ImageProtected
            | Reason::TooManyShares
    )
}

/// The shares by name, and names of recipients.
pub(super) struct Shares<'a> {
    by_name: BTreeMap<String, &'a ImageShare>,
}

impl<'a> Shares<'a> {
    pub(super) fn of(shares: &'a [Guarded<ImageShare>]) -> Self {
        let readable = shares.iter().filter_map(|share| share.readable());
        Self { by_name: readable.map(|share| (full_name(share), share)).collect() }
    }

    /// When the last of these shares expires; `None` without any.
    fn expiry(&self, names: &[String]) -> Option<Expires> {
        let of = |name: &String| match self.by_name.get(name) {
            Some(share) => match &share.spec.expiration_time {
                Some(time) => time.at().map_or(Expires::Otherwise(Otherwise::Unknown), Expires::At),
                None => Expires::Otherwise(Otherwise::Never),
            },
            None => Expires::Otherwise(Otherwise::Unknown),
        };
        names.iter().map(of).max()
    }

    fn name(&self, names: &[String], kind: RecipientKind, id: &str) -> Option<String> {
        let recipients =
            names.iter().filter_map(|name| self.by_name.get(name)).flat_map(|share| &share.spec.recipients);
        let mut same = recipients.filter(|recipient| recipient.kind == kind && recipient.id == id);
        same.find_map(SpecRecipient::shown_name)
    }
}

pub(super) fn holdings_of(image: &CloudImage, shares: &Shares<'_>) -> Vec<Holding> {
    let status = image.status.clone().unwrap_or_default();
    let name = ImageName {
        namespace: image.namespace().unwrap_or_default(),
        name: image.name_any(),
        account: image.spec.account_ref.name.clone(),
        region: image.spec.region.clone(),
        image_id: image.spec.image_id.clone(),
    };
    let granted = status.grants.iter().map(|grant| {
        let image_shares = holders(&status, grant);
        Holding {
            image: name.clone(),
            kind: grant.kind,
            id: grant.id.clone(),
            name: shares.name(&image_shares, grant.kind, &grant.id),
            state: State::Ledger(grant.state),
            refusal: grant.refusal,
            answer: grant.answer,
            since: Some(grant.since.0),
            expires: shares.expiry(&image_shares),
            image_shares,
        }
    });
    let unmanaged = status.unmanaged.iter().map(|unmanaged| Holding {
        image: name.clone(),
        kind: unmanaged.kind,
        id: unmanaged.id.clone(),
        name: None,
        state: State::Outside(Outside::Unmanaged),
        refusal: None,
        answer: None,
        since: None,
        image_shares: Vec::new(),
        expires: None,
    });
    granted.chain(unmanaged).collect()
}

fn holders(status: &CloudImageStatus, grant: &Grant) -> Vec<String> {
    let at = |index: &i32| status.shares.get(usize::try_from(*index).ok()?);
    grant.shares.iter().filter_map(at).map(|share| format!("{}/{}", share.namespace, share.name)).collect()
}

fn shown(query: &Query, holdings: &Holdings) -> String {
    if holdings.recipients.is_empty() {
        return match query {
            _ if !holdings.complete => "Nothing was found in what could be read.\n".to_owned(),
            Query::Image(image) => format!("Nobody has {}, as far as its ledger tells.\n", safe(image)),
            Query::Recipient(id) => format!("{} has no image, as far as the ledgers tell.\n", safe(id)),
        };
    }
    let row = |holding: &Holding| {
        vec![
            format!("{}/{}", holding.image.namespace, holding.image.name),
            holding.kind.to_string(),
            holding.id.clone(),
            holding.name.clone().unwrap_or_default(),
            holding.shown_state(),
            holding.answer.map(|answer| format!("{answer:?}")).unwrap_or_default(),
            holding.since.map(|since| since.to_string()).unwrap_or_default(),
            holding.image_shares.join(","),
            holding.shown_expiry(),
        ]
    };
    let header = ["IMAGE", "TYPE", "RECIPIENT", "NAME", "STATE", "ANSWER", "SINCE", "IMAGESHARES", "EXPIRES"];
    table(&header, &holdings.recipients.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
