//! The custom resource definitions: what is committed, what a real API server makes of it, and what it refuses, each
//! time with a sentence a person can act on.

mod applying;
mod aws;
mod channels;
mod examples;
mod parsable;
mod receiving;
mod replicas;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{ControlPlane, Namespace, assets, eventually};
use imageshare_operator::api;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// How long discovery may take to know a new kind.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    control_plane: &'static ControlPlane,
    namespace: Namespace,
    client: kube::Client,
}

impl Place {
    async fn new() -> Result<Self> {
        let control_plane = ControlPlane::shared().await?;
        let client = control_plane.client().await?;
        let namespace = Namespace::create(&client, "definitions").await?;
        Ok(Self { control_plane, namespace, client })
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(api::GROUP, "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &kind)
    }

    async fn create(&self, kind: &str, name: &str, spec: &Value) -> Result<Value, kube::Error> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(api::GROUP, "v1alpha1", kind));
        let object = DynamicObject::new(name, &resource).data(json!({"spec": spec}));
        let made = self.api(kind).create(&PostParams::default(), &object).await?;
        Ok(serde_json::to_value(made).unwrap())
    }

    /// Why an object with this spec is refused.
    async fn refusal(&self, kind: &str, spec: &Value) -> Result<String> {
        match self.create(kind, "refused", spec).await {
            Err(kube::Error::Api(status)) if status.is_invalid() => Ok(status.message.clone()),
            other => anyhow::bail!("{kind} {spec} was not refused as invalid: {other:?}"),
        }
    }

    /// Why this change of an existing object is refused.
    async fn refusal_of_change(&self, kind: &str, name: &str, change: &Value) -> Result<String> {
        let change = json!({"spec": change});
        match self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(&change)).await {
            Err(kube::Error::Api(status)) if status.is_invalid() => Ok(status.message.clone()),
            other => anyhow::bail!("{kind} {change} was not refused as invalid: {other:?}"),
        }
    }

    /// Changes an object as a person does who corrects a typo.
    async fn correct(&self, kind: &str, name: &str, change: &Value) -> Result<()> {
        let change = json!({"spec": change});
        let corrected = self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(&change)).await;
        corrected.with_context(|| format!("{kind} {change}")).map(drop)
    }

    /// Writes into the status of an object what the operator writes at the first contact.
    async fn contact(&self, kind: &str, name: &str, status: &Value) -> Result<()> {
        let status = json!({"status": status});
        self.api(kind).patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
        Ok(())
    }

    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.control_plane.kubectl(&[args, &["-n", self.namespace.name()]].concat()).await
    }

    /// One object of each kind, all named `golden`.
    async fn one_of_each(&self) -> Result<()> {
        self.create("CloudAccount", "golden", &account()).await?;
        self.create("CloudImage", "golden", &image()).await?;
        self.create("ImageShare", "golden", &share()).await?;
        self.create("ImageChannel", "golden", &channels::channel()).await?;
        self.create("ChannelShare", "golden", &channels::channel_share()).await?;
        self.create("SharedImageAcceptance", "golden", &receiving::acceptance()).await?;
        self.create("ImageReplica", "golden", &replicas::replica()).await?;
        self.create("SharedImage", "golden", &receiving::shared_image()).await?;
        Ok(())
    }
}

fn account() -> Value {
    let credentials = json!({"secretRef": {"name": "golden"}});
    json!({"alibaba": {"accountID": "2000000000000001", "site": "International", "credentials": credentials}})
}

fn image() -> Value {
    json!({"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-bp1golden"})
}

fn share() -> Value {
    share_with(&json!([{"type": "Account", "id": "1000000000000001"}]))
}

fn share_with(recipients: &Value) -> Value {
    json!({"imageRef": {"name": "golden"}, "recipients": recipients})
}

/// `base` with `change` merged into it.
fn with(mut base: Value, change: &Value) -> Value {
    fn merge(base: &mut Value, change: &Value) {
        match (base, change) {
            (Value::Object(base), Value::Object(change)) => {
                for (key, value) in change {
                    merge(base.entry(key).or_insert(Value::Null), value);
                }
            }
            (base, change) => *base = change.clone(),
        }
    }
    merge(&mut base, change);
    base
}

fn accounts(count: u64) -> Value {
    (0..count).map(|n| json!({"type": "Account", "id": (1_000_000_000_000_000 + n).to_string()})).collect()
}

