//! Lists of images, the vendor's own and the native one: their filters and their order, and which images pass them.

use super::answers;
use super::query::{Query, bad};
use super::recipient::is_hex_id;
use super::rules;
use super::world::{Image, Relation, World};
use super::world_file::{ImageSpec, Kind, MemberStatus, Status};
use crate::chassis::names::AccountId;
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::cmp::Ordering;

/// The parameters of both lists besides [`FIELDS`].
const KNOWN: [&str; 19] = [
    "__imagetype",
    "visibility",
    "member_status",
    "owner",
    "id",
    "name",
    "status",
    "virtual_env_type",
    "__whole_image",
    "protected",
    "enterprise_project_id",
    "limit",
    "marker",
    "sort_key",
    "sort_dir",
    "tag",
    "flavor_id",
    "created_at",
    "updated_at",
];

/// Parameters of both lists that are compared with the fields of an image's row.
const FIELDS: [&str; 10] = [
    "min_disk",
    "min_ram",
    "architecture",
    "container_format",
    "disk_format",
    "__isregistered",
    "__os_bit",
    "__os_type",
    "__platform",
    "hw_firmware_type",
];

/// How the names of parameters begin that ask for what an image supports; no simulated one supports any of it.
const SUPPORT: &str = "__support_";

/// Which images a list shows by where they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Gold,
    Private,
    Shared,
    Market,
    /// Gold and Marketplace ones.
    Public,
}

/// Which images a list was asked for.
struct Filter<'a> {
    sorts: Vec<Sort>,
    member_status: Option<MemberStatus>,
    owner: Option<AccountId>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    status: Option<Status>,
    environment: Option<&'static str>,
    whole: Option<bool>,
    protected: Option<bool>,
    tag: Option<&'a str>,
    flavor: Option<&'a str>,
    created: Option<Time>,
    updated: Option<Time>,
    /// Fields of the row, with what they are to be.
    fields: Vec<(&'a str, &'a str)>,
}

/// Whether an ordering is that of an operator.
type Compares = fn(Ordering) -> bool;

/// A time that another one is compared with.
type Time = (Compares, Timestamp);

/// A page of images, and whether there is more.
pub(super) struct Page {
    pub(super) rows: Vec<Value>,
    pub(super) more: bool,
}

/// The page of images a project asks for.
pub(super) fn list(world: &World, project: &AccountId, query: &Query, limit: usize) -> Result<Page, Refusal> {
    let supported: Vec<_> = query.beginning(SUPPORT).map(|(name, _)| name).collect();
    query.only(&[&KNOWN[..], &FIELDS, &supported].concat(), rules::MALFORMED_BODY)?;
    let filter = Filter::read(query)?;
    let limit = query.limit(limit)?;
    let mut seen = world.seen_by(project);
    let order = order(query)?;
    seen.sort_by(|(one, _), (other, _)| order(one.spec(), other.spec()).then(one.spec().id.cmp(&other.spec().id)));
    if let Some(marker) = query.get("marker") {
        let at = seen.iter().position(|(image, _)| image.spec().id.as_str() == marker);
        seen.drain(..=at.ok_or_else(|| rules::IMAGE_NOT_FOUND.about("marker"))?);
    }
    let shared = filter.sorts.contains(&Sort::Shared);
    let mut rows: Vec<_> = seen
        .into_iter()
        .filter(|(image, relation)| filter.keeps(world, project, image, *relation))
        .map(|(image, relation)| answers::image_row(image, relation, shared))
        .filter(|row| filter.keeps_row(row))
        .take(limit + 1)
        .collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok(Page { rows, more })
}

/// How two images are ordered: by the key asked for, newest first unless asked otherwise (`sort_key` and `sort_dir` of the
/// list's page). Formats are alike in all.
fn order(query: &Query) -> Result<impl Fn(&ImageSpec, &ImageSpec) -> Ordering, Refusal> {
    type Compare = fn(&ImageSpec, &ImageSpec) -> Ordering;
    let keys: [(&str, Compare); 8] = [
        ("name", |one, other| one.name.cmp(&other.name)),
        ("status", |one, other| one.status.word().cmp(other.status.word())),
        ("id", |one, other| one.id.cmp(&other.id)),
        ("size", |one, other| one.size_gib.cmp(&other.size_gib)),
        ("created_at", |one, other| one.created.cmp(&other.created)),
        ("updated_at", |one, other| one.updated().cmp(&other.updated())),
        ("container_format", |_, _| Ordering::Equal),
        ("disk_format", |_, _| Ordering::Equal),
    ];
    let newest: Compare = |one, other| one.created.cmp(&other.created);
    let compare = query.choice("sort_key", &keys)?.unwrap_or(newest);
    let falling = query.choice("sort_dir", &[("asc", false), ("desc", true)])?.unwrap_or(true);
    Ok(move |one: &ImageSpec, other: &ImageSpec| {
        let order = compare(one, other);
        if falling { order.reverse() } else { order }
    })
}

