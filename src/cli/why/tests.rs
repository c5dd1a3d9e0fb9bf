use kube::Resource as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::chain::State;
use super::*;

fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value, ready: (&str, &str)) -> Guarded<K> {
    let (truth, reason) = ready;
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{reason} of {name}"),
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let stalled = if truth == "True" { "False" } else { "True" };
    serde_json::from_value(json!({
        "apiVersion": "imageshare.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "golden-images", "generation": 2},
        "spec": spec,
        "status": {"observedGeneration": 2, "conditions": [condition("Ready", truth), condition("Stalled", stalled)]},
    }))
    .unwrap()
}

const FINE: (&str, &str) = ("True", "Verified");

fn account(ready: (&str, &str)) -> Guarded<CloudAccount> {
    let spec = json!({"alibaba": {"accountID": "2000000000000001", "site": "International",
        "credentials": {"secretRef": {"name": "key"}}}});
    object("CloudAccount", "golden", &spec, ready)
}

fn image(ready: (&str, &str)) -> Guarded<CloudImage> {
    let spec = json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-1"});
    object("CloudImage", "ubuntu", &spec, ready)
}

fn share(ready: (&str, &str)) -> Guarded<ImageShare> {
    let spec = json!({"imageRef": {"name": "ubuntu"}, "recipients": [{"type": "Account", "id": "1000000000000001"}]});
    object("ImageShare", "team", &spec, ready)
}

fn world(account: Found<CloudAccount>, image: Found<CloudImage>) -> World {
    let key = |name: &str| ("golden-images".to_owned(), name.to_owned());
    World { accounts: [(key("golden"), account)].into(), images: [(key("ubuntu"), image)].into() }
}

fn there<K>(object: Guarded<K>) -> Found<K> {
    Found::There(Box::new(object))
}

fn states(explanation: &Explanation) -> Vec<(&str, State)> {
    explanation.chain.iter().map(|link| (link.kind, link.state)).collect()
}

#[test]
fn a_chain_without_a_broken_link_is_shown_whole() {
    let world = world(there(account(FINE)), there(image(FINE)));
    let explanation = world.explain_share(Some(&share(("True", "Shared"))));
    assert_eq!(
        states(&explanation),
        [("Secret", State::Ok), ("CloudAccount", State::Ok), ("CloudImage", State::Ok), ("ImageShare", State::Ok)]
    );
    assert_eq!((explanation.broken.as_ref(), explanation.remedy.as_ref()), (None, None));
    assert!(shown(&explanation).ends_with("\nNo link of the chain is broken.\n"));
}

/// What comes after the first broken link is broken because of it.
#[test]
fn the_first_broken_link_is_named_with_its_message_and_the_remedy() {
    for (account_says, image_says, kind, name, reason) in [
        (("False", "SecretNotFound"), ("False", "SecretNotFound"), "Secret", "golden-images/key", "SecretNotFound"),
        (("False", "EndpointNotAllowed"), FINE, "CloudAccount", "golden-images/golden", "EndpointNotAllowed"),
        (FINE, ("False", "ImageNotFound"), "CloudImage", "golden-images/ubuntu", "ImageNotFound"),
        (FINE, FINE, "ImageShare", "golden-images/team", "RecipientLimit"),
    ] {
        let world = world(there(account(account_says)), there(image(image_says)));
        let explanation = world.explain_share(Some(&share(("False", "RecipientLimit"))));
        let broken = explanation.broken.clone().unwrap();
        assert_eq!((broken.kind, broken.name.as_str(), broken.reason.as_deref()), (kind, name, Some(reason)));
        let text = shown(&explanation);
        let remedy = super::super::remedies::remedy(reason).unwrap();
        assert!(text.contains(&format!("The chain breaks at {kind} {name} ({reason}): {reason} of ")), "{text}");
        assert!(text.contains(&remedy.action) && text.contains(&remedy.check), "{text}");
    }
}

