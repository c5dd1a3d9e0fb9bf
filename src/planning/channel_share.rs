//! The `ImageShares` that are made from a `ChannelShare`: which are missing, which differ, and which have nobody left.
//!
//! A version that is not shared any more keeps its `ImageShare`: its recipients only shrink, to those that the `ChannelShare` still
//! names, so that nobody new gets it, and who is taken out loses it. It ends with the channel's stage Revoking.

use jiff::Timestamp;

use crate::api::channel_share::{ChannelShare, SharedStage};
use crate::api::expiration::Expiration;
use crate::api::image_channel::Stage;
use crate::api::image_share::{ImageShare, ImageShareSpec, ShareDeletionPolicy, SpecRecipient};
use crate::api::references::ImageRef;
use crate::domain::image::Answer;
use crate::planning::channel::Hold;

/// A version that a channel offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The version.
    pub version: String,
    /// Its stage.
    pub stage: Stage,
    /// Its `CloudImage`.
    pub image: ImageRef,
    /// How its `ImageShares` end, while it is Revoking.
    pub ending: Option<Ending>,
}

/// How the `ImageShares` of a version end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At once: a person said so.
    Now,
    /// Once everybody who has the version has another one of the same share. The channel has seen to that; but a share that was
    /// suspended then has newer ones only a while after it is resumed.
    OnceReplaced {
        /// Who accepted the old one must have accepted the other one.
        accepted: bool,
    },
}

/// A change of the `ImageShares`.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Make one.
    Create {
        /// The version that it is for.
        version: String,
        /// Its spec.
        spec: ImageShareSpec,
    },
    /// Give one this spec; its image stays.
    Patch {
        /// Its name.
        name: String,
        /// Its spec.
        spec: ImageShareSpec,
    },
    /// End one: the `ChannelShare` names none of its recipients any more, or the channel ends the version.
    End {
        /// Its name.
        name: String,
    },
}

/// Plans the `ImageShares` of a `ChannelShare`. `offered`: what its channel offers; `None` where it may not know, so that nothing
/// new is shared and what is shared stays.
pub fn plan_children(
    share: &ChannelShare,
    offered: Option<&[Offered]>,
    children: &[&ImageShare],
    now: Timestamp,
) -> Vec<Change> {
    let offered = offered.unwrap_or_default();
    let shared: Vec<&Offered> = offered.iter().filter(|offered| is_shared(share, offered.stage)).collect();
    let mut changes: Vec<Change> = children
        .iter()
        .filter(|child| child.metadata.deletion_timestamp.is_none())
        .filter_map(|child| {
            let of = |offered: &&Offered| offered.image == child.spec.image_ref;
            let in_service = shared.iter().any(of);
            let ending = offered.iter().find(of).and_then(|offered| offered.ending);
            let ends = ending.is_some_and(|ending| is_over(share, now) || may_end(child, ending, offered, children));
            change(share, child, in_service, ends)
        })
        .collect();
    let acts = !share.spec.suspend && !is_over(share, now);
    let missing = |offered: &&&Offered| children.iter().all(|child| child.spec.image_ref != offered.image);
    let created = shared.iter().filter(|_| acts).filter(missing).map(|offered| Change::Create {
        version: offered.version.clone(),
        spec: spec(share, offered.image.clone(), share.spec.recipients.clone()),
    });
    changes.extend(created);
    changes
}

/// Whether everybody who has an image by an `ImageShare` that ends has another one.
fn may_end(child: &ImageShare, ending: Ending, offered: &[Offered], children: &[&ImageShare]) -> bool {
    let Ending::OnceReplaced { accepted } = ending else { return true };
    let stays = |other: &&&ImageShare| {
        let of = offered.iter().find(|offered| offered.image == other.spec.image_ref);
        other.metadata.deletion_timestamp.is_none()
            && of.is_some_and(|offered| !matches!(offered.stage, Stage::Revoking | Stage::Retired))
    };
    let others: Vec<&&ImageShare> = children.iter().filter(stays).collect();
    let has_another = |who: &SpecRecipient, accepted: bool| others.iter().any(|other| hold(other, who).works(accepted));
    child.spec.recipients.iter().all(|who| match hold(child, who) {
        Hold::Waiting => true,
        Hold::Granted(Some(Answer::Pending | Answer::Rejected)) => has_another(who, false),
        Hold::Granted(_) | Hold::Unknown => has_another(who, accepted),
    })
}

/// How a recipient has an image by a share.
fn hold(share: &ImageShare, who: &SpecRecipient) -> Hold {
    let named = share.spec.recipients.iter().any(|other| other.kind == who.kind && other.id == who.id);
    let generation = share.metadata.generation;
    let status = share.status.as_ref().filter(|status| status.observed_generation == generation);
    if named { status.map_or(Hold::Unknown, |status| Hold::of(status, who)) } else { Hold::Waiting }
}

