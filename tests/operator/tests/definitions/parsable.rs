//! What the operator could not parse is refused by the API server; what an older definition let through stays updatable.

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::eventually;
use imageshare_operator::api;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{PATIENCE, Place, account, channels, image, receiving, replicas, share, with};

/// Texts that can be no object's name.
const NO_NAMES: [&str; 7] = ["golden ubuntu", "golden%zz", "a/b", "golden?x=y", "..", "Golden", "-golden"];

fn account_in(provider: &str, change: &Value) -> Value {
    let credentials = json!({"secretRef": {"name": "golden"}});
    let base = match provider {
        "alibaba" => json!({"accountID": "2000000000000001", "site": "International"}),
        "huawei" => json!({"domainID": "a".repeat(32), "site": "International"}),
        _ => json!({"authURL": "https://keystone:5000/v3", "projectID": "p"}),
    };
    json!({provider: with(with(base, &json!({"credentials": credentials})), change)})
}

async fn assert_refused(place: &Place, cases: &[(&str, Value)], sentence: &str) -> Result<()> {
    for (kind, spec) in cases {
        let said = place.refusal(kind, spec).await?;
        ensure!(said.contains(sentence), "{kind} {spec}\nwas to say: {sentence}\nbut said: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_reference_that_can_name_no_object_is_refused_wherever_it_stands() -> Result<()> {
    let place = Place::new().await?;
    for name in NO_NAMES {
        let reference = json!({"name": name});
        let secret = json!({"credentials": {"secretRef": reference}});
        let replica = replicas::replica();
        let received = json!({"accountRef": reference, "region": "cn-hangzhou", "imageID": "m-1"});
        let cases = [
            ("CloudAccount", account_in("alibaba", &secret)),
            ("CloudAccount", account_in("huawei", &secret)),
            ("CloudAccount", account_in("openstack", &secret)),
            ("CloudImage", with(image(), &json!({"accountRef": reference}))),
            ("ImageShare", with(share(), &json!({"imageRef": reference}))),
            ("SharedImageAcceptance", with(receiving::acceptance(), &json!({"accountRef": reference}))),
            ("SharedImage", with(receiving::shared_image(), &json!({"accountRef": reference}))),
            ("ImageChannel", with(channels::channel(), &json!({"accountRef": reference}))),
            ("ChannelShare", with(channels::channel_share(), &json!({"channelRef": reference}))),
            ("ImageReplica", with(replica.clone(), &json!({"destination": {"accountRef": reference}}))),
            ("ImageReplica", json!({"source": {"imageRef": reference}, "destination": replica["destination"]})),
            ("ImageReplica", json!({"source": {"received": received}, "destination": replica["destination"]})),
        ];
        assert_refused(&place, &cases, "ame in body should match '^[a-z0-9]").await?;
    }
    for namespace in ["team a", "a.b", "..", "Team", "a%zz"] {
        let spec = with(share(), &json!({"imageRef": {"namespace": namespace}}));
        assert_refused(&place, &[("ImageShare", spec)], "imageRef.namespace in body should match '^[a-z0-9]").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_region_or_an_id_that_no_cloud_has_is_refused() -> Result<()> {
    let place = Place::new().await?;
    let odd = "cn hangzhou!";
    let project = json!({"projects": [{"region": odd, "projectID": "a".repeat(32)}]});
    let regions = [
        ("CloudAccount", with(account(), &json!({"inventory": {"regions": ["cn-beijing", odd]}}))),
        ("CloudAccount", with(account(), &json!({"sites": [{"site": "China", "regions": [odd]}]}))),
        ("CloudAccount", account_in("huawei", &project)),
    ];
    assert_refused(&place, &regions, "in body should match '^[A-Za-z0-9]").await?;
    for id in [".", ".."] {
        let spec = with(share(), &json!({"recipients": [{"type": "Organization", "id": id}]}));
        assert_refused(&place, &[("ImageShare", spec)], "an Organization is an organization's").await?;
    }
    for (field, value) in [("agencyName", json!("a/b")), ("projectName", json!("a b")), ("vaultID", json!("a.b"))] {
        let spec = with(replicas::replica(), &json!({"destination": {field: value}}));
        assert_refused(&place, &[("ImageReplica", spec)], "in body should match").await?;
    }
    let key = json!({"destination": {"encryption": {"keyID": "a b"}}});
    assert_refused(&place, &[("ImageReplica", with(replicas::replica(), &key))], "in body should match").await
}

#[tokio::test]
async fn a_time_that_the_operator_cannot_represent_is_refused() -> Result<()> {
    let place = Place::new().await?;
    let until = |time: &str| with(share(), &json!({"expirationTime": time}));
    let never = "leave it out for a share that never expires";
    assert_refused(&place, &[("ImageShare", until("9999-12-31T23:59:59Z"))], never).await?;
    assert_refused(&place, &[("ImageShare", until("9999-01-01T00:00:00Z"))], never).await?;
    for odd in ["2027-01-31T00:00:00+99:00", "2027-01-31T00:00:00ZTrash", "2027-01-31T00:00:00", "never", ""] {
        assert_refused(&place, &[("ImageShare", until(odd))], "expirationTime").await?;
    }
    let fine = ["9998-12-31T23:59:59Z", "2027-01-31T02:00:00.5+02:00", "2028-02-29T00:00:00-11:30"];
    for (number, time) in fine.into_iter().enumerate() {
        let made = place.create("ImageShare", &format!("fine-{number}"), &until(time)).await?;
        let read: api::ImageShare = serde_json::from_value(made)?;
        let expected = time.parse::<jiff::Timestamp>()?;
        assert_eq!(read.spec.expiration_time.and_then(|end| end.at()), Some(expected), "{time}");
    }
    Ok(())
}

#[tokio::test]
async fn a_selector_that_is_none_is_refused_and_every_other_is_taken() -> Result<()> {
    let place = Place::new().await?;
    let from = |selector: Value| {
        with(image(), &json!({"shareableFrom": {"namespaces": {"from": "Selector", "selector": selector}}}))
    };
    let needs = |requirement: Value| from(json!({"matchExpressions": [requirement]}));
    for (spec, sentence) in [
        (needs(json!({"key": "team", "operator": "in", "values": ["a"]})), "supported values: \"In\", \"NotIn\""),
        (needs(json!({"key": "team", "operator": "In"})), "In and NotIn need values"),
        (needs(json!({"key": "team", "operator": "NotIn", "values": []})), "In and NotIn need values"),
        (needs(json!({"key": "team", "operator": "Exists", "values": ["a"]})), "Exists and DoesNotExist take none"),
        (needs(json!({"key": "te am", "operator": "Exists"})), "key in body should match"),
        (needs(json!({"key": "team", "operator": "In", "values": ["a b"]})), "in body should match"),
        (from(json!({"matchLabels": {"te am": "a"}})), "must be the key of a label"),
        (from(json!({"matchLabels": {"team": "a b"}})), "in body should match"),
    ] {
        assert_refused(&place, &[("CloudImage", spec)], sentence).await?;
    }
    let fine = [
        json!({}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "team-a", "images": ""}}),
        json!({"matchExpressions": [
            {"key": "team", "operator": "In", "values": ["a", "B_2"]}, {"key": "x", "operator": "NotIn", "values": ["b"]},
            {"key": "example.com/x", "operator": "Exists"}, {"key": "y", "operator": "DoesNotExist", "values": []},
        ]}),
    ];
    for (number, selector) in fine.into_iter().enumerate() {
        place.create("CloudImage", &format!("fine-{number}"), &from(selector)).await?;
    }
    Ok(())
}

/// The committed definition of a kind, under a group of its own so that no other test meets it. `strict`: as it is; else
/// as a version before the patterns would have had it.
fn definition(kind: &str, strict: bool) -> Result<Value> {
    fn loosen(schema: &mut Value) {
        if let Some(fields) = schema.as_object_mut() {
            for rule in ["pattern", "x-kubernetes-validations", "enum"] {
                if !fields.get(rule).is_some_and(Value::is_object) {
                    fields.remove(rule);
                }
            }
        }
        match schema {
            Value::Object(fields) => fields.values_mut().for_each(loosen),
            Value::Array(entries) => entries.iter_mut().for_each(loosen),
            _ => {}
        }
    }
    let found = api::all_crds().into_iter().find(|crd| crd.spec.names.kind == kind);
    let mut crd = serde_json::to_value(found)?;
    crd["metadata"] =
        json!({"name": format!("{}.older.imageshare.dev", crd["spec"]["names"]["plural"].as_str().unwrap())});
    crd["spec"]["group"] = json!("older.imageshare.dev");
    let names = crd["spec"]["names"].as_object_mut().unwrap();
    names.retain(|name, _| ["kind", "plural"].contains(&name.as_str()));
    if !strict {
        loosen(&mut crd["spec"]["versions"][0]["schema"]);
    }
    Ok(crd)
}

async fn define(place: &Place, kind: &str, strict: bool) -> Result<()> {
    let definition = definition(kind, strict)?;
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let params = PatchParams::apply("test").force();
    let all = Api::<CustomResourceDefinition>::all(place.client.clone());
    all.patch(&name, &params, &Patch::Apply(definition)).await?;
    Ok(())
}

#[tokio::test]
async fn what_an_older_definition_let_through_can_still_be_written_and_deleted() -> Result<()> {
    let place = Place::new().await?;
    let objects = [
        (
            "ImageShare",
            json!({"imageRef": {"name": "golden ubuntu", "namespace": "a b"}, "expirationTime": "9999-12-31T23:59:59Z",
            "recipients": [{"type": "Organization", "id": ".."}, {"type": "Planet", "id": "Mars"}]}),
        ),
        (
            "CloudImage",
            with(
                image(),
                &json!({"accountRef": {"name": "a/b"}, "region": "cn hangzhou", "shareableFrom":
            {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"te am": "a b"},
                "matchExpressions": [{"key": "te am", "operator": "in"}]}}}}),
            ),
        ),
        (
            "CloudAccount",
            with(
                account(),
                &json!({"alibaba": {"credentials": {"secretRef": {"name": "a b"}}},
            "inventory": {"regions": ["cn hangzhou!"]}, "sites": [{"site": "China", "regions": ["cn hangzhou!"]}]}),
            ),
        ),
    ];
    for (kind, spec) in objects {
        define(&place, kind, false).await?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("older.imageshare.dev", "v1alpha1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(place.client.clone(), place.namespace.name(), &resource);
        let object = DynamicObject::new("older", &resource).data(json!({"spec": spec}));
        eventually(PATIENCE, "the older definition to be served", async || {
            Ok(Some(api.create(&PostParams::default(), &object).await?))
        })
        .await?;
        define(&place, kind, true).await?;
        let another = DynamicObject::new("newer", &resource).data(json!({"spec": spec}));
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        eventually(PATIENCE, "the newer definition to be served", async || match api.create(&dry, &another).await {
            Err(kube::Error::Api(status)) if status.is_invalid() => Ok(Some(())),
            other => anyhow::bail!("{other:?}"),
        })
        .await?;
        let params = PatchParams::default();
        let held = json!({"metadata": {"finalizers": ["imageshare.dev/operator"]}});
        api.patch("older", &params, &Patch::Merge(held)).await?;
        let condition = json!({"type": "Ready", "status": "False", "reason": "Unreadable", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1});
        let status = json!({"apiVersion": "older.imageshare.dev/v1alpha1", "kind": kind, "metadata": {"name": "older"},
            "status": {"observedGeneration": 1, "conditions": [condition]}});
        let written = PatchParams::apply("imageshare-operator").force();
        api.patch_subresource("status", "older", &written, &Patch::Apply(status)).await?;
        api.patch("older", &params, &Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}))).await?;
        api.delete("older", &DeleteParams::default()).await?;
        api.patch("older", &params, &Patch::Merge(json!({"metadata": {"finalizers": null}}))).await?;
        assert!(api.get_opt("older").await?.is_none(), "the {kind} did not go");
    }
    Ok(())
}

