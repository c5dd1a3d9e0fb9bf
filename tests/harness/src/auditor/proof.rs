//! Ledger entries end with a proof, and only admitted shares retain.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::requests::Asked;
use super::rules::{is_deleting, line, may_retain};
use super::witness::{Life, alive, ids_in_ledger, ledger_state, names, recipients};
use super::{Auditor, Invariant, Violation};
use crate::history::{Change, Version};

/// Reads that show who has an image, or whether there is one. Those that name no image are lists of all images of an
/// account.
const SHOWING: [&str; 7] = [
    "DescribeImageSharePermission",
    "DescribeImageAttribute",
    "DescribeImages",
    "ListImages",
    "ListImageMembers",
    "GlanceListImageMembers",
    "GlanceShowImage",
];

impl Auditor {
    /// An entry leaves the ledger only after a complete read at the cloud that lacked its recipient. An intent that was
    /// never acted on, or for which every call was refused, may leave without.
    pub(super) fn judge_ledgers(&self, found: &mut Vec<Violation>) {
        // A journal without requests tells nothing of reads.
        if self.asked.is_empty() {
            return;
        }
        for life in self.witnessed.lives("CloudImage") {
            for (index, pair) in life.windows(2).enumerate() {
                let [before, after] = pair else { continue };
                if after.change == Change::Deleted {
                    continue;
                }
                let kept = ids_in_ledger(after);
                // What can be no recipient's id was written by somebody else, who may take it out again.
                let lost = ids_in_ledger(before).difference(&kept).copied().collect::<Vec<_>>();
                let handed_over = |id: &&str| self.is_in_another_ledger(before, id, after.revision);
                for id in lost.into_iter().filter(|id| !id.contains(' ') && !handed_over(id)) {
                    let since = self.entered(life, index, id);
                    if !self.is_proven(before, id, since, self.witnessed.latest(after)) {
                        let (title, image) = (super::rules::title(before), before.text("/spec/imageID"));
                        let state = ledger_state(before, id).unwrap_or_default();
                        let what = format!(
                            "the ledger of {title} lost its entry {state} for {id}, and no complete read since {} \
                             showed that {id} does not have {image}",
                            since.0
                        );
                        let (at, evidence) = (after.seen_at, vec![line(before), line(after)]);
                        found.push(Violation { invariant: Invariant::NoEntryWithoutProof, at, what, evidence });
                    }
                }
            }
        }
    }

    /// Whether another `CloudImage` for the same image has an entry for a recipient: what one of the two must end, the other
    /// may forget.
    fn is_in_another_ledger(&self, image: &Version, id: &str, revision: u64) -> bool {
        let same = self.witnessed.standing_for(image.text("/spec/region"), image.text("/spec/imageID"));
        let others = same.filter_map(|life| alive(life, revision)).filter(|other| other.uid() != image.uid());
        others.into_iter().any(|other| ledger_state(other, id).is_some())
    }

    /// When the entry of `life[index]` was written that has stood there since, and whether it was only an intent all the
    /// time: to add somebody, or to remove whom others had added.
    fn entered(&self, life: &Life, index: usize, id: &str) -> (Timestamp, bool) {
        let standing = life.iter().take(index + 1).rev().take_while(|version| ledger_state(version, id).is_some());
        let states = standing.clone().filter_map(|version| ledger_state(version, id));
        let intended = states.into_iter().all(|state| ["Intended", "Revoking"].contains(&state));
        (standing.last().map_or(Timestamp::MIN, |first| self.witnessed.earliest(first)), intended)
    }

    fn is_proven(&self, image: &Version, id: &str, (since, intended): (Timestamp, bool), until: Timestamp) -> bool {
        let (region, image) = (image.text("/spec/region"), image.text("/spec/imageID"));
        let meanwhile = |asked: &&Asked| since <= asked.time && asked.time <= until;
        let about =
            |asked: &&Asked| asked.image.as_deref().is_none_or(|named| named == image) && asked.region == region;
        // No row can be left out of the list of an image that nobody has.
        let nobody = |at| !self.ids_of(image).any(|id| self.has(image, id, at));
        let showing = |asked: &&Asked| {
            SHOWING.contains(&asked.action.as_str())
                && asked.answered_completely(|| asked.image.is_some() && nobody(asked.time))
        };
        let mut reads = self.asked.iter().filter(about).filter(meanwhile).filter(showing);
        if reads.any(|read| !self.has(image, id, read.time)) {
            return true;
        }
        let acts = |asked: &Asked| asked.image.as_deref() == Some(image) && asked.moves.iter().any(|moved| moved == id);
        intended && !self.asked.iter().filter(meanwhile).filter(|asked| !asked.is_refused()).any(acts)
    }

