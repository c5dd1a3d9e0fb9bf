//! Channels, each with a lane for every stage.

use axum::extract::State;
use kube::ResourceExt as _;
use maud::{Markup, html};

use super::Context;
use super::page::{Page, page, shown};
use crate::api::ImageChannel;
use crate::api::conditions::{READY, find};
use crate::api::image_channel::{ChannelVersion, Stage};
use crate::cluster::guard::Guarded;

/// The lanes, from left to right.
const LANES: [Stage; 5] = [Stage::Candidate, Stage::Current, Stage::Supported, Stage::Deprecated, Stage::Retired];

pub(super) async fn list(State(desk): Context) -> Page {
    let mut reader = desk.reader.anew(&desk.reader.namespace);
    let channels = reader.list::<ImageChannel>(&desk.scope).await?;
    let unreadable = channels.iter().filter(|channel| channel.readable().is_none());
    let gaps: Vec<String> = unreadable
        .map(|channel| format!("the ImageChannel {} cannot be read by this version of the plugin", name_of(channel)))
        .collect();
    let readable: Vec<&ImageChannel> = channels.iter().filter_map(Guarded::readable).collect();
    let content = html! {
        @if channels.is_empty() { p.faint { "There is no ImageChannel." } }
        @for channel in readable { (view(channel)) }
    };
    Ok(page("/channels", &reader.missing, &gaps, &content))
}

fn name_of<K: kube::Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// One channel.
pub(super) fn view(channel: &ImageChannel) -> Markup {
    let status = channel.status.clone().unwrap_or_default();
    let ready = find(&status.conditions, READY).filter(|ready| ready.status != "True");
    let name = shown(&name_of(channel));
    html! {
        section aria-label=(name) {
            h2 { (name) }
            @for latest in &status.latest {
                p { "Latest in " (shown(&latest.region)) ": " strong { (shown(&latest.version)) } " (" (shown(&latest.image_id)) ")" }
            }
            @if let Some(ready) = ready { p.note { strong { (shown(&ready.reason)) } ": " (shown(&ready.message)) } }
            div.lanes {
                @for stage in LANES { (lane(stage, status.versions.iter().filter(|version| version.stage == stage).collect())) }
            }
        }
    }
}

fn lane(stage: Stage, versions: Vec<&ChannelVersion>) -> Markup {
    html! {
        div.lane {
            h3 { (format!("{stage:?}")) " (" (versions.len()) ")" }
            ul {
                @for version in versions {
                    li {
                        strong { (shown(&version.version)) } br;
                        span.faint { (shown(&version.image_id)) br; "since " (version.stage_since.0) }
                        @if let Some(next) = &version.next {
                            br; "next " (format!("{:?}", next.stage)) ", not before " (next.not_before.0)
                        }
                    }
                }
            }
        }
    }
}
