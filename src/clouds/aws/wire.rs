//! Forms of requests and parsers of answers. They ignore unknown elements and are strict about required ones: an answer that
//! lacks one, or does not match the request, is `Unintelligible` and proves nothing.

pub(super) mod copies;
pub(super) mod images;
pub(super) mod roles;
pub(super) mod snapshots;

use super::Operation;
use super::xml::Element;
use crate::clouds::Fault;
use crate::clouds::signing::escape;
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId};
use crate::domain::provider::Provider;

/// Most recipients read from one answer, which has no pages: ten times the vendor's default quota.
const RECIPIENTS_MAX: usize = 10_000;
/// Most regions read; the vendor has some 40.
const REGIONS_MAX: usize = 200;
/// The vendor's name of everybody. It stands beside the recipients as an organization that nobody can ask for, so that the
/// operator reports it like any grant that is not its own.
pub(super) const EVERYBODY: &str = "all";

/// Parameters of a call, in the order in which they are sent.
pub(super) type Form = Vec<(String, String)>;

/// The body of a request, as the vendor's SDK writes it.
pub(super) fn body_of(operation: Operation, form: &[(String, String)]) -> String {
    let first = format!("Action={}&Version={}", operation.action(), operation.version());
    // A space is `+` in a form; `escape` leaves no other one.
    let written = |text: &str| escape(text).replace("%20", "+");
    form.iter().fold(first, |body, (name, value)| format!("{body}&{}={}", written(name), written(value)))
}

/// Numbered members of one direction of `LaunchPermission`.
pub(super) fn permissions(direction: &str, recipients: &[Recipient]) -> impl Iterator<Item = (String, String)> {
    (1_u32..).zip(recipients).map(move |(number, recipient)| {
        let id = recipient.id.as_str();
        let member = match recipient.kind {
            RecipientKind::Account | RecipientKind::Project => "UserId",
            RecipientKind::Organization if id == EVERYBODY => "Group",
            RecipientKind::Organization if id.contains(":ou/") => "OrganizationalUnitArn",
            RecipientKind::Organization => "OrganizationArn",
        };
        (format!("LaunchPermission.{direction}.{number}.{member}"), id.to_owned())
    })
}

/// Reads the document that answers a call; its root names the call.
fn read(body: &[u8], operation: Operation) -> Result<Element, Fault> {
    let root = Element::parse(body)?;
    let named = root.name().strip_suffix("Response") == Some(operation.action());
    if named { Ok(root) } else { Err(Fault::Unintelligible) }
}

/// Reads `DescribeImageAttribute` for launch permissions. The answer has no pages: it is all of them.
pub(super) fn read_recipients(body: &[u8], asked: &ImageId) -> Result<Vec<Recipient>, Fault> {
    let root = read(body, Operation::DescribeImageAttribute)?;
    let of_another = root.demand("imageId")? != asked.as_str();
    if planted!("aws-foreign-list-believed", of_another, false) {
        return Err(Fault::Unintelligible);
    }
    let rows = root.demand_rows("launchPermission")?;
    if rows.len() > RECIPIENTS_MAX {
        return Err(Fault::Unintelligible);
    }
    rows.iter().map(read_permission).collect()
}

/// Reads one launch permission, which is of exactly one kind. Organizations are taken as the vendor writes them: a foreign
/// one in an unknown spelling must not hide the others.
fn read_permission(row: &Element) -> Result<Recipient, Fault> {
    let [account, group, organization, unit] =
        ["userId", "group", "organizationArn", "organizationalUnitArn"].map(|name| row.text_of(name));
    let (kind, id) = match (account?, group?, organization?, unit?) {
        (Some(id), None, None, None) => (RecipientKind::Account, Provider::Aws.parse_account(id)),
        (None, Some(EVERYBODY), None, None) => (RecipientKind::Organization, PrincipalId::parse(EVERYBODY)),
        (None, None, Some(arn), None) | (None, None, None, Some(arn)) if arn.starts_with("arn:") => {
            (RecipientKind::Organization, PrincipalId::parse(arn))
        }
        _ => return Err(Fault::Unintelligible),
    };
    Ok(Recipient { kind, id: id.map_err(|_| Fault::Unintelligible)? })
}

/// Reads `DescribeRegions`: the regions that the account may use.
pub(super) fn read_regions(body: &[u8]) -> Result<Vec<RegionId>, Fault> {
    let root = read(body, Operation::DescribeRegions)?;
    let rows = root.demand_rows("regionInfo")?;
    if rows.len() > REGIONS_MAX {
        return Err(Fault::Unintelligible);
    }
    let mut regions = Vec::new();
    for row in rows {
        let region = RegionId::parse(row.demand("regionName")?).map_err(|_| Fault::Unintelligible)?;
        if matches!(row.text_of("optInStatus")?, None | Some("opt-in-not-required" | "opted-in")) {
            regions.push(region);
        }
    }
    Ok(regions)
}

/// Reads `GetCallerIdentity`.
pub(super) fn read_identity(body: &[u8]) -> Result<PrincipalId, Fault> {
    let root = read(body, Operation::GetCallerIdentity)?;
    let result = root.child("GetCallerIdentityResult")?.ok_or(Fault::Unintelligible)?;
    Provider::Aws.parse_account(result.demand("Account")?).map_err(|_| Fault::Unintelligible)
}

/// Reads the answer to a write. Not every write answers `return`, but none answers another value than `true`.
pub(super) fn read_write(body: &[u8], operation: Operation) -> Result<(), Fault> {
    match read(body, operation)?.text_of("return")? {
        None | Some("true") => Ok(()),
        Some(_) => Err(Fault::Unintelligible),
    }
}

/// Code and message of an error, of EC2 or STS; `None` if the body is something else.
pub(super) fn read_error(body: &[u8]) -> Option<(String, String)> {
    let root = Element::parse(body).ok()?;
    let error = match root.name() {
        "Response" => root.child("Errors").ok()??.child("Error").ok()??,
        "ErrorResponse" => root.child("Error").ok()??,
        _ => return None,
    };
    let message = error.text_of("Message").ok()?.unwrap_or_default();
    Some((error.demand("Code").ok()?.to_owned(), message.to_owned()))
}

#[cfg(test)]
mod tests;