/// `gt:`, `gte:`, `lt:`, `lte:`, `eq:` or `neq:` and a time.
fn time(query: &Query, name: &str) -> Result<Option<Time>, Refusal> {
    let operators: [(&str, Compares); 6] = [
        ("gt", Ordering::is_gt),
        ("gte", Ordering::is_ge),
        ("lt", Ordering::is_lt),
        ("lte", Ordering::is_le),
        ("eq", Ordering::is_eq),
        ("neq", Ordering::is_ne),
    ];
    let Some(text) = query.get(name) else { return Ok(None) };
    let (operator, time) = text.split_once(':').ok_or_else(|| bad(name))?;
    let operator = operators.iter().find(|(word, _)| *word == operator).ok_or_else(|| bad(name))?;
    let spaced = || DateTime::strptime("%Y-%m-%d %H:%M:%S", time).ok()?.to_zoned(TimeZone::UTC).ok();
    let time = time.parse().ok().or_else(|| spaced().map(|time| time.timestamp()));
    Ok(Some((operator.1, time.ok_or_else(|| bad(name))?)))
}

impl<'a> Filter<'a> {
    fn read(query: &'a Query) -> Result<Self, Refusal> {
        let kinds =
            [("gold", Sort::Gold), ("private", Sort::Private), ("shared", Sort::Shared), ("market", Sort::Market)];
        let visibilities = [("public", Sort::Public), ("private", Sort::Private), ("shared", Sort::Shared)];
        let visibility = query.choice("visibility", &visibilities)?;
        let words = [MemberStatus::Pending, MemberStatus::Accepted, MemberStatus::Rejected].map(|s| (s.word(), s));
        let member_status = query.choice("member_status", &words)?;
        if member_status.is_some() && visibility != Some(Sort::Shared) {
            return Err(bad("member_status needs visibility shared"));
        }
        let owner = query.get("owner");
        if owner.is_some_and(|owner| !is_hex_id(owner)) {
            return Err(bad("owner"));
        }
        if query.get("enterprise_project_id").is_some_and(|id| id != "0" && id != "all_granted_eps") {
            return Err(bad("the simulator has the default enterprise project only"));
        }
        let environments = ["FusionCompute", "DataImage", "Ironic", "IsoImage"].map(|word| (word, word));
        let flags = [("true", true), ("false", false)];
        Ok(Self {
            sorts: query.choice("__imagetype", &kinds)?.into_iter().chain(visibility).collect(),
            member_status,
            owner: owner.map(AccountId::from),
            id: query.get("id"),
            name: query.get("name"),
            status: query.get("status").map(|word| Status::from_word(word).ok_or_else(|| bad("status"))).transpose()?,
            environment: query.choice("virtual_env_type", &environments)?,
            whole: query.choice("__whole_image", &flags)?,
            protected: query.choice("protected", &flags)?,
            tag: query.get("tag"),
            flavor: query.get("flavor_id"),
            created: time(query, "created_at")?,
            updated: time(query, "updated_at")?,
            fields: FIELDS
                .iter()
                .filter_map(|name| Some((*name, query.get(name)?)))
                .chain(query.beginning(SUPPORT))
                .collect(),
        })
    }

    fn keeps(&self, world: &World, project: &AccountId, image: &Image, relation: Relation) -> bool {
        let spec = image.spec();
        self.has_status(world, project, image, relation)
            && self.sorts.iter().all(|sort| sort.holds(image, relation))
            && self.owner.as_ref().is_none_or(|owner| *owner == spec.project)
            && self.id.is_none_or(|id| id == spec.id.as_str())
            && self.name.is_none_or(|name| name == spec.name)
            && self.status.is_none_or(|status| status == spec.status)
            && self.environment.is_none_or(|word| word == answers::environment(spec.kind))
            && self.whole.is_none_or(|whole| whole == (spec.kind == Kind::FullServer))
            && self.protected.is_none_or(|protected| protected == spec.protected)
            && self.tag.is_none_or(|tag| spec.has_tag(tag))
            && self.flavor.is_none_or(|flavor| !is_arm(flavor))
            && is_timely(self.created, spec.created)
            && is_timely(self.updated, spec.updated())
    }

    /// Whether the fields of a row are what they are to be; one that is not there is `false` where a flag is asked for.
    fn keeps_row(&self, row: &Value) -> bool {
        let text = |name: &str| match row.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "false".to_owned(),
        };
        self.fields.iter().all(|(name, wanted)| text(name) == *wanted)
    }

    /// A received image is listed by the answers through which the project has it; `accepted` unless asked otherwise.
    /// Images of the project's own are no offers to it.
    fn has_status(&self, world: &World, project: &AccountId, image: &Image, relation: Relation) -> bool {
        let wanted = self.member_status.unwrap_or(MemberStatus::Accepted);
        match relation {
            Relation::Received => world.rows(image, project).any(|member| member.status == wanted),
            _ => wanted == MemberStatus::Accepted,
        }
    }
}

impl Sort {
    /// `shared` are received images and those shared by the project itself: told apart by their owner.
    fn holds(self, image: &Image, relation: Relation) -> bool {
        match self {
            Self::Gold => relation == Relation::Gold,
            Self::Market => relation == Relation::Market,
            Self::Public => matches!(relation, Relation::Gold | Relation::Market),
            Self::Private => relation == Relation::Own,
            Self::Shared => {
                relation == Relation::Received || (relation == Relation::Own && !image.members().is_empty())
            }
        }
    }
}

/// Whether servers of a flavour have processors that no simulated image is for. Those of Kunpeng begin with a `k` (the vendor's
/// page on flavours); what else keeps an image from a flavour is not simulated.
fn is_arm(flavor: &str) -> bool {
    flavor.starts_with('k')
}

fn is_timely(asked: Option<Time>, time: Option<Timestamp>) -> bool {
    asked.is_none_or(|(holds, other)| time.is_some_and(|time| holds(time.cmp(&other))))
}
