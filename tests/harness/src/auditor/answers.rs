//! Answers to offers as questions to the witnesses: whoever answers was asked to, in writing.

use serde_json::Value;

use super::rules::{is_deleting, line};
use super::witness::{Act, Life};
use super::{Auditor, Invariant, Violation};
use crate::history::Version;

impl Auditor {
    /// An answer must have been written into a `SharedImageAcceptance` that decided so when it was written.
    pub(super) fn judge_answer(&self, act: &Act, found: &mut Vec<Violation>) {
        let decision = match act.answer.as_deref() {
            Some("accepted") => "Accept",
            Some("rejected") => "Reject",
            Some(_) | None => return,
        };
        let mut asking = self.acceptances(act).filter(|life| self.trusts(life, &act.image));
        if !act.by_an_account() || asking.any(|life| self.decided(life, act, decision)) {
            return;
        }
        let what = format!("{} answered {decision} to {} without being asked to", act.principal, act.image);
        let mut evidence = vec![act.line()];
        for life in self.acceptances(act) {
            evidence.extend(self.witnessed.newest_at(life, act.time).map(line));
        }
        found.push(Violation { invariant: Invariant::NoAnswerWithoutDecision, at: act.time, what, evidence });
    }

    /// The acceptances about the act's image, of accounts that are who acted.
    fn acceptances<'a>(&'a self, act: &'a Act) -> impl Iterator<Item = &'a Life> {
        self.witnessed.lives("SharedImageAcceptance").filter(move |life| {
            let about = |v: &Version| v.text("/spec/region") == act.region && v.text("/spec/imageID") == act.image;
            life.first().is_some_and(|first| about(first) && self.speaks_for(first, &act.principal))
        })
    }

    /// Whether the image is whose its acceptance trusts.
    fn trusts(&self, acceptance: &Life, image: &str) -> bool {
        let trusted = acceptance.first().map(|first| first.text("/spec/owner")).filter(|owner| !owner.is_empty());
        trusted.is_none_or(|trusted| self.owners.get(image).is_none_or(|owner| owner == trusted))
    }

    fn speaks_for(&self, acceptance: &Version, principal: &str) -> bool {
        let Some(domain) = self.domains.get(principal) else { return true };
        let (namespace, name) = (acceptance.namespace(), acceptance.text("/spec/accountRef/name"));
        let accounts = self.witnessed.lives("CloudAccount").filter_map(|life| life.first());
        let mut named = accounts.filter(|account| account.namespace() == namespace && account.name() == name);
        named.any(|account| account.text("/spec/huawei/domainID") == domain)
    }

    /// Whether an acceptance said so in its status, written while its spec did.
    fn decided(&self, life: &Life, act: &Act, decision: &str) -> bool {
        self.witnessed.newest_at(life, act.time).any(|newest| {
            let written = self.witnessed.last_written(life, newest, act.time);
            written.text("/status/answering") == decision && decides(written, decision)
        })
    }
}

fn decides(acceptance: &Version, decision: &str) -> bool {
    if is_deleting(acceptance) {
        return decision == "Reject" && acceptance.text("/spec/deletionPolicy") == "Reject";
    }
    let suspended = acceptance.object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true);
    !suspended && acceptance.text("/spec/decision") == decision
}
