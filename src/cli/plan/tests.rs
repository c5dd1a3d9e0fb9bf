use std::fmt::Write as _;

use serde_json::{Value, json};

use super::report::PlanFormat;
use super::*;

const ACCOUNT: &str = "
apiVersion: imageshare.dev/v1alpha1
kind: CloudAccount
metadata: {name: golden, namespace: golden-images}
spec:
  alibaba: {accountID: '2000000000000001', site: International, credentials: {secretRef: {name: golden}}}
---
";

const IMAGE: &str = "
apiVersion: imageshare.dev/v1alpha1
kind: CloudImage
metadata: {name: ubuntu, namespace: golden-images}
spec: {accountRef: {name: golden}, region: cn-hangzhou, imageID: m-1}
---
";

fn share(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: imageshare.dev/v1alpha1\nkind: ImageShare\nmetadata: {{name: {name}, namespace: golden-images}}\n\
         spec:\n  imageRef: {{name: ubuntu}}\n{spec}\n---\n"
    )
}

fn to(ids: impl IntoIterator<Item = u64>) -> String {
    let mut list = "  recipients:\n".to_owned();
    for id in ids {
        writeln!(list, "    - {{type: Account, id: '{}'}}", 1_000_000_000_000_000 + id).unwrap();
    }
    list
}

fn planned(text: &str) -> Report {
    plan_of(&[text], false)
}

fn plan_of(texts: &[&str], strict: bool) -> Report {
    let texts: Vec<Text> =
        texts.iter().enumerate().map(|(n, text)| (format!("{n}.yaml"), (*text).to_owned())).collect();
    plan(&texts, "default", strict, "2026-06-01T00:00:00Z".parse().unwrap())
}

fn json_of(report: &Report) -> Value {
    serde_json::from_str(&report.print(PlanFormat::Json).unwrap()).unwrap()
}

fn refusals(report: &Report) -> Vec<String> {
    let text = report.print(PlanFormat::Text).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("refused  ")).map(ToOwned::to_owned).collect()
}

#[test]
fn a_set_is_shown_as_what_each_image_would_be_shared_with() {
    let two = share("two", "  recipients: [{type: Account, id: '1000000000000002', name: payments}]");
    let report = planned(&format!("{ACCOUNT}{IMAGE}{}{two}", share("one", &to([1, 2]))));
    assert_eq!(
        report.print(PlanFormat::Text).unwrap(),
        "\
golden-images/ubuntu (m-1, cn-hangzhou)  +2  2/50
  + Account 1000000000000001  by golden-images/one
  + Account 1000000000000002 (payments)  by golden-images/one, golden-images/two
2 grants
"
    );
    assert_eq!((report.is_refused(), report.changes()), (false, 2));
    assert_eq!(json_of(&report)["images"][0]["limit"], 50);
    assert!(report.print(PlanFormat::Markdown).unwrap().contains("**2 grants**"));
}

#[test]
fn a_set_without_recipients_changes_nothing() {
    let report = planned(&format!("{ACCOUNT}{IMAGE}"));
    assert_eq!((report.print(PlanFormat::Text).unwrap().as_str(), report.changes()), ("no grants\n", 0));
    let gone = "  expirationTime: '2026-01-01T00:00:00Z'\n".to_owned() + &to([1]);
    let paused = "  suspend: true\n".to_owned() + &to([2]);
    let report = planned(&format!("{ACCOUNT}{IMAGE}{}{}", share("gone", &gone), share("paused", &paused)));
    let text = report.print(PlanFormat::Text).unwrap();
    assert!(
        text.contains("golden-images/gone has expired") && text.contains("golden-images/paused is suspended"),
        "{text}"
    );
    assert_eq!(report.changes(), 0);
}

#[test]
fn recipients_beyond_the_limit_are_counted_over_all_shares_and_told_who_would_wait() {
    let report = planned(&format!("{ACCOUNT}{IMAGE}{}{}", share("one", &to(1..=30)), share("two", &to(21..=52))));
    assert_eq!(json_of(&report)["summary"]["grants"], 50);
    let told = refusals(&report);
    assert_eq!(told.len(), 2, "{told:#?}");
    for (told, n) in told.iter().zip([51, 52]) {
        let wanted = format!(
            "ImageShare golden-images/two: spec.recipients[{}]: Account 10000000000000{n} would wait: 52 recipients are asked \
             for, and the image may have 50 (RecipientLimit)",
            n - 21
        );
        assert!(told.ends_with(&wanted), "{told}");
    }
    let raised = ACCOUNT.replace("spec:\n", "spec:\n  limits: {recipientsPerImage: 60}\n");
    let report = planned(&format!("{raised}{IMAGE}{}{}", share("one", &to(1..=30)), share("two", &to(21..=52))));
    assert_eq!((json_of(&report)["summary"]["grants"].as_u64(), report.is_refused()), (Some(52), false));
}

