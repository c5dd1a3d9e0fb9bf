//! The bodies of requests, read into orders. A field the vendor has not is refused, so that no test passes on a field
//! that is ignored.

mod attributes;
mod copies;
mod making;

use super::recipient::{MemberKind, Recipient, is_hex_id, is_urn, is_uuid};
use super::route::Operation;
use super::rules;
use super::world::{Attribute, Order, TagChange};
use super::world_file::MemberStatus;
use crate::chassis::effect::Asked;
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::{Refusal, Rule};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What a request asks of members or an image.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// Something that a job or a call on one member does.
    Members {
        /// The order.
        order: Order,
        /// The project the body names as the caller's own.
        project: Option<AccountId>,
    },
    /// New values of an image's attributes.
    Attributes(Vec<Attribute>),
    /// Other tags of an image.
    Tags(TagChange),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    images: Vec<String>,
    projects: Option<Vec<String>>,
    domains: Option<Vec<String>>,
    organizations: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    images: Vec<String>,
    project_id: String,
    status: String,
    vault_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneMember {
    member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneAnswer {
    status: String,
    vault_id: Option<String>,
    // One SDK repeats what the path names.
    member: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deletion {
    #[serde(default, rename = "delete_backup")]
    _backup: Option<bool>,
}

/// Reads what an operation wants changed; `None` where it changes nothing.
///
/// # Errors
/// When the body is empty, malformed, or names something that is not of the vendor's form.
pub(super) fn read(operation: &Operation, body: &[u8]) -> Result<Option<Wanted>, Refusal> {
    let wanted = |order| Ok(Some(Wanted::Members { order, project: None }));
    match operation {
        Operation::BatchAddMembers => {
            wanted(batch(body, |images, recipients| Order::Add { images, recipients }, is_urn)?)
        }
        Operation::BatchDeleteMembers => {
            wanted(batch(body, |images, recipients| Order::Remove { images, recipients }, |text| !text.is_empty())?)
        }
        Operation::BatchUpdateMembers => answer(body).map(Some),
        Operation::AddMember { image } => {
            let OneMember { member } = parse(body)?;
            wanted(Order::Add { images: vec![image_id(image.as_str())?], recipients: vec![project(&member)?] })
        }
        Operation::UpdateMember { image, member } => {
            let OneAnswer { status, vault_id, member: repeated } = parse(body)?;
            if repeated.is_some_and(|repeated| repeated != *member) {
                return Err(rules::MALFORMED_BODY.about("member is not the one of the path"));
            }
            let images = vec![image_id(image.as_str())?];
            let order = Order::Answer { images, status: status_of(&status)?, vault: vault_id };
            Ok(Some(Wanted::Members { order, project: Some(AccountId::from(member.as_str())) }))
        }
        Operation::DeleteMember { image, member } => {
            wanted(Order::Remove { images: vec![image_id(image.as_str())?], recipients: vec![project(member)?] })
        }
        Operation::DeleteImage { image } => {
            if !body.is_empty() {
                parse::<Deletion>(body)?;
            }
            wanted(Order::Delete { image: image_id(image.as_str())? })
        }
        Operation::CreateImage => wanted(Order::Make(making::system(body)?)),
        Operation::CopyInRegion { image } => wanted(Order::Copy(copies::in_region(image_id(image.as_str())?, body)?)),
        Operation::CopyCrossRegion { image } => {
            wanted(Order::Copy(copies::cross_region(image_id(image.as_str())?, body)?))
        }
        Operation::UpdateImage { image } | Operation::NativeUpdate { image } => {
            image_id(image.as_str())?;
            attributes::patches(body).map(|attributes| Some(Wanted::Attributes(attributes)))
        }
        Operation::AddTag { .. } => attributes::one_tag(body).map(|change| Some(Wanted::Tags(change))),
        Operation::ChangeTags { .. } => attributes::many_tags(body).map(|change| Some(Wanted::Tags(change))),
        Operation::DeleteTag { key, .. } => Ok(Some(Wanted::Tags(TagChange::Remove(vec![key.clone()])))),
        Operation::NativeTag { tag, .. } => attributes::native_tag(tag).map(|change| Some(Wanted::Tags(change))),
        _ => Ok(None),
    }
}

fn batch(
    body: &[u8],
    order: impl Fn(Vec<ImageId>, Vec<Recipient>) -> Order,
    names_organization: impl Fn(&str) -> bool,
) -> Result<Order, Refusal> {
    let Members { images, projects, domains, organizations } = parse(body)?;
    let images = image_ids(&images)?;
    let all = |ids: Option<Vec<String>>, kind, fits: &dyn Fn(&str) -> bool| {
        let one = |id: &String| recipient(kind, id, rules::TENANT_NOT_FOUND, fits);
        ids.unwrap_or_default().iter().map(one).collect::<Result<Vec<_>, _>>()
    };
    let mut recipients = all(projects, MemberKind::Project, &is_hex_id)?;
    recipients.extend(all(domains, MemberKind::Domain, &is_hex_id)?);
    recipients.extend(all(organizations, MemberKind::Organization, &names_organization)?);
    if recipients.is_empty() {
        return Err(rules::MALFORMED_BODY.about("no projects, domains or organizations"));
    }
    Ok(order(images, recipients))
}

fn answer(body: &[u8]) -> Result<Wanted, Refusal> {
    let Answer { images, project_id, status, vault_id } = parse(body)?;
    if !is_hex_id(&project_id) {
        return Err(rules::BAD_PROJECT_ID.about(&project_id));
    }
    let order = Order::Answer { images: image_ids(&images)?, status: status_of(&status)?, vault: vault_id };
    Ok(Wanted::Members { order, project: Some(AccountId::from(project_id.as_str())) })
}

/// A body of the image service.
///
/// # Errors
/// When it is empty, or not of this form.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Err(rules::EMPTY_BODY.refuse());
    }
    serde_json::from_slice(body).map_err(|error| rules::MALFORMED_BODY.about(&error.to_string()))
}

