//! How access to old versions ends, day by day.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::api::image_share::ImageShare;
use crate::domain::image::Answer;

const FORTNIGHT: SignedDuration = SignedDuration::from_hours(14 * 24);

fn rotating() -> Channel {
    let mut channel = Channel::new();
    channel.terms.rotation =
        Some(Rotation { min_age: SignedDuration::ZERO, grace: FORTNIGHT, accepted: true, ends: true });
    channel
}

/// Who has a version: `A` granted, `A?` granted but not answered, `A+` accepted, `A-` waiting, `A~` not known.
fn hold(channel: &mut Channel, version: &str, who: &str) {
    let mut holders = Holders { shares: 1, ..Holders::default() };
    for one in who.split_whitespace() {
        let (name, how) = one.split_at(1);
        let how = match how {
            "?" => Hold::Granted(Some(Answer::Pending)),
            "+" => Hold::Granted(Some(Answer::Accepted)),
            "-" => Hold::Waiting,
            "~" => Hold::Unknown,
            _ => Hold::Granted(None),
        };
        holders.recipients.insert(name.to_owned(), how);
    }
    channel.held.insert(id(version), holders);
}

/// A channel at the end of the grace of version 1, after one list.
fn overdue() -> Channel {
    let mut channel = rotating();
    for version in ["1", "2", "3", "4"] {
        hold(&mut channel, version, "A B");
    }
    channel.see(10, &builds(1..=3));
    channel.see(11, &builds(1..=4));
    assert_eq!(channel.see(25, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(blocked(&channel, "1"), [Reason::AwaitingDiscovery]);
    channel
}

fn version<'a>(channel: &'a Channel, named: &str) -> &'a Version {
    channel.versions.iter().find(|version| version.version == named).unwrap()
}

fn blocked(channel: &Channel, named: &str) -> Vec<Reason> {
    version(channel, named).blocked.clone()
}

fn held_back(channel: &Channel) -> String {
    channel.plan.as_ref().unwrap().held_back.as_ref().map(|remark| remark.message.clone()).unwrap_or_default()
}

