//! What a share says of itself, from its image's ledger alone.

use imageshare_operator::api::conditions::{Decision, Reason, Truth};
use imageshare_operator::api::{CloudImage, ImageShare};
use imageshare_operator::planning::projection::{Projection, Reference, project};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T00:00:00Z";

fn share(spec: &Value) -> ImageShare {
    let mut share: ImageShare = serde_json::from_value(json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "ImageShare",
        "metadata": {"name": "team", "namespace": "team", "uid": "u1", "generation": 2},
        "spec": {"imageRef": {"name": "golden"}, "recipients": [
            {"type": "Account", "id": "100001"}, {"type": "Account", "id": "100002"},
        ]},
    }))
    .unwrap();
    let mut merged = serde_json::to_value(&share.spec).unwrap();
    merged.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    share.spec = serde_json::from_value(merged).unwrap();
    share
}

fn grant(id: &str, state: &str, refusal: Option<&str>) -> Value {
    json!({"type": "Account", "id": id, "state": state, "since": NOW, "refusal": refusal})
}

fn image(grants: &[Value], declined: &[(&str, &str)], served: Option<i64>, ready: (&str, &str)) -> CloudImage {
    let declined: Vec<Value> =
        declined.iter().map(|(id, reason)| json!({"type": "Account", "id": id, "reason": reason})).collect();
    let shares: Vec<Value> = served
        .map(|g| json!({"uid": "u1", "namespace": "team", "name": "team", "generation": g}))
        .into_iter()
        .collect();
    serde_json::from_value(json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": "CloudImage", "metadata": {"name": "golden", "namespace": "team"},
        "spec": {"accountRef": {"name": "a"}, "region": "cn-hangzhou", "imageID": "m-1"},
        "status": {"grants": grants, "declined": declined, "shares": shares, "recipients": "50/50", "conditions": [{
            "type": "Ready", "status": ready.0, "reason": ready.1, "message": "because", "lastTransitionTime": NOW,
        }]},
    }))
    .unwrap()
}

const FINE: (&str, &str) = ("True", "Available");

fn granted() -> [Value; 2] {
    [grant("100001", "Granted", None), grant("100002", "Granted", None)]
}

fn look(share: &ImageShare, image: Option<&CloudImage>) -> (Projection, Decision) {
    let reference = image.map_or(Reference::Unresolved, Reference::Found);
    let projection = project(share, reference, NOW.parse::<Timestamp>().unwrap());
    let ready = projection.decisions.iter().find(|d| d.kind == "Ready").unwrap().clone();
    (projection, ready)
}

#[test]
fn ready_means_every_recipient_granted_at_this_generation() {
    let share = share(&json!({}));
    let (projection, ready) = look(&share, Some(&image(&granted(), &[], Some(2), FINE)));
    assert_eq!((ready.truth, ready.reason), (Truth::True, Reason::Shared));
    assert_eq!(projection.status.summary.as_deref(), Some("2/2"));
    let (_, older) = look(&share, Some(&image(&granted(), &[], Some(1), FINE)));
    assert_eq!(older.truth, Truth::Unknown, "the newest generation was not acted on yet");
}

#[test]
fn absent_and_not_admitted_read_the_same() {
    let (_, ready) = look(&share(&json!({})), None);
    assert_eq!((ready.truth, ready.reason), (Truth::False, Reason::ImageRefUnresolved));
    let told = "there is no CloudImage \"golden\" in namespace \"team\"";
    assert!(ready.message.contains(told) && !ready.message.contains("shareableFrom"), "{}", ready.message);
    let elsewhere = share(&json!({"imageRef": {"name": "golden", "namespace": "plat"}}));
    let (_, ready) = look(&elsewhere, None);
    let told = ["no CloudImage \"golden\" in namespace \"plat\"", "shareableFrom does not admit namespace \"team\""];
    assert!(told.iter().all(|told| ready.message.contains(told)), "{}", ready.message);
}

#[test]
fn a_share_on_its_way_says_the_same_before_and_after_the_intent() {
    let share = share(&json!({}));
    let before = look(&share, Some(&image(&[], &[], None, FINE)));
    let intended = [grant("100001", "Intended", None), grant("100002", "Intended", None)];
    let after = look(&share, Some(&image(&intended, &[], Some(2), FINE)));
    assert_eq!(before.0, after.0, "or a share would cost one write more");
    assert_eq!(before.1.truth, Truth::Unknown);
}