/// The paths of the fields of `value` that may be null, whether it has them or not.
fn nullable(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        if field["nullable"] == true && value.is_object() {
            found.push(at.clone());
        }
        found.extend(nullable(field, &value[name.as_str()], &at));
    }
    for (index, entry) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(nullable(&schema["items"], entry, &format!("{at}/{index}")));
    }
    found
}

#[tokio::test]
async fn what_may_be_null_is_taken_as_null() -> Result<()> {
    let place = Place::new().await?;
    let mut tried = 0;
    for (kind, spec) in [
        ("CloudAccount", account_in("alibaba", &json!({}))),
        ("CloudAccount", account_in("huawei", &json!({}))),
        ("CloudAccount", account_in("openstack", &json!({}))),
        ("CloudImage", with(image(), &json!({"shareableFrom": {"namespaces": {"from": "All"}}}))),
        ("ImageShare", share()),
        ("SharedImageAcceptance", receiving::acceptance()),
        ("ImageReplica", replicas::replica()),
        ("ImageChannel", channels::channel()),
        ("ChannelShare", channels::channel_share()),
    ] {
        let crd = api::all_crds().into_iter().find(|crd| crd.spec.names.kind == kind);
        let crd: Value = serde_json::to_value(crd)?;
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        for field in nullable(schema, &spec, "") {
            let (parent, name) = field.rsplit_once('/').context("a path")?;
            let mut with_null = spec.clone();
            let there = with_null.pointer_mut(parent).context("it was found there")?;
            // What is needed there cannot be left out.
            if there[name].is_null() {
                there[name] = Value::Null;
                place
                    .create(kind, &format!("null-{tried}"), &with_null)
                    .await
                    .with_context(|| format!("{kind} {field}"))?;
                tried += 1;
            }
        }
    }
    ensure!(tried > 10, "only {tried} fields were tried");
    Ok(())
}

