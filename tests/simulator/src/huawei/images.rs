//! `GET /v2/cloudimages`: its filters, and which images pass them.

use super::answers;
use super::recipient::is_hex_id;
use super::rules;
use super::world::{ActiveFaults, Image, World};
use super::world_file::{Kind, MemberStatus, Status};
use crate::names::AccountId;
use crate::rules::Refusal;
use serde_json::{Value, json};

/// The query of a request, name by name; of a repeated name the first counts.
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// A parameter's value; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Refuses parameters other than these: none may be ignored without a word.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let stranger = self.0.iter().find(|(key, _)| !known.contains(&key.as_str()));
        stranger.map_or(Ok(()), |(key, _)| Err(bad(&format!("the simulator does not keep the filter {key}"))))
    }

    /// The size of a page.
    pub(super) fn limit(&self) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(rules::DEFAULT_PAGE) };
        let limit = text.parse().ok().filter(|limit| (1..=rules::MAX_PAGE).contains(limit));
        limit.ok_or_else(|| bad("limit"))
    }

    fn choice<T>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, Refusal>
    where
        T: Copy,
    {
        let Some(word) = self.get(name) else { return Ok(None) };
        let found = choices.iter().find(|(choice, _)| *choice == word);
        found.map(|(_, value)| Some(*value)).ok_or_else(|| bad(name))
    }
}

fn bad(what: &str) -> Refusal {
    rules::MALFORMED_BODY.about(what)
}

const KNOWN: [&str; 13] = [
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
];

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
}

/// The page of images a project asks for.
pub(super) fn list(world: &World, project: &AccountId, query: &Query) -> Result<Value, Refusal> {
    query.only(&KNOWN)?;
    let filter = Filter::read(query)?;
    let limit = query.limit()?;
    let seen = world.seen_by(project);
    let after = query.get("marker");
    if after.is_some_and(|marker| !seen.iter().any(|(image, _)| image.spec().id.as_str() == marker)) {
        return Err(rules::IMAGE_NOT_FOUND.about("marker"));
    }
    let shared = filter.sorts.contains(&Sort::Shared);
    let rows: Vec<_> = seen
        .into_iter()
        .filter(|(image, _)| after.is_none_or(|marker| image.spec().id.as_str() > marker))
        .filter(|(image, standing)| filter.keeps(world, project, image, *standing))
        .take(limit)
        .map(|(image, standing)| answers::image_row(image, standing, shared))
        .collect();
    Ok(json!({ "images": rows }))
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
        })
    }

    fn keeps(&self, world: &World, project: &AccountId, image: &Image, standing: ActiveFaults) -> bool {
        let spec = image.spec();
        self.has_status(world, project, image, standing)
            && self.sorts.iter().all(|sort| sort.holds(image, standing))
            && self.owner.as_ref().is_none_or(|owner| *owner == spec.project)
            && self.id.is_none_or(|id| id == spec.id.as_str())
            && self.name.is_none_or(|name| name == spec.name)
            && self.status.is_none_or(|status| status == spec.status)
            && self.environment.is_none_or(|word| word == answers::environment(spec.kind))
            && self.whole.is_none_or(|whole| whole == (spec.kind == Kind::FullServer))
            && self.protected.is_none_or(|protected| protected == spec.protected)
    }

    /// A received image is listed by the answers through which the project has it; `accepted` unless asked otherwise.
    /// Images of the project's own are no offers to it.
    fn has_status(&self, world: &World, project: &AccountId, image: &Image, standing: ActiveFaults) -> bool {
        let wanted = self.member_status.unwrap_or(MemberStatus::Accepted);
        match standing {
            ActiveFaults::Received => world.rows(image, project).any(|member| member.status == wanted),
            _ => wanted == MemberStatus::Accepted,
        }
    }
}

impl Sort {
    /// `shared` are received images and those shared by the project itself: told apart by their owner.
    fn holds(self, image: &Image, standing: ActiveFaults) -> bool {
        match self {
            Self::Gold => standing == ActiveFaults::Gold,
            Self::Market => standing == ActiveFaults::Market,
            Self::Public => matches!(standing, ActiveFaults::Gold | ActiveFaults::Market),
            Self::Private => standing == ActiveFaults::Own,
            Self::Shared => {
                standing == ActiveFaults::Received || (standing == ActiveFaults::Own && !image.members().is_empty())
            }
        }
    }
}