#[test]
fn a_waiting_recipient_is_told_with_the_figure_and_the_others_count() {
    let image = image(&granted()[..1], &[("100002", "RecipientLimit")], Some(2), FINE);
    let (projection, ready) = look(&share(&json!({})), Some(&image));
    assert_eq!((ready.truth, ready.reason), (Truth::False, Reason::RecipientLimit));
    assert!(ready.message.contains("50/50") && ready.message.contains("100002"), "{}", ready.message);
    assert_eq!(projection.status.summary.as_deref(), Some("1/2"));
}

#[test]
fn what_only_a_person_can_mend_is_told_before_what_waits() {
    let grants = [grant("100001", "Intended", Some("InvalidRecipient"))];
    let image = image(&grants, &[("100002", "RecipientLimit")], Some(2), FINE);
    assert_eq!(look(&share(&json!({})), Some(&image)).1.reason, Reason::InvalidRecipient);
}

#[test]
fn each_group_of_recipients_is_told_by_itself_and_nobody_is_called_shared_who_is_not() {
    let four = ["100001", "100002", "100003", "100004"].map(|id| json!({"type": "Account", "id": id}));
    let grants = [
        grant("100001", "Intended", Some("InvalidRecipient")),
        grant("100002", "Granted", None),
        grant("100003", "Intended", None),
    ];
    let image = image(&grants, &[("100004", "RecipientLimit")], Some(2), FINE);
    let (_, ready) = look(&share(&json!({"recipients": four})), Some(&image));
    let groups = [
        "an id of this cloud: Account 100001; ",
        "waiting for a free place: Account 100004; ",
        "shared with: Account 100003",
    ];
    let at = groups.map(|group| ready.message.find(group));
    assert!(at.is_sorted() && at.iter().all(Option::is_some), "{}", ready.message);
    assert!(!ready.message.contains("100002"), "who has the image does not wait");
}

#[test]
fn a_project_that_may_be_named_by_its_name_is_told_though_the_cloud_took_it() {
    let projects = |id: &str| share(&json!({"recipients": [{"type": "Project", "id": id}]}));
    let ready = |id: &str| {
        let mut granted = grant("100001", "Granted", None);
        (granted["type"], granted["id"]) = (json!("Project"), json!(id));
        look(&projects(id), Some(&image(&[granted], &[], Some(2), FINE))).1
    };
    let (named, id) = (ready("partners"), ready("0f9a4c1e6f5b4b7e9d536a1c2f3e4d5b"));
    assert_eq!([named.reason, id.reason], [Reason::Shared; 2]);
    assert!(named.message.contains("if these are names, put the projects' ids"), "{}", named.message);
    assert!(named.message.ends_with("Project partners"), "{}", named.message);
    assert!(!id.message.contains("names"), "{}", id.message);
}

#[test]
fn the_image_that_serves_a_share_is_written_down_once() {
    let mut share = share(&json!({}));
    assert_eq!(look(&share, Some(&image(&[], &[], None, FINE))).0.status.image, None, "not served yet");
    let (served, _) = look(&share, Some(&image(&granted(), &[], Some(2), FINE)));
    assert_eq!(served.status.image.as_deref(), Some("team/golden"));
    share.status = Some(served.status);
    assert_eq!(look(&share, None).0.status.image.as_deref(), Some("team/golden"));
}

#[test]
fn what_is_no_identifier_is_told_as_invalid_and_does_not_wait_for_ever() {
    let dots = share(&json!({"recipients": [{"type": "Organization", "id": ".."}]}));
    let (projection, ready) = look(&dots, Some(&image(&[], &[], Some(2), FINE)));
    assert_eq!((ready.truth, ready.reason), (Truth::False, Reason::InvalidRecipient));
    assert_eq!(projection.status.waiting[0].reason, Reason::InvalidRecipient);
}

