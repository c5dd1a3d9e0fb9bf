//! Answers in the vendor's shapes: rows of members and images, jobs, pages, refusals.

use super::recipient::MemberKind;
use super::world::{ActiveFaults, CopyOrder, CopyTo, Image, Job, Member, Order, Phase};
use super::world_file::{Kind, Origin};
use crate::faults::Action;
use crate::names::ImageId;
use crate::rules::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Bytes of a GiB.
const GIB: u64 = 1 << 30;

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
pub(super) fn image_row(image: &Image, standing: ActiveFaults, shared: bool) -> Value {
    let spec = image.spec();
    let kind = match (standing, shared) {
        (ActiveFaults::Gold, _) => "gold",
        (ActiveFaults::Market, _) => "market",
        (ActiveFaults::Own, false) => "private",
        (ActiveFaults::Own, true) | (ActiveFaults::Received, _) => "shared",
    };
    let visibility = match kind {
        "gold" | "market" => "public",
        kind => kind,
    };
    let created = spec.created.map(instant).unwrap_or_default();
    let mut row = json!({
        "id": spec.id, "name": spec.name, "status": spec.status.word(), "owner": spec.project, "visibility": visibility,
        "__imagetype": kind, "__image_size": (u64::from(spec.size_gib) * GIB).to_string(), "size": 0,
        "min_disk": spec.size_gib, "min_ram": 0,
        "max_ram": "", "protected": spec.protected, "virtual_env_type": environment(spec.kind),
        "__isregistered": "true", "__image_source_type": "uds", "__os_type": "Linux", "__os_bit": "64",
        "__os_version": "Huawei Cloud EulerOS 2.0 64bit", "__platform": "EulerOS",
        "__description": spec.description, "__originalimagename": spec.parent.as_ref().map_or("", ImageId::as_str),
        "__data_origin": "file", "hw_firmware_type": "bios", "disk_format": "zvhd2",
        "container_format": "bare", "created_at": created, "updated_at": created, "active_at": created, "tags": [],
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
        Order::Remove { .. } | Order::Delete { .. } | Order::Copy(_) => 0,
    };
    let row = |image: &ImageId| {
        let status = if job.is_done_for(image) { "success" } else { "failed" };
        std::iter::repeat_n(json!({"image_id": image, "status": status}), times)
    };
    job.order().images().iter().flat_map(row).collect()
}

/// A refusal as an answer: the gateway's shape, the identity service's (its code is the status), or the service's.
pub(super) fn refusal(refusal: &Refusal, request_id: &str) -> Value {
    if refusal.code.starts_with("APIGW.") {
        return json!({"error_msg": refusal.message, "error_code": refusal.code, "request_id": request_id});
    }
    if refusal.code == refusal.status.to_string() {
        let title = if refusal.status == 401 { "Unauthorized" } else { "Bad Request" };
        return json!({"error": {"code": refusal.status, "message": refusal.message, "title": title}});
    }
    json!({"error": {"code": refusal.code, "message": refusal.message}})
}

/// Spoils a successful answer as the weather has it: rows missing, or all of them.
pub(super) fn distort(answer: &mut Value, fault: &Action) {
    let Some(list) = ["images", "members"].into_iter().find(|list| answer.get(list).is_some()) else { return };
    let Some(Value::Array(rows)) = answer.get_mut(list) else { return };
    match fault {
        Action::TruncatedPage { drop } => rows.truncate(rows.len().saturating_sub(*drop)),
        Action::EmptyList => {
            rows.clear();
            if let Some(page) = answer.get_mut("page_info") {
                *page = json!({"current_count": 0});
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule;

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
        distort(&mut short, &Action::TruncatedPage { drop: 1 });
        assert_eq!((&short["members"], &short["page_info"]["current_count"]), (&json!([1]), &json!(2)));
        let mut empty = page();
        distort(&mut empty, &Action::EmptyList);
        assert_eq!((&empty["members"], &empty["page_info"]), (&json!([]), &json!({"current_count": 0})));
    }
}
