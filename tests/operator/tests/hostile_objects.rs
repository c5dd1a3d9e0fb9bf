//! What the API server hands over may be anything its schema lets through, or an older one did: objects, their status,
//! annotations, ids. Nothing of it makes a reader panic, and what was written reads back the same.

use imageshare_operator::api::cloud_image::CloudImageStatus;
use imageshare_operator::api::image_replica::CopyAttempt;
use imageshare_operator::api::{
    ChannelShare, CloudAccount, CloudImage, ImageChannel, ImageReplica, ImageShare, RECONCILE_REQUESTED_AT,
    SharedImage, SharedImageAcceptance,
};
use imageshare_operator::cluster::guard::Guarded;
use imageshare_operator::domain::foreign_text::{image_name, plain};
use imageshare_operator::domain::identifiers::{
    AgencyName, ImageId, InvalidIdentifier, JobId, KeyId, ObjectUid, PrincipalId, ProjectName, RecipientKind, RegionId,
    VaultId,
};
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::ledger::Ledger;
use imageshare_operator::planning::replica::Attempt;
use imageshare_operator::reconcile::convert::{image_named_by, requested_at, terms};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

const PROVIDERS: [Provider; 4] = [Provider::Alibaba, Provider::Huawei, Provider::OpenStack, Provider::Aws];

/// Any text, and what ids are made of.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9._:/@%-]{0,70}",
        "[0-9a-f]{32}",
        "[1-9][0-9]{3,20}",
        "organizations::[0-9a-f]{32}:(ou|root|organization):o-[a-z0-9]{1,3}(/(ou|r)-[a-z0-9]{1,3})?",
        "arn:aws(-cn|-us-gov|-eusc)?:organizations::[0-9]{12}:(ou|organization)/o-[a-z0-9]{10}(/ou-[a-z0-9]{4}-[a-z0-9]{8})?",
        (any::<char>(), 1_usize..2000).prop_map(|(letter, times)| letter.to_string().repeat(times)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        "(-?[0-9]{4,6}|2026)-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    let mut inside = |name: &str, inner: &Value| places(inner, &format!("{here}/{name}"), all);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| inside(name, inner)),
        Value::Array(rows) => rows.iter().enumerate().for_each(|(n, inner)| inside(&n.to_string(), inner)),
        _ => {}
    }
}

/// A real object, in which some values are others.
fn objects() -> impl Strategy<Value = Value> {
    let account = |provider: Value| json!({"kind": "CloudAccount", "spec": provider});
    let credentials = json!({"secretRef": {"name": "golden"}});
    let samples = vec![
        account(json!({"alibaba": {"accountID": "1234567890", "site": "China", "credentials": credentials,
            "endpoint": "https://ecs.example.org"}, "limits": {"recipientsPerImage": 50},
            "sites": [{"site": "China", "regions": ["cn-hangzhou"]}], "inventory": {"regions": ["cn-hangzhou"]}})),
        account(
            json!({"huawei": {"domainID": "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "site": "China", "credentials": credentials,
            "projects": [{"region": "cn-north-4", "projectID": "0a1b2c3d4e5f60718293a4b5c6d7e8f9"}]}}),
        ),
        account(
            json!({"openstack": {"authURL": "https://keystone:5000/v3", "projectID": "p", "credentials": credentials}}),
        ),
        json!({"kind": "CloudImage", "spec": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-1",
            "shareableFrom": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}},
            "status": status()}),
        json!({"kind": "ImageShare", "spec": {"imageRef": {"name": "golden", "namespace": "platform"},
            "recipients": [{"type": "Account", "id": "1000000000000001", "site": "China"}],
            "expirationTime": "2027-01-01T00:00:00Z"}}),
        json!({"kind": "SharedImageAcceptance", "spec": {"accountRef": {"name": "consumer"}, "region": "cn-north-4",
            "imageID": "d164b5df", "owner": "7c6b5a49", "decision": "Accept", "vaultID": "v"}}),
        json!({"kind": "ImageReplica", "spec": {"source": {"imageRef": {"name": "golden"}},
            "destination": {"region": "cn-hongkong", "name": "copy"}},
            "status": {"copy": attempt(), "imageID": "m-2", "progress": 40}}),
        json!({"kind": "ImageChannel", "spec": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "soak": "24h",
            "select": {"namePattern": "golden-(?P<version>[0-9]+)", "tags": {"a": "b"}}, "exclude": [{"version": "1"}]},
            "status": {"versions": [{"version": "1", "imageID": "m-1", "stage": "Current",
                "since": "2026-01-01T00:00:00Z", "stageSince": "2026-01-01T00:00:00Z"}]}}),
        json!({"kind": "ChannelShare", "spec": {"channelRef": {"name": "golden", "namespace": "platform"},
            "recipients": [{"type": "Account", "id": "1000000000000001"}], "stages": ["Candidate"]}}),
        json!({"kind": "SharedImage", "spec": {"accountRef": {"name": "c"}, "region": "r", "imageID": "i"}}),
    ];
    let metadata = json!({"name": "golden", "namespace": "platform", "uid": "0c6f0e0e", "generation": 3,
        "annotations": {RECONCILE_REQUESTED_AT: "now"}, "creationTimestamp": "2026-01-01T00:00:00Z"});
    (select(samples), vec((any::<Index>(), value()), 0..4)).prop_map(move |(mut object, changes)| {
        object["apiVersion"] = json!("imageshare.dev/v1alpha1");
        object["metadata"] = metadata.clone();
        for (at, value) in changes {
            let mut all = Vec::new();
            places(&object, "", &mut all);
            // Names with slashes lead nowhere, and are left alone.
            if let Some(place) = object.pointer_mut(at.get(&all[..]).as_str()) {
                *place = value;
            }
        }
        object
    })
}

