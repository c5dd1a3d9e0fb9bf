//! Objects that do not parse as their kind: what is still known of them, the conditions to report, and what a release
//! would leave behind.

use serde_json::Value;

use crate::api::conditions::{Decision, READY, Reason, STALLED, Truth};
use crate::domain::foreign_text::plain;
use crate::domain::identifiers::RecipientKind;
use crate::domain::share::AskedRecipient;

/// Longest part of an error that a condition repeats, in characters.
const ERROR_CHARS_MAX: usize = 512;

/// Most recipients of one share that are read from a spec that does not parse.
const RECIPIENTS_MAX: usize = crate::api::limits::RECIPIENTS_PER_SHARE_MAX;

/// The conditions of an object that does not parse. `held_because`: why it is not released although it is being deleted.
pub fn decisions(error: &str, held_because: Option<&str>) -> [Decision; 2] {
    let kept = held_because.map(|why| format!("; it is not released, since {why}")).unwrap_or_default();
    let message = format!(
        "{}: this version of the operator cannot read the object; nothing is changed for it until the field is mended, or \
         the version that wrote it runs{kept}",
        plain(error, ERROR_CHARS_MAX)
    );
    let decide = |kind, truth| Decision { kind, truth, reason: Reason::Unreadable, message: message.clone() };
    [decide(READY, Truth::False), decide(STALLED, Truth::True)]
}

/// The recipients that a share names, as far as its spec parses. An id with an unreadable type counts for every type:
/// no recipient may lose access because of an unreadable field.
pub fn recipients(spec: &Value) -> Vec<AskedRecipient> {
    let listed = spec.get("recipients").and_then(Value::as_array).into_iter().flatten();
    listed.take(RECIPIENTS_MAX).flat_map(recipient).collect()
}

fn recipient(written: &Value) -> Vec<AskedRecipient> {
    let id = match written.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        _ => return Vec::new(),
    };
    let every = [RecipientKind::Account, RecipientKind::Project, RecipientKind::Organization];
    let named = written.get("type").and_then(Value::as_str);
    let kinds = match every.into_iter().find(|kind| named == Some(kind.to_string().as_str())) {
        Some(kind) => vec![kind],
        None => every.to_vec(),
    };
    kinds
        .into_iter()
        .map(|kind| AskedRecipient { kind, id: id.clone(), site: None, name: None, copyable: false })
        .collect()
}

/// Whether an object that does not parse names a `CloudAccount`.
pub fn names_account(spec: &Value, status: &Value, name: &str) -> bool {
    let named = ["/accountRef/name", "/destination/accountRef/name", "/source/received/accountRef/name"];
    let named = named.into_iter().filter_map(|field| spec.pointer(field)).chain(status.pointer("/copy/source/account"));
    named.into_iter().any(|named| named.as_str() == Some(name))
}

/// Whether the status of a `CloudImage` that does not parse lists a share as served.
pub fn serves(status: &Value, uid: &str) -> bool {
    match status.get("shares") {
        None | Some(Value::Null) => false,
        Some(Value::Array(served)) => served.iter().any(|share| is(share, "uid", uid)),
        Some(_) => true,
    }
}

/// What a `CloudImage` would leave at the cloud without its ledger, and what to do about it.
pub fn image_leaves_behind(spec: &Value, status: &Value) -> Option<&'static str> {
    let empty = |field: &str| match status.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::Array(entries)) => entries.iter().all(|entry| is(entry, "state", "Retained")),
        Some(_) => false,
    };
    if !empty("grants") || !empty("copies") || status.get("job").is_some_and(|job| !job.is_null()) {
        return Some(
            "status.grants holds recipients that may still have the image, and their access could not be ended",
        );
    }
    is(spec, "deletionPolicy", "Delete").then_some(
        "spec.deletionPolicy is Delete and the image could not be deleted at the cloud: set Retain to let this object go",
    )
}