#[test]
fn each_mistake_is_told_with_its_file_and_line() {
    let wrong = "\
apiVersion: imageshare.dev/v1alpha1
kind: ImageShare
metadata:
  name: team
spec:
  imageRef:
    name: ubuntu
  recipients:
    - type: Account
      id: 1000000000000001
  recipient: []
";
    let report = plan_of(&[IMAGE, wrong, "a: [\n", "kind: X\n"], false);
    let told = refusals(&report);
    let starts = [
        "1.yaml:10: ImageShare default/team: spec.recipients[0].id: must be a string, and is a number: put it in quotes",
        "1.yaml:11: ImageShare default/team: spec.recipient: no such field",
        "2.yaml:",
        "3.yaml:1: is no Kubernetes object",
    ];
    for start in starts {
        assert!(told.iter().any(|told| told.starts_with(start)), "{start}\n{told:#?}");
    }
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    assert!(report.is_refused());
}

#[test]
fn a_kind_or_version_that_this_group_does_not_have_is_refused_and_other_groups_are_not_judged() {
    let odd = |kind: &str, version: &str| {
        format!("apiVersion: imageshare.dev/{version}\nkind: {kind}\nmetadata: {{name: x}}\n")
    };
    let told = |text: &str| refusals(&planned(text)).join("\n");
    assert!(
        told(&odd("ImageShares", "v1alpha1"))
            .contains("imageshare.dev has no kind \"ImageShares\": it has ChannelShare, CloudAccount,")
    );
    assert!(told(&odd("ImageShare", "v1")).contains("apiVersion: must be imageshare.dev/v1alpha1"));
    assert!(told(&odd("SharedImage", "v1alpha1")).contains("the operator writes SharedImages"));
    let report = planned("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {odd: 1}\n");
    assert_eq!(report.print(PlanFormat::Text).unwrap(), "no grants, 1 object of another group not judged\n");
}

#[test]
fn a_reference_that_the_set_does_not_have_is_unknown_and_refused_only_when_strict() {
    let texts = [IMAGE, &share("team", &to([1]))];
    let report = plan_of(&texts, false);
    let text = report.print(PlanFormat::Text).unwrap();
    let told = "unknown  0.yaml:5: CloudImage golden-images/ubuntu: spec.accountRef.name: the CloudAccount golden-images/golden";
    assert!(text.contains(told), "{text}");
    assert_eq!((report.is_refused(), json_of(&report)["summary"]["grants"].as_u64()), (false, Some(1)));
    assert!(plan_of(&texts, true).is_refused());
    let alone = planned(&share("team", &to([1])));
    assert!(alone.print(PlanFormat::Text).unwrap().contains("golden-images/ubuntu (not in the set)  +1"));
}

#[test]
fn a_null_that_means_nothing_is_as_good_as_none() {
    let nulls = "  suspend: null\n  deletionPolicy: null\n  expirationTime: null\n".to_owned() + &to([1]);
    let report = planned(&format!("{ACCOUNT}{IMAGE}{}", share("team", &nulls)));
    assert_eq!((refusals(&report), report.changes()), (Vec::new(), 1));
}

#[test]
fn what_names_a_refused_object_is_not_told_that_it_is_missing() {
    let odd = IMAGE.replace("region: cn-hangzhou", "region: 'cn hangzhou'");
    let report = planned(&format!("{ACCOUNT}{odd}{}", share("team", &to([1]))));
    assert_eq!(json_of(&report)["summary"]["unknown"], 0);
    assert_eq!(refusals(&report).len(), 1, "{:?}", refusals(&report));
}

#[test]
fn a_share_of_another_namespace_needs_the_owners_consent() {
    let guest = share("guest", &to([1]))
        .replace("namespace: golden-images", "namespace: team")
        .replace("{name: ubuntu}", "{name: ubuntu, namespace: golden-images}");
    let labels = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {images: shareable}}\n---\n";
    let image =
        |from: &str| IMAGE.replace("imageID: m-1", &format!("imageID: m-1, shareableFrom: {{namespaces: {from}}}"));
    let judged = |from: &str, labels: &str| {
        let report = planned(&format!("{ACCOUNT}{}{labels}{guest}", image(from)));
        let summary = json_of(&report)["summary"].clone();
        ["grants", "refused", "unknown"].map(|field| summary[field].as_u64().unwrap())
    };
    let selector = "{from: Selector, selector: {matchLabels: {images: shareable}}}";
    let another = "{from: Selector, selector: {matchLabels: {images: none}}}";
    assert_eq!(judged("{from: Same}", ""), [0, 1, 0]);
    assert_eq!(judged("{from: All}", ""), [1, 0, 0]);
    assert_eq!(judged(selector, labels), [1, 0, 0]);
    assert_eq!(judged(another, labels), [0, 1, 0]);
    assert_eq!(judged(selector, ""), [1, 0, 1]);
}