#[test]
fn the_images_trouble_is_the_shares_trouble_and_unseen_is_unknown() {
    let broken = image(&granted(), &[], Some(2), ("Unknown", "CloudUnavailable"));
    let (_, ready) = look(&share(&json!({})), Some(&broken));
    assert_eq!((ready.truth, ready.reason), (Truth::Unknown, Reason::CloudUnavailable));
    let broken = image(&[], &[], Some(2), ("False", "ImageNotOwned"));
    let (_, ready) = look(&share(&json!({})), Some(&broken));
    assert_eq!(
        (ready.truth, ready.reason, ready.message.as_str()),
        (Truth::False, Reason::ImageNotOwned, "CloudImage golden: because")
    );
}

#[test]
fn a_share_that_is_granted_is_no_worse_off_when_the_cloud_refuses_to_add_others() {
    let refused = |grants: &[Value]| {
        let mut image = image(grants, &[], Some(2), ("False", "CloudRefused"));
        let refusal = json!({"reason": "CloudRefused", "attempt": {"since": NOW, "last": NOW, "code": "SomethingNew"}});
        image.status.as_mut().unwrap().refused = Some(serde_json::from_value(refusal).unwrap());
        image
    };
    assert_eq!(look(&share(&json!({})), Some(&refused(&granted()))).1.reason, Reason::Shared);
    let (_, ready) = look(&share(&json!({})), Some(&refused(&granted()[..1])));
    assert_eq!((ready.truth, ready.reason), (Truth::False, Reason::CloudRefused));
}

#[test]
fn suspended_and_expired_shares_say_so_whatever_they_hold() {
    let image = image(&granted(), &[], Some(2), FINE);
    assert_eq!(look(&share(&json!({"suspend": true})), Some(&image)).1.reason, Reason::Suspended);
    assert_eq!(look(&share(&json!({"expirationTime": NOW})), Some(&image)).1.reason, Reason::Expired);
    let later = share(&json!({"expirationTime": "2026-11-22T00:00:01Z"}));
    assert_eq!(look(&later, Some(&image)).1.reason, Reason::Shared);
}

#[test]
fn a_share_whose_time_cannot_be_represented_says_so_and_how_to_write_never() {
    let image = image(&granted(), &[], Some(2), FINE);
    for odd in ["9999-12-31T23:59:59Z", "2027-01-31T00:00:00+99:00", "never \u{1b}[31m"] {
        let (projection, ready) = look(&share(&json!({"expirationTime": odd})), Some(&image));
        assert_eq!((ready.truth, ready.reason), (Truth::False, Reason::Unreadable));
        assert!(
            ready.message.starts_with("spec.expirationTime: ") && ready.message.contains("leave it out"),
            "{ready:?}"
        );
        assert!(projection.says("Stalled", Truth::True) && !ready.message.contains('\u{1b}'));
        assert_eq!(projection.status.summary.as_deref(), Some("2/2"), "what it has stays");
    }
}

#[test]
fn a_request_for_a_look_is_answered_once_the_image_was_looked_at_for_it() {
    let mut asking = share(&json!({}));
    asking.metadata.annotations =
        serde_json::from_value(json!({"imageshare.dev/reconcile-requested-at": "now"})).unwrap();
    asking.status = serde_json::from_value(json!({"lastHandledReconcileAt": "before"})).unwrap();
    let answered = |image: Option<&CloudImage>| look(&asking, image).0.status.last_handled_reconcile_at;
    let mut image = image(&granted(), &[], Some(2), FINE);
    assert_eq!(answered(Some(&image)).as_deref(), Some("before"), "the cloud was not looked at");
    image.status.as_mut().unwrap().shares[0].last_handled_reconcile_at = Some("now".to_owned());
    assert_eq!(answered(Some(&image)).as_deref(), Some("now"));
    assert_eq!(answered(None).as_deref(), Some("now"), "there is no image to look at");
}

/// An image of another namespace than the share's, whose own words name things.
fn abroad(ready: (&str, &str)) -> CloudImage {
    let mut image = image(&granted(), &[], Some(2), ready);
    image.metadata.namespace = Some("platform".to_owned());
    for condition in image.status.iter_mut().flat_map(|status| &mut status.conditions) {
        "CloudAccount prod-key of platform/golden".clone_into(&mut condition.message);
    }
    image
}