#[test]
fn committed_definitions_are_those_the_types_give() {
    let folder = assets::workspace().join("crds");
    let made = api::crd_files().unwrap();
    for (name, text) in &made {
        let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(committed == *text, "crds/{name} is stale: run `make crds` and commit what it writes");
    }
    let committed: BTreeSet<String> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let wanted: BTreeSet<String> = made.into_iter().map(|(name, _)| name).collect();
    assert_eq!(committed, wanted, "crds/ holds other files than `make crds` writes");
}

#[tokio::test]
async fn an_object_that_cannot_mean_anything_is_refused_with_the_remedy() -> Result<()> {
    let place = Place::new().await?;
    let recipient = |kind: &str, id: &str| share_with(&json!([{"type": kind, "id": id}]));
    let not_an_account = "an Account is 5 to 20 digits without a leading zero, in quotes (Alibaba Cloud UID)";
    let account_with = |change: Value| with(account(), &json!({"alibaba": change}));
    let from = |namespaces: Value| with(image(), &json!({"shareableFrom": {"namespaces": namespaces}}));
    let selector = json!({"matchLabels": {"images": "shareable"}});
    let cases = [
        ("CloudAccount", json!({}), "give exactly one provider: alibaba"),
        ("CloudAccount", json!({"suspend": true}), "give exactly one provider: alibaba"),
        (
            "CloudAccount",
            account_with(json!({"accountID": "0123456"})),
            "accountID is the account's UID: 5 to 20 digits",
        ),
        ("CloudAccount", account_with(json!({"accountID": "golden"})), "without a leading zero, in quotes"),
        ("CloudAccount", account_with(json!({"accountID": "1".repeat(21)})), "may not be more than 20"),
        ("CloudAccount", account_with(json!({"site": "Mars"})), "supported values: \"China\", \"International\""),
        (
            "CloudAccount",
            account_with(json!({"endpoint": format!("https://{}", "a".repeat(300))})),
            "may not be more than 300",
        ),
        (
            "CloudAccount",
            account_with(json!({"credentials": {"secretRef": {"name": ""}}})),
            "secretRef.name in body should be at least 1",
        ),
        (
            "CloudAccount",
            with(account(), &json!({"limits": {"recipientsPerImage": 100_001}})),
            "less than or equal to 100000",
        ),
        ("CloudAccount", with(account(), &json!({"limits": {"recipientsPerImage": -1}})), "greater than or equal to 0"),
        (
            "CloudAccount",
            with(account(), &json!({"sites": [{"site": "China", "regions": []}, {"site": "China", "regions": []}]})),
            "Duplicate value",
        ),
        ("CloudImage", with(image(), &json!({"region": "cn hangzhou"})), "region is a region id such as cn-hangzhou"),
        (
            "CloudImage",
            with(image(), &json!({"imageID": "m-bp1/../x"})),
            "imageID is the image's id in the cloud, such as",
        ),
        ("CloudImage", with(image(), &json!({"imageID": "m".repeat(129)})), "may not be more than 128"),
        ("CloudImage", from(json!({"from": "Selector"})), "selector goes with from: Selector, and only with it"),
        ("CloudImage", from(json!({"from": "All", "selector": selector})), "selector goes with from: Selector"),
        ("CloudImage", from(json!({"selector": selector})), "selector goes with from: Selector, and only with it"),
        ("CloudImage", with(image(), &json!({"deletionPolicy": "Force"})), "supported values: \"Retain\", \"Delete\""),
        ("CloudImage", with(image(), &json!({"visibilityChange": "Maybe"})), "supported values: \"Forbid\", \"Allow\""),
        ("ImageShare", share_with(&json!([])), "should have at least 1 items"),
        ("ImageShare", share_with(&accounts(1001)), "must have at most 1000 items"),
        ("ImageShare", share_with(&json!([accounts(1)[0], accounts(1)[0]])), "Duplicate value"),
        ("ImageShare", recipient("Account", "team-a"), not_an_account),
        ("ImageShare", recipient("Account", "0123456789"), not_an_account),
        ("ImageShare", recipient("Account", "1234"), not_an_account),
        ("ImageShare", recipient("Project", "a/b"), "a Project is a project id: up to 64 letters, digits, '-' and '_'"),
        (
            "ImageShare",
            recipient("Organization", "o 1"),
            "an Organization is an organization's or organizational unit's id",
        ),
        ("ImageShare", recipient("Planet", "12345"), "supported values: \"Account\", \"Project\", \"Organization\""),
        ("ImageShare", recipient("Project", &"p".repeat(256)), "may not be more than 255"),
    ];
    for (kind, spec, sentence) in cases {
        let said = place.refusal(kind, &spec).await?;
        assert!(said.contains(sentence), "{kind} {spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_typo_is_corrected_in_place_until_the_first_contact_and_then_the_way_out_is_named() -> Result<()> {
    let place = Place::new().await?;
    place.one_of_each().await?;
    let cases = [
        (
            "CloudAccount",
            json!({"alibaba": {"accountID": "2000000000000002"}}),
            "accountID cannot be changed once the account was verified: make another CloudAccount",
        ),
        (
            "CloudAccount",
            json!({"alibaba": {"site": "China"}}),
            "site cannot be changed once the account was verified: make another CloudAccount",
        ),
        (
            "CloudImage",
            json!({"accountRef": {"name": "other"}}),
            "accountRef cannot be changed once the image was found: make another CloudImage",
        ),
        (
            "CloudImage",
            json!({"region": "cn-beijing"}),
            "region cannot be changed once the image was found: an image lives in one region",
        ),
        (
            "CloudImage",
            json!({"imageID": "m-bp1other"}),
            "imageID cannot be changed once the image was found: make another CloudImage",
        ),
        (
            "ImageShare",
            json!({"imageRef": {"name": "other"}}),
            "imageRef cannot be changed once the CloudImage served this share: make another ImageShare",
        ),
        (
            "ImageShare",
            json!({"imageRef": {"namespace": "other"}}),
            "imageRef cannot be changed once the CloudImage served this share: make another ImageShare",
        ),
    ];
    // What was observed so far is no contact: the image was not found, the credentials were refused.
    let amiss = json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "False", "reason": "ImageNotFound",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    let original = [("CloudAccount", account()), ("CloudImage", image()), ("ImageShare", share())];
    for (kind, original) in original {
        place.contact(kind, "golden", &amiss).await?;
        for (_, change, _) in cases.iter().filter(|case| case.0 == kind) {
            place.correct(kind, "golden", change).await?;
        }
        let original =
            if kind == "ImageShare" { with(original, &json!({"imageRef": {"namespace": null}})) } else { original };
        place.correct(kind, "golden", &original).await?;
    }
    // An intent alone holds the image, too: its ledger is of this image.
    let intended =
        json!({"type": "Account", "id": "1000000000000001", "state": "Intended", "since": "2026-01-01T00:00:00Z"});
    place.contact("CloudImage", "golden", &json!({"grants": [intended]})).await?;
    place.refusal_of_change("CloudImage", "golden", &json!({"imageID": "m-bp1other"})).await?;
    place
        .contact("CloudImage", "golden", &json!({"grants": null, "owner": "Alibaba Cloud account 2000000000000001"}))
        .await?;
    place.contact("CloudAccount", "golden", &json!({"account": "2000000000000001"})).await?;
    place.contact("ImageShare", "golden", &json!({"image": "plat/golden"})).await?;
    for (kind, change, sentence) in cases {
        let said = place.refusal_of_change(kind, "golden", &change).await?;
        assert!(said.contains(sentence), "{kind} {change}\nwas to say: {sentence}\nbut said: {said}");
    }
    // What may change does.
    let open = json!({"spec": {"recipients": accounts(2), "suspend": true}});
    place.api("ImageShare").patch("golden", &PatchParams::default(), &Patch::Merge(&open)).await?;
    Ok(())
}

#[tokio::test]
async fn a_share_may_name_a_thousand_recipients() -> Result<()> {
    let place = Place::new().await?;
    let made = place.create("ImageShare", "thousand", &share_with(&accounts(1000))).await?;
    assert_eq!(made["spec"]["recipients"].as_array().map(Vec::len), Some(1000));
    // Changing such a list is judged against the old one, item by item: it must stay within the cost limit too.
    let change = json!({"spec": {"recipients": accounts(999)}});
    place.api("ImageShare").patch("thousand", &PatchParams::default(), &Patch::Merge(&change)).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_left_out_is_shown_as_it_will_be_taken() -> Result<()> {
    let place = Place::new().await?;
    let made = place.create("CloudImage", "plain", &image()).await?;
    let spec = &made["spec"];
    assert_eq!(spec["shareableFrom"]["namespaces"]["from"], "Same");
    assert_eq!(spec["unmanagedRecipients"], "Report");
    assert_eq!(spec["deletionPolicy"], "Retain");
    assert_eq!(spec["visibilityChange"], "Forbid");
    let made = place.create("ImageShare", "plain", &share()).await?;
    assert_eq!(made["spec"]["deletionPolicy"], "Revoke");
    assert_eq!(made["spec"]["suspend"], false);
    Ok(())
}

#[tokio::test]
async fn an_unknown_field_is_refused() -> Result<()> {
    let place = Place::new().await?;
    let cases = [
        ("CloudAccount", with(account(), &json!({"azure": {"tenant": "x"}})), "spec.azure"),
        ("CloudImage", with(image(), &json!({"deletionPolicies": "Delete"})), "spec.deletionPolicies"),
        ("ImageShare", with(share(), &json!({"recipient": []})), "spec.recipient"),
        ("SharedImageAcceptance", with(receiving::acceptance(), &json!({"vault": "v"})), "spec.vault"),
        ("ImageReplica", with(replicas::replica(), &json!({"destinations": []})), "spec.destinations"),
        ("ImageChannel", with(channels::channel(), &json!({"publish": {}})), "spec.publish"),
        ("ChannelShare", with(channels::channel_share(), &json!({"recipient": []})), "spec.recipient"),
    ];
    for (kind, spec, field) in cases {
        let object = json!({"apiVersion": "imageshare.dev/v1alpha1", "kind": kind,
            "metadata": {"name": "strict", "namespace": place.namespace.name()}, "spec": spec});
        let args = ["apply", "--validate=strict", "-f", "-"];
        let said = place.control_plane.kubectl_with(&args, &object.to_string()).await.unwrap_err().to_string();
        assert!(said.contains(&format!("unknown field \"{field}\"")), "{said}");
        let name = format!("{kind}/strict").to_lowercase();
        assert!(place.kubectl(&["get", &name]).await.unwrap_err().to_string().contains("NotFound"));
    }
    Ok(())
}

#[tokio::test]
async fn kubectl_explains_the_kinds_and_what_sharing_does_to_people() -> Result<()> {
    let place = Place::new().await?;
    let explain = async |path: &str, wanted: &[&str]| {
        eventually(PATIENCE, &format!("kubectl explain {path}"), async || {
            let told = place.control_plane.kubectl(&["explain", path]).await?;
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            for text in wanted {
                ensure!(told.contains(text), "{text:?} is not in: {told}");
            }
            Ok(Some(()))
        })
        .await
    };
    explain(
        "imageshare",
        &[
            "Data on the image leaves with it",
            "recipients cannot share it on",
            "Ending a share breaks system-disk re-initialisation, OS change and new servers on the recipients' side",
        ],
    )
    .await?;
    explain("imageshare.spec", &["Who may use it; each (type, id) once", "When access ends by itself"]).await?;
    explain("imageshare.spec.recipients", &["RecipientKindUnsupported", "enum: Account, Project, Organization"])
        .await?;
    explain("cloudimage.spec", &["every zone of it works", "the owner's consent"]).await?;
    explain(
        "cloudimage.status.grants",
        &["Everybody this operator granted the image", "Where the grant is in its life"],
    )
    .await?;
    explain("cloudaccount.spec.alibaba", &["5 to 20 digits", "--allowed-endpoint"]).await?;
    explain("cloudaccount.spec.alibaba.credentials", &["accessKeyID", "accessKeySecret", "securityToken"]).await?;
    let further = receiving::EXPLAINED.iter().chain(replicas::EXPLAINED).chain(aws::EXPLAINED);
    for (path, wanted) in further.chain(channels::EXPLAINED) {
        explain(path, wanted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn kubectl_shows_the_columns_under_short_names_and_the_category() -> Result<()> {
    let place = Place::new().await?;
    place.one_of_each().await?;
    let cases = [
        ("cla", "NAME PROVIDER ACCOUNT READY REASON AGE"),
        ("cli", "NAME IMAGE REGION STATE RECIPIENTS READY REASON AGE"),
        ("ish", "NAME IMAGE RECIPIENTS ACCEPTED READY REASON AGE"),
        ("ich", "NAME LATEST SINCE MATCHED READY REASON AGE"),
        ("chs", "NAME CHANNEL LATEST IMAGES RECIPIENTS ACCEPTED READY REASON AGE"),
        ("sia", "NAME IMAGE REGION DECISION STATE READY REASON AGE"),
        ("irep", "NAME REGION IMAGE STATE PROGRESS READY REASON AGE"),
        ("shi", "NAME IMAGE IMAGE NAME REGION OWNER STATE AGE"),
    ];
    for (short, columns) in cases {
        let table = eventually(PATIENCE, short, async || Ok(Some(place.kubectl(&["get", short]).await?))).await?;
        let header = table.lines().next().context("a header")?.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(header, columns, "kubectl get {short}");
        let wide = place.kubectl(&["get", short, "-o", "wide"]).await?;
        let header: Vec<&str> = wide.lines().next().context("a header")?.split_whitespace().collect();
        assert_eq!(header.contains(&"MESSAGE"), short != "shi", "kubectl get {short} -o wide: {header:?}");
        for (kind, column) in [("cla", "VERIFIED"), ("cli", "RETAINED"), ("cli", "UNMANAGED"), ("ish", "EXPIRES")] {
            assert!(kind != short || header.contains(&column), "kubectl get {short} -o wide: {header:?}");
        }
    }
    let all = place.kubectl(&["get", "sharing", "-o", "name"]).await?;
    let all: BTreeSet<&str> = all.lines().collect();
    let kinds = [
        "channelshare",
        "cloudaccount",
        "cloudimage",
        "imagechannel",
        "imagereplica",
        "imageshare",
        "sharedimage",
        "sharedimageacceptance",
    ];
    let wanted = kinds.map(|kind| format!("{kind}.imageshare.dev/golden"));
    assert_eq!(all, wanted.iter().map(String::as_str).collect());
    Ok(())
}

#[tokio::test]
async fn shares_are_found_by_image_and_images_by_account() -> Result<()> {
    let place = Place::new().await?;
    place.one_of_each().await?;
    place.create("ImageShare", "other", &with(share(), &json!({"imageRef": {"name": "other"}}))).await?;
    place.create("CloudImage", "other", &with(image(), &json!({"accountRef": {"name": "other"}}))).await?;
    let find =
        async |kind: &str, field: &str| place.kubectl(&["get", kind, "--field-selector", field, "-o", "name"]).await;
    assert_eq!(find("ish", "spec.imageRef.name=golden").await?.trim(), "imageshare.imageshare.dev/golden");
    assert_eq!(find("cli", "spec.accountRef.name=other").await?.trim(), "cloudimage.imageshare.dev/other");
    let elsewhere = json!({"accountRef": {"name": "other"}});
    place.create("SharedImageAcceptance", "other", &with(receiving::acceptance(), &elsewhere)).await?;
    place.create("SharedImage", "other", &with(receiving::shared_image(), &elsewhere)).await?;
    assert_eq!(find("sia", "spec.accountRef.name=other").await?.trim(), "sharedimageacceptance.imageshare.dev/other");
    assert_eq!(find("shi", "spec.accountRef.name=golden").await?.trim(), "sharedimage.imageshare.dev/golden");
    Ok(())
}

#[tokio::test]
async fn status_is_written_apart_from_spec() -> Result<()> {
    let place = Place::new().await?;
    place.one_of_each().await?;
    let channels = ["ImageChannel", "ChannelShare"];
    for kind in
        ["CloudAccount", "CloudImage", "ImageShare", "SharedImageAcceptance", "ImageReplica"].iter().chain(&channels)
    {
        let condition = json!({"type": "Ready", "status": "True", "reason": "Forged", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let forged = json!({"status": {"conditions": [condition]}});
        let kept = place.api(kind).patch("golden", &PatchParams::default(), &Patch::Merge(&forged)).await?;
        // What nobody has written yet tells that nothing was observed, for those who judge by it.
        assert_eq!(kept.data["status"], json!({"observedGeneration": -1}), "{kind}");
        let written = place.api(kind).patch_status("golden", &PatchParams::default(), &Patch::Merge(&forged)).await?;
        assert_eq!(written.data["status"]["conditions"][0]["reason"], "Forged", "{kind}");
    }
    // An inventory's entry has no conditions; what the cloud says of it is written apart all the same.
    let forged = json!({"status": {"state": "Accepted", "owner": "forged"}});
    let images = place.api("SharedImage");
    let kept = images.patch("golden", &PatchParams::default(), &Patch::Merge(&forged)).await?;
    assert!(kept.data.get("status").is_none(), "{}", kept.data);
    let written = images.patch_status("golden", &PatchParams::default(), &Patch::Merge(&forged)).await?;
    assert_eq!(written.data["status"]["state"], "Accepted");
    Ok(())
}
