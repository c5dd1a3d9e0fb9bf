//! Copying as the cloud answers it: what is asked and answered, what the journal holds, what injected faults do.

use super::*;
use crate::alibaba::world::{ImagePatch, RulesPatch};
use crate::chassis::effect::{CopyState, CopyStep};
use crate::chassis::journal::Journal;

fn copying() -> State {
    let mut state = plain();
    state.patch_rules(RulesPatch { copy_seconds: Some(100), ..RulesPatch::default() }).unwrap();
    state
}

fn copy_query(more: &str) -> String {
    format!("RegionId=cn-hangzhou&ImageId={GOLDEN}&DestinationRegionId=cn-beijing{more}")
}

/// Asks as the port does: with all that is due done first.
fn ask_now(state: &mut State, action: &str, query: &str) -> Value {
    state.settle_copies();
    ask(state, OWNER_KEY, action, query)
}

fn copy(state: &mut State, more: &str) -> Value {
    ask_now(state, "CopyImage", &copy_query(more))
}

fn advance(state: &mut State, seconds: i64) {
    state.move_clock(ClockMove { offset_seconds: None, advance_seconds: Some(seconds) }).unwrap();
    state.settle_copies();
}

fn abroad(state: &mut State, query: &str) -> Value {
    ask_now(state, "DescribeImages", &format!("RegionId=cn-beijing&ImageOwnerAlias=self{query}"))
}

fn steps(journal: &Journal, state: CopyState) -> Vec<&CopyStep> {
    let steps = journal.entries().iter().filter_map(|entry| entry.effect.as_ref()?.copy.as_ref());
    steps.filter(|step| step.state == state).collect()
}

#[test]
fn a_copy_is_seen_under_way_only_with_its_status_and_then_as_any_image() {
    let mut state = copying();
    let answer = copy(&mut state, "&DestinationImageName=gold&DestinationDescription=of+gold");
    let id = answer["ImageId"].as_str().unwrap().to_owned();
    assert_eq!((answer["RequestId"].as_str(), id.starts_with("m-")), (Some("ID"), true));
    advance(&mut state, 40);
    assert_eq!(image_ids(&abroad(&mut state, "&ImageName=gold")), Vec::<&str>::new());
    for status in ["ALL", "Creating,Waiting"] {
        let seen = abroad(&mut state, &format!("&ImageName=gold&Status={status}"));
        let row = &seen["Images"]["Image"][0];
        assert_eq!(
            (&row["ImageId"], &row["Status"], &row["Progress"]),
            (&json!(id), &json!("Creating"), &json!("40%"))
        );
    }
    assert_eq!(abroad(&mut state, "&ImageName=gol&Status=ALL")["TotalCount"], 1, "names are searched for");
    advance(&mut state, 60);
    let seen = abroad(&mut state, "&ImageName=gold");
    let row = &seen["Images"]["Image"][0];
    assert_eq!((&row["Status"], &row["Progress"], &row["Size"]), (&json!("Available"), &json!("100%"), &json!(20)));
    assert_eq!((&row["Description"], &row["ImageName"]), (&json!("of gold"), &json!("gold")));
    assert_eq!((&row["IsCopied"], &row["ImageOwnerId"]), (&json!(true), &json!(2_000_000_000_000_000_i64)));
    assert_eq!(row["DiskDeviceMappings"]["DiskDeviceMapping"].as_array().unwrap().len(), 2);
}

#[test]
fn the_journal_tells_a_copys_whole_life() {
    let mut state = copying();
    let id = copy(&mut state, "&DestinationImageName=gold&ClientToken=t&Encrypted=False")["ImageId"].clone();
    let asked = json!({"destination": "cn-beijing", "name": "gold", "description": null, "encrypted": false,
        "kmsKey": null, "clientToken": "t"});
    let step = |what: &str| {
        json!({"state": what, "image": id, "source": GOLDEN, "sourceRegion": "cn-hangzhou",
            "destination": "cn-beijing", "name": "gold", "clientToken": "t"})
    };
    let entry = serde_json::to_value(last(&state)).unwrap();
    assert_eq!((&entry["parameters"]["copy"], &entry["effect"]["copy"]), (&asked, &step("began")));
    assert_eq!((&entry["image"], &entry["region"]), (&json!(GOLDEN), &json!("cn-hangzhou")));
    advance(&mut state, 500);
    let entry = serde_json::to_value(last(&state)).unwrap();
    assert_eq!((&entry["action"], &entry["code"], &entry["image"]), (&json!("CopyEnded"), &json!("OK"), &id));
    assert_eq!((&entry["time"], &entry["effect"]["copy"]), (&json!("2026-11-21T23:43:40Z"), &step("done")));
    assert_eq!(entry["principal"], "2000000000000000");
}

