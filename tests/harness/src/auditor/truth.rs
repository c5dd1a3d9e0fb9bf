//! What a status says, as a question to the journal.

use serde_json::Value;

use super::rules::line;
use super::witness::{alive, names, recipients};
use super::{Auditor, Invariant, Violation};
use crate::history::{Change, Version};

impl Auditor {
    /// A share that is said to be shared speaks of recipients who were given the image, by whomever. Whether each still has
    /// it is for the end: somebody may have taken it back a moment ago.
    pub(super) fn judge_truth(&self, found: &mut Vec<Violation>) {
        for share in self.witnessed.lives("ImageShare").flatten().filter(|share| is_said_to_be_shared(share)) {
            let images = self.witnessed.lives("CloudImage").filter_map(|life| alive(life, share.revision));
            for image in images.filter(|image| names(share, image)) {
                let by = self.witnessed.latest(share);
                let id = image.text("/spec/imageID");
                for recipient in recipients(share) {
                    let had = self.members.get(id).is_some_and(|members| members.iter().any(|had| had == recipient));
                    let mut past = self.acts.iter().filter(|act| act.image == id && act.time <= by);
                    if had || past.any(|act| act.added.iter().any(|added| added == recipient)) {
                        continue;
                    }
                    let what = format!("{recipient} is said to have {id} and was never given it");
                    let evidence = vec![line(share), line(image)];
                    found.push(Violation { invariant: Invariant::StatusTruth, at: by, what, evidence });
                }
            }
        }
    }
}

/// `Ready=True` because it is shared, of this very generation.
fn is_said_to_be_shared(share: &Version) -> bool {
    let text =
        |condition: &Value, field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let conditions = share.object.pointer("/status/conditions").and_then(Value::as_array);
    let mut ready = conditions.into_iter().flatten().filter(|condition| text(condition, "type") == "Ready");
    share.change != Change::Deleted
        && ready.any(|ready| {
            text(ready, "status") == "True"
                && text(ready, "reason") == "Shared"
                && ready.get("observedGeneration") == share.object.pointer("/metadata/generation")
        })
}