    /// Whether a recipient had an image at a moment, by the journal alone.
    pub(super) fn has(&self, image: &str, id: &str, at: Timestamp) -> bool {
        let mut has = self.members.get(image).is_some_and(|members| members.iter().any(|member| member == id));
        for act in self.acts.iter().filter(|act| act.image == image && act.time <= at) {
            if act.deletes(image) || act.removed.iter().any(|removed| removed == id) {
                has = false;
            }
            if act.added.iter().any(|added| added == id) {
                has = true;
            }
        }
        has
    }

    /// Everybody who ever had an image.
    fn ids_of(&self, image: &str) -> impl Iterator<Item = &str> {
        let acts = self.acts.iter().filter(move |act| act.image == image);
        let added = acts.flat_map(|act| act.added.iter());
        self.members.get(image).into_iter().flatten().chain(added).map(String::as_str)
    }

    /// A recipient is retained only for a share that goes with `Retain` and may retain.
    pub(super) fn judge_retention(&self, found: &mut Vec<Violation>) {
        for life in self.witnessed.lives("CloudImage") {
            let mut before = BTreeSet::new();
            for version in life.iter().filter(|version| version.change != Change::Deleted) {
                let retained: BTreeSet<&str> = retained(version).collect();
                for id in retained.difference(&before).filter(|id| !self.is_retained_rightly(life, version, id)) {
                    let what = format!(
                        "{id} keeps {} though no share that may retain named it",
                        version.text("/spec/imageID")
                    );
                    let mut evidence = vec![line(version)];
                    evidence.extend(self.retaining(life, id).map(line));
                    found.push(Violation {
                        invariant: Invariant::RetainNeedsConsent,
                        at: version.seen_at,
                        what,
                        evidence,
                    });
                }
                before = retained;
            }
        }
    }

    /// Last versions of shares that named a recipient of this image and go, or went, with `Retain`.
    fn retaining<'a>(&'a self, image: &'a Life, id: &'a str) -> impl Iterator<Item = &'a Version> {
        let named = move |share: &&Version| image.first().is_some_and(|image| names(share, image));
        let asks = move |share: &&Version| recipients(self.witnessed.as_wished(share)).any(|named| named == id);
        let last = self.witnessed.lives("ImageShare").filter_map(|life| life.last());
        let retains = |share: &&Version| share.text("/spec/deletionPolicy") == "Retain" && is_deleting(share);
        last.filter(named).filter(retains).filter(asks)
    }

    /// Whether the image consented, at some moment until this version was written at which the share was going.
    fn is_retained_rightly(&self, image: &Life, written: &Version, id: &str) -> bool {
        self.retaining(image, id).any(|share| {
            let own = self.witnessed.life_of(share).into_iter().flatten();
            let Some(since) = own.clone().find(|version| is_deleting(version)) else { return false };
            if since.revision > written.revision {
                return false;
            }
            // The list that the decision rests on may have been older than the image's last version by one.
            let newest = image.iter().rposition(|version| version.revision <= since.revision).unwrap_or_default();
            let then = image.iter().skip(newest).take_while(|version| version.revision <= written.revision);
            then.into_iter().any(|image| may_retain(share, image))
        })
    }
}

fn retained(image: &Version) -> impl Iterator<Item = &str> {
    let grants = image.object.pointer("/status/grants").and_then(Value::as_array).into_iter().flatten();
    let kept = grants.filter(|grant| grant.get("state").and_then(Value::as_str) == Some("Retained"));
    kept.filter_map(|grant| grant.get("id").and_then(Value::as_str))
}