fn image_ids(ids: &[String]) -> Result<Vec<ImageId>, Refusal> {
    if ids.is_empty() {
        return Err(rules::NO_IMAGE_ID.refuse());
    }
    ids.iter().map(|id| image_id(id)).collect()
}

fn image_id(id: &str) -> Result<ImageId, Refusal> {
    if is_uuid(id) { Ok(ImageId::from(id)) } else { Err(rules::BAD_IMAGE_ID.about(id)) }
}

fn project(id: &str) -> Result<Recipient, Refusal> {
    recipient(MemberKind::Project, id, rules::TENANT_NOT_FOUND, &is_hex_id)
}

fn recipient(kind: MemberKind, id: &str, rule: Rule, fits: &dyn Fn(&str) -> bool) -> Result<Recipient, Refusal> {
    if fits(id) { Ok(Recipient { kind, id: AccountId::from(id) }) } else { Err(rule.about(id)) }
}

/// An offer cannot be set back to waiting: the members page names two answers.
fn status_of(word: &str) -> Result<MemberStatus, Refusal> {
    let status = MemberStatus::from_word(word).filter(|status| *status != MemberStatus::Pending);
    status.ok_or_else(|| rules::MALFORMED_BODY.about("status is neither accepted nor rejected"))
}

/// What a request asks, for the journal and injected faults.
pub(super) fn asked(wanted: Option<&Wanted>) -> Asked {
    let ids = |recipients: &[Recipient]| recipients.iter().map(|recipient| recipient.id.clone()).collect();
    let Some(Wanted::Members { order, .. }) = wanted else { return Asked::default() };
    let images = order.images();
    let mut asked = Asked { images: if images.len() > 1 { images.to_vec() } else { Vec::new() }, ..Asked::default() };
    match order {
        Order::Add { recipients, .. } => asked.add = ids(recipients),
        Order::Remove { recipients, .. } => asked.remove = ids(recipients),
        Order::Answer { status, .. } => asked.answer = Some(status.word().to_owned()),
        Order::Delete { .. } | Order::Copy(_) | Order::Make(_) => {}
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "cc4f2d1e-0000-4000-8000-000000000001";

    fn code(operation: &Operation, body: &str) -> String {
        read(operation, body.as_bytes()).unwrap_err().code
    }

    #[test]
    fn a_body_that_names_nothing_or_nonsense_is_refused_by_its_own_code() {
        let add = Operation::BatchAddMembers;
        assert_eq!(code(&add, ""), "IMG.0007");
        assert_eq!(code(&add, "{"), "IMG.0001");
        assert_eq!(code(&add, r#"{"images": [], "projects": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}"#), "IMG.0086");
        assert_eq!(code(&add, r#"{"images": ["m-1"], "projects": ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]}"#), "IMG.0066");
        assert_eq!(code(&add, &format!(r#"{{"images": ["{IMAGE}"]}}"#)), "IMG.0001");
        assert_eq!(code(&add, &format!(r#"{{"images": ["{IMAGE}"], "projects": ["short"]}}"#)), "IMG.0108");
        assert_eq!(code(&add, &format!(r#"{{"images": ["{IMAGE}"], "project": ["x"]}}"#)), "IMG.0001");
    }

    #[test]
    fn an_organization_is_added_by_urn_only_and_removed_by_bare_id_too() {
        let body = format!(r#"{{"images": ["{IMAGE}"], "organizations": ["ou-c"]}}"#);
        assert_eq!(code(&Operation::BatchAddMembers, &body), "IMG.0108");
        assert!(read(&Operation::BatchDeleteMembers, body.as_bytes()).is_ok());
    }

    #[test]
    fn an_offer_cannot_be_set_back_to_waiting() {
        let body = |status: &str| {
            format!(r#"{{"images": ["{IMAGE}"], "project_id": "{}", "status": "{status}"}}"#, "a".repeat(32))
        };
        assert_eq!(code(&Operation::BatchUpdateMembers, &body("pending")), "IMG.0001");
        let accept = read(&Operation::BatchUpdateMembers, body("accepted").as_bytes()).unwrap().unwrap();
        assert_eq!(asked(Some(&accept)).answer.as_deref(), Some("accepted"));
        let one = Operation::UpdateMember { image: IMAGE.into(), member: "a".repeat(32) };
        assert_eq!(code(&one, r#"{"status": "pending"}"#), "IMG.0001");
        let repeated = |member: &str| format!(r#"{{"status": "accepted", "member": "{member}"}}"#);
        assert!(read(&one, repeated(&"a".repeat(32)).as_bytes()).is_ok());
        assert_eq!(code(&one, &repeated(&"b".repeat(32))), "IMG.0001");
    }
}
