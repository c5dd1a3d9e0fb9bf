//! What may be written where: no secret in any log, event or version of an object; no panic; and nothing that a cloud said
//! reaches a status as it was said, where it would colour a terminal or turn what follows.

use anyhow::Result;
use serde_json::Value;

use super::Finding;
use super::clouds::CANARY;
use super::judge::logs;
use super::stage::Stage;
use crate::canaries::{self, Canaries, Shown};
use crate::history::Version;

/// Characters of a line shown.
const SHOWN: usize = 300;

pub(super) async fn judge(stage: &Stage) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let versions = stage.history.versions().await?;
    let mut written = canaries::versions(&versions);
    let logs = logs(&stage.run)?;
    for (name, log) in &logs {
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            findings.push(Finding { check: "NoPanic".to_owned(), what: format!("{name}: {}", shown(line)) });
        }
    }
    written.extend(logs.into_iter().map(|(place, text)| Shown { place, text }));
    let events = stage.people.api.get("/apis/events.k8s.io/v1/events").await?.unwrap_or_default();
    written.push(Shown { place: "events".to_owned(), text: events.to_string() });
    let secrets = Canaries::of([CANARY])?;
    let seen = written.iter().flat_map(|shown| secrets.sightings(shown));
    findings.extend(seen.map(|sighting| Finding { check: "Secrecy".to_owned(), what: sighting.to_string() }));
    findings.extend(versions.iter().filter_map(hostile_in));
    findings.extend(hostile(&events).map(|text| dirty("an event", &text)));
    Ok(findings)
}

/// A text in a status that is not fit for a terminal.
fn hostile_in(version: &Version) -> Option<Finding> {
    let status = version.object.get("status")?;
    hostile(status).map(|text| dirty(&title(version), &text))
}

fn hostile(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.chars().any(is_hostile).then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(hostile),
        Value::Object(fields) => fields.values().find_map(hostile),
        _ => None,
    }
}

/// Control characters, and those that turn the direction of text; events wrap lines.
fn is_hostile(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
    turns || (character.is_control() && character != '\n')
}

fn dirty(place: &str, text: &str) -> Finding {
    Finding { check: "CleanText".to_owned(), what: format!("{place} says {:?}", shown(text)) }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn title(version: &Version) -> String {
    format!("{} {}/{} at {}", version.kind(), version.namespace(), version.name(), version.revision)
}
