//! Images that others share with accounts of ours, and how each was answered.

use kube::ResourceExt;
use serde::Serialize;

use super::arguments::{Connection, Format, Offers};
use super::output::{print, table};
use super::reader::{self, Missing, Reader};
use super::{Answer, CliError, DONE};
use crate::api::acceptance::AcceptanceDecision;
use crate::api::shared_image::SharedImageState;
use crate::api::{SharedImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;

/// The answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Listing {
    pub(super) complete: bool,
    pub(super) missing: Vec<Missing>,
    /// What else is unknown, as sentences.
    pub(super) unknown: Vec<String>,
    pub(super) offers: Vec<Offer>,
}

/// One image shared with one account or project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Offer {
    pub(super) namespace: String,
    /// The name of the `SharedImage`.
    pub(super) name: String,
    #[serde(rename = "imageID")]
    pub(super) image_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_name: Option<String>,
    pub(super) region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    /// The `CloudAccount`.
    pub(super) account: String,
    /// Whom it reached.
    pub(super) recipient: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<SharedImageState>,
    /// The `SharedImageAcceptance` for it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) acceptance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decision: Option<AcceptanceDecision>,
}

pub(super) async fn run(connection: &Connection, asked: &Offers) -> Result<Answer, CliError> {
    let mut reader = Reader::connect(connection).await?;
    let scope = reader.scope(connection, &asked.search);
    let images = reader.list::<SharedImage>(&scope).await?;
    let acceptances = reader.list::<SharedImageAcceptance>(&scope).await?;
    let listing = listing(&images, &acceptances, asked.all, reader.missing);
    let gaps: Vec<String> =
        listing.missing.iter().map(ToString::to_string).chain(listing.unknown.iter().cloned()).collect();
    let format = asked.search.output;
    let text = print(format, &listing, shown)?;
    Ok(reader::answer(text, &gaps, format == Format::Table, DONE))
}

/// The offers, and what of them is unknown.
pub(super) fn listing(
    images: &[Guarded<SharedImage>],
    acceptances: &[Guarded<SharedImageAcceptance>],
    all: bool,
    missing: Vec<Missing>,
) -> Listing {
    let unreadable = images.iter().filter(|image| image.readable().is_none());
    let unknown: Vec<String> = unreadable
        .map(|image| {
            let name = format!("{}/{}", image.namespace().unwrap_or_default(), image.name_any());
            format!("the SharedImage {name} cannot be read by this version of the plugin")
        })
        .collect();
    let mut offers: Vec<Offer> = images
        .iter()
        .filter_map(|image| image.readable())
        .map(|image| offer(image, acceptance_of(image, acceptances)))
        .filter(|offer| all || offer.state == Some(SharedImageState::Pending))
        .collect();
    offers.sort_by(|a, b| {
        (&a.namespace, &a.region, &a.image_id, &a.name).cmp(&(&b.namespace, &b.region, &b.image_id, &b.name))
    });
    Listing { complete: missing.is_empty() && unknown.is_empty(), missing, unknown, offers }
}

/// The acceptance that answers an offer, among those that were read.
pub(super) fn acceptance_of<'a>(
    image: &SharedImage,
    acceptances: &'a [Guarded<SharedImageAcceptance>],
) -> Option<&'a SharedImageAcceptance> {
    let same = |acceptance: &&SharedImageAcceptance| {
        let (spec, offered) = (&acceptance.spec, &image.spec);
        acceptance.namespace() == image.namespace()
            && (&spec.account_ref, &spec.region, &spec.image_id)
                == (&offered.account_ref, &offered.region, &offered.image_id)
    };
    acceptances.iter().filter_map(|acceptance| acceptance.readable()).find(same)
}

