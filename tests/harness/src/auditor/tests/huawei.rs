//! Jobs, and answers to offers.

use serde_json::{Value, json};

use super::{Invariant, Story, at};
use crate::auditor::Auditor;
use crate::history::Change;
use crate::proxy::{Call, Upstream};

const OWNER: &str = "0000000000000000000000000000aaaa";
const ANNE: &str = "0000000000000000000000000000bbbb";
const STRANGER: &str = "0000000000000000000000000000cccc";
const DOMAIN: &str = "0000000000000000000000000000dddd";

impl Story {
    fn entry(mut self, principal: &str, action: &str, more: &Value) -> Self {
        self.now += 1;
        let mut entry = json!({"time": at(self.now), "principal": principal, "region": "r", "image": "m-1",
            "action": action, "code": "OK", "provider": "huawei"});
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.journal.push(entry);
        self
    }

    fn asks(self, action: &str, job: &str) -> Self {
        self.entry(OWNER, action, &json!({"job": job}))
    }

    fn does(self, job: &str, effect: &Value) -> Self {
        self.entry(OWNER, "JobEffect", &json!({"job": job, "effect": effect}))
    }

    fn answers(self, principal: &str, word: &str) -> Self {
        let asked = json!({"job": "answer", "parameters": {"answer": word}});
        let told = json!({"added": [], "removed": [], "deleted": false,
            "answered": [{"recipient": principal, "status": word}]});
        self.entry(principal, "BatchUpdateMembers", &asked).entry(
            principal,
            "JobEffect",
            &json!({"job": "answer", "effect": told}),
        )
    }

    fn account(self, domain: &str) -> Self {
        self.version(
            Change::Added,
            json!({"kind": "CloudAccount", "metadata": {"namespace": "n", "name": "anne", "uid": "account"},
                "spec": {"huawei": {"domainID": domain}}}),
        )
    }

    fn acceptance(self, decision: &str, answering: Option<&str>, edit: impl FnOnce(&mut Value)) -> Self {
        let mut acceptance = json!({
            "kind": "SharedImageAcceptance", "metadata": {"namespace": "n", "name": "anne", "uid": "acceptance"},
            "spec": {"accountRef": {"name": "anne"}, "region": "r", "imageID": "m-1", "decision": decision},
            "status": {"answering": answering},
        });
        edit(&mut acceptance);
        self.version(Change::Modified, acceptance)
    }

    /// A write of the acceptance's status that changed nothing, through the proxy.
    fn decided_again(mut self, revision: u64) -> Self {
        self.now += 1;
        self.calls.push(Call {
            seq: 1,
            write: Some(1),
            upstream: Upstream::Kubernetes,
            method: "PATCH".into(),
            path: "/apis/imageshare.dev/v1alpha1/namespaces/n/sharedimageacceptances/anne/status?force=true".into(),
            action: String::new(),
            summary: String::new(),
            asked_at: at(self.now),
            answered_at: Some(at(self.now)),
            status: Some(200),
            version: Some(revision),
        });
        self
    }

    fn found_at_huawei(self) -> Vec<Invariant> {
        let domain = |id: &str, project: &str| json!({"id": id, "projects": [{"id": project}]});
        let domains = [domain("owner", OWNER), domain(DOMAIN, ANNE)];
        let world = json!({"images": [], "huawei": {"images": [{"id": "m-1", "project": OWNER}], "domains": domains}});
        let auditor = Auditor::new(&self.journal, self.versions).owners_of(&world).carried(&self.calls);
        auditor.audit().into_iter().map(|violation| violation.invariant).collect()
    }
}

fn gives() -> Value {
    json!({"added": [ANNE], "removed": [], "deleted": false})
}

fn takes() -> Value {
    json!({"added": [], "removed": [ANNE], "deleted": false})
}

fn wished() -> Story {
    Story::default().image(Change::Added, &[]).share("s", &[ANNE])
}

fn asked() -> Story {
    wished().ledger(&[(ANNE, "Intended")]).asks("BatchAddMembers", "add")
}

fn accepting() -> Story {
    Story::default().account(DOMAIN).acceptance("Accept", None, |_| {}).acceptance("Accept", Some("Accept"), |_| {})
}

#[test]
fn a_share_carried_out_by_jobs_is_clean() {
    let ended = asked().does("add", &gives()).ledger(&[(ANNE, "Granted")]).share_deleting("s", &[ANNE]);
    let ended = ended.ledger(&[(ANNE, "Revoking")]).asks("BatchDeleteMembers", "remove").does("remove", &takes());
    let ended = ended.ledger(&[]).share_gone("s", &[ANNE]).image(Change::Deleted, &[]);
    assert_eq!(ended.found_at_huawei(), []);
}

#[test]
fn a_grant_by_a_job_that_no_ledger_names_is_found() {
    let late = wished().asks("BatchAddMembers", "add").wait(1).ledger(&[(ANNE, "Intended")]);
    assert_eq!(late.does("add", &gives()).found_at_huawei(), [Invariant::LedgerBeforeCall]);
}

#[test]
fn a_job_asked_for_while_its_grant_was_wished_may_end_later() {
    assert_eq!(asked().share_deleting("s", &[ANNE]).wait(2).does("add", &gives()).found_at_huawei(), []);
    let revoking = asked().share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")]).does("add", &gives());
    assert_eq!(revoking.found_at_huawei(), []);
}

