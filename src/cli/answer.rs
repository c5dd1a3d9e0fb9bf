//! Answers an offer: writes one `SharedImageAcceptance`, after the owner was confirmed.

use std::io::{IsTerminal as _, Write as _};

use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::arguments::{Accept, Answering, Connection, Reject};
use super::offers::acceptance_of;
use super::output::safe;
use super::reader::{Found, Reader, Scope, cluster};
use super::{Answer, CliError, DONE};
use crate::api::acceptance::{AcceptanceDecision, AcceptanceDeletionPolicy, SharedImageAcceptanceSpec};
use crate::api::shared_image::SharedImageState;
use crate::api::{CloudAccount, SharedImage, SharedImageAcceptance};
use crate::cluster::guard::Guarded;
use crate::cluster::within_deadline;

/// Field manager of what this program writes.
const FIELD_MANAGER: &str = "kubectl-imageshare";

/// The kind of an image that some clouds accept into a vault only, as `SharedImage.status.kind` writes it.
const FULL_SERVER: &str = "FullServer";

pub(super) async fn accept(connection: &Connection, asked: &Accept) -> Result<Answer, CliError> {
    answer(connection, &asked.answering, AcceptanceDecision::Accept, asked.vault.as_deref()).await
}

pub(super) async fn reject(connection: &Connection, asked: &Reject) -> Result<Answer, CliError> {
    answer(connection, &asked.answering, AcceptanceDecision::Reject, None).await
}

async fn answer(
    connection: &Connection,
    asked: &Answering,
    decision: AcceptanceDecision,
    vault: Option<&str>,
) -> Result<Answer, CliError> {
    let mut reader = Reader::connect(connection).await?;
    let image = find(&mut reader, asked).await?;
    if vault.is_none() && needs_vault(&mut reader, &image, decision).await? {
        return Err(CliError::Refused(
            "it is a full-server image, which this cloud accepts into a backup vault only: name one with --vault"
                .to_owned(),
        ));
    }
    let owner = confirmed_owner(&image, asked, decision)?;
    let acceptance = acceptance(&image, asked, decision, vault, owner);
    if asked.dry_run {
        return Ok(done(to_yaml(&acceptance)?));
    }
    create(&reader, &acceptance).await?;
    Ok(done(format!(
        "sharedimageacceptance.imageshare.dev/{name} created\nFollow it: kubectl imageshare why sia/{name} -n {}\n",
        reader.namespace,
        name = acceptance.name_any()
    )))
}

/// The offer that is meant, which has no answer yet.
pub(super) async fn find(reader: &mut Reader, asked: &Answering) -> Result<SharedImage, CliError> {
    let scope = Scope::One(reader.namespace.clone());
    let images = reader.list::<SharedImage>(&scope).await?;
    let acceptances = reader.list::<SharedImageAcceptance>(&scope).await?;
    // An offer, or an earlier answer, that cannot be seen must not be taken for none.
    if let Some(missing) = reader.missing.first() {
        return Err(CliError::Refused(format!("{missing}: it is needed to find the offer and earlier answers")));
    }
    let image = choose(&images, asked, &reader.namespace)?;
    check_unanswered(image, &acceptances)?;
    Ok(image.clone())
}

/// Creates the answer.
pub(super) async fn create(reader: &Reader, acceptance: &SharedImageAcceptance) -> Result<(), CliError> {
    let api = Api::<SharedImageAcceptance>::namespaced(reader.client.clone(), &reader.namespace);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let name = acceptance.name_any();
    match within_deadline(api.create(&params, acceptance)).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_already_exists() => Err(CliError::Refused(format!(
            "the SharedImageAcceptance {name} exists already, for another offer: choose another name with --name"
        ))),
        Err(error) => Err(cluster(format!("creating the SharedImageAcceptance {name}"), error)),
    }
}

fn done(text: String) -> Answer {
    Answer { text, notes: Vec::new(), exit: DONE }
}

/// The one offer that is meant.
fn choose<'a>(
    images: &'a [Guarded<SharedImage>],
    asked: &Answering,
    namespace: &str,
) -> Result<&'a SharedImage, CliError> {
    let is_meant = |image: &&SharedImage| {
        (image.name_any() == asked.offer || image.spec.image_id == asked.offer)
            && asked.account.as_ref().is_none_or(|account| image.spec.account_ref.name == *account)
            && asked.region.as_ref().is_none_or(|region| image.spec.region == *region)
    };
    let meant: Vec<&SharedImage> = images.iter().filter_map(|image| image.readable()).filter(is_meant).collect();
    let Some(first) = meant.first() else {
        return Err(CliError::Refused(format!(
            "no offer in the namespace {namespace} is called {0} or offers the image {0}: see `kubectl imageshare offers -A`",
            safe(&asked.offer)
        )));
    };
    // One image may come through several projects; one acceptance answers for all of them.
    let place = |image: &SharedImage| (image.spec.account_ref.name.clone(), image.spec.region.clone());
    if let Some(other) = meant.iter().find(|image| place(image) != place(first)) {
        let told = [first, other]
            .map(|image| format!("--account {} --region {}", image.spec.account_ref.name, image.spec.region));
        return Err(CliError::Refused(format!("several offers are meant: say which with {}", told.join(", or "))));
    }
    Ok(first)
}

