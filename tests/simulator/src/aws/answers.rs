//! Answers in the vendor's shapes: rows, pages, refusals, and their XML text.

use super::hosts::Service;
use super::params::Params;
use super::recipient::{Kind, Recipient};
use super::rules::{self, Rules, bad_value};
use super::world::{Asker, Image, Relation, SHARED_TAG, Snapshot, World, key_arn};
use super::world_file::{Encryption, ImageSpec};
use crate::chassis::refusal::Refusal;
use crate::chassis::xml::XmlWriter;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An instant as the vendor writes it: UTC, with milliseconds.
pub(super) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// That it was done.
pub(super) fn done() -> Value {
    json!({"return": true})
}

/// A recipient as lists of permissions show it.
pub(super) fn permission_row(recipient: &Recipient) -> Value {
    let field = match recipient.kind() {
        Kind::Account => "userId",
        Kind::Group => "group",
        Kind::Organization => "organizationArn",
        Kind::Unit => "organizationalUnitArn",
    };
    json!({field: recipient.id()})
}

fn tag_rows<'a>(tags: impl Iterator<Item = (&'a String, &'a String)>) -> Value {
    let rows: Vec<_> = tags.map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"item": rows})
}

/// The tags of an image that an account sees: those of another's image only where they are meant for recipients.
pub(super) fn visible_tags(spec: &ImageSpec, relation: Relation) -> BTreeMap<&String, &String> {
    let visible = |key: &String| relation == Relation::Own || key.starts_with(SHARED_TAG);
    spec.tags.iter().filter(|(key, _)| visible(key)).collect()
}

/// An image as `DescribeImages` shows it.
pub(super) fn image_row(world: &World, image: &Image, relation: Relation, asker: &Asker) -> Value {
    let spec = image.spec();
    let device = if spec.instance_store { "instance-store" } else { "ebs" };
    let mut row = json!({
        "imageId": spec.id, "imageLocation": format!("{}/{}", spec.owner, spec.name), "imageState": spec.state.word(),
        "imageOwnerId": spec.owner, "isPublic": image.is_public() || spec.is_offered_to_all(), "architecture": "x86_64",
        "imageType": "machine", "name": spec.name, "rootDeviceType": device, "virtualizationType": "hvm",
        "hypervisor": "xen", "enaSupport": true, "bootMode": "uefi-preferred", "imdsSupport": "v2.0",
        "creationDate": spec.created.map(instant), "platformDetails": "Linux/UNIX", "usageOperation": "RunInstances",
        "blockDeviceMapping": {"item": devices(world, spec)},
        "tagSet": tag_rows(visible_tags(spec, relation).into_iter()),
    });
    let some = |text: &str| (!text.is_empty()).then(|| json!(text));
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(fields), Some(value)) = (row.as_object_mut(), value) {
            fields.insert(name.to_owned(), value);
        }
    };
    add("rootDeviceName", (!spec.instance_store).then(|| json!("/dev/xvda")));
    add("description", some(&spec.description));
    add("imageOwnerAlias", spec.alias.map(|alias| json!(alias.word())));
    add("deprecationTime", spec.deprecated_from.map(|from| json!(instant(from))));
    add("imageAllowed", world.is_allowed(image, &asker.account).map(|allowed| json!(allowed)));
    let reason = || json!({"code": "Client.InternalError", "message": spec.state_reason});
    add("stateReason", some(&spec.state_reason).map(|_| reason()));
    let source = spec.copied_from.as_ref().filter(|_| relation == Relation::Own);
    add("sourceImageId", source.map(|from| json!(from.image)));
    add("sourceImageRegion", source.map(|from| json!(from.region)));
    add("deregistrationProtection", (relation == Relation::Own).then(|| json!(spec.protection.word())));
    let codes: Vec<_> =
        spec.product_codes.iter().map(|code| json!({"productCode": code, "type": "marketplace"})).collect();
    add("productCodes", (!codes.is_empty()).then(|| json!({"item": codes})));
    row
}

/// The disks of an image: one for each of its snapshots, the root's first.
fn devices(world: &World, spec: &ImageSpec) -> Vec<Value> {
    let row = |(snapshot, letter): (&Snapshot, char)| {
        let snapshot = snapshot.spec();
        json!({"deviceName": format!("/dev/xvd{letter}"), "ebs": {
            "snapshotId": snapshot.id, "volumeSize": snapshot.size_gib, "volumeType": "gp3", "deleteOnTermination": true,
            "encrypted": snapshot.encryption != Encryption::None, "iops": 3000, "throughput": 125,
        }})
    };
    world.snapshots_of(spec).zip('a'..='z').map(row).collect()
}