/// What the release of a `SharedImageAcceptance` would leave undone.
pub fn acceptance_leaves_behind(spec: &Value, _status: &Value) -> Option<&'static str> {
    is(spec, "deletionPolicy", "Reject").then_some(
        "spec.deletionPolicy is Reject and the image could not be rejected: set Retain to let this object go",
    )
}

/// What an `ImageReplica` would leave at the cloud.
pub fn replica_leaves_behind(spec: &Value, status: &Value) -> Option<&'static str> {
    let copy = status.get("copy").filter(|copy| !copy.is_null())?;
    if is(copy, "state", "Failed") || (is(copy, "state", "Made") && !is(spec, "deletionPolicy", "Delete")) {
        return None;
    }
    Some("the copy in status.copy could not be removed")
}

fn is(object: &Value, field: &str, value: &str) -> bool {
    object.get(field).and_then(Value::as_str) == Some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_share_that_cannot_be_read_names_whom_its_spec_names_and_nobody_else() {
        let spec = json!({"recipients": [
            {"type": "Account", "id": "1000000000000001"}, {"type": "Planet", "id": "Mars"}, {"type": "Account", "id": 7},
            {"type": "Account"}, "nobody", null,
        ]});
        let named: Vec<String> = recipients(&spec).iter().map(|asked| format!("{} {}", asked.kind, asked.id)).collect();
        let expected = ["Account 1000000000000001", "Account Mars", "Project Mars", "Organization Mars", "Account 7"];
        assert_eq!(named, expected);
        for nobody in [json!(null), json!({}), json!({"recipients": "all"})] {
            assert_eq!(recipients(&nobody), []);
        }
    }

    #[test]
    fn an_image_that_cannot_be_read_stays_while_its_ledger_may_hold_somebody() {
        let stays = |status| image_leaves_behind(&json!({}), &status).is_some();
        for held in [
            json!({"grants": [{"type": "Account", "id": "1", "state": "Granted"}]}),
            json!({"grants": [{"id": "1", "state": "Frozen"}]}),
            json!({"grants": [7]}),
            json!({"grants": "many"}),
            json!({"job": {"id": "j"}}),
        ] {
            assert!(stays(held.clone()), "{held}");
        }
        for free in [json!(null), json!({}), json!({"grants": []}), json!({"grants": [{"state": "Retained"}]})] {
            assert!(!stays(free.clone()), "{free}");
        }
        assert!(image_leaves_behind(&json!({"deletionPolicy": "Delete"}), &json!({})).is_some());
    }

    #[test]
    fn what_would_be_left_undone_keeps_an_acceptance_and_a_replica() {
        assert!(acceptance_leaves_behind(&json!({"deletionPolicy": "Reject"}), &json!({})).is_some());
        assert!(acceptance_leaves_behind(&json!({"deletionPolicy": "Retain"}), &json!({})).is_none());
        let keeps = |policy: &str, copy| {
            replica_leaves_behind(&json!({"deletionPolicy": policy}), &json!({"copy": copy})).is_some()
        };
        assert!(!keeps("Delete", json!(null)) && !keeps("Delete", json!({"state": "Failed"})));
        assert!(keeps("Retain", json!({"state": "Copying"})) && keeps("Retain", json!({"state": "Frozen"})));
        assert!(keeps("Delete", json!({"state": "Made"})) && !keeps("Retain", json!({"state": "Made"})));
    }

    #[test]
    fn the_condition_names_the_field_and_shows_no_escapes() {
        let [ready, stalled] = decisions("spec.x: unknown variant `\u{1b}[31mred`", Some("it holds somebody"));
        assert!(ready.message.starts_with("spec.x: unknown variant `\u{FFFD}[31mred`"), "{}", ready.message);
        assert!(ready.message.ends_with("it is not released, since it holds somebody"), "{}", ready.message);
        assert_eq!((ready.kind, ready.truth), (READY, Truth::False));
        assert_eq!((stalled.kind, stalled.truth), (STALLED, Truth::True));
    }
}