/// Refuses a second answer: the first one is to be changed.
fn check_unanswered(image: &SharedImage, acceptances: &[Guarded<SharedImageAcceptance>]) -> Result<(), CliError> {
    let namespace = image.namespace().unwrap_or_default();
    if let Some(there) = acceptance_of(image, acceptances) {
        let (name, decision) = (there.name_any(), there.spec.decision);
        return Err(CliError::Refused(format!(
            "the SharedImageAcceptance {namespace}/{name} answers this offer already, with {decision:?}: to change the \
             answer, change its spec.decision with `kubectl edit sia {name} -n {namespace}`, or where your GitOps tool \
             takes it from"
        )));
    }
    match image.status.as_ref().and_then(|status| status.state) {
        Some(SharedImageState::Shared) => Err(CliError::Refused(
            "the cloud asks for no answer to this image: it can be used at once. To end the access, ask its owner"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Whether the cloud accepts this image into a vault only.
pub(super) async fn needs_vault(
    reader: &mut Reader,
    image: &SharedImage,
    decision: AcceptanceDecision,
) -> Result<bool, CliError> {
    let is_full = image.status.as_ref().and_then(|status| status.kind.as_deref()) == Some(FULL_SERVER);
    if !is_full || decision != AcceptanceDecision::Accept {
        return Ok(false);
    }
    let namespace = image.namespace().unwrap_or_default();
    let found = reader.get::<CloudAccount>(&namespace, &image.spec.account_ref.name).await?;
    let Found::There(account) = found else { return Ok(false) };
    let tenancy = account.readable().and_then(|account| account.spec.tenancy());
    Ok(tenancy.is_some_and(|tenancy| tenancy.provider().rules().vault_for_full_servers))
}

/// The owner whom the user trusts: the one named, or the one shown and confirmed.
fn confirmed_owner(image: &SharedImage, asked: &Answering, decision: AcceptanceDecision) -> Result<String, CliError> {
    let shown = image.status.as_ref().and_then(|status| status.owner.clone());
    if let Some(checked) = check_owner(shown.as_deref(), asked.owner.as_deref())? {
        return Ok(checked);
    }
    let owner = shown.unwrap_or_default();
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Refused(format!(
            "the offer is {}'s: confirm that you trust this owner with --owner {0}",
            safe(&owner)
        )));
    }
    let status = image.status.clone().unwrap_or_default();
    let mut terminal = std::io::stderr();
    writeln!(
        terminal,
        "image   {} ({})\nregion  {}\nowner   {}",
        safe(&image.spec.image_id),
        safe(&status.image_name.unwrap_or_default()),
        safe(&image.spec.region),
        safe(&owner)
    )?;
    write!(terminal, "{decision:?} it? Type the owner's id to confirm: ")?;
    terminal.flush()?;
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed)?;
    if typed.trim() == owner {
        Ok(owner)
    } else {
        Err(CliError::Refused("not confirmed: nothing was written".to_owned()))
    }
}

/// The owner, if the arguments confirm one. Fails where they confirm another one than the cloud names.
pub(super) fn check_owner(shown: Option<&str>, named: Option<&str>) -> Result<Option<String>, CliError> {
    match (shown, named) {
        (Some(shown), Some(named)) if shown != named => Err(CliError::Refused(format!(
            "the offer is {}'s, not {}'s: nothing was written. Name that owner only if you trust it",
            safe(shown),
            safe(named)
        ))),
        (_, Some(named)) => Ok(Some(named.to_owned())),
        (None, None) => Err(CliError::Refused(
            "the cloud does not say who owns the image: name the owner you trust with --owner".to_owned(),
        )),
        (Some(_), None) => Ok(None),
    }
}

/// The answer to an offer.
pub(super) fn acceptance(
    image: &SharedImage,
    asked: &Answering,
    decision: AcceptanceDecision,
    vault: Option<&str>,
    owner: String,
) -> SharedImageAcceptance {
    let name = asked.name.clone().unwrap_or_else(|| image.name_any());
    let spec = SharedImageAcceptanceSpec {
        account_ref: image.spec.account_ref.clone(),
        region: image.spec.region.clone(),
        image_id: image.spec.image_id.clone(),
        owner,
        decision,
        vault_id: vault.map(ToOwned::to_owned),
        deletion_policy: AcceptanceDeletionPolicy::default(),
        suspend: false,
    };
    let metadata = ObjectMeta { name: Some(name), namespace: image.namespace(), ..ObjectMeta::default() };
    SharedImageAcceptance { metadata, spec, status: None }
}

/// As a person would write it: without what is default.
pub(super) fn to_yaml(acceptance: &SharedImageAcceptance) -> Result<String, CliError> {
    let failed = |error: &dyn ToString| CliError::Output(error.to_string());
    let mut spec = serde_json::to_value(&acceptance.spec).map_err(|error| failed(&error))?;
    if let Value::Object(fields) = &mut spec {
        fields.remove("suspend");
        fields.remove("deletionPolicy");
    }
    let document = json!({
        "apiVersion": SharedImageAcceptance::api_version(&()),
        "kind": SharedImageAcceptance::kind(&()),
        "metadata": {"name": acceptance.name_any(), "namespace": acceptance.namespace()},
        "spec": spec,
    });
    serde_yaml::to_string(&document).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, account: &str, state: &str) -> Guarded<SharedImage> {
        serde_json::from_value(json!({
            "apiVersion": "imageshare.dev/v1alpha1", "kind": "SharedImage",
            "metadata": {"name": name, "namespace": "partners"},
            "spec": {"accountRef": {"name": account}, "region": "cn-north-4", "imageID": "id-1", "recipient": name},
            "status": {"state": state, "owner": "a1"},
        }))
        .unwrap()
    }

    fn asking(offer: &str) -> Answering {
        Answering { offer: offer.into(), owner: None, account: None, region: None, name: None, dry_run: false }
    }

    fn refusal<T>(result: Result<T, CliError>) -> String {
        match result {
            Ok(_) => panic!("it was not refused"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_offer_is_found_by_its_name_or_its_image_and_several_are_told_apart() {
        let images = [image("one", "partners", "Pending"), image("two", "partners", "Pending")];
        assert_eq!(choose(&images, &asking("two"), "partners").unwrap().name_any(), "two");
        assert_eq!(choose(&images, &asking("id-1"), "partners").unwrap().name_any(), "one", "through two projects");
        assert!(refusal(choose(&images, &asking("id-2"), "partners")).contains("kubectl imageshare offers -A"));

        let images = [image("one", "partners", "Pending"), image("two", "others", "Pending")];
        let told = refusal(choose(&images, &asking("id-1"), "partners"));
        assert!(told.contains("--account partners --region cn-north-4, or --account others"), "{told}");
        let asked = Answering { account: Some("others".into()), ..asking("id-1") };
        assert_eq!(choose(&images, &asked, "partners").unwrap().name_any(), "two");
    }

    #[test]
    fn an_owner_that_nobody_confirmed_is_not_trusted() {
        assert_eq!(check_owner(Some("a1"), Some("a1")).unwrap().as_deref(), Some("a1"));
        assert_eq!(check_owner(Some("a1"), None).unwrap(), None, "it is asked for");
        assert!(refusal(check_owner(Some("a1"), Some("a2"))).starts_with("the offer is a1's, not a2's"));
        assert!(refusal(check_owner(None, None)).contains("--owner"));
    }

    #[test]
    fn an_offer_that_was_answered_is_not_answered_again() {
        let [pending, shared] = ["Pending", "Shared"].map(|state| image("one", "partners", state));
        let pending = pending.readable().unwrap();
        let first = acceptance(pending, &asking("one"), AcceptanceDecision::Reject, None, "a1".into());
        let told = refusal(check_unanswered(pending, &[Guarded::Readable(Box::new(first))]));
        assert!(told.contains("partners/one") && told.contains("Reject") && told.contains("spec.decision"), "{told}");
        assert!(check_unanswered(pending, &[]).is_ok());
        assert!(refusal(check_unanswered(shared.readable().unwrap(), &[])).contains("asks for no answer"));
    }

    #[test]
    fn the_yaml_is_what_a_person_would_write() {
        let offered = image("one", "partners", "Pending");
        let yes =
            acceptance(offered.readable().unwrap(), &asking("one"), AcceptanceDecision::Accept, None, "a1".into());
        assert_eq!(
            to_yaml(&yes).unwrap(),
            "\
apiVersion: imageshare.dev/v1alpha1
kind: SharedImageAcceptance
metadata:
  name: one
  namespace: partners
spec:
  accountRef:
    name: partners
  decision: Accept
  imageID: id-1
  owner: a1
  region: cn-north-4
"
        );
    }
}
