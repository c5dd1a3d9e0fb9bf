//! What may be written where: no secret in any log, event or version of an object; no panic; and nothing that a cloud said
//! reaches a status as it was said, where it would colour a terminal or turn what follows.

use anyhow::Result;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::Finding;
use super::clouds::CANARY;
use super::judge::logs;
use super::plan::hex;
use super::stage::Stage;
use crate::history::Version;

/// Characters of a line shown.
const SHOWN: usize = 300;

pub(super) async fn judge(stage: &Stage) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let versions = stage.history.versions().await?;
    let mut written: Vec<(String, String)> =
        versions.iter().map(|version| (title(version), version.object.to_string())).collect();
    let logs = logs(&stage.run)?;
    for (name, log) in &logs {
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            findings.push(Finding { check: "NoPanic".to_owned(), what: format!("{name}: {}", shown(line)) });
        }
    }
    written.extend(logs);
    let events = stage.people.api.get("/apis/events.k8s.io/v1/events").await?.unwrap_or_default();
    written.push(("events".to_owned(), events.to_string()));
    findings.extend(written.iter().filter_map(|(place, text)| secret_in(place, text)));
    findings.extend(versions.iter().filter_map(hostile_in));
    findings.extend(hostile(&events).map(|text| dirty("an event", &text)));
    Ok(findings)
}

/// How a secret may look where it must not be: as text, as the API server stores it, as bytes in a debug print, in hex.
fn disguises() -> Vec<String> {
    let bytes = CANARY.as_bytes();
    let list = bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let hex = hex(bytes);
    let base64 = json!(ByteString(bytes.to_vec()));
    // Four letters of base64 stand for three bytes: the whole ones are the same whatever follows.
    let base64 = base64.as_str().unwrap_or_default().chars().take(bytes.len() / 3 * 4).collect();
    vec![CANARY.to_owned(), base64, list, hex.to_uppercase(), hex]
}

fn secret_in(place: &str, text: &str) -> Option<Finding> {
    let disguise = disguises().into_iter().find(|disguise| text.contains(disguise))?;
    let line = text.lines().find(|line| line.contains(&disguise)).unwrap_or_default();
    let at = line.find(&disguise).unwrap_or_default();
    let before: String = line.chars().take(at).collect();
    Some(Finding { check: "Secrecy".to_owned(), what: format!("{place} shows a secret after {}", shown(&before)) })
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