#[test]
fn a_share_of_another_namespace_is_told_what_is_wrong_and_no_name() {
    let every = [
        "AccountNotFound",
        "AccountChanged",
        "SecretNotFound",
        "CredentialsRejected",
        "PermissionDenied",
        "ClockSkew",
        "EndpointNotAllowed",
        "CABundleInvalid",
        "RegionUnknown",
        "RegionNotOnSite",
        "Suspended",
        "DuplicateImage",
        "ImageNotFound",
        "ImageNotOwned",
        "ImageNotShareable",
        "ImagePrivate",
        "ImageNotAvailable",
        "Throttled",
        "CloudUnavailable",
        "AnswerUnclear",
        "CloudRefused",
        "Unreadable",
        "AReasonOfTomorrow",
    ];
    let guest = share(&json!({"imageRef": {"name": "golden", "namespace": "platform"}}));
    let mut leaving = guest.clone();
    leaving.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
    for reason in every {
        for share in [&guest, &leaving] {
            let (_, ready) = look(share, Some(&abroad(("False", reason))));
            for name in ["prod-key", "platform/golden"] {
                assert!(!ready.message.contains(name), "{reason}: {}", ready.message);
            }
            assert!(ready.message.len() > 20);
        }
    }
    let own = look(&share(&json!({})), Some(&image(&granted(), &[], Some(2), ("False", "SecretNotFound")))).1;
    assert_eq!(own.message, "CloudImage golden: because", "in its own namespace the owner's words are told");
}

#[test]
fn whom_else_a_selector_admits_is_no_trouble_of_a_share_that_is_served() {
    for reason in ["SelectorInvalid", "SelectorNeedsClusterScope"] {
        let (_, ready) = look(&share(&json!({})), Some(&image(&granted(), &[], Some(2), ("False", reason))));
        assert_eq!((ready.truth, ready.reason), (Truth::True, Reason::Shared));
    }
}

#[test]
fn what_hides_the_image_is_told_by_its_reason() {
    for (reference, reason, remedy) in [
        (Reference::SelectorInvalid, Reason::SelectorInvalid, "its owner must mend shareableFrom"),
        (Reference::Unreadable, Reason::Unreadable, "which field must be mended"),
        (Reference::BeyondScope, Reason::SelectorNeedsClusterScope, "All or Same"),
    ] {
        let projection = project(&share(&json!({})), reference, NOW.parse().unwrap());
        let ready = projection.decisions.iter().find(|d| d.kind == "Ready").unwrap();
        assert_eq!((ready.truth, ready.reason), (Truth::Unknown, reason));
        assert!(ready.message.contains(remedy) && projection.says("Stalled", Truth::True), "{ready:?}");
    }
}

#[test]
fn a_share_beyond_the_bound_is_told_to_join_others() {
    let mut image = image(&[], &[], None, FINE);
    let other = image.status.clone().unwrap_or_default();
    let mut status = other;
    status.shares = (0..500)
        .map(|n| {
            serde_json::from_value(json!({"uid": format!("o{n}"), "namespace": "x", "name": "y", "generation": 1}))
                .unwrap()
        })
        .collect();
    image.status = Some(status);
    assert_eq!(look(&share(&json!({})), Some(&image)).1.reason, Reason::TooManyShares);
}

/// Granted, and what it said.
fn answered(id: &str, answer: &str) -> Value {
    let mut grant = grant(id, "Granted", None);
    grant["answer"] = answer.into();
    grant
}

/// What a share of 100001 and 100002 says of answers: its `accepted` figure and the condition.
fn acceptance(grants: &[Value]) -> (Projection, Option<Decision>) {
    let (projection, _) = look(&share(&json!({})), Some(&image(grants, &[], Some(2), FINE)));
    let accepted = projection.decisions.iter().find(|d| d.kind == "Accepted").cloned();
    (projection, accepted)
}

#[test]
fn ready_does_not_wait_for_answers() {
    for answers in [["Pending", "Pending"], ["Rejected", "Rejected"], ["Accepted", "Pending"], ["Accepted", "Accepted"]]
    {
        let grants = [answered("100001", answers[0]), answered("100002", answers[1])];
        let (_, ready) = look(&share(&json!({})), Some(&image(&grants, &[], Some(2), FINE)));
        assert_eq!((ready.truth, ready.reason), (Truth::True, Reason::Shared), "{answers:?}");
    }
}