#[tokio::test]
async fn a_reason_that_only_a_newer_version_knows_can_be_written() -> Result<()> {
    let place = Place::new().await?;
    place.create("CloudImage", "golden", &image()).await?;
    place.create("ImageShare", "golden", &share()).await?;
    let (id, since) = ("1000000000000001", "2026-01-01T00:00:00Z");
    let newer =
        json!({"type": "Account", "id": id, "state": "Intended", "since": since, "refusal": "AReasonOfNextYear"});
    let statuses = [
        ("CloudImage", json!({"grants": [newer]})),
        ("CloudImage", json!({"declined": [{"type": "Account", "id": id, "reason": "AReasonOfNextYear"}]})),
        ("ImageShare", json!({"waiting": [{"type": "Account", "id": id, "reason": "AReasonOfNextYear"}]})),
    ];
    for (kind, status) in statuses {
        let patch = Patch::Merge(json!({"status": status}));
        let written = place.api(kind).patch_status("golden", &PatchParams::default(), &patch).await;
        ensure!(written.is_ok(), "{kind} {status}: {written:?}");
    }
    let nonsense = Patch::Merge(
        json!({"status": {"grants": [{"type": "Account", "id": id, "state": "Intended", "since": since, "refusal": "a b"}]}}),
    );
    ensure!(place.api("CloudImage").patch_status("golden", &PatchParams::default(), &nonsense).await.is_err());
    Ok(())
}