#[test]
fn a_cancelled_copy_and_a_failed_one_are_told_apart() {
    let mut state = copying();
    let id = copy(&mut state, "&DestinationImageName=gold")["ImageId"].as_str().unwrap().to_owned();
    let cancel = |region: &str| format!("RegionId={region}&ImageId={id}");
    assert_eq!(ask_now(&mut state, "CancelCopyImage", &cancel("cn-hangzhou"))["Code"], "InvalidImageId.NotFound");
    assert_eq!(ask_now(&mut state, "CancelCopyImage", &cancel("cn-beijing"))["Code"], Value::Null);
    let effect = last(&state).effect.clone().unwrap();
    assert_eq!((effect.deleted, effect.copy.unwrap().state), (true, CopyState::Cancelled));
    let golden = format!("RegionId=cn-hangzhou&ImageId={GOLDEN}");
    assert_eq!(ask_now(&mut state, "CancelCopyImage", &golden)["Code"], "ImageCreatedNotFromCopy");

    copy(&mut state, "&DestinationImageName=gold");
    let patch = ImagePatch { copies_fail: Some(true), ..ImagePatch::default() };
    state.patch_image(&ImageId::from(GOLDEN), patch).unwrap();
    advance(&mut state, 60);
    assert_eq!(
        (last(&state).code.as_str(), last(&state).time.to_string().as_str()),
        ("CreateFailed", "2026-11-21T23:43:00Z")
    );
    let row = &abroad(&mut state, "&Status=CreateFailed")["Images"]["Image"][0];
    assert_eq!((&row["ImageName"], &row["Progress"]), (&json!("gold"), &json!("60%")));
    let counts = [CopyState::Began, CopyState::Cancelled, CopyState::Failed, CopyState::Done]
        .map(|kind| steps(&state.journal, kind).len());
    assert_eq!(counts, [2, 1, 1, 0]);
}

#[test]
fn a_source_deleted_while_it_is_copied_fails_the_copy_and_the_journal_says_so() {
    let mut state = copying();
    copy(&mut state, "&DestinationImageName=gold");
    ask_now(&mut state, "DeleteImage", &format!("RegionId=cn-hangzhou&ImageId={GOLDEN}"));
    assert!(last(&state).effect.as_ref().unwrap().deleted);
    state.settle_copies();
    assert_eq!((last(&state).action.as_str(), last(&state).code.as_str()), ("CopyEnded", "CreateFailed"));
}

#[test]
fn a_lost_answer_asked_for_again_with_its_token_is_one_copy() {
    let mut state = copying();
    let query = "&DestinationImageName=gold&ClientToken=t";
    for (kind, begun) in [("cutBefore", 0), ("cutAfter", 1)] {
        script(&mut state, json!([{"when": {"action": "CopyImage"}, "count": 1, "then": {"kind": kind}}]));
        let wire = signed(&state, OWNER_KEY, "CopyImage", &copy_query(query), &[]);
        assert!(handle(&mut state, &wire, "ID").cut);
        assert_eq!(steps(&state.journal, CopyState::Began).len(), begun);
    }
    let id = copy(&mut state, query)["ImageId"].clone();
    let begun = steps(&state.journal, CopyState::Began);
    assert_eq!((begun.len(), begun[0].image.as_str()), (1, id.as_str().unwrap()));
    assert_eq!((last(&state).status, &last(&state).effect), (200, &None));
    assert_eq!(copy(&mut state, "&DestinationImageName=silver&ClientToken=t")["Code"], "IdempotentParameterMismatch");
}

#[test]
fn faults_strike_copying_and_cancelling_as_all_else() {
    let mut state = copying();
    let when = |action: &str| json!({"when": {"action": action}, "count": 1, "then": {"kind": "throttle"}});
    script(&mut state, json!([when("CopyImage"), when("CancelCopyImage")]));
    assert_eq!(copy(&mut state, "")["Code"], "Throttling.User");
    let id = copy(&mut state, "")["ImageId"].as_str().unwrap().to_owned();
    let cancel = format!("RegionId=cn-beijing&ImageId={id}");
    assert_eq!(ask_now(&mut state, "CancelCopyImage", &cancel)["Code"], "Throttling.User");
    assert_eq!(abroad(&mut state, "&Status=ALL")["TotalCount"], 2);
    assert_eq!(ask_now(&mut state, "CancelCopyImage", &cancel)["Code"], Value::Null);
}

#[test]
fn what_a_copy_is_asked_with_is_checked_before_the_world_is() {
    let mut state = copying();
    let cases = [
        ("CopyImage", "ImageId=m-x".to_owned(), "MissingParameter"),
        ("CopyImage", "RegionId=cn-hangzhou".to_owned(), "MissingParameter"),
        ("CopyImage", copy_query("&Encrypted=maybe"), "InvalidParameter"),
        ("CopyImage", copy_query("&EncryptAlgorithm=aes"), "UnsupportedParameter"),
        ("CopyImage", copy_query(&format!("&ClientToken={}", "t".repeat(65))), "InvalidParameter"),
        ("CopyImage", copy_query("&ClientToken=%E5%83%8F"), "InvalidParameter"),
        ("CopyImage", copy_query("&DestinationImageName=1"), "InvalidImageName.Malformed"),
        ("CopyImage", copy_query("&DryRun=True"), "DryRunOperation"),
        ("CancelCopyImage", "RegionId=cn-hangzhou".to_owned(), "MissingParameter"),
        ("CancelCopyImage", "RegionId=cn-hangzhou&ImageId=m-x".to_owned(), "InvalidImageId.NotFound"),
    ];
    for (action, query, code) in cases {
        assert_eq!(ask_now(&mut state, action, &query)["Code"], code, "{action} {query}");
    }
    assert_eq!(steps(&state.journal, CopyState::Began).len(), 0);
    assert_eq!(copy(&mut state, &format!("&ClientToken={}", "t".repeat(64)))["Code"], Value::Null);
}