#[test]
fn a_reference_that_leads_nowhere_is_the_broken_link() {
    let share = share(("False", "ImageRefUnresolved"));
    let explanation = world(Found::Absent, Found::Absent).explain_share(Some(&share));
    assert_eq!(explanation.broken.unwrap().message, "there is no such CloudImage");
    let explanation = world(Found::Absent, there(image(("False", "AccountNotFound")))).explain_share(Some(&share));
    let broken = explanation.broken.unwrap();
    assert_eq!((broken.kind, broken.message.as_str()), ("CloudAccount", "there is no such CloudAccount"));
}

#[test]
fn what_may_not_be_read_is_unknown_and_what_comes_after_it_is_judged_all_the_same() {
    let explanation = world(Found::Hidden, Found::Hidden).explain_share(Some(&share(("False", "Suspended"))));
    assert_eq!(states(&explanation), [("CloudImage", State::Unknown), ("ImageShare", State::Broken)]);
    assert_eq!(explanation.broken.unwrap().kind, "ImageShare");
}

#[test]
fn an_edit_that_was_not_reconciled_yet_waits_whatever_the_old_status_says() {
    let mut edited = share(("True", "Shared"));
    edited.meta_mut().generation = Some(3);
    let explanation = world(there(account(FINE)), there(image(FINE))).explain_share(Some(&edited));
    let broken = explanation.broken.clone().unwrap();
    assert_eq!((broken.state, broken.reason.as_deref()), (State::Waiting, Some("Pending")));
    assert!(shown(&explanation).contains("The chain waits at ImageShare golden-images/team (Pending)"));
}

/// Of what was stopped on purpose nothing goes on that would end by itself.
#[test]
fn only_what_is_being_reconciled_waits() {
    for (truth, condition, state) in [
        ("False", "Reconciling", State::Waiting),
        ("Unknown", "Other", State::Waiting),
        ("False", "Stalled", State::Broken),
        ("False", "Other", State::Broken),
    ] {
        let Guarded::Readable(mut share) = share((truth, "Suspended")) else { panic!("it did not read") };
        share.status.as_mut().unwrap().conditions[1].type_ = condition.to_owned();
        let explanation =
            world(there(account(FINE)), there(image(FINE))).explain_share(Some(&Guarded::Readable(share)));
        assert_eq!(explanation.broken.unwrap().state, state, "{truth} {condition}");
    }
}

#[test]
fn each_recipient_without_access_is_a_link() {
    let Guarded::Readable(mut share) = share(("False", "RecipientLimit")) else { panic!("it did not read") };
    let waiting = json!([{"type": "Account", "id": "1000000000000001", "reason": "RecipientFull"}]);
    share.status.as_mut().unwrap().waiting = serde_json::from_value(waiting).unwrap();
    let explanation = world(there(account(FINE)), there(image(FINE))).explain_share(Some(&Guarded::Readable(share)));
    let last = explanation.chain.last().unwrap();
    assert_eq!((last.kind, last.name.as_str()), ("recipient", "Account 1000000000000001"));
    assert_eq!(last.reason.as_deref(), Some("RecipientFull"));
}

#[test]
fn an_acceptance_and_a_replica_have_chains_of_their_own() {
    let world = world(there(account(("False", "CredentialsRejected"))), there(image(FINE)));
    let spec =
        json!({"accountRef": {"name": "golden"}, "region": "r", "imageID": "i", "owner": "o", "decision": "Accept"});
    let acceptance = object("SharedImageAcceptance", "offer", &spec, ("False", "CredentialsRejected"));
    let explanation = world.explain_acceptance(Some(&acceptance));
    assert_eq!(explanation.broken.unwrap().kind, "Secret");

    let spec = json!({"source": {"imageRef": {"name": "ubuntu"}}, "destination": {"region": "r", "name": "copy"}});
    let replica = object("ImageReplica", "copy", &spec, ("False", "NameTaken"));
    let explanation = world.explain_replica(Some(&replica));
    let kinds: Vec<&str> = explanation.chain.iter().map(|link| link.kind).collect();
    assert_eq!(kinds, ["Secret", "CloudAccount", "CloudImage", "ImageReplica"]);
}

#[test]
fn kinds_are_named_as_kubectl_names_them() {
    for word in ["imageshare", "imageshares", "ish", "ImageShare", "imageshares.imageshare.dev"] {
        assert_eq!(Target::named(word), Some(Target::Share), "{word}");
    }
    assert_eq!(Target::named("pod"), None);
}
