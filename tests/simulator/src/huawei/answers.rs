//! Answers in the vendor's shapes: rows of members and images, jobs, pages, refusals.

use super::recipient::MemberKind;
use super::world::{CopyOrder, CopyTo, Image, Job, Member, Order, Phase, Relation, World};
use super::world_file::{ImageSpec, Kind, Origin};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a GiB.
const GIB: u64 = 1 << 30;

/// Platform of every simulated image.
pub(super) const PLATFORM: &str = "EulerOS";
/// System of every simulated image.
pub(super) const SYSTEM: &str = "Huawei Cloud EulerOS 2.0 64bit";

/// An instant as images and members have it: UTC, to the second.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An instant as jobs have it: UTC, to the millisecond.
fn precise(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// A member as lists show it.
pub(super) fn member_row(image: &ImageId, member: &Member) -> Value {
    let recipient = &member.recipient;
    let mut row = json!({
        "status": member.status.word(), "created_at": instant(member.created), "updated_at": instant(member.updated),
        "image_id": image, "member_id": recipient.bare_id(), "member_type": recipient.kind.word(),
        "schema": "/v2/schemas/member",
    });
    if let (MemberKind::Organization, Some(fields)) = (recipient.kind, row.as_object_mut()) {
        fields.insert("urn".to_owned(), json!(recipient.id));
    }
    row
}

/// What a page of members ends with; opaque to clients.
pub(super) fn marker(member: &Member) -> String {
    STANDARD.encode(format!("{}={}", member.recipient.kind.word(), member.recipient.id))
}

/// A page of members.
pub(super) fn member_page(rows: &[Value], next: Option<String>) -> Value {
    let mut page = json!({"current_count": rows.len()});
    if let (Some(next), Some(fields)) = (next, page.as_object_mut()) {
        fields.insert("next_marker".to_owned(), json!(next));
    }
    json!({"members": rows, "schema": "/v2/schemas/members", "page_info": page})
}

/// An image as the list shows it. `shared` is for the lists of shared images: whether an image shared by its owner is
/// shown to him as `shared` there only, or everywhere, is unconfirmed.
pub(super) fn image_row(image: &Image, relation: Relation, shared: bool) -> Value {
    let spec = image.spec();
    let kind = match (relation, shared) {
        (Relation::Gold, _) => "gold",
        (Relation::Market, _) => "market",
        (Relation::Own, false) => "private",
        (Relation::Own, true) | (Relation::Received, _) => "shared",
    };
    let visibility = match kind {
        "gold" | "market" => "public",
        kind => kind,
    };
    let created = spec.created.map(instant).unwrap_or_default();
    let mut row = json!({
        "id": spec.id, "name": spec.name, "status": spec.status.word(), "owner": spec.project, "visibility": visibility,
        "__imagetype": kind, "__image_size": (u64::from(spec.size_gib) * GIB).to_string(), "size": 0,
        "min_disk": spec.size_gib, "min_ram": spec.min_ram,
        "max_ram": spec.max_ram.map(|mib| mib.to_string()).unwrap_or_default(), "architecture": "x86", "protected": spec.protected, "virtual_env_type": environment(spec.kind),
        "__isregistered": "true", "__image_source_type": "uds", "__os_type": "Linux", "__os_bit": "64",
        "__os_version": SYSTEM, "__platform": PLATFORM,
        "__description": spec.description, "__originalimagename": spec.parent.as_ref().map_or("", ImageId::as_str),
        "__data_origin": data_origin(spec), "hw_firmware_type": "bios", "disk_format": "zvhd2",
        "container_format": "bare", "created_at": created, "updated_at": spec.updated().map(instant).unwrap_or_default(), "active_at": created,
        "tags": spec.tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
        "enterprise_project_id": "0", "self": format!("/v2/images/{}", spec.id),
        "file": format!("/v2/images/{}/file", spec.id), "schema": "/v2/schemas/image",
    });
    let Some(fields) = row.as_object_mut() else { return row };
    if spec.encrypted {
        let key = spec.cmk_id.as_deref().unwrap_or("c0ffee00-0000-4000-8000-000000000000");
        fields.insert("__system__cmkid".to_owned(), json!(key));
    }
    if spec.kind == Kind::FullServer {
        fields.insert("__whole_image".to_owned(), json!("true"));
        if spec.from_cbr {
            fields.insert("__backup_id".to_owned(), json!("bac0ffee-0000-4000-8000-000000000000"));
        }
    }
    if spec.origin == Origin::Market {
        fields.insert("__productcode".to_owned(), json!("OFFI0000000000000000"));
    }
    row
}

/// An image's tags.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Value {
    let rows: Vec<_> = tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({ "tags": rows })
}

/// The tags of all images of a project: each key with its values.
pub(super) fn all_tags(world: &World, project: &AccountId) -> Value {
    let mut all: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    let seen = world.seen_by(project);
    for (image, _) in seen.iter().filter(|(_, relation)| *relation == Relation::Own) {
        for (key, value) in &image.spec().tags {
            all.entry(key).or_default().insert(value);
        }
    }
    let rows: Vec<_> = all.into_iter().map(|(key, values)| json!({"key": key, "values": values})).collect();
    json!({ "tags": rows })
}

/// Where an image's data come from: what it is, and its id. Nothing of the vendor's own.
fn data_origin(spec: &ImageSpec) -> String {
    match (&spec.data_origin, spec.origin) {
        (Some(origin), _) => origin.clone(),
        (None, Origin::Private) => format!("instance,{}", spec.id),
        (None, Origin::Gold | Origin::Market) => String::new(),
    }
}