fn offer(image: &SharedImage, acceptance: Option<&SharedImageAcceptance>) -> Offer {
    let status = image.status.clone().unwrap_or_default();
    Offer {
        namespace: image.namespace().unwrap_or_default(),
        name: image.name_any(),
        image_id: image.spec.image_id.clone(),
        image_name: status.image_name,
        region: image.spec.region.clone(),
        owner: status.owner,
        account: image.spec.account_ref.name.clone(),
        recipient: image.spec.recipient.clone(),
        state: status.state,
        acceptance: acceptance.map(ResourceExt::name_any),
        decision: acceptance.map(|acceptance| acceptance.spec.decision),
    }
}

fn shown(listing: &Listing) -> String {
    if listing.offers.is_empty() && !listing.complete {
        return "Nothing was found in what could be read.\n".to_owned();
    }
    if listing.offers.is_empty() {
        return "No offers. Accounts are listed where their CloudAccount sets spec.inventory.\n".to_owned();
    }
    let row = |offer: &Offer| {
        let answer = offer.acceptance.as_ref().zip(offer.decision);
        vec![
            offer.namespace.clone(),
            offer.image_id.clone(),
            offer.image_name.clone().unwrap_or_default(),
            offer.region.clone(),
            offer.owner.clone().unwrap_or_default(),
            offer.account.clone(),
            offer.state.map(|state| format!("{state:?}")).unwrap_or_default(),
            answer.map(|(name, decision)| format!("{decision:?} by {name}")).unwrap_or_default(),
        ]
    };
    let header = ["NAMESPACE", "IMAGE", "IMAGE NAME", "REGION", "OWNER", "ACCOUNT", "STATE", "ANSWER"];
    table(&header, &listing.offers.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(name: &str, state: &str) -> Guarded<SharedImage> {
        serde_json::from_value(json!({
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "SharedImage",
            "metadata": {"name": name, "namespace": "partners"},
            "spec": {"accountRef": {"name": "partners"}, "region": "cn-north-4", "imageID": format!("id-{name}"),
                "recipient": "p1"},
            "status": {"state": state, "owner": "a1", "imageName": "golden\u{202e}"},
        }))
        .unwrap()
    }

    fn acceptance(image: &str, account: &str) -> Guarded<SharedImageAcceptance> {
        serde_json::from_value(json!({
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "SharedImageAcceptance",
            "metadata": {"name": "yes", "namespace": "partners"},
            "spec": {"accountRef": {"name": account}, "region": "cn-north-4", "imageID": image, "owner": "a1",
                "decision": "Accept"},
        }))
        .unwrap()
    }

    #[test]
    fn offers_that_wait_are_listed_with_their_owner_and_all_on_request() {
        let images = [image("two", "Accepted"), image("one", "Pending"), image("three", "Shared")];
        let acceptances = [acceptance("id-two", "partners"), acceptance("id-one", "another")];
        let pending = listing(&images, &acceptances, false, Vec::new());
        assert_eq!(
            shown(&pending),
            "\
NAMESPACE   IMAGE    IMAGE NAME   REGION       OWNER   ACCOUNT    STATE     ANSWER
partners    id-one   golden\u{FFFD}      cn-north-4   a1      partners   Pending   -
"
        );
        let all = listing(&images, &acceptances, true, Vec::new());
        let answers: Vec<Option<&str>> = all.offers.iter().map(|offer| offer.acceptance.as_deref()).collect();
        assert_eq!(answers, [None, None, Some("yes")], "by account, region and image");
    }

    #[test]
    fn an_inventory_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let missing = vec![Missing { verb: "list", resource: "sharedimages.imageshare.dev".into(), namespace: None }];
        assert!(!listing(&[], &[], false, missing).complete);
        let odd = serde_json::from_value(json!({"metadata": {"name": "odd", "namespace": "partners"}, "spec": {}}));
        let listing = listing(&[odd.unwrap()], &[], false, Vec::new());
        assert!(!listing.complete && listing.unknown[0].contains("partners/odd"), "{listing:?}");
    }
}
