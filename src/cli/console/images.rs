//! Images, their slots as bars, and who has them; or what one recipient has.

use std::collections::BTreeSet;

use axum::extract::{Query, State};
use kube::ResourceExt as _;
use maud::{Markup, html};
use serde::Deserialize;

use super::Context;
use super::page::{Page, or_dash, page, shown};
use crate::api::conditions::{READY, find};
use crate::api::{CloudImage, ImageShare};
use crate::cli::reader::Scope;
use crate::cli::who_has::{Holding, Shares, doubts, holdings_of};
use crate::cluster::guard::Guarded;

/// Images of one page.
const IMAGES_PER_PAGE: usize = 100;

/// What is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The id of a recipient: only what it has.
    #[serde(default)]
    account: String,
    /// From 1.
    #[serde(default)]
    page: usize,
}

/// An image with its recipients.
pub(super) struct Shown<'a> {
    pub(super) image: &'a CloudImage,
    pub(super) holdings: Vec<Holding>,
}

pub(super) async fn list(State(desk): Context, Query(asked): Query<Asked>) -> Page {
    let mut reader = desk.reader.anew(&desk.reader.namespace);
    let images = reader.list::<CloudImage>(&desk.scope).await?;
    let mut shares = reader.list::<ImageShare>(&desk.scope).await?;
    // Of one namespace's images, others may hold shares too: their names and expiry are read where that is allowed.
    if let Scope::One(own) = &desk.scope {
        let served = images.iter().filter_map(|image| image.readable()?.status.as_ref());
        let namespaces: BTreeSet<&str> =
            served.flat_map(|status| &status.shares).map(|share| share.namespace.as_str()).collect();
        for namespace in namespaces.into_iter().filter(|namespace| namespace != own) {
            shares.append(&mut reader.list(&Scope::One(namespace.to_owned())).await?);
        }
    }
    let known = Shares::of(&shares);
    let account = asked.account.trim();
    let of = |image: &'_ Guarded<CloudImage>| {
        let holdings = image.readable().map(|image| holdings_of(image, &known)).unwrap_or_default();
        let mut holdings = holdings.into_iter();
        if account.is_empty() {
            holdings.collect()
        } else {
            holdings.by_ref().filter(|held| held.id == account).collect()
        }
    };
    let all: Vec<Shown<'_>> = images
        .iter()
        .filter_map(|image| Some(Shown { image: image.readable()?, holdings: of(image) }))
        .filter(|shown| account.is_empty() || !shown.holdings.is_empty())
        .collect();
    let pages = all.len().div_ceil(IMAGES_PER_PAGE).max(1);
    let current = asked.page.clamp(1, pages);
    let visible: Vec<&Shown<'_>> = all.iter().skip((current - 1) * IMAGES_PER_PAGE).take(IMAGES_PER_PAGE).collect();
    let unreadable = images.iter().filter(|image| image.readable().is_none());
    let gaps: Vec<String> = unreadable
        .map(|image| format!("the CloudImage {} cannot be read by this version of the plugin", full_name(image)))
        .chain(
            visible.iter().flat_map(|one| doubts(one.image).map(|doubt| format!("{}: {doubt}", full_name(one.image)))),
        )
        .collect();
    let content = html! {
        form method="get" action="/images" role="search" {
            label {
                "What an account, project or organization has, by its id: "
                input type="text" name="account" value=(account) maxlength="255" autocomplete="off";
                " " button type="submit" { "Show" }
            }
        }
        @if all.is_empty() {
            p.faint { @if account.is_empty() { "There is no CloudImage." } @else { (shown(account)) " has no image, as far as the ledgers tell." } }
        }
        @for one in &visible { (view(one)) }
        @if pages > 1 { (paging(current, pages, account)) }
    };
    Ok(page("/images", &reader.missing, &gaps, &content))
}

fn full_name<K: kube::Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

fn paging(current: usize, pages: usize, account: &str) -> Markup {
    let link = |page: usize| {
        let account = percent_encoding::utf8_percent_encode(account, percent_encoding::NON_ALPHANUMERIC);
        format!("/images?page={page}&account={account}")
    };
    html! {
        nav aria-label="Pages of images" {
            ul {
                @if current > 1 { li { a rel="prev" href=(link(current - 1)) { "Previous" } } }
                li { "Page " (current) " of " (pages) }
                @if current < pages { li { a rel="next" href=(link(current + 1)) { "Next" } } }
            }
        }
    }
}

/// One image.
pub(super) fn view(one: &Shown<'_>) -> Markup {
    let status = one.image.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, READY);
    let name = full_name(one.image);
    html! {
        section aria-label=(shown(&name)) {
            h2 { (shown(&name)) }
            p {
                (shown(&one.image.spec.image_id)) ", " (shown(&one.image.spec.region))
                @if let Some(name) = &status.image_name { " · " (shown(name)) }
            }
            @if let Some(slots) = &status.recipients { (bar(slots)) }
            @if let Some(ready) = ready.filter(|ready| ready.status != "True") {
                p.note { strong { (shown(&ready.reason)) } ": " (shown(&ready.message)) }
            }
            @if one.holdings.is_empty() {
                p.faint { "Nobody has it, as far as its ledger tells." }
            } @else {
                (recipients(&name, &one.holdings))
            }
        }
    }
}

/// Slots, as `47/50`: a bar where there is a limit.
fn bar(slots: &str) -> Markup {
    let counts =
        slots.split_once('/').and_then(|(taken, limit)| Some((taken.parse::<u32>().ok()?, limit.parse::<u32>().ok()?)));
    html! {
        p {
            @match counts {
                Some((taken, limit)) => {
                    meter min="0" max=(limit) value=(taken) high=(limit.saturating_sub(limit / 10)) optimum="0" {}
                    " " (taken) " of " (limit) " slots taken"
                },
                None => { (shown(slots)) " recipients" },
            }
        }
    }
}

fn recipients(name: &str, holdings: &[Holding]) -> Markup {
    let heads = ["Recipient", "State", "Answer", "Since", "By", "Expires"];
    html! {
        div.scroll tabindex="0" role="group" aria-label=(format!("Recipients of {}", shown(name))) {
            table {
                caption { (holdings.len()) " recipients" }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for held in holdings {
                        tr {
                            th scope="row" {
                                (held.kind) " " (shown(&held.id))
                                @if let Some(name) = &held.name { br; span.faint { (shown(name)) } }
                            }
                            td { (shown(&held.shown_state())) }
                            td { (held.answer.map_or_else(|| "–".to_owned(), |answer| format!("{answer:?}"))) }
                            td { (held.since.map_or_else(|| "–".to_owned(), |since| since.to_string())) }
                            td { (or_dash(&held.image_shares.join(", "))) }
                            td { (or_dash(&held.shown_expiry())) }
                        }
                    }
                }
            }
        }
    }
}