#[test]
fn answers_are_listed_in_the_order_of_the_share_and_counted() {
    let grants = [answered("100002", "Accepted"), answered("100001", "Pending"), answered("100009", "Accepted")];
    let (projection, _) = acceptance(&grants);
    let said: Vec<(String, String)> =
        projection.status.answers.iter().map(|said| (said.id.clone(), format!("{:?}", said.answer))).collect();
    let wanted = [("100001", "Pending"), ("100002", "Accepted")];
    assert_eq!(said, wanted.map(|(id, answer)| (id.to_owned(), answer.to_owned())), "another share's are not told");
    assert_eq!(projection.status.accepted.as_deref(), Some("1/2"));
    assert_eq!(projection.status.summary.as_deref(), Some("2/2"));
}

#[test]
fn whoever_has_not_answered_is_named_and_may_still_accept() {
    let (_, accepted) = acceptance(&[answered("100001", "Accepted"), answered("100002", "Pending")]);
    let accepted = accepted.unwrap();
    assert_eq!((accepted.truth, accepted.reason), (Truth::False, Reason::AwaitingAnswer));
    assert!(accepted.message.ends_with("Account 100002"), "{}", accepted.message);
}

#[test]
fn a_reject_is_told_before_what_is_awaited_with_the_way_to_ask_again() {
    let (projection, accepted) = acceptance(&[answered("100001", "Rejected"), answered("100002", "Pending")]);
    let accepted = accepted.unwrap();
    assert_eq!((accepted.truth, accepted.reason), (Truth::False, Reason::Rejected));
    assert!(accepted.message.contains("asked again: Account 100001"), "{}", accepted.message);
    assert!(!accepted.message.contains("100002"));
    assert_eq!(projection.status.accepted.as_deref(), Some("0/2"));
}

#[test]
fn accepted_is_true_once_everybody_who_was_asked_did() {
    let (_, accepted) = acceptance(&[answered("100001", "Accepted"), answered("100002", "Accepted")]);
    let accepted = accepted.unwrap();
    assert_eq!((accepted.truth, accepted.reason), (Truth::True, Reason::Accepted));
    // An account beside a project is asked for nothing, and not waited for.
    let (projection, accepted) = acceptance(&[answered("100001", "Accepted"), grant("100002", "Granted", None)]);
    assert_eq!(accepted.unwrap().truth, Truth::True);
    assert_eq!(projection.status.accepted.as_deref(), Some("1/1"));
}

#[test]
fn where_nobody_is_asked_nobody_is_counted() {
    let (projection, accepted) = acceptance(&granted());
    let accepted = accepted.unwrap();
    assert_eq!((accepted.truth, accepted.reason), (Truth::True, Reason::NoAnswerNeeded));
    assert_eq!((projection.status.accepted, projection.status.answers.len()), (None, 0));
}

#[test]
fn before_anybody_is_granted_nothing_is_said_of_acceptance() {
    assert_eq!(acceptance(&[]).1, None);
    let intended = [grant("100001", "Intended", None), grant("100002", "Intended", None)];
    assert_eq!(acceptance(&intended).1, None);
}

#[test]
fn an_answer_counts_only_while_the_grant_stands() {
    let mut revoking = answered("100001", "Accepted");
    revoking["state"] = "Revoking".into();
    let mut retained = answered("100002", "Rejected");
    retained["state"] = "Retained".into();
    let (projection, accepted) = acceptance(&[revoking, retained]);
    assert_eq!(projection.status.answers.len(), 1);
    assert_eq!(projection.status.answers[0].id, "100002");
    assert_eq!(accepted.unwrap().reason, Reason::Rejected);
}

#[test]
fn many_who_have_not_answered_are_named_within_bounds() {
    let ids: Vec<String> = (0..128).map(|n| (200_000 + n).to_string()).collect();
    let recipients: Vec<Value> = ids.iter().map(|id| json!({"type": "Account", "id": id})).collect();
    let grants: Vec<Value> = ids.iter().map(|id| answered(id, "Pending")).collect();
    let (projection, _) = look(&share(&json!({"recipients": recipients})), Some(&image(&grants, &[], Some(2), FINE)));
    let accepted = projection.decisions.iter().find(|d| d.kind == "Accepted").unwrap();
    assert!(accepted.message.contains("and 123 more") && accepted.message.len() < 400, "{}", accepted.message);
    assert_eq!(projection.status.accepted.as_deref(), Some("0/128"));
}

