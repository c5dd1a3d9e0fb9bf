//! What blocks the deletion of objects: accounts wait for images, images for shares, shares for recipients.

use axum::extract::State;
use kube::ResourceExt as _;
use maud::{Markup, html};

use super::Context;
use super::page::{Page, page, shown};
use crate::api::cloud_image::{CloudImageStatus, GrantState};
use crate::api::conditions::{DELETABLE, READY, find};
use crate::api::{CloudAccount, CloudImage, ImageShare};
use crate::cluster::guard::Guarded;
use crate::reconcile::convert::image_of;

/// One link of a chain, and what it waits for.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    pub(super) what: String,
    /// Why it does not go, as the operator says.
    pub(super) why: Option<String>,
    pub(super) waits_for: Vec<Self>,
}

pub(super) async fn list(State(desk): Context) -> Page {
    let mut reader = desk.reader.anew(&desk.reader.namespace);
    let accounts = reader.list::<CloudAccount>(&desk.scope).await?;
    let images = reader.list::<CloudImage>(&desk.scope).await?;
    let shares = reader.list::<ImageShare>(&desk.scope).await?;
    let gaps: Vec<String> = unreadable(&accounts).chain(unreadable(&images)).chain(unreadable(&shares)).collect();
    let chains = chains(&readable(&accounts), &readable(&images), &readable(&shares));
    let content = html! {
        @if chains.is_empty() { p.faint { "No deletion waits." } }
        @for link in &chains { (view(link)) }
    };
    Ok(page("/deletions", &reader.missing, &gaps, &content))
}

fn readable<K>(objects: &[Guarded<K>]) -> Vec<&K> {
    objects.iter().filter_map(Guarded::readable).collect()
}

fn unreadable<K: kube::Resource<DynamicType = ()>>(objects: &[Guarded<K>]) -> impl Iterator<Item = String> {
    let odd = objects.iter().filter(|object| object.readable().is_none());
    odd.map(|object| format!("the {} {} cannot be read by this version of the plugin", K::kind(&()), name_of(object)))
}

fn name_of<K: kube::Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// The chain of every object that is being deleted: those that another chain explains are not repeated.
pub(super) fn chains(accounts: &[&CloudAccount], images: &[&CloudImage], shares: &[&ImageShare]) -> Vec<Link> {
    let goes = |meta: &kube::api::ObjectMeta| meta.deletion_timestamp.is_some();
    let names = |image: &&&CloudImage, account: &CloudAccount| {
        image.namespace() == account.namespace() && image.spec.account_ref.name == account.name_any()
    };
    let mut chains = Vec::new();
    for account in accounts.iter().filter(|account| goes(&account.metadata)) {
        let waits_for =
            images.iter().filter(|image| names(image, account)).map(|image| of_image(image, shares)).collect();
        let why = account.status.as_ref().and_then(|status| told(&status.conditions));
        chains.push(Link { what: format!("CloudAccount {}", name_of(*account)), why, waits_for });
    }
    let is_explained =
        |image: &&CloudImage| accounts.iter().any(|account| goes(&account.metadata) && names(&image, account));
    let alone = images.iter().filter(|image| goes(&image.metadata) && !is_explained(image));
    chains.extend(alone.map(|image| of_image(image, shares)));
    let of_going_image = |share: &ImageShare| {
        let key = image_of(share);
        let is_it = |image: &&&CloudImage| (image.namespace().unwrap_or_default(), image.name_any()) == key;
        images.iter().find(is_it).copied()
    };
    for share in shares.iter().filter(|share| goes(&share.metadata)) {
        let image = of_going_image(share);
        if image.is_none_or(|image| !goes(&image.metadata) && !is_explained(&image)) {
            chains.push(of_share(share, image.and_then(|image| image.status.as_ref())));
        }
    }
    chains
}

fn of_image(image: &CloudImage, shares: &[&ImageShare]) -> Link {
    let own = (image.namespace().unwrap_or_default(), image.name_any());
    let naming = shares.iter().filter(|share| image_of(share) == own);
    let mut waits_for: Vec<Link> = naming.map(|share| of_share(share, image.status.as_ref())).collect();
    let unmanaged = image.status.iter().flat_map(|status| &status.unmanaged);
    waits_for.extend(unmanaged.map(|foreign| Link {
        what: format!("{} {}", foreign.kind, foreign.id),
        why: Some("has the image, and no ImageShare names it".to_owned()),
        waits_for: Vec::new(),
    }));
    let why = image.status.as_ref().and_then(|status| told(&status.conditions));
    Link { what: format!("CloudImage {}", name_of(image)), why, waits_for }
}

fn of_share(share: &ImageShare, image: Option<&CloudImageStatus>) -> Link {
    let held = image.iter().flat_map(|status| {
        let (namespace, name) = (share.namespace().unwrap_or_default(), share.name_any());
        let position = status.shares.iter().position(|served| served.namespace == namespace && served.name == name);
        let position = position.and_then(|position| i32::try_from(position).ok());
        let is_its = move |positions: &[i32]| position.is_some_and(|position| positions.contains(&position));
        status.grants.iter().filter(move |grant| is_its(&grant.shares) || is_its(&grant.former_shares))
    });
    let recipients = held.map(|grant| Link {
        what: format!("{} {}", grant.kind, grant.id),
        why: (grant.state != GrantState::Granted).then(|| format!("{:?}", grant.state)),
        waits_for: Vec::new(),
    });
    let is_going = share.metadata.deletion_timestamp.is_some();
    let why = if is_going {
        share.status.as_ref().and_then(|status| told(&status.conditions))
    } else {
        Some("is not being deleted: delete it first".to_owned())
    };
    Link { what: format!("ImageShare {}", name_of(share)), why, waits_for: recipients.collect() }
}

/// What the operator says stands in the way.
fn told(conditions: &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition]) -> Option<String> {
    let of = |kind| find(conditions, kind).filter(|condition| condition.status != "True");
    let told = of(DELETABLE).or_else(|| of(READY))?;
    Some(format!("{}: {}", told.reason, told.message))
}

/// A chain as nested lists.
pub(super) fn view(link: &Link) -> Markup {
    html! {
        section aria-label=(shown(&link.what)) {
            h2 { (shown(&link.what)) }
            @if let Some(why) = &link.why { p.note { (shown(why)) } }
            @if link.waits_for.is_empty() { p.faint { "Nothing that you may read stands in its way." } }
            @else { p { "It waits for:" } ol.chain { @for next in &link.waits_for { (item(next)) } } }
        }
    }
}

fn item(link: &Link) -> Markup {
    html! {
        li {
            strong { (shown(&link.what)) }
            @if let Some(why) = &link.why { ": " (shown(why)) }
            @if !link.waits_for.is_empty() { ol { @for next in &link.waits_for { (item(next)) } } }
        }
    }
}