#[test]
fn what_a_cloud_does_not_share_with_or_sell_there_is_refused() {
    let told = |text: &str| refusals(&planned(text)).join("\n");
    let project = share("team", "  recipients: [{type: Project, id: abc}]");
    assert!(
        told(&format!("{ACCOUNT}{IMAGE}{project}"))
            .contains("Alibaba Cloud shares with Account only (RecipientKindUnsupported)")
    );
    let itself = share("team", "  recipients: [{type: Account, id: '2000000000000001'}]");
    assert!(told(&format!("{ACCOUNT}{IMAGE}{itself}")).contains("is the owner of the image (RecipientIsOwner)"));
    let finance = IMAGE.replace("cn-hangzhou", "cn-hangzhou-finance");
    assert!(
        told(&format!("{ACCOUNT}{finance}{}", share("team", &to([1]))))
            .contains("cn-hangzhou-finance is not sold on the International site")
    );
    let abroad = share("team", "  recipients: [{type: Account, id: '1000000000000001', site: International}]");
    let china = ACCOUNT.replace("International", "China");
    assert!(told(&format!("{china}{finance}{abroad}")).contains("RegionNotOnSite"));
}

#[test]
fn two_objects_for_one_thing_are_refused_with_the_place_of_the_first() {
    let told = |text: &str| refusals(&planned(text)).join("\n");
    assert!(told(&format!("{ACCOUNT}{IMAGE}{IMAGE}")).contains("is in the set twice: the other one is at 0.yaml:"));
    let again = IMAGE.replace("name: ubuntu", "name: again");
    let told = told(&format!("{ACCOUNT}{IMAGE}{again}"));
    assert!(
        told.contains(
            "CloudImage golden-images/again: spec.imageID: the CloudImage golden-images/ubuntu names the same"
        ),
        "{told}"
    );
}

#[test]
fn a_copy_is_an_image_of_the_set_and_an_answer_is_told() {
    let replica = "apiVersion: imageshare.dev/v1alpha1\nkind: ImageReplica\nmetadata: {name: copy, namespace: golden-images}\n\
        spec: {source: {imageRef: {name: ubuntu}}, destination: {region: cn-beijing, name: copy}}\n---\n";
    let answer = "apiVersion: imageshare.dev/v1alpha1\nkind: SharedImageAcceptance\nmetadata: {name: answer, namespace: golden-images}\n\
        spec: {accountRef: {name: golden}, region: r, imageID: i, owner: o, decision: Reject}\n---\n";
    let of_copy = share("team", &to([1])).replace("{name: ubuntu}", "{name: copy}");
    let report = planned(&format!("{ACCOUNT}{IMAGE}{replica}{answer}{of_copy}"));
    assert_eq!(
        report.print(PlanFormat::Text).unwrap(),
        "\
golden-images/copy (cn-beijing)  +1  1/50
  + Account 1000000000000001  by golden-images/team
golden-images/copy copies an image to cn-beijing as copy
golden-images/answer rejects i (r) of o
1 grant, 1 copy, 1 answer
"
    );
}

#[test]
fn a_suspended_account_grants_nothing() {
    let account = ACCOUNT.replace("spec:\n", "spec:\n  suspend: true\n");
    let report = planned(&format!("{account}{IMAGE}{}", share("team", &to([1]))));
    assert!(report.print(PlanFormat::Text).unwrap().contains("its CloudAccount is suspended"));
    assert_eq!(report.changes(), 0);
}

#[test]
fn text_of_a_file_moves_no_cursor_and_is_no_markup_in_a_comment() {
    let share = share("team", "  recipients: [{type: Account, id: \"a|<b>\\e[2J@all\"}]");
    let report = planned(&format!("{ACCOUNT}{IMAGE}{share}"));
    let [text, markdown] = [PlanFormat::Text, PlanFormat::Markdown].map(|format| report.print(format).unwrap());
    assert!(!text.contains('\u{1b}') && !markdown.contains('\u{1b}'));
    assert!(!markdown.contains("<b>") && !markdown.contains(" @all"), "{markdown}");
}

/// What the set says of the plan, it says whatever the order of its files.
#[test]
fn the_order_of_files_changes_no_verdict() {
    let share = share("team", &to([1, 2]));
    let texts = [ACCOUNT, IMAGE, share.as_str()];
    let summaries = [[0, 1, 2], [2, 1, 0], [1, 2, 0]].map(|order| {
        let texts = order.map(|index| texts[index]);
        json_of(&plan_of(&texts, false))["summary"].clone()
    });
    assert!(summaries.iter().all(|summary| *summary == summaries[0]), "{summaries:?}");
    assert_eq!(summaries[0], json!({"grants": 2, "copies": 0, "answers": 0, "refused": 0, "unknown": 0, "others": 0}));
}