#[test]
fn recipients_wait_for_the_true_reason() {
    let reasons = |share: &ImageShare, image: Option<&CloudImage>| -> Vec<Reason> {
        look(share, image).0.status.waiting.iter().map(|waiting| waiting.reason).collect()
    };
    let unserved = image(&[], &[], None, FINE);
    for (spec, reason) in [
        (json!({"suspend": true}), Reason::Suspended),
        (json!({"expirationTime": NOW}), Reason::Expired),
        (json!({}), Reason::Pending),
    ] {
        assert_eq!(reasons(&share(&spec), Some(&unserved)), [reason, reason], "{spec}");
    }
    let suspended = image(&granted()[..1], &[], Some(2), ("False", "Suspended"));
    assert_eq!(reasons(&share(&json!({})), Some(&suspended)), [Reason::Suspended]);
    assert_eq!(reasons(&share(&json!({})), None), [Reason::ImageRefUnresolved, Reason::ImageRefUnresolved]);
    let full = image(&[], &[("100002", "RecipientLimit")], Some(2), FINE);
    assert_eq!(reasons(&share(&json!({"suspend": true})), Some(&full)), [Reason::Suspended, Reason::RecipientLimit]);
}

#[test]
fn before_they_accept_recipients_were_offered_the_image_and_cannot_use_it() {
    let named = json!({"recipients": [{"type": "Account", "id": "100001"},
        {"type": "Account", "id": "100002", "name": "Team B"}]});
    let told = |answers: [&str; 2]| {
        let grants = [answered("100001", answers[0]), answered("100002", answers[1])];
        look(&share(&named), Some(&image(&grants, &[], Some(2), FINE))).1.message
    };
    let message = told(["Accepted", "Pending"]);
    assert!(message.contains("offered") && message.ends_with("accept it: Account 100002 \"Team B\""), "{message}");
    assert!(!message.contains("may use"), "{message}");
    assert_eq!(told(["Accepted", "Accepted"]), "every recipient may use the image");
}

#[test]
fn an_image_that_may_still_be_applied_stalls_nobody_until_some_minutes_have_passed() {
    let aged = |minutes: i64| {
        let mut share = share(&json!({}));
        let created = NOW.parse::<Timestamp>().unwrap() - jiff::SignedDuration::from_mins(minutes);
        share.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        look(&share, None).0
    };
    for (minutes, moving) in [(0, true), (4, true), (5, false), (600, false)] {
        let projection = aged(minutes);
        assert_eq!(projection.says("Reconciling", Truth::True), moving, "{minutes}");
        assert_eq!(projection.says("Stalled", Truth::True), !moving, "{minutes}");
    }
    let made = project(&share(&json!({})), Reference::BeingMade, NOW.parse().unwrap());
    assert!(made.says("Reconciling", Truth::True) && !made.says("Stalled", Truth::True), "however long the copy takes");
}

#[test]
fn what_only_blocks_the_deletion_of_the_image_is_no_trouble_of_a_share_that_is_served() {
    for reason in ["ShareExists", "ReplicaExists", "ImageInUse", "ImageProtected", "UnmanagedRecipients", "Revoking"] {
        let (_, ready) = look(&share(&json!({})), Some(&image(&granted(), &[], Some(2), ("False", reason))));
        assert_eq!((ready.truth, ready.reason), (Truth::True, Reason::Shared), "{reason}");
    }
}

#[test]
fn a_served_share_says_that_its_image_is_being_deleted_and_what_for_it_waits() {
    for namespace in ["team", "elsewhere"] {
        let mut image = image(&granted(), &[], Some(2), FINE);
        image.metadata.namespace = Some(namespace.to_owned());
        image.metadata.deletion_timestamp = serde_json::from_value(json!(NOW)).unwrap();
        let (_, ready) = look(&share(&json!({})), Some(&image));
        assert_eq!((ready.truth, ready.reason), (Truth::True, Reason::Shared), "{namespace}");
        assert!(
            ready.message.contains("is being deleted, which waits for this ImageShare: delete it too"),
            "{ready:?}"
        );
    }
}