#[test]
fn an_old_version_ends_after_the_grace_it_was_told_and_two_lists() {
    let mut channel = rotating();
    hold(&mut channel, "1", "A");
    hold(&mut channel, "4", "A");
    assert_eq!(channel.see(10, &builds(1..=3)), "3: 3C 2S 1S");
    assert_eq!(channel.see(11, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(version(&channel, "1").not_before, Some(day(25)));
    assert_eq!(channel.plan.as_ref().unwrap().next, Some(day(25)));
    assert_eq!(channel.see(24, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(channel.wait(26), "4: 4C 3S 2S 1D", "no list has come since");
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(blocked(&channel, "1"), [Reason::AwaitingDiscovery]);
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1D", "it is the same list");
    assert!(held_back(&channel).is_empty(), "that passes by itself");
    assert_eq!(channel.see(27, &builds(1..=4)), "4: 4C 3S 2S 1V");
    assert_eq!(channel.see(28, &builds(1..=4)), "4: 4C 3S 2S 1V", "an ImageShare of it is still there");
    channel.held.remove(&id("1"));
    assert_eq!(channel.wait(28), "4: 4C 3S 2S 1R");
    assert_eq!(channel.see(99, &builds(1..=4)), "4: 4C 3S 2S 1R");
}

#[test]
fn a_list_that_fails_lacks_the_image_or_matches_nothing_does_not_count() {
    let mut channel = overdue();
    let images = builds(1..=4);
    let failed = Listed { sound: false, ..listed(&images, 25) };
    channel.plan_at(day(26), Some(failed));
    assert_eq!(version(&channel, "1").overdue_since, None);
    assert_eq!(channel.see(27, &images), "4: 4C 3S 2S 1D", "the two last ones must be complete");
    channel.see(28, &[]);
    assert_eq!(channel.see(29, &images), "4: 4C 3S 2S 1D");
    assert_eq!(channel.see(30, &builds(2..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(channel.see(31, &images), "4: 4C 3S 2S 1V");
}

#[test]
fn a_clock_that_is_wrong_ends_nothing_while_no_list_confirms_it() {
    let mut channel = rotating();
    hold(&mut channel, "1", "A");
    hold(&mut channel, "4", "A");
    channel.see(10, &builds(1..=3));
    let images = builds(1..=4);
    channel.see(11, &images);
    // Ahead by a year: the cloud refuses to list.
    assert_eq!(channel.wait(376), "4: 4C 3S 2S 1D");
    assert_eq!(channel.plan_at(day(376), Some(listed(&images, 11))), "4: 4C 3S 2S 1D");
    assert_eq!(version(&channel, "1").overdue_since, None);
    // Back by a year while a version becomes Deprecated: its grace is a whole one all the same.
    let images = builds(1..=5);
    channel.terms.exclude.insert("3".to_owned());
    channel.wait(-354);
    assert_eq!(version(&channel, "3").not_before, None, "no list, no grace");
    channel.plan_at(day(-354), Some(listed(&images, 12)));
    assert!(version(&channel, "3").not_before.unwrap() >= day(25), "{:?}", version(&channel, "3"));
    assert_eq!(version(&channel, "1").not_before, Some(day(25)), "what was told stays");
    // Ahead for one list, and right again.
    channel.see(26, &images);
    assert!(version(&channel, "1").overdue_since.is_some());
    channel.plan_at(day(13), Some(listed(&images, 27)));
    assert_eq!(version(&channel, "1").overdue_since, None);
}

#[test]
fn nobody_loses_the_only_version_that_it_has() {
    let mut channel = overdue();
    for (newer, who) in [("2", "A B-"), ("3", "A B-"), ("4", "A B-")] {
        hold(&mut channel, newer, who);
    }
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(blocked(&channel, "1"), [Reason::RecipientsBehind]);
    assert!(held_back(&channel).contains("have no newer version: B."), "{}", held_back(&channel));
    // Nor is one believed that is not known.
    hold(&mut channel, "4", "A B~");
    assert_eq!(channel.wait(27), "4: 4C 3S 2S 1D", "nothing is decided without a list");
    channel.see(27, &builds(1..=4));
    assert_eq!(blocked(&channel, "1"), [Reason::RecipientsBehind]);
    hold(&mut channel, "4", "A B");
    assert_eq!(channel.see(28, &builds(1..=4)), "4: 4C 3S 2S 1V");
}

#[test]
fn an_answer_is_awaited_from_who_accepted_the_old_version() {
    let mut channel = overdue();
    hold(&mut channel, "1", "A+ B? C~");
    for newer in ["2", "3", "4"] {
        hold(&mut channel, newer, "A? B? C+");
    }
    channel.see(26, &builds(1..=4));
    assert_eq!(blocked(&channel, "1"), [Reason::AwaitingAnswer]);
    assert!(held_back(&channel).contains("accepted no newer version: A."), "{}", held_back(&channel));
    let mut hasty = channel.terms.rotation.unwrap();
    hasty.accepted = false;
    channel.terms.rotation = Some(hasty);
    assert_eq!(channel.see(27, &builds(1..=4)), "4: 4C 3S 2S 1V", "require: Granted");
}

#[test]
fn an_old_version_waits_until_the_newer_ones_are_in_service() {
    let mut channel = overdue();
    channel.served.insert(id("3"), Served { ready: None, shared: true });
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(blocked(&channel, "1"), [Reason::NewerNotReady]);
    assert!(held_back(&channel).contains("until 3 versions are in service"), "{}", held_back(&channel));
    channel.served.clear();
    assert_eq!(channel.see(27, &builds(1..=4)), "4: 4C 3S 2S 1V");
    // Nor is one Deprecated before that.
    let mut channel = rotating();
    channel.see(10, &builds(1..=3));
    channel.served.insert(id("2"), Served { ready: Some(false), shared: true });
    assert_eq!(channel.see(11, &builds(1..=4)), "4: 4C 3S 2S 1S");
    channel.served.clear();
    assert_eq!(channel.see(12, &builds(1..=4)), "4: 4C 3S 2S 1D");
    channel.served.insert(id("2"), Served { ready: Some(false), shared: true });
    assert_eq!(channel.see(13, &builds(1..=4)), "4: 4C 3S 2S 1D", "it does not come and go");
}

#[test]
fn versions_end_one_after_the_other_and_one_that_is_stuck_holds_up_nobody_for_long() {
    let mut channel = overdue();
    hold(&mut channel, "5", "A B");
    channel.see(25, &builds(1..=5));
    hold(&mut channel, "6", "A B");
    channel.see(25, &builds(1..=6));
    let images = builds(1..=6);
    assert_eq!(channel.see(50, &images), "6: 6C 5S 4S 3D 2D 1V", "the oldest first");
    let soon = Listed { at: day(50) + SignedDuration::from_mins(10), ..listed(&images, 50) };
    assert_eq!(channel.plan_at(soon.at, Some(soon)), "6: 6C 5S 4S 3D 2D 1V");
    assert_eq!(blocked(&channel, "2"), [Reason::RevokingAnother]);
    assert_eq!(channel.see(51, &images), "6: 6C 5S 4S 3D 2V 1V");
}

#[test]
fn a_suspended_share_keeps_what_it_has_and_holds_up_nobody() {
    let mut channel = overdue();
    channel.held.get_mut(&id("1")).unwrap().shares = 2;
    channel.held.get_mut(&id("1")).unwrap().paused.insert("team/old".to_owned());
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1V");
    assert!(blocked(&channel, "1").is_empty());
    let left = Holders { shares: 1, paused: ["team/old".to_owned()].into(), ..Holders::default() };
    channel.held.insert(id("1"), left);
    assert_eq!(channel.see(27, &builds(1..=4)), "4: 4C 3S 2S 1V");
    assert_eq!(blocked(&channel, "1"), [Reason::Suspended]);
    assert!(held_back(&channel).contains("team/old"), "{}", held_back(&channel));
    channel.held.remove(&id("1"));
    assert_eq!(channel.see(28, &builds(1..=4)), "4: 4C 3S 2S 1R");
}

#[test]
fn an_image_share_that_cannot_be_read_holds_its_version_back() {
    let mut channel = overdue();
    channel.held.get_mut(&id("1")).unwrap().unreadable.insert("team/odd".to_owned());
    channel.see(26, &builds(1..=4));
    assert_eq!(blocked(&channel, "1"), [Reason::RecipientsBehind]);
    assert!(held_back(&channel).contains("ImageShare team/odd, which cannot be read"), "{}", held_back(&channel));
}

#[test]
fn an_excluded_version_ends_like_an_old_one_or_at_once() {
    let mut channel = rotating();
    for version in ["1", "2", "3", "4"] {
        hold(&mut channel, version, "A");
    }
    channel.see(10, &builds(1..=4));
    channel.terms.exclude.insert("4".to_owned());
    assert_eq!(channel.see(11, &builds(1..=4)), "3: 4D 3C 2S 1S", "there is room for 1 again");
    assert_eq!(version(&channel, "4").not_before, Some(day(25)));
    channel.terms.urgent.insert("4".to_owned());
    assert_eq!(channel.wait(11), "3: 4V 3C 2S 1S", "without a list, and whoever has nothing else");
    // Undone in time, it comes back.
    (channel.terms.exclude, channel.terms.urgent) = (BTreeSet::new(), BTreeSet::new());
    assert_eq!(channel.see(12, &builds(1..=4)), "3: 4c 3C 2S 1S");
    assert_eq!(channel.see(13, &builds(1..=4)), "4: 4C 3S 2S 1D");
    // In mode Share an exclusion ends nothing but by `revoke: Now`.
    channel.terms.rotation = None;
    channel.terms.exclude.insert("2".to_owned());
    assert_eq!(channel.see(40, &builds(1..=4)), "4: 4C 3S 2D 1S");
    channel.terms.urgent.insert("2".to_owned());
    assert_eq!(channel.see(41, &builds(1..=4)), "4: 4C 3S 2V 1S");
    channel.held.remove(&id("2"));
    assert_eq!(channel.see(42, &builds(1..=4)), "4: 4C 3S 2R 1S");
}

#[test]
fn the_last_version_of_a_channel_does_not_end_by_an_exclusion_after_its_grace() {
    let mut channel = rotating();
    hold(&mut channel, "1", "A");
    channel.see(10, &builds(1..=1));
    channel.terms.exclude.insert("1".to_owned());
    for at in 11..60 {
        assert_eq!(channel.see(at, &builds(1..=1)), "-: 1D");
    }
    assert_eq!(blocked(&channel, "1"), [Reason::NewerNotReady, Reason::RecipientsBehind]);
}

#[test]
fn who_turns_rotation_on_or_makes_the_channel_again_starts_a_whole_grace() {
    let mut channel = rotating();
    let rotation = channel.terms.rotation.take();
    for version in ["1", "2", "3", "4", "5"] {
        hold(&mut channel, version, "A");
    }
    channel.see(10, &builds(1..=3));
    channel.terms.exclude.insert("2".to_owned());
    assert_eq!(channel.see(100, &builds(1..=5)), "5: 5C 4S 3S 2D 1S");
    channel.terms.rotation = rotation;
    assert_eq!(channel.see(200, &builds(1..=5)), "5: 5C 4S 3S 2D 1D");
    assert_eq!(["1", "2"].map(|named| version(&channel, named).not_before), [Some(day(214)); 2]);
    // Status is lost with the object: what somebody has is not Retired at first sight.
    (channel.versions, channel.latest) = (Vec::new(), None);
    channel.held.remove(&id("2"));
    assert_eq!(channel.see(300, &builds(1..=5)), "5: 5C 4S 3S 2R 1D");
    assert_eq!(version(&channel, "1").not_before, Some(day(314)));
}

#[test]
fn an_edit_of_the_grace_is_told_before_it_counts() {
    let mut channel = overdue();
    let mut rotation = channel.terms.rotation.unwrap();
    rotation.grace = FORTNIGHT * 2;
    channel.terms.rotation = Some(rotation);
    assert_eq!(channel.see(26, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!((version(&channel, "1").not_before, version(&channel, "1").overdue_since), (Some(day(39)), None));
    rotation.grace = SignedDuration::from_hours(1);
    channel.terms.rotation = Some(rotation);
    assert_eq!(channel.see(27, &builds(1..=4)), "4: 4C 3S 2S 1D");
    assert_eq!(version(&channel, "1").not_before, Some(day(11) + SignedDuration::from_hours(1)));
    assert_eq!(channel.see(28, &builds(1..=4)), "4: 4C 3S 2S 1V");
}

#[test]
fn a_pin_brings_an_old_version_back_and_keeps_those_that_are_newer() {
    let mut channel = overdue();
    channel.terms.pin = Some("1".to_owned());
    assert_eq!(channel.see(26, &builds(1..=4)), "1: 4c 3c 2c 1C");
    for at in 27..60 {
        assert_eq!(channel.see(at, &builds(1..=4)), "1: 4c 3c 2c 1C");
    }
    channel.terms.pin = None;
    assert_eq!(channel.see(60, &builds(1..=4)), "4: 4C 3S 2S 1D", "with a whole grace");
    assert_eq!(version(&channel, "1").not_before, Some(day(74)));
    // More room brings it back as well.
    channel.terms.keep = 4;
    assert_eq!(channel.see(61, &builds(1..=4)), "4: 4C 3S 2S 1S");
}

#[test]
fn a_version_is_not_deprecated_before_its_age() {
    let mut channel = rotating();
    channel.terms.rotation.as_mut().unwrap().min_age = SignedDuration::from_hours(10 * 24);
    channel.see(5, &builds(1..=1));
    let seen: Vec<String> = (2..=5).map(|newest| channel.see(6, &builds(1..=newest))).collect();
    assert_eq!(seen.last().unwrap(), "5: 5C 4S 3S 2S 1S");
    assert_eq!(channel.see(11, &builds(1..=5)), "5: 5C 4S 3S 2S 1D", "1 is from day 1, 2 was first seen on day 6");
    assert_eq!(channel.see(16, &builds(1..=5)), "5: 5C 4S 3S 2D 1D");
}

#[test]
fn a_channel_that_observes_shows_what_it_would_do_and_ends_nothing() {
    let mut channel = overdue();
    channel.terms.rotation.as_mut().unwrap().ends = false;
    channel.terms.exclude.insert("2".to_owned());
    channel.terms.urgent.insert("2".to_owned());
    for at in 26..60 {
        assert_eq!(channel.see(at, &builds(1..=4)), "4: 4C 3S 2D 1S");
    }
}

#[test]
fn an_image_share_tells_how_its_recipients_have_the_image() {
    let recipients: Vec<_> =
        ["10001", "10002", "10003", "10004"].iter().map(|id| json!({"type": "Account", "id": id})).collect();
    let share: ImageShare = serde_json::from_value(json!({
        "metadata": {"name": "one", "namespace": "team"},
        "spec": {"imageRef": {"name": "golden"}, "recipients": recipients},
        "status": {
            "waiting": [{"type": "Account", "id": "10002", "reason": "RecipientFull"},
                {"type": "Account", "id": "10003", "reason": "Pending"}],
            "answers": [{"type": "Account", "id": "10004", "answer": "Accepted"}]},
    }))
    .unwrap();
    let mut holders = Holders::default();
    holders.add("team/one".to_owned(), false, Some(&share), true);
    let told: Vec<(&str, Hold)> = holders.recipients.iter().map(|(who, hold)| (who.as_str(), *hold)).collect();
    let wanted = [Hold::Granted(None), Hold::Waiting, Hold::Unknown, Hold::Granted(Some(Answer::Accepted))];
    assert_eq!(told.iter().map(|(_, hold)| *hold).collect::<Vec<_>>(), wanted);
    assert_eq!(told[0].0, "Account 10001");
    // Another share of the same image may have granted it.
    let mut other = share.clone();
    other.status = None;
    holders.add("team/two".to_owned(), false, Some(&other), true);
    assert_eq!(holders.recipients["Account 10002"], Hold::Unknown);
    let of = |paused, share: Option<&ImageShare>, observed| {
        let mut holders = Holders::default();
        holders.add("team/one".to_owned(), paused, share, observed);
        assert_eq!(holders.shares, 1);
        (holders.recipients.values().copied().collect::<Vec<_>>(), holders.paused.len(), holders.unreadable.len())
    };
    assert_eq!(of(false, Some(&share), false), (vec![Hold::Unknown; 4], 0, 0));
    assert_eq!(of(true, Some(&share), true), (vec![], 1, 0));
    assert_eq!(of(false, None, false), (vec![], 0, 1));
    other.metadata.deletion_timestamp = Some(Time(day(1)));
    assert_eq!(of(false, Some(&other), true), (vec![], 0, 0), "its end is under way already");
}
