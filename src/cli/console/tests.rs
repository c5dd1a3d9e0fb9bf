use axum::response::Response;
use serde_json::{Value, json};

use super::*;
use crate::api::{CloudAccount, CloudImage, ImageChannel, ImageShare, SharedImage};
use crate::cli::offers::listing;
use crate::cli::who_has::{Shares, holdings_of};

/// What a stranger may write where the cloud or an object takes text.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;\u{202e}\u{1b}[2J";

/// The same without what no page can show.
const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=y>&amp;";

fn object<K: serde::de::DeserializeOwned>(name: &str, change: &Value) -> K {
    let mut object = json!({"metadata": {"name": name, "namespace": "images", "uid": name, "generation": 1}});
    for (field, value) in change.as_object().unwrap() {
        if field == "metadata" {
            object["metadata"].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        } else {
            object[field] = value.clone();
        }
    }
    serde_json::from_value(object).unwrap()
}

fn is_harmless(html: &str) {
    for bad in ["<script", "<img", "onerror=y>", "\"'>", "\u{202e}", "\u{1b}"] {
        assert!(!html.contains(bad), "{bad:?} in {html}");
    }
    assert!(html.contains("&lt;script&gt;"), "it is shown all the same: {html}");
}

async fn body(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn condition(kind: &str) -> Value {
    json!({"type": kind, "status": "False", "reason": "ImageNotFound", "message": HOSTILE,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn image() -> CloudImage {
    object(
        "golden",
        &json!({
            "spec": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "imageID": "m-1"},
            "status": {"imageName": HOSTILE, "recipients": "47/50", "conditions": [condition("Ready")],
                "shares": [{"uid": "u", "namespace": "images", "name": "team", "generation": 1}],
                "grants": [{"type": "Account", "id": HOSTILE, "state": "Granted", "since": "2026-01-01T00:00:00Z",
                    "shares": [0]}],
                "unmanaged": [{"type": "Account", "id": HOSTILE}]},
        }),
    )
}

fn share(change: &Value) -> ImageShare {
    let mut all = json!({"spec": {"imageRef": {"name": "golden"}, "recipients": [{"type": "Account", "id": "1"}]}});
    all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    object("team", &all)
}

#[tokio::test]
async fn text_of_strangers_is_text_on_every_page() {
    let offered: SharedImage = object(
        "one",
        &json!({
            "spec": {"accountRef": {"name": "partners"}, "region": HOSTILE, "imageID": HOSTILE, "recipient": HOSTILE},
            "status": {"state": "Pending", "owner": HOSTILE, "imageName": HOSTILE},
        }),
    );
    let guarded = crate::cluster::guard::Guarded::Readable(Box::new(offered.clone()));
    let listed = listing(&[guarded], &[], true, Vec::new());
    is_harmless(&offers::row_of(&listed.offers[0]).into_string());
    let told = offers::confirmation_of(&offered, HOSTILE).map(drop).unwrap_err().to_string();
    assert!(told.contains("characters that no page can show"), "what is created is what a person reads: {told}");
    let mut markup = offered;
    (markup.spec.image_id, markup.spec.region) = (MARKUP.into(), MARKUP.into());
    is_harmless(&body(offers::confirmation_of(&markup, MARKUP).unwrap()).await);

    let image = image();
    let holdings = holdings_of(&image, &Shares::of(&[]));
    is_harmless(&images::view(&images::Shown { image: &image, holdings }).into_string());

    let channel: ImageChannel = object(
        "ubuntu",
        &json!({
            "spec": {"accountRef": {"name": "golden"}, "region": "cn-hangzhou", "select": {"namePattern": "a"}},
            "status": {"conditions": [condition("Ready")], "versions": [{"version": HOSTILE, "imageID": "m-1",
                "stage": "Current", "since": "2026-01-01T00:00:00Z", "stageSince": "2026-01-01T00:00:00Z"}]},
        }),
    );
    is_harmless(&channels::view(&channel).into_string());

    let chains = deletions::chains(&[], &[&going(image)], &[&share(&json!({}))]);
    is_harmless(&deletions::view(&chains[0]).into_string());
    is_harmless(&body(page::refusal(StatusCode::CONFLICT, HOSTILE)).await);
}

fn going(mut image: CloudImage) -> CloudImage {
    image.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    image
}

#[test]
fn a_deletion_that_waits_is_a_chain_from_the_account_to_the_recipients_and_told_once() {
    let gone = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let mut of_account = gone.clone();
    of_account["spec"] = json!({"alibaba": {"accountID": "2000000000000001", "site": "China",
        "credentials": {"secretRef": {"name": "golden"}}}});
    let account: CloudAccount = object("golden", &of_account);
    let (image, alive, dying) = (going(image()), share(&json!({})), share(&gone));
    let whats = |links: &[deletions::Link]| links.iter().map(|link| link.what.clone()).collect::<Vec<_>>();

    let chains = deletions::chains(&[&account], &[&image], &[&alive]);
    assert_eq!(whats(&chains), ["CloudAccount images/golden"], "the image is a link of it");
    let of_image = &chains[0].waits_for[0];
    assert_eq!(of_image.what, "CloudImage images/golden");
    assert_eq!(of_image.waits_for[0].what, "ImageShare images/team");
    assert!(of_image.waits_for[0].why.as_ref().unwrap().contains("delete it first"));
    assert_eq!(of_image.waits_for[0].waits_for.len(), 1, "the recipient that it holds");
    assert_eq!(of_image.waits_for.len(), 2, "and one that nobody asked for");

    let chains = deletions::chains(&[], &[&image], &[&dying]);
    assert_eq!(whats(&chains), ["CloudImage images/golden"]);
    let standing = self::image();
    assert_eq!(whats(&deletions::chains(&[], &[&standing], &[&dying])), ["ImageShare images/team"]);
    assert!(deletions::chains(&[], &[&standing], &[&alive]).is_empty());
}

/// Relative luminance and contrast as WCAG 2 defines them.
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_has_enough_contrast_in_both_schemes() {
    let schemes: Vec<&str> = STYLE.split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(schemes.len(), 2);
    for scheme in schemes {
        let colour = |name: &str| {
            let (_, rest) = scheme.split_once(&format!("--{name}: ")).unwrap();
            rest.split(';').next().unwrap()
        };
        for (text, ground, least) in [
            ("text", "ground", 4.5),
            ("text", "raised", 4.5),
            ("faint", "ground", 4.5),
            ("faint", "raised", 4.5),
            ("link", "ground", 4.5),
            ("link", "raised", 4.5),
            ("alert", "ground", 4.5),
            ("warn", "warn-ground", 4.5),
            ("done", "done-ground", 4.5),
            ("button-text", "button", 4.5),
            ("line", "ground", 3.0),
        ] {
            let found = contrast(colour(text), colour(ground));
            assert!(found >= least, "{text} on {ground}: {found:.2}\n{scheme}");
        }
    }
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_no_script_is_needed() {
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    assert!(POLICY.starts_with("default-src 'none'") && !POLICY.contains("script"));
}
