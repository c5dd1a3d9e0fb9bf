//! Offers, and their answers. An answer is shown as the YAML that is created, with the owner to trust; what is then created is
//! that YAML, or nothing.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use serde::Deserialize;

use super::page::{Page, or_dash, page, shown};
use super::{Context, Shared};
use crate::api::acceptance::AcceptanceDecision;
use crate::api::shared_image::SharedImageState;
use crate::api::{SharedImage, SharedImageAcceptance};
use crate::cli::CliError;
use crate::cli::answer::{acceptance, check_owner, create, find, needs_vault, to_yaml};
use crate::cli::arguments::Answering;
use crate::cli::offers::{Offer, listing};

/// Longest name of a namespace.
const NAMESPACE_CHARS_MAX: usize = 63;

/// What the page of offers is asked.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    /// The acceptance that was just created.
    answered: Option<String>,
}

/// Which offer, and how to answer it.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    namespace: String,
    /// The name of the `SharedImage`.
    offer: String,
    decision: AcceptanceDecision,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    vault: String,
}

/// The same, confirmed.
#[derive(Debug, Deserialize)]
pub(super) struct Confirmed {
    namespace: String,
    offer: String,
    decision: AcceptanceDecision,
    #[serde(default)]
    vault: String,
    /// The owner, as the user confirmed it.
    #[serde(default)]
    trust: String,
    /// What was shown.
    yaml: String,
}

pub(super) async fn list(State(desk): Context, Query(asked): Query<Listed>) -> Page {
    let mut reader = desk.reader.anew(&desk.reader.namespace);
    let images = reader.list::<SharedImage>(&desk.scope).await?;
    let acceptances = reader.list::<SharedImageAcceptance>(&desk.scope).await?;
    let listing = listing(&images, &acceptances, true, reader.missing);
    let waits = |offer: &&Offer| offer.state == Some(SharedImageState::Pending) && offer.decision.is_none();
    let (waiting, others): (Vec<&Offer>, Vec<&Offer>) = listing.offers.iter().partition(waits);
    let content = html! {
        @if let Some(name) = &asked.answered {
            p.done role="status" { "Created the SharedImageAcceptance " (shown(name)) ". The operator answers the offer." }
        }
        h2 {
            @if !waiting.is_empty() { span.dot aria-hidden="true" { "● " } }
            (waiting.len()) " to answer"
        }
        @if waiting.is_empty() {
            p.faint { "No offer waits. Accounts are listed where their CloudAccount sets spec.inventory." }
        } @else {
            (table("Offers that wait for an answer", &waiting, true))
        }
        @if !others.is_empty() {
            h2 { "Answered, or without a need to" }
            (table("Other images that are shared with you", &others, false))
        }
    };
    Ok(page("/", &listing.missing, &listing.unknown, &content))
}

fn table(caption: &str, offers: &[&Offer], waiting: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(caption) {
            table {
                caption { (caption) }
                thead {
                    tr {
                        @for head in ["Image", "Region", "Owner", "Received by", "State"] { th scope="col" { (head) } }
                        th scope="col" { @if waiting { "Your answer" } @else { "Answer" } }
                    }
                }
                tbody { @for offer in offers { (row(offer, waiting)) } }
            }
        }
    }
}

fn row(offer: &Offer, waiting: bool) -> Markup {
    let name = offer.image_name.as_deref().unwrap_or(&offer.image_id);
    let answer = offer.acceptance.as_ref().zip(offer.decision);
    html! {
        tr {
            th scope="row" { (shown(name)) br; span.faint { (shown(&offer.image_id)) } }
            td { (shown(&offer.region)) }
            td { (or_dash(offer.owner.as_deref().unwrap_or_default())) }
            td { (shown(&offer.namespace)) "/" (shown(&offer.account)) br; span.faint { (shown(&offer.recipient)) } }
            td { (offer.state.map_or_else(|| "–".to_owned(), |state| format!("{state:?}"))) }
            @if waiting {
                td.actions {
                    a.button href=(link(offer, AcceptanceDecision::Accept)) aria-label=(format!("Accept {}", shown(name))) { "Accept…" }
                    " "
                    a.button.quiet href=(link(offer, AcceptanceDecision::Reject)) aria-label=(format!("Reject {}", shown(name))) { "Reject…" }
                }
            } @else {
                td { @match answer { Some((name, decision)) => { (format!("{decision:?} by {}", shown(name))) }, None => { "–" } } }
            }
        }
    }
}

/// Where an offer is answered. Names of objects need no escape in a query.
fn link(offer: &Offer, decision: AcceptanceDecision) -> String {
    format!("/answer?namespace={}&offer={}&decision={decision:?}", offer.namespace, offer.name)
}

/// The page that shows an answer as YAML, and asks for what is missing to write it.
pub(super) async fn ask(State(desk): Context, Query(asked): Query<Asked>) -> Page {
    let (image, full_server) = offered(&desk, &asked.namespace, &asked.offer, asked.decision).await?;
    let told = image.status.as_ref().and_then(|status| status.owner.clone());
    let named = Some(asked.owner.clone()).filter(|owner| !owner.is_empty());
    let owner = check_owner(told.as_deref(), named.as_deref());
    let content = match (told.or(named), full_server && asked.vault.is_empty()) {
        (None, _) => {
            missing_field(&asked, "owner", "The cloud does not say who owns the image. The owner's id that you trust:")
        }
        (Some(_), true) => missing_field(
            &asked,
            "vault",
            "This cloud accepts a full-server image into a backup vault only. The vault's id:",
        ),
        (Some(named), false) => {
            let owner = owner?.unwrap_or(named);
            let yaml = answer_yaml(&image, &asked.offer, asked.decision, &asked.vault, &owner)?;
            confirmation(&image, &asked, &owner, &yaml)
        }
    };
    Ok(page("/answer", &[], &[], &content))
}