/// Whether a version in this stage is shared.
pub fn is_shared(share: &ChannelShare, stage: Stage) -> bool {
    share.spec.stages.iter().copied().map(SharedStage::stage).any(|shared| shared == stage)
}

/// Whether the share has expired, or has a time that cannot be read.
pub fn is_over(share: &ChannelShare, now: Timestamp) -> bool {
    share.spec.expiration_time.as_ref().is_some_and(|end| end.at().is_none_or(|end| end <= now))
}

fn spec(share: &ChannelShare, image_ref: ImageRef, recipients: Vec<SpecRecipient>) -> ImageShareSpec {
    ImageShareSpec {
        image_ref,
        recipients,
        expiration_time: share.spec.expiration_time.clone().filter(|end| end.odd().is_none()),
        deletion_policy: share.spec.deletion_policy,
        suspend: is_paused(share),
    }
}

/// Whether the share keeps what it has, whatever becomes of a version: it is suspended, or its time cannot be read, which pauses it
/// as it does an `ImageShare`.
pub fn is_paused(share: &ChannelShare) -> bool {
    share.spec.suspend || share.spec.expiration_time.as_ref().and_then(Expiration::odd).is_some()
}

fn change(share: &ChannelShare, child: &ImageShare, in_service: bool, ends: bool) -> Option<Change> {
    let name = child.metadata.name.clone().unwrap_or_default();
    let named =
        |had: &&SpecRecipient| share.spec.recipients.iter().any(|asked| asked.kind == had.kind && asked.id == had.id);
    let recipients: Vec<SpecRecipient> = if in_service {
        share.spec.recipients.clone()
    } else {
        child.spec.recipients.iter().filter(named).cloned().collect()
    };
    let mut wanted = spec(share, child.spec.image_ref.clone(), recipients);
    if wanted.recipients.is_empty() || (ends && !wanted.suspend) {
        if !wanted.suspend {
            // Its end revokes, whatever the policy of the deletion of the ChannelShare is.
            return Some(if child.spec.deletion_policy == ShareDeletionPolicy::Revoke {
                Change::End { name }
            } else {
                let recipients = child.spec.recipients.clone();
                let spec = ImageShareSpec { recipients, deletion_policy: ShareDeletionPolicy::Revoke, ..wanted };
                Change::Patch { name, spec }
            });
        }
        wanted.recipients.clone_from(&child.spec.recipients);
    }
    (wanted != child.spec).then_some(Change::Patch { name, spec: wanted })
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().unwrap()
    }

    fn recipient(id: &str) -> serde_json::Value {
        json!({"type": "Account", "id": id})
    }

    fn share(ids: &[&str], rest: &serde_json::Value) -> ChannelShare {
        let recipients: Vec<_> = ids.iter().map(|id| recipient(id)).collect();
        let mut spec = json!({"channelRef": {"name": "golden", "namespace": "images"}, "recipients": recipients});
        spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        serde_json::from_value(json!({"metadata": {"namespace": "team", "name": "all"}, "spec": spec})).unwrap()
    }

    fn image(name: &str) -> ImageRef {
        ImageRef { name: name.to_owned(), namespace: Some("images".to_owned()) }
    }

    fn offered(name: &str, stage: Stage) -> Offered {
        let ending = (stage == Stage::Revoking).then_some(Ending::OnceReplaced { accepted: true });
        Offered { version: name.to_owned(), stage, image: image(name), ending }
    }

    fn child(of: &str, ids: &[&str], share: &ChannelShare) -> ImageShare {
        let recipients = ids.iter().map(|id| serde_json::from_value(recipient(id)).unwrap()).collect();
        let mut child = ImageShare::new(&format!("all-{of}"), spec(share, image(of), recipients));
        child.metadata.namespace = Some("team".to_owned());
        child
    }

    fn plan(share: &ChannelShare, offered: Option<&[Offered]>, children: &[&ImageShare]) -> Vec<String> {
        let ids =
            |spec: &ImageShareSpec| spec.recipients.iter().map(|who| who.id.clone()).collect::<Vec<_>>().join("+");
        let word = |change: Change| match change {
            Change::Create { version, spec } => format!("create {version} {}", ids(&spec)),
            Change::Patch { name, spec } => format!("patch {name} {}", ids(&spec)),
            Change::End { name } => format!("end {name}"),
        };
        plan_children(share, offered, children, now()).into_iter().map(word).collect()
    }

    #[test]
    fn each_version_in_service_is_shared_with_everybody_once() {
        let share = share(&["10001", "10002"], &json!({}));
        let all = [
            offered("4", Stage::Candidate),
            offered("3", Stage::Current),
            offered("2", Stage::Supported),
            offered("1", Stage::Deprecated),
        ];
        assert_eq!(plan(&share, Some(&all), &[]), ["create 3 10001+10002", "create 2 10001+10002"]);
        let there = [child("3", &["10001", "10002"], &share), child("2", &["10001", "10002"], &share)];
        assert!(plan(&share, Some(&all), &there.iter().collect::<Vec<_>>()).is_empty());
    }

    #[test]
    fn a_version_out_of_service_is_given_to_nobody_new_and_taken_from_who_is_taken_out() {
        let share = share(&["10002", "10003"], &json!({}));
        let old = child("1", &["10001", "10002"], &share);
        let all = [offered("1", Stage::Deprecated)];
        assert_eq!(plan(&share, Some(&all), &[&old]), ["patch all-1 10002"]);
        let alone = child("1", &["10001"], &share);
        assert_eq!(plan(&share, Some(&all), &[&alone]), ["end all-1"]);
    }

    #[test]
    fn a_channel_that_is_not_known_changes_nothing_but_who_is_taken_out() {
        let share = share(&["10001"], &json!({}));
        let there = child("1", &["10001"], &share);
        assert!(plan(&share, None, &[&there]).is_empty());
        assert!(plan(&share, Some(&[]), &[&there]).is_empty());
        let other = child("1", &["10001", "10002"], &share);
        assert_eq!(plan(&share, None, &[&other]), ["patch all-1 10001"]);
    }

    #[test]
    fn a_version_that_the_channel_ends_is_taken_from_everybody_unless_the_share_is_paused() {
        let mut all = [offered("2", Stage::Current), offered("1", Stage::Revoking)];
        all[1].ending = Some(Ending::Now);
        let ids = ["10001", "10002"];
        let plain = share(&ids, &json!({}));
        let there = [child("1", &ids, &plain), child("2", &ids, &plain)];
        let there: Vec<&ImageShare> = there.iter().collect();
        assert_eq!(plan(&plain, Some(&all), &there), ["end all-1"]);
        assert!(plan(&plain, None, &there).is_empty(), "a channel that is not known ends nothing");
        let retired = [offered("2", Stage::Current), offered("1", Stage::Retired)];
        assert!(plan(&plain, Some(&retired), &there).is_empty());
        let over = share(&ids, &json!({"expirationTime": "2026-11-29T00:00:00Z"}));
        assert_eq!(plan(&over, Some(&all), &[&child("1", &ids, &over)]), ["end all-1"]);
        for pause in [json!({"suspend": true}), json!({"expirationTime": "9999-12-31T23:59:59Z"})] {
            let paused = share(&ids, &pause);
            assert!(plan(&paused, Some(&all), &[&child("1", &ids, &paused)]).is_empty(), "{pause}");
        }
        // Its end revokes, whatever the policy of the deletion of the ChannelShare is.
        let retains = share(&ids, &json!({"deletionPolicy": "Retain"}));
        let mut old = child("1", &ids, &retains);
        let changes = plan_children(&retains, Some(&all[1..]), &[&old], now());
        let [Change::Patch { spec, .. }] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(spec.deletion_policy, ShareDeletionPolicy::Revoke);
        assert_eq!(spec.recipients.len(), 2);
        old.spec = spec.clone();
        assert_eq!(plan(&retains, Some(&all[1..]), &[&old]), ["end all-1"]);
    }

    #[test]
    fn a_version_that_the_channel_ends_waits_until_the_share_has_given_everybody_another_one() {
        let all = [offered("3", Stage::Current), offered("2", Stage::Revoking), offered("1", Stage::Revoking)];
        let share = share(&["10001", "10002"], &json!({}));
        let told = |of: &str, waiting: &[(&str, &str)], answers: &[(&str, &str)]| {
            let mut child = child(of, &["10001", "10002"], &share);
            let of = |all: &[(&str, &str)], what: &str| -> Vec<_> {
                all.iter().map(|(id, said)| json!({"type": "Account", "id": id, what: said})).collect()
            };
            let status = json!({"waiting": of(waiting, "reason"), "answers": of(answers, "answer")});
            child.status = Some(serde_json::from_value(status).unwrap());
            child
        };
        let old = told("1", &[], &[]);
        let ends = |newer: &ImageShare| plan(&share, Some(&all), &[newer, &old]) == ["end all-1"];
        assert!(ends(&told("3", &[], &[])));
        assert!(!ends(&child("3", &["10001", "10002"], &share)), "it was made a moment ago");
        assert!(!ends(&told("3", &[("10002", "RecipientFull")], &[])));
        assert!(!ends(&told("3", &[], &[("10002", "Pending")])));
        assert!(!ends(&child("2", &["10001", "10002"], &share)), "that one ends too");
        let mut renewed = told("3", &[], &[]);
        renewed.metadata.generation = Some(2);
        assert!(!ends(&renewed), "its status speaks of what it was before");
        // Who does not have the old one, or did not accept it, is not waited for so long.
        let old = told("1", &[("10001", "RecipientFull")], &[("10002", "Pending")]);
        let newer = told("3", &[("10001", "RecipientFull")], &[("10002", "Pending")]);
        assert_eq!(plan(&share, Some(&all), &[&newer, &old]), ["end all-1"]);
    }

    #[test]
    fn a_suspended_share_keeps_everything_and_makes_nothing() {
        let all = [offered("2", Stage::Current), offered("1", Stage::Deprecated)];
        let suspended = share(&["10002"], &json!({"suspend": true}));
        let mut there = child("1", &["10001"], &suspended);
        assert!(plan(&suspended, Some(&all), &[&there]).is_empty());
        there.spec.suspend = false;
        assert_eq!(plan(&suspended, Some(&all), &[&there]), ["patch all-1 10001"], "suspended like its ChannelShare");
    }

    #[test]
    fn a_share_that_is_over_makes_nothing_and_a_time_that_cannot_be_read_pauses_it() {
        let all = [offered("2", Stage::Current)];
        let over = share(&["10001"], &json!({"expirationTime": "2026-11-29T00:00:00Z"}));
        assert!(plan(&over, Some(&all), &[]).is_empty());
        let odd = share(&["10001"], &json!({"expirationTime": "9999-12-31T23:59:59Z"}));
        assert!(plan(&odd, Some(&all), &[]).is_empty());
        let child = child("2", &["10001"], &share(&["10001"], &json!({})));
        let changes = plan_children(&odd, Some(&all), &[&child], now());
        let [Change::Patch { spec, .. }] = changes.as_slice() else { panic!("{changes:?}") };
        assert!(spec.suspend && spec.expiration_time.is_none());
    }

    #[test]
    fn who_is_taken_out_of_a_share_that_retains_loses_the_image_all_the_same() {
        let share = share(&["10002"], &json!({"deletionPolicy": "Retain"}));
        let mut old = child("1", &["10001"], &share);
        let changes = plan_children(&share, Some(&[]), &[&old], now());
        let [Change::Patch { spec, .. }] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!(spec.deletion_policy, ShareDeletionPolicy::Revoke);
        old.spec = spec.clone();
        assert_eq!(plan(&share, Some(&[]), &[&old]), ["end all-1"]);
    }

    proptest! {
        /// C2 and C7: whatever the channel does, only who the share stops naming loses an image.
        #[test]
        fn nobody_that_the_share_names_loses_an_image_by_the_channels_act(
            named in btree_set("[1-3]", 1..4), had in btree_set("[1-3]", 1..4), stage in 0_usize..6, known: bool,
            suspend: bool,
        ) {
            let stages = [Stage::Candidate, Stage::Current, Stage::Supported, Stage::Deprecated, Stage::Retired];
            let named: Vec<String> = named.iter().map(|id| format!("1000{id}")).collect();
            let had: Vec<String> = had.iter().map(|id| format!("1000{id}")).collect();
            let named: Vec<&str> = named.iter().map(String::as_str).collect();
            let had: Vec<&str> = had.iter().map(String::as_str).collect();
            let share = share(&named, &json!({"suspend": suspend}));
            let there = child("1", &had, &share);
            let all: Vec<Offered> = stages.get(stage).map(|stage| offered("1", *stage)).into_iter().collect();
            let changes = plan_children(&share, known.then_some(all.as_slice()), &[&there], now());
            let keeps = had.iter().filter(|id| named.contains(id)).count();
            for change in &changes {
                match change {
                    Change::End { .. } => prop_assert!(keeps == 0 && !suspend),
                    Change::Patch { spec, .. } => {
                        let kept = spec.recipients.iter().filter(|who| had.contains(&who.id.as_str()));
                        prop_assert!(kept.count() >= keeps);
                        let wants = stages.get(stage).is_some_and(|stage| known && is_shared(&share, *stage));
                        prop_assert!(wants || spec.recipients.iter().all(|who| had.contains(&who.id.as_str())));
                    }
                    Change::Create { .. } => prop_assert!(false, "{changes:?}"),
                }
            }
        }
    }
}
