//! Documents by which clients find their way: versions, the catalog of a token, schemas. Addresses are those by which the
//! client came.

use super::route::Version;
use super::rules;
use crate::chassis::names::RegionId;
use crate::chassis::refusal::Refusal;
use serde_json::{Map, Value, json};

/// A version document.
pub(super) fn version(version: Version, origin: &str) -> Value {
    let links = |path: &str| json!([{"rel": "self", "href": format!("{origin}{path}")}]);
    // Glance tells of minor versions; which those of the vendor are is unconfirmed.
    let image = json!({"id": "v2.0", "status": "CURRENT", "links": links("/v2/")});
    match version {
        Version::Image => json!({"versions": [image]}),
        Version::ImageV2 => json!({"version": image}),
        Version::IdentityV3 => json!({"version": {
            "id": "v3.6", "status": "stable", "updated": "2016-04-04T00:00:00Z", "links": links("/v3/"),
            "media-types": [{"type": "application/vnd.openstack.identity-v3+json", "base": "application/json"}],
        }}),
    }
}

/// The catalog of a token: the identity service of all regions, and the image service of its own.
pub(super) fn of_token(origin: &str, region: Option<&RegionId>) -> Value {
    let entry = |kind: &str, name: &str, region: &str, path: &str| {
        let id = format!("{name}-{region}");
        let endpoint = json!({
            "id": id, "interface": "public", "region": region, "region_id": region, "url": format!("{origin}{path}"),
        });
        json!({"id": name, "type": kind, "name": name, "endpoints": [endpoint]})
    };
    let mut catalog = vec![entry("identity", "iam", "*", "/v3")];
    catalog.extend(region.map(|region| entry("image", "ims", region.as_str(), "")));
    Value::Array(catalog)
}

/// A schema: `image`, `images`, `member` or `members`.
pub(super) fn schema(name: &str) -> Result<Value, Refusal> {
    let image = ["id", "name", "status", "visibility", "owner", "container_format", "disk_format", "created_at"];
    let member = ["image_id", "member_id", "member_type", "status", "created_at", "updated_at", "schema"];
    let one = |name: &str, fields: &[&str]| {
        let properties: Map<_, _> =
            fields.iter().map(|field| ((*field).to_owned(), json!({"type": "string"}))).collect();
        json!({"name": name, "properties": properties, "additionalProperties": {"type": "string"}})
    };
    let many = |name: &str, item: Value| {
        let list = json!({"type": "array", "items": item});
        let text = json!({"type": "string"});
        json!({"name": name, "properties": {name: list, "schema": text, "first": text, "next": text}})
    };
    match name {
        "image" => Ok(one(name, &image)),
        "images" => Ok(many(name, one("image", &image))),
        "member" => Ok(one(name, &member)),
        "members" => Ok(many(name, one("member", &member))),
        _ => Err(rules::API_NOT_FOUND.refuse()),
    }
}