/// Creates the answer that was shown.
pub(super) async fn answer(State(desk): Context, Form(form): Form<Confirmed>) -> Page {
    let (image, _) = offered(&desk, &form.namespace, &form.offer, form.decision).await?;
    let told = image.status.as_ref().and_then(|status| status.owner.clone());
    if form.trust.is_empty() {
        return Err(refused("not confirmed: say that you trust the owner. Nothing was written").into());
    }
    check_owner(told.as_deref(), Some(&form.trust))?;
    let yaml = answer_yaml(&image, &form.offer, form.decision, &form.vault, &form.trust)?;
    if yaml.trim() != form.yaml.replace("\r\n", "\n").trim() {
        return Err(refused("the offer changed since it was shown. Nothing was written: look at it again").into());
    }
    let answer = acceptance(&image, &asking(&form.offer), form.decision, vault(&form.vault), form.trust.clone());
    create(&desk.reader.anew(&form.namespace), &answer).await?;
    let name = answer.metadata.name.unwrap_or_default();
    let back = format!("/?answered={}/{name}", form.namespace);
    Ok((StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response())
}

fn refused(why: &str) -> CliError {
    CliError::Refused(why.to_owned())
}

/// The offer, and whether it must name a vault.
async fn offered(
    desk: &Shared,
    namespace: &str,
    offer: &str,
    decision: AcceptanceDecision,
) -> Result<(SharedImage, bool), CliError> {
    let is_label = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if namespace.is_empty() || namespace.len() > NAMESPACE_CHARS_MAX || !is_label(namespace) {
        return Err(refused("that is no name of a namespace"));
    }
    let mut reader = desk.reader.anew(namespace);
    let image = find(&mut reader, &asking(offer)).await?;
    let full_server = needs_vault(&mut reader, &image, decision).await?;
    Ok((image, full_server))
}

fn asking(offer: &str) -> Answering {
    Answering { offer: offer.to_owned(), owner: None, account: None, region: None, name: None, dry_run: false }
}

fn vault(named: &str) -> Option<&str> {
    Some(named).filter(|vault| !vault.is_empty())
}

fn answer_yaml(
    image: &SharedImage,
    offer: &str,
    decision: AcceptanceDecision,
    vault_id: &str,
    owner: &str,
) -> Result<String, CliError> {
    let yaml = to_yaml(&acceptance(image, &asking(offer), decision, vault(vault_id), owner.to_owned()))?;
    // What is created must be what a person reads.
    if yaml.lines().any(|line| shown(line) != line) {
        return Err(refused("the offer holds characters that no page can show. Nothing was written"));
    }
    Ok(yaml)
}

fn missing_field(asked: &Asked, field: &str, why: &str) -> Markup {
    html! {
        form method="get" action="/answer" {
            (hidden("namespace", &asked.namespace)) (hidden("offer", &asked.offer))
            (hidden("decision", &format!("{:?}", asked.decision)))
            @if field != "owner" { (hidden("owner", &asked.owner)) }
            label { (why) br; input type="text" name=(field) required maxlength="255" autocomplete="off"; }
            button type="submit" { "Go on" }
        }
    }
}

fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

fn confirmation(image: &SharedImage, asked: &Asked, owner: &str, yaml: &str) -> Markup {
    let status = image.status.clone().unwrap_or_default();
    let verb = match asked.decision {
        AcceptanceDecision::Accept => "Accept",
        AcceptanceDecision::Reject => "Reject",
    };
    html! {
        div.scroll {
            table {
                caption { "The offer" }
                tbody {
                    tr { th scope="row" { "Image" } td { (shown(&image.spec.image_id)) " " (shown(&status.image_name.unwrap_or_default())) } }
                    tr { th scope="row" { "Region" } td { (shown(&image.spec.region)) } }
                    tr { th scope="row" { "Owner" } td { strong { (shown(owner)) } } }
                }
            }
        }
        @match asked.decision {
            AcceptanceDecision::Accept => p.note { "An image of another party runs that party's code." },
            AcceptanceDecision::Reject => {
                p.note { "Rejecting hides the image from lists. It does not take away the access that the owner gave." }
            }
        }
        h2 #yaml { "This is created" }
        pre tabindex="0" aria-labelledby="yaml" { code { (yaml) } }
        form method="post" action="/answer" {
            (hidden("namespace", &asked.namespace)) (hidden("offer", &asked.offer))
            (hidden("decision", verb)) (hidden("vault", &asked.vault)) (hidden("yaml", yaml))
            label {
                input type="checkbox" name="trust" value=(owner) required;
                @match asked.decision {
                    AcceptanceDecision::Accept => { " I trust the owner " (shown(owner)) },
                    AcceptanceDecision::Reject => { " This is the owner whose offer I reject: " (shown(owner)) },
                }
            }
            button type="submit" { (verb) " it" } " " a.button.quiet href="/" { "Back" }
        }
    }
}

/// For tests of the pages.
#[cfg(test)]
pub(super) fn confirmation_of(image: &SharedImage, owner: &str) -> Result<axum::response::Response, CliError> {
    let asked = Asked {
        namespace: "partners".into(),
        offer: "one".into(),
        decision: AcceptanceDecision::Accept,
        owner: String::new(),
        vault: String::new(),
    };
    let yaml = answer_yaml(image, "one", asked.decision, "", owner)?;
    Ok(page("/answer", &[], &[], &confirmation(image, &asked, owner, &yaml)))
}

#[cfg(test)]
pub(super) fn row_of(offer: &Offer) -> Markup {
    row(offer, true)
}