/// `virtual_env_type` of a kind.
pub(super) fn environment(kind: Kind) -> &'static str {
    match kind {
        Kind::System | Kind::FullServer => "FusionCompute",
        Kind::Data => "DataImage",
        Kind::Iso => "IsoImage",
    }
}

/// A job, as its two addresses show it: results only where `with_results`.
pub(super) fn job(id: &str, job: &Job, now: Timestamp, with_results: bool) -> Value {
    let phase = job.phase(now);
    let (kind, task) = match job.order() {
        Order::Add { .. } => ("imsAddImageMembersJob", "AddImageMembers"),
        Order::Remove { .. } => ("imsDelImageMembersJob", "DelImageMembers"),
        Order::Answer { .. } => ("imsUpdateImageMembersJob", "UpdateImageMembers"),
        Order::Delete { .. } => ("imsDeleteImageJob", "DeleteImage"),
        Order::Copy(CopyOrder { to: CopyTo::InRegion { .. }, .. }) => ("imsCopyImageInRegionJob", "CopyImageInRegion"),
        Order::Copy(_) => ("imsCopyImageCrossRegionJob", "CopyImageCrossRegion"),
        // Unconfirmed.
        Order::Make(_) => ("imsCreateImageJob", "CreateImage"),
    };
    let refusal = job.refusal();
    let mut entities = json!({"process_percent": job.percent(now), "current_task": task});
    if let Some(fields) = entities.as_object_mut() {
        if let Some(refusal) = refusal {
            fields.insert("error_code".to_owned(), json!(refusal.code));
            fields.insert("error".to_owned(), json!(refusal.message));
        }
        if let Order::Copy(order) = job.order() {
            fields.insert("image_name".to_owned(), json!(order.name));
            if let Some(image) = job.copied().filter(|_| phase == Phase::Success) {
                fields.insert("image_id".to_owned(), json!(image));
            }
        } else if let Order::Make(making) = job.order() {
            fields.insert("image_name".to_owned(), json!(making.name));
            if phase == Phase::Success {
                fields.insert("image_id".to_owned(), json!(making.image));
            }
        } else if with_results && job.end().is_some() {
            fields.insert("results".to_owned(), results(job));
        }
    }
    json!({
        "status": phase.word(), "job_id": id, "job_type": kind, "begin_time": precise(job.begin()),
        "end_time": job.end().map(precise), "error_code": refusal.map(|refusal| &refusal.code),
        "fail_reason": refusal.map(|refusal| &refusal.message), "entities": entities,
    })
}

/// One row for each image and recipient, in lower case unlike the job's own status; a removal has none, and no sample
/// names the project. How a failed one reads is unconfirmed.
fn results(job: &Job) -> Value {
    let times = match job.order() {
        Order::Add { recipients, .. } => recipients.len(),
        Order::Answer { .. } => 1,
        Order::Remove { .. } | Order::Delete { .. } | Order::Copy(_) | Order::Make(_) => 0,
    };
    let row = |image: &ImageId| {
        let status = if job.is_done_for(image) { "success" } else { "failed" };
        std::iter::repeat_n(json!({"image_id": image, "status": status}), times)
    };
    job.order().images().iter().flat_map(row).collect()
}

/// A refusal as an answer: the gateway's shape, which the identity service has for parameters; the identity service's (its
/// code is the status), or the image service's.
pub(super) fn refusal(refusal: &Refusal, request_id: &str) -> Value {
    if refusal.code.starts_with("APIGW.") || refusal.code.starts_with("IAM.") {
        return json!({"error_msg": refusal.message, "error_code": refusal.code, "request_id": request_id});
    }
    if refusal.code == refusal.status.to_string() {
        let title = match refusal.status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        return json!({"error": {"code": refusal.status, "message": refusal.message, "title": title}});
    }
    json!({"error": {"code": refusal.code, "message": refusal.message}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chassis::exchange::distort;
    use crate::chassis::faults::Action;
    use crate::chassis::refusal::rule;
    use crate::huawei::Huawei;

    #[test]
    fn each_front_has_its_own_shape_of_refusal() {
        let shape = |status, code| refusal(&rule(status, code, "why").refuse(), "r");
        assert_eq!(shape(400, "IMG.0144"), json!({"error": {"code": "IMG.0144", "message": "why"}}));
        let gateway = json!({"error_msg": "why", "error_code": "APIGW.0301", "request_id": "r"});
        assert_eq!(shape(401, "APIGW.0301"), gateway);
        let identity = json!({"error": {"code": 401, "message": "why", "title": "Unauthorized"}});
        assert_eq!(shape(401, "401"), identity);
    }

    #[test]
    fn a_truncated_page_still_counts_the_missing_rows_and_an_empty_list_does_not() {
        let page = || member_page(&[json!(1), json!(2)], Some("next".to_owned()));
        let mut short = page();
        distort::<Huawei>(&mut short, &Action::TruncatedPage { drop: 1 });
        assert_eq!((&short["members"], &short["page_info"]["current_count"]), (&json!([1]), &json!(2)));
        let mut empty = page();
        distort::<Huawei>(&mut empty, &Action::EmptyList);
        assert_eq!((&empty["members"], &empty["page_info"]), (&json!([]), &json!({"current_count": 0})));
    }
}
