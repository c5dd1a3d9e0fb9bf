//! What all pages share: the frame, what is missing, and errors.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use crate::cli::CliError;
use crate::cli::output::safe;
use crate::cli::reader::Missing;

/// The pages, in the order of the navigation: path and title.
const PAGES: [(&str, &str); 4] =
    [("/", "Offers"), ("/images", "Images"), ("/channels", "Channels"), ("/deletions", "Deletions")];

/// A page, or why there is none.
pub(super) type Page = Result<Response, Failed>;

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Failed(CliError);

impl From<CliError> for Failed {
    fn from(error: CliError) -> Self {
        Self(error)
    }
}

impl axum::response::IntoResponse for Failed {
    fn into_response(self) -> Response {
        let code = match &self.0 {
            CliError::Refused(_) => StatusCode::CONFLICT,
            _ => StatusCode::BAD_GATEWAY,
        };
        refusal(code, &self.0.to_string())
    }
}

/// A page of the navigation. `path`: its own. `gaps`: what it lacks, as sentences.
pub(super) fn page(path: &str, missing: &[Missing], gaps: &[String], content: &Markup) -> Response {
    let title = PAGES.iter().find(|(own, _)| *own == path).map_or("Answer an offer", |(_, title)| title);
    let lacks: Vec<String> = missing.iter().map(ToString::to_string).chain(gaps.iter().cloned()).collect();
    let body = html! {
        h1 { (title) }
        @if !lacks.is_empty() {
            div.gaps role="status" {
                p { strong { "Incomplete." } " This page lacks a part:" }
                ul { @for lack in &lacks { li { (shown(lack)) } } }
            }
        }
        (content)
    };
    respond(StatusCode::OK, title, path, &body)
}

/// A page that says why there is no other.
pub(super) fn refusal(code: StatusCode, why: &str) -> Response {
    respond(code, "Refused", "", &html! { h1 { "Refused" } p.error role="alert" { (shown(why)) } })
}

pub(super) async fn absent() -> Response {
    refusal(StatusCode::NOT_FOUND, "there is no such page")
}

fn respond(code: StatusCode, title: &str, path: &str, body: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · image shares" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    p.product { "Image shares" }
                    nav aria-label="Pages" {
                        ul {
                            @for (own, title) in PAGES {
                                li { a href=(own) aria-current=[(own == path).then_some("page")] { (title) } }
                            }
                        }
                    }
                }
                main #content tabindex="-1" { (body) }
            }
        }
    };
    (code, Html(whole.into_string())).into_response()
}

/// Text of the cluster or a cloud: on one line, without what would move a reader's eye elsewhere.
pub(super) fn shown(text: &str) -> String {
    safe(text)
}

/// A cell of a table: a dash for nothing.
pub(super) fn or_dash(text: &str) -> String {
    if text.is_empty() { "–".to_owned() } else { shown(text) }
}