fn status() -> Value {
    let recipient = |more: Value| {
        let mut one = json!({"type": "Account", "id": "1000000000000001"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([one])
    };
    json!({
        "grants": recipient(json!({"state": "Granted", "since": "2026-01-01T00:00:00Z", "answer": "Accepted"})),
        "declined": recipient(json!({"reason": "RecipientLimit"})),
        "copies": recipient(json!({"state": "Granted", "since": "2026-01-01T00:00:00Z", "snapshots": [0]})),
        "snapshots": ["snap-0123456789abcdef0"],
        "unmanaged": recipient(json!({"since": "2026-01-01T00:00:00Z"})),
        "shares": [{"uid": "u", "namespace": "n", "name": "s", "generation": 1}],
        "job": {"id": "ff80", "since": "2026-01-01T00:00:00Z"}, "absentSince": "2026-01-01T00:00:00Z",
    })
}

fn attempt() -> Value {
    json!({"number": 1, "since": "2026-01-01T00:00:00Z", "state": "Copying", "imageID": "m-2",
        "source": {"account": "golden", "region": "cn-hangzhou", "imageID": "m-1"}})
}

/// Reads one object as what a watch brings.
fn read<K: kube::Resource<DynamicType = ()> + serde::de::DeserializeOwned>(raw: &Value) -> Option<Guarded<K>> {
    let read: Option<Guarded<K>> = serde_json::from_value(raw.clone()).ok();
    // Only what has no readable metadata is lost, and the API server writes that itself.
    let metadata = raw["metadata"].clone();
    let sound = serde_json::from_value::<kube::api::ObjectMeta>(metadata).is_ok();
    assert!(read.is_some() || !sound, "{raw}");
    if let Some(object) = &read {
        assert!(requested_at(object).is_none_or(|asked| asked.chars().count() <= 256));
    }
    read
}

/// An id that was taken is what it was, and safe in a path, a header and a terminal; a refusal can be shown.
fn is_sound<T>(read: Result<T, InvalidIdentifier>, text: &str, show: impl Fn(&T) -> String) {
    match read {
        Ok(id) => {
            assert_eq!(show(&id), text);
            assert!((1..=255).contains(&text.len()) && text != "." && text != ".." && text.is_ascii(), "{text:?}");
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/@".contains(&b)), "{text:?}");
        }
        Err(refused) => {
            let refused = refused.to_string();
            assert!(refused.len() < 1100 && plain(&refused, usize::MAX) == refused, "{refused:?}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_an_object_holds_its_reader_ends_and_keeps_its_metadata(raw in objects()) {
        read::<CloudImage>(&raw);
        read::<SharedImageAcceptance>(&raw);
        read::<ImageReplica>(&raw);
        read::<ImageChannel>(&raw);
        read::<ChannelShare>(&raw);
        read::<SharedImage>(&raw);
        if let Some(share) = read::<ImageShare>(&raw) {
            image_named_by(&share);
        }
        if let Some(Guarded::Readable(account)) = read::<CloudAccount>(&raw)
            && let Err(trouble) = terms(&account, "cn-hangzhou")
        {
            prop_assert!(plain(&trouble.message, usize::MAX) == trouble.message, "{:?}", trouble.message);
        }
    }

    #[test]
    fn a_ledger_is_read_whole_or_not_at_all_and_reads_back_the_same(raw in objects()) {
        let Ok(status) = serde_json::from_value::<CloudImageStatus>(raw["status"].clone()) else { return Ok(()) };
        let Ok(ledger) = Ledger::parse(Some(&status)) else { return Ok(()) };
        let mut written = CloudImageStatus::default();
        ledger.encode_into(&mut written);
        let stored = serde_json::from_str(&serde_json::to_string(&written).unwrap()).unwrap();
        let again = Ledger::parse(Some(&stored)).unwrap();
        let mut rewritten = CloudImageStatus::default();
        again.encode_into(&mut rewritten);
        prop_assert_eq!(&rewritten, &written);
        prop_assert_eq!(again.grants.keys().collect::<Vec<_>>(), ledger.grants.keys().collect::<Vec<_>>());
        prop_assert_eq!(&again.copies.ours, &ledger.copies.ours);
    }

    #[test]
    fn a_try_to_copy_is_read_or_refused_and_reads_back_the_same(raw in objects()) {
        let Ok(copy) = serde_json::from_value::<CopyAttempt>(raw["status"]["copy"].clone()) else { return Ok(()) };
        let Ok(attempt) = Attempt::parse(&copy) else { return Ok(()) };
        let written = attempt.encode();
        prop_assert_eq!(Attempt::parse(&written).unwrap().encode(), written);
    }

    #[test]
    fn ids_are_what_they_were_and_safe_wherever_they_go(text in prop_oneof![text(), "[./:@]{1,4}"]) {
        is_sound(RegionId::parse(&text), &text, ToString::to_string);
        is_sound(ImageId::parse(&text), &text, ToString::to_string);
        is_sound(PrincipalId::parse(&text), &text, ToString::to_string);
        is_sound(JobId::parse(&text), &text, ToString::to_string);
        is_sound(VaultId::parse(&text), &text, ToString::to_string);
        is_sound(KeyId::parse(&text), &text, ToString::to_string);
        // Never part of a path.
        prop_assert!(AgencyName::parse(&text).map_or(true, |name| name.as_str() == text && text.is_ascii()));
        is_sound(ProjectName::parse(&text), &text, ToString::to_string);
        is_sound(ObjectUid::parse(&text), &text, ToString::to_string);
        for provider in PROVIDERS {
            is_sound(provider.parse_account(&text), &text, ToString::to_string);
            is_sound(provider.parse_principal(&text), &text, ToString::to_string);
            for kind in [RecipientKind::Account, RecipientKind::Project, RecipientKind::Organization] {
                is_sound(provider.parse_recipient(kind, &text), &text, |recipient| recipient.id.to_string());
            }
        }
    }

    #[test]
    fn names_for_new_images_are_safe_to_show_and_kept(text in text()) {
        for provider in PROVIDERS {
            match provider.parse_image_name(&text) {
                Ok(name) => {
                    prop_assert_eq!(name.as_str(), &text);
                    prop_assert_eq!(&plain(&text, 255), &text);
                }
                Err(refused) => prop_assert!(plain(&refused.to_string(), usize::MAX) == refused.to_string()),
            }
        }
    }

    #[test]
    fn foreign_text_is_plain_bounded_and_its_letters_are_kept(text in text(), most in 0_usize..200) {
        let shown = plain(&text, most);
        prop_assert_eq!(shown.chars().count(), text.chars().count().min(most));
        prop_assert_eq!(&plain(&shown, most), &shown);
        for (shown, was) in shown.chars().zip(text.chars()) {
            let lost = '\u{FFFD}';
            prop_assert!(shown == was || shown == lost);
            prop_assert!(!shown.is_control());
            prop_assert!(!was.is_alphanumeric() || shown == was, "{was:?} is lost");
        }
        prop_assert!(image_name(&text).is_none_or(|name| name.chars().count() <= 128 && !name.is_empty()));
    }
}