/// A snapshot as `DescribeSnapshots` shows it.
pub(super) fn snapshot_row(world: &World, snapshot: &Snapshot, asker: &Asker, now: Timestamp) -> Value {
    let spec = snapshot.spec();
    let own = spec.owner == asker.account;
    let mut row = json!({
        "snapshotId": spec.id, "volumeId": "vol-ffffffff", "status": spec.state.word(), "ownerId": spec.owner,
        "startTime": spec.created.map(instant), "progress": format!("{}%", world.progress(spec, now)),
        "volumeSize": spec.size_gib, "encrypted": spec.encryption != Encryption::None, "storageTier": "standard",
        "description": "", "tagSet": tag_rows(spec.tags.iter().filter(|_| own)),
    });
    if let Some(fields) = row.as_object_mut() {
        if let Some(arn) = key_arn(spec) {
            fields.insert("kmsKeyId".to_owned(), json!(arn));
        }
        if !spec.message.is_empty() && own {
            fields.insert("statusMessage".to_owned(), json!(spec.message));
        }
    }
    row
}

/// Things with the keys they are ordered by, a page of which is an answer.
pub(super) struct Rows<T>(pub(super) Vec<(String, T)>);

impl<T> Rows<T> {
    /// The page asked for, under `list`. The token of the next page is the key of the last row.
    pub(super) fn page(
        mut self,
        params: &Params,
        rules: &Rules,
        list: &str,
        row: impl Fn(T) -> Value,
    ) -> Result<Value, Refusal> {
        self.0.sort_by(|one, other| one.0.cmp(&other.0));
        let size = params.number("MaxResults")?;
        if let Some(size) = size.filter(|size| !rules::PAGE_SIZES.contains(size)) {
            return Err(bad_value("maxResults", &size.to_string()));
        }
        let after = params.get("NextToken").map(read_token).transpose()?;
        let size = match (size, &after) {
            (Some(_), None) if rules.short_pages => 0,
            (Some(size), _) if rules.short_pages => (size / 2).max(1),
            (size, _) => size.unwrap_or(usize::MAX),
        };
        let start = after.unwrap_or_default();
        let mut rest = self.0.into_iter().filter(|(key, _)| *key > start || start.is_empty()).peekable();
        let (mut rows, mut reached) = (Vec::new(), start.clone());
        while rows.len() < size
            && let Some((key, thing)) = rest.next()
        {
            rows.push(row(thing));
            reached = key;
        }
        let mut answer = json!({list: {"item": rows}});
        if let (true, Some(fields)) = (rest.peek().is_some(), answer.as_object_mut()) {
            fields.insert("nextToken".to_owned(), json!(STANDARD.encode(format!("after {reached}"))));
        }
        Ok(answer)
    }
}

fn read_token(token: &str) -> Result<String, Refusal> {
    let bytes = STANDARD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.strip_prefix("after ").map(str::to_owned));
    key.ok_or_else(|| rules::INVALID_PAGE.about(token))
}

/// Adds elements that no client knows, to every element but lists.
pub(super) fn add_unknown(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_unknown),
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown);
            if !fields.contains_key("item") {
                fields.insert("addedLater".to_owned(), json!({"item": [{"value": "which no client knows"}]}));
            }
        }
        _ => {}
    }
}

/// A refusal as an answer.
pub(super) fn refusal(refusal: &Refusal, service: Service) -> Value {
    let error = json!({"Code": refusal.code, "Message": refusal.message});
    match service {
        Service::Ec2 => json!({"Errors": {"Error": error}}),
        Service::Quotas => super::quotas::refusal(refusal),
        Service::Sts => {
            let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
            json!({"Error": {"Type": kind, "Code": refusal.code, "Message": refusal.message}})
        }
    }
}