#[test]
fn a_job_that_grants_what_the_ledger_has_forgotten_is_a_leak() {
    let forgotten = asked().share_deleting("s", &[ANNE]).ledger(&[]).share_gone("s", &[ANNE]).wait(1);
    assert_eq!(forgotten.does("add", &gives()).found_at_huawei(), [Invariant::NoLeak]);
}

#[test]
fn a_job_that_takes_from_whom_a_share_wishes_is_found() {
    let kept = asked().does("add", &gives()).ledger(&[(ANNE, "Revoking")]).asks("BatchDeleteMembers", "remove");
    assert_eq!(kept.does("remove", &takes()).found_at_huawei(), [Invariant::NoWrongfulRevoke]);
    // Wished after it was asked for: too late.
    let marked = asked().does("add", &gives()).share_deleting("s", &[ANNE]).ledger(&[(ANNE, "Revoking")]);
    let late = marked.asks("BatchDeleteMembers", "remove").share("t", &[ANNE]).wait(1).does("remove", &takes());
    assert_eq!(late.found_at_huawei(), []);
}

#[test]
fn only_the_owner_changes_members_and_anybody_offered_the_image_answers() {
    let stranger = |action| wished().entry(STRANGER, action, &json!({"job": "j"})).found_at_huawei();
    assert_eq!(stranger("BatchAddMembers"), [Invariant::OwnImagesOnly]);
    assert_eq!(stranger("BatchDeleteMembers"), [Invariant::OwnImagesOnly]);
    assert_eq!(stranger("ListImageMembers"), []);
    let effect = wished().entry(STRANGER, "JobEffect", &json!({"job": "j", "effect": takes()}));
    assert!(effect.found_at_huawei().contains(&Invariant::OwnImagesOnly));
    assert_eq!(accepting().answers(ANNE, "accepted").found_at_huawei(), []);
}

#[test]
fn an_answer_that_nobody_decided_is_found() {
    let found = [Invariant::NoAnswerWithoutDecision];
    assert_eq!(wished().answers(ANNE, "accepted").found_at_huawei(), found);
    // The other way round; before it was written; while suspended; of another account.
    assert_eq!(accepting().answers(ANNE, "rejected").found_at_huawei(), found);
    let early = Story::default().account(DOMAIN).acceptance("Accept", None, |_| {}).answers(ANNE, "accepted");
    assert_eq!(early.wait(1).acceptance("Accept", Some("Accept"), |_| {}).found_at_huawei(), found);
    let suspended = Story::default().account(DOMAIN).acceptance("Accept", Some("Accept"), |acceptance| {
        acceptance["spec"]["suspend"] = json!(true);
    });
    assert_eq!(suspended.answers(ANNE, "accepted").found_at_huawei(), found);
    let stranger = Story::default().account("stranger").acceptance("Accept", Some("Accept"), |_| {});
    assert_eq!(stranger.answers(ANNE, "accepted").found_at_huawei(), found);
    let gone = accepting().version(
        Change::Deleted,
        json!({"kind": "SharedImageAcceptance",
        "metadata": {"namespace": "n", "name": "anne", "uid": "acceptance"}, "spec": {}}),
    );
    assert_eq!(gone.wait(1).answers(ANNE, "accepted").found_at_huawei(), found);
}

#[test]
fn an_answer_to_another_than_the_trusted_owner_is_found() {
    let answered = |owner: &str| {
        let trusting = |acceptance: &mut Value| acceptance["spec"]["owner"] = json!(owner);
        let story = wished().account(DOMAIN).acceptance("Accept", Some("Accept"), trusting);
        story.answers(ANNE, "accepted").found_at_huawei()
    };
    assert_eq!(answered(OWNER), []);
    assert_eq!(answered(STRANGER), [Invariant::NoAnswerWithoutDecision]);
}

#[test]
fn a_decision_that_changes_after_it_was_written_down_excuses_the_answer() {
    let changed = || accepting().acceptance("Reject", Some("Accept"), |_| {});
    assert_eq!(changed().answers(ANNE, "accepted").found_at_huawei(), []);
    // Unless it was written down again.
    let again = changed().decided_again(4).answers(ANNE, "accepted");
    assert_eq!(again.found_at_huawei(), [Invariant::NoAnswerWithoutDecision]);
    let anew = changed().acceptance("Reject", Some("Reject"), |_| {}).answers(ANNE, "rejected");
    assert_eq!(anew.found_at_huawei(), []);
}

#[test]
fn a_leaving_acceptance_rejects_where_its_policy_says_so_and_else_answers_nothing() {
    let leaving = |policy: &'static str| {
        accepting().acceptance("Accept", Some("Reject"), move |acceptance| {
            acceptance["metadata"]["deletionTimestamp"] = json!("x");
            acceptance["spec"]["deletionPolicy"] = json!(policy);
        })
    };
    assert_eq!(leaving("Reject").answers(ANNE, "rejected").found_at_huawei(), []);
    assert_eq!(leaving("Retain").answers(ANNE, "rejected").found_at_huawei(), [Invariant::NoAnswerWithoutDecision]);
}

#[test]
fn answers_out_of_band_are_nobodys() {
    let told = json!({"parameters": {"answer": "accepted"}});
    assert_eq!(wished().entry("out-of-band", "ShareOutOfBand", &told).found_at_huawei(), []);
}
