use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::cli::plan::documents;
use crate::cli::plan::images::ImagePlan;

const NOW: &str = "2026-06-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn id(n: u32) -> String {
    format!("{}", 1_000_000_000_000_000_u64 + u64::from(n))
}

fn there<K: serde::de::DeserializeOwned>(value: Value) -> Found<K> {
    Found::There(Box::new(serde_json::from_value(value).unwrap()))
}

fn condition(kind: &str, status: &str, reason: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": "as told", "observedGeneration": 1,
        "lastTransitionTime": NOW})
}

fn account(spec: &Value) -> Value {
    let mut all = json!({"alibaba": {"accountID": "2000000000000001", "site": "International",
        "credentials": {"secretRef": {"name": "golden"}}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"metadata": {"name": "golden", "namespace": "images", "generation": 1}, "spec": all,
        "status": {"conditions": [condition("Ready", "True", "Verified")]}})
}

/// An image that these recipients have, each for the shares of these positions in `shares`.
fn image(spec: &Value, shares: &[&str], grants: &[(u32, &str, &[i32])], foreign: &[u32]) -> Value {
    let mut all = json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-1"});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let shares: Vec<Value> = shares
        .iter()
        .map(|share| {
            let (namespace, name) = share.split_once('/').unwrap();
            json!({"uid": share, "namespace": namespace, "name": name, "generation": 1})
        })
        .collect();
    let grants: Vec<Value> = grants
        .iter()
        .map(|(n, state, shares)| {
            json!({"type": "Account", "id": id(*n), "state": state, "since": "2026-01-01T00:00:00Z", "shares": shares})
        })
        .collect();
    let foreign: Vec<Value> = foreign.iter().map(|n| json!({"type": "Account", "id": id(*n)})).collect();
    json!({"metadata": {"name": "ubuntu", "namespace": "images", "generation": 1}, "spec": all,
        "status": {"image": "cn-hangzhou/m-1", "owner": "x", "state": "Available", "recipients": "1/50",
            "conditions": [condition("Ready", "True", "Available")],
            "grants": grants, "shares": shares, "unmanaged": foreign}})
}

/// A share as `namespace/name` of these recipients; `metadata` and `spec` add to it.
fn share(name: &str, numbers: &[u32], metadata: &Value, spec: &Value) -> Guarded<ImageShare> {
    let (namespace, short) = name.split_once('/').unwrap();
    let recipients: Vec<Value> = numbers.iter().map(|n| json!({"type": "Account", "id": id(*n)})).collect();
    let mut all = json!({"imageRef": {"name": "ubuntu", "namespace": "images"}, "recipients": recipients});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let mut meta = json!({"name": short, "namespace": namespace, "uid": name, "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["imageshare.dev/operator"]});
    meta.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    serde_json::from_value(json!({"metadata": meta, "spec": all})).unwrap()
}

fn plain(name: &str, numbers: &[u32]) -> Guarded<ImageShare> {
    share(name, numbers, &json!({}), &json!({}))
}

fn subject(account_spec: &Value, mut image: Value, shares: Vec<Guarded<ImageShare>>) -> Subject {
    if let Some(limit) = account_spec["limits"]["recipientsPerImage"].as_u64() {
        image["status"]["recipients"] = json!(format!("1/{limit}"));
    }
    Subject {
        key: ("images".into(), "ubuntu".into()),
        image: there(image),
        account: there(account(account_spec)),
        shares,
        labels: BTreeMap::new(),
    }
}

fn planned(subject: &Subject) -> Planned {
    plan_image(subject, &Set::default(), now())
}

fn gets(plan: &ImagePlan) -> Vec<&str> {
    plan.grants.iter().map(|grant| grant.id.as_str()).collect()
}

fn loses(plan: &ImagePlan) -> Vec<(&str, &str)> {
    plan.revokes.iter().map(|revoke| (revoke.id.as_str(), revoke.why.as_str())).collect()
}

#[test]
fn who_is_taken_out_loses_the_image_and_who_is_added_gets_it_in_one_call() {
    let image = image(&json!({}), &["images/team"], &[(1, "Granted", &[0]), (2, "Granted", &[0])], &[9]);
    let Planned { plan, refused, unknown } = planned(&subject(&json!({}), image, vec![plain("images/team", &[2, 3])]));
    assert!(refused.is_empty() && unknown.is_empty() && plan.waits.is_none(), "{plan:?}");
    assert_eq!(gets(&plan), [id(3)]);
    assert_eq!(loses(&plan), [(id(1).as_str(), "taken out of images/team")]);
    assert!(plan.revokes[0].breaks.contains("re-initialise"));
    assert_eq!((plan.slots, plan.limit, plan.calls), (Some(Slots { before: 3, after: 3 }), Some(50), Some(1)));
    assert!(plan.notes.is_empty(), "who has it beside us is no part of the plan: {:?}", plan.notes);
}

#[test]
fn a_share_that_goes_takes_its_access_along_and_leaves_that_of_others() {
    let image = image(&json!({}), &["images/a", "images/b"], &[(1, "Granted", &[0]), (2, "Granted", &[0, 1])], &[]);
    let gone = share("images/a", &[1, 2], &json!({"deletionTimestamp": NOW}), &json!({}));
    let plan = planned(&subject(&json!({}), image, vec![gone, plain("images/b", &[2])])).plan;
    assert_eq!((gets(&plan), loses(&plan)), (vec![], vec![(id(1).as_str(), "images/a is deleted")]));
    assert_eq!(plan.slots, Some(Slots { before: 2, after: 1 }));
}

#[test]
fn a_share_that_goes_and_retains_takes_nothing() {
    let image = image(&json!({}), &["images/a"], &[(1, "Granted", &[0])], &[]);
    let metadata = json!({"deletionTimestamp": NOW});
    let gone = share("images/a", &[1], &metadata, &json!({"deletionPolicy": "Retain"}));
    let plan = planned(&subject(&json!({}), image, vec![gone])).plan;
    assert!(plan.revokes.is_empty() && plan.notes == [format!("Account {} keeps it (deletionPolicy: Retain)", id(1))]);
}

#[test]
fn a_slot_that_a_revoke_frees_is_given_to_who_waits() {
    let full = json!({"limits": {"recipientsPerImage": 2}});
    let image = image(&json!({}), &["images/team"], &[(1, "Granted", &[0]), (2, "Granted", &[0])], &[]);
    let plan = planned(&subject(&full, image.clone(), vec![plain("images/team", &[2, 3])])).plan;
    assert_eq!(
        (gets(&plan), plan.revokes.len(), plan.slots),
        (vec![id(3).as_str()], 1, Some(Slots { before: 2, after: 2 }))
    );
    assert_eq!(plan.calls, Some(2), "the image is full: the revoke goes first");
    let plan = planned(&subject(&full, image, vec![plain("images/team", &[1, 2, 3])])).plan;
    assert!(plan.grants.is_empty() && plan.revokes.is_empty(), "nobody is displaced: {plan:?}");
}

/// The operator writes an intent before it calls, and what came of it after.
#[test]
fn a_grant_that_is_under_way_is_still_to_come_or_is_taken_again() {
    let mut image = image(&json!({}), &["images/team"], &[(1, "Intended", &[0]), (2, "Intended", &[0])], &[]);
    // As written: rounded up to the next second.
    for grant in image["status"]["grants"].as_array_mut().unwrap() {
        grant["since"] = json!("2026-06-01T00:00:01Z");
    }
    let plan = planned(&subject(&json!({}), image, vec![plain("images/team", &[2])])).plan;
    assert_eq!((gets(&plan), loses(&plan).len()), (vec![id(2).as_str()], 1), "{plan:?}");
    assert_eq!(plan.revokes[0].id, id(1));
}

#[test]
fn a_limit_that_was_just_lowered_counts_before_the_image_was_reported_again() {
    let image = image(&json!({}), &["images/team"], &[(1, "Granted", &[0])], &[]);
    let mut lowered = account(&json!({"limits": {"recipientsPerImage": 1}}));
    lowered["metadata"]["generation"] = json!(2);
    let old = subject(&json!({}), image, vec![plain("images/team", &[1, 2])]);
    let plan = planned(&Subject { account: there(lowered), ..old }).plan;
    assert_eq!((plan.limit, plan.grants.len()), (Some(1), 0), "it is no full-server image: {plan:?}");
}

#[test]
fn whom_a_set_names_beyond_the_limit_is_refused_with_the_line() {
    let text = format!(
        "apiVersion: imageshare.dev/v1alpha1\nkind: ImageShare\nmetadata: {{name: team, namespace: images}}\nspec:\n  imageRef: \
         {{name: ubuntu}}\n  recipients:\n    - {{type: Account, id: '{}'}}\n    - {{type: Account, id: '{}'}}\n",
        id(1),
        id(2)
    );
    let set = Set::of(documents::read("team.yaml", &text).unwrap(), "default");
    let image = image(&json!({}), &["images/team"], &[(1, "Granted", &[0])], &[]);
    let subject = subject(&json!({"limits": {"recipientsPerImage": 1}}), image, vec![plain("images/team", &[1, 2])]);
    let planned = plan_image(&subject, &set, now());
    assert_eq!(planned.refused.len(), 1, "{:?}", planned.refused);
    assert_eq!(planned.refused[0].place, "team.yaml:8");
    assert!(planned.refused[0].message.contains("RecipientLimit"), "{:?}", planned.refused);
}

#[test]
fn consent_that_is_withdrawn_ends_access_and_consent_that_cannot_be_read_changes_nothing() {
    let grants: &[(u32, &str, &[i32])] = &[(1, "Granted", &[0])];
    let same = image(&json!({}), &["team/a"], grants, &[]);
    let plan = planned(&subject(&json!({}), same, vec![plain("team/a", &[1])])).plan;
    assert_eq!(loses(&plan), [(id(1).as_str(), "shareableFrom does not admit team/a any more")]);

    let selector =
        json!({"shareableFrom": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}});
    let mut chosen = subject(&json!({}), image(&selector, &["team/a"], grants, &[]), vec![plain("team/a", &[1, 2])]);
    let plan = planned(&chosen).plan;
    assert!(plan.grants.is_empty() && plan.revokes.is_empty(), "its labels are not known: {plan:?}");
    chosen.labels.insert("team".into(), [("a".to_owned(), "b".to_owned())].into());
    assert_eq!(gets(&planned(&chosen).plan), [id(2)]);
    chosen.labels.insert("team".into(), BTreeMap::new());
    assert_eq!(planned(&chosen).plan.revokes.len(), 1);
}

#[test]
fn what_the_operator_cannot_do_yet_is_planned_and_says_what_it_waits_for() {
    let plan_with = |spec: &Value, image| planned(&subject(spec, image, vec![plain("images/team", &[1])])).plan;
    let plan = plan_with(&json!({"suspend": true}), image(&json!({}), &[], &[], &[]));
    assert!(plan.waits.as_ref().unwrap().contains("suspended") && plan.grants.len() == 1, "{plan:?}");
    let mut absent = image(&json!({}), &[], &[], &[]);
    absent["status"]["conditions"] = json!([condition("Ready", "False", "ImageNotFound")]);
    let plan = plan_with(&json!({}), absent);
    assert_eq!(plan.waits.as_deref(), Some("the image is not ready (ImageNotFound): as told"));
    let mut new = image(&json!({}), &[], &[], &[]);
    new.as_object_mut().unwrap().remove("status");
    let plan = plan_with(&json!({}), new);
    assert!(plan.waits.is_none() && plan.notes[0].contains("not seen at the cloud yet"), "{plan:?}");
}

#[test]
fn an_image_that_is_deleted_says_what_it_waits_for_and_what_becomes_of_it() {
    let deleted = |spec: &Value, foreign: &[u32], shares: Vec<Guarded<ImageShare>>| {
        let mut image = image(spec, &["images/team"], &[(1, "Granted", &[0])], foreign);
        image["metadata"]["deletionTimestamp"] = json!(NOW);
        planned(&subject(&json!({}), image, shares)).plan.notes.join("\n")
    };
    let gone = || vec![share("images/team", &[1], &json!({"deletionTimestamp": NOW}), &json!({}))];
    let held = deleted(&json!({}), &[], vec![plain("images/team", &[1])]);
    assert!(held.contains("its deletion waits") && held.contains("images/team"), "{held}");
    assert!(deleted(&json!({}), &[], gone()).contains("stays at the cloud"));
    let delete = json!({"deletionPolicy": "Delete"});
    assert!(deleted(&delete, &[], gone()).contains("deleted at the cloud"));
    assert!(deleted(&delete, &[9], gone()).contains("recipients that no ImageShare names"));
}

#[test]
fn what_cannot_be_read_is_no_empty_plan() {
    let mut odd = image(&json!({}), &[], &[], &[]);
    odd["status"]["grants"] = json!([{"type": "Account", "id": "a b", "state": "Granted", "since": NOW}]);
    assert_eq!(planned(&subject(&json!({}), odd, vec![])).unknown.len(), 1);
    let hidden = Subject { image: Found::Hidden, ..subject(&json!({}), image(&json!({}), &[], &[], &[]), vec![]) };
    assert!(planned(&hidden).plan.waits.is_some());
}

#[test]
fn who_has_the_image_beside_us_loses_it_by_policy_and_is_adopted_where_it_is_named() {
    let image = image(&json!({"unmanagedRecipients": "Revoke"}), &[], &[], &[9]);
    let plan = planned(&subject(&json!({}), image.clone(), vec![plain("images/team", &[1])])).plan;
    assert_eq!(loses(&plan), [(id(9).as_str(), "no ImageShare names it (unmanagedRecipients: Revoke)")]);
    let plan = planned(&subject(&json!({}), image, vec![plain("images/team", &[9])])).plan;
    assert!(plan.grants.is_empty() && plan.notes[0].contains("has it already"), "{plan:?}");
}

proptest! {
    /// A plan is whole: once it is carried out, nothing is left to do.
    #[test]
    fn after_a_plan_was_carried_out_the_next_one_is_empty(
        granted in prop::collection::btree_set(1_u32..9, 0..6),
        wanted in prop::collection::btree_set(1_u32..9, 0..8),
        limit in 1_u32..8,
        goes in any::<bool>(),
    ) {
        let limits = json!({"limits": {"recipientsPerImage": limit}});
        let granted: Vec<u32> = granted.into_iter().take(limit as usize).collect();
        let wanted: Vec<u32> = wanted.into_iter().collect();
        let shares = || {
            let metadata = if goes { json!({"deletionTimestamp": NOW}) } else { json!({}) };
            vec![share("images/team", &wanted, &metadata, &json!({}))]
        };
        let having = |numbers: &[u32]| {
            let grants: Vec<(u32, &str, &[i32])> = numbers.iter().map(|n| (*n, "Granted", [0].as_slice())).collect();
            image(&json!({}), &["images/team"], &grants, &[])
        };
        let plan = planned(&subject(&limits, having(&granted), shares())).plan;
        let slots = plan.slots.unwrap();
        prop_assert!(slots.before == granted.len() && slots.after <= limit as usize);
        let gone: Vec<&str> = plan.revokes.iter().map(|revoke| revoke.id.as_str()).collect();
        let mut left: Vec<u32> = granted.iter().copied().filter(|n| !gone.contains(&id(*n).as_str())).collect();
        left.extend((1..9).filter(|n| gets(&plan).contains(&id(*n).as_str())));
        prop_assert_eq!(left.len(), slots.after);
        let next = planned(&subject(&limits, having(&left), shares())).plan;
        prop_assert!(next.grants.is_empty() && next.revokes.is_empty() && next.calls == Some(0), "{:?}", next);
    }
}