/// The text of an answer. The fields of a success are in an order of the request's id: the vendor promises none.
pub(super) fn write(answer: Value, service: Service, action: &str, id: &str, refused: bool) -> String {
    let mut fields = match answer {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let sts = " xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
    let response = format!("{action}Response");
    let (root, attributes, seed) = match (service, refused) {
        (Service::Quotas, _) => return Value::Object(fields).to_string(),
        (Service::Ec2, true) => ("Response", "", None),
        (Service::Ec2, false) => (response.as_str(), " xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"", Some(id)),
        (Service::Sts, true) => ("ErrorResponse", sts, None),
        (Service::Sts, false) => (response.as_str(), sts, Some(id)),
    };
    match (service, refused) {
        (Service::Ec2, true) => fields.insert("RequestID".to_owned(), json!(id)),
        (Service::Ec2, false) => fields.insert("requestId".to_owned(), json!(id)),
        (Service::Sts, true) => fields.insert("RequestId".to_owned(), json!(id)),
        (Service::Sts, false) => fields.insert("ResponseMetadata".to_owned(), json!({"RequestId": id})),
        (Service::Quotas, _) => None,
    };
    XmlWriter::new(declaration, seed).document(root, attributes, &Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Rows<usize> {
        Rows((0..count).map(|n| (format!("ami-{n:02}"), n)).collect())
    }

    fn page(query: &str, rules: &Rules) -> Result<(Vec<u64>, Option<String>), String> {
        let answer =
            rows(12).page(&Params::new("", query), rules, "set", |n| json!(n)).map_err(|refusal| refusal.code)?;
        let items = answer["set"]["item"].as_array().unwrap().iter().map(|item| item.as_u64().unwrap()).collect();
        Ok((items, answer["nextToken"].as_str().map(str::to_owned)))
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let rules = Rules::default();
        let (first, token) = page("MaxResults=5", &rules).unwrap();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        let encode = |token: Option<String>| token.unwrap().replace('+', "%2B").replace('=', "%3D");
        let (second, token) = page(&format!("MaxResults=5&NextToken={}", encode(token)), &rules).unwrap();
        assert_eq!(second, [5, 6, 7, 8, 9]);
        let (third, token) = page(&format!("MaxResults=5&NextToken={}", encode(token)), &rules).unwrap();
        assert_eq!((third, token), (vec![10, 11], None));
        assert_eq!(page("", &rules).unwrap().0.len(), 12);
        for bad in ["MaxResults=4", "MaxResults=1001", "MaxResults=x"] {
            assert_eq!(page(bad, &rules).unwrap_err(), "InvalidParameterValue");
        }
        assert_eq!(page("NextToken=zzz", &rules).unwrap_err(), "InvalidPaginationToken");
    }

    #[test]
    fn short_pages_begin_with_an_empty_one_and_lose_nothing() {
        let rules = Rules { short_pages: true, ..Rules::default() };
        let (mut all, mut sizes, mut query) = (Vec::new(), Vec::new(), "MaxResults=6".to_owned());
        loop {
            let (items, token) = page(&query, &rules).unwrap();
            sizes.push(items.len());
            all.extend(items);
            let Some(token) = token else { break };
            query = format!("MaxResults=6&NextToken={}", token.replace('+', "%2B").replace('=', "%3D"));
        }
        assert_eq!((sizes, all.len()), (vec![0, 3, 3, 3, 3], 12));
    }

    #[test]
    fn refusals_are_worded_as_each_service_does() {
        let refused = rules::IMAGE_NOT_FOUND.refuse();
        let ec2 = write(refusal(&refused, Service::Ec2), Service::Ec2, "X", "ID", true);
        let error = "<Error><Code>InvalidAMIID.NotFound</Code><Message>The image id does not exist</Message></Error>";
        assert!(ec2.ends_with(&format!("<Response><Errors>{error}</Errors><RequestID>ID</RequestID></Response>")));
        let sts = write(refusal(&rules::EXPIRED_TOKEN.refuse(), Service::Sts), Service::Sts, "X", "ID", true);
        assert!(
            sts.contains("<Type>Sender</Type>") && sts.ends_with("<RequestId>ID</RequestId></ErrorResponse>"),
            "{sts}"
        );
    }

    #[test]
    fn unknown_elements_are_in_rows_and_not_in_lists() {
        let mut answer = json!({"set": {"item": [{"a": 1}]}});
        add_unknown(&mut answer);
        assert!(answer["addedLater"].is_object() && answer["set"]["item"][0]["addedLater"].is_object());
        assert!(answer["set"].get("addedLater").is_none());
    }
}
