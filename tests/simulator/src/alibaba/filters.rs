//! The filters of `DescribeImages`, and which images pass them.

use super::answers::{self, ARCHITECTURE, OS_TYPE};
use super::params::Params;
use super::rules;
use super::world::{Image, Relation};
use super::world_file::{ImageSpec, Status};
use crate::chassis::names::{AccountId, ImageId};
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The parameters of `DescribeImages`. `InstanceType` and `ActionType` are not among them: which instance type takes which
/// image is not simulated.
pub(super) const FILTERS: [&str; 21] = [
    "PageNumber",
    "PageSize",
    "DryRun",
    "ImageId",
    "ImageName",
    "ImageFamily",
    "ImageOwnerAlias",
    "ImageOwnerId",
    "IsPublic",
    "Status",
    "SnapshotId",
    "Usage",
    "OSType",
    "Architecture",
    "IsSupportIoOptimized",
    "IsSupportCloudinit",
    "ResourceGroupId",
    "ShowExpired",
    "Usable",
    "Tag",
    "Filter",
];

/// Which images `DescribeImages` was asked for.
pub(super) struct ImageFilter {
    pub(super) ids: Option<BTreeSet<ImageId>>,
    name: Option<String>,
    alias: Option<String>,
    owner: Option<AccountId>,
    statuses: Option<Vec<Status>>,
    community: bool,
    family: Option<String>,
    group: Option<String>,
    snapshot: Option<String>,
    usage: Option<String>,
    tags: Vec<(String, Option<String>)>,
    created_from: Option<Timestamp>,
    created_to: Option<Timestamp>,
    /// Whether something is asked of the images that none of the simulated ones is: another system, say.
    impossible: bool,
}

impl ImageFilter {
    pub(super) fn read(params: &Params) -> Result<Self, Refusal> {
        let text = |name| params.get(name).map(str::to_owned);
        let alias = text("ImageOwnerAlias");
        if alias.as_deref().is_some_and(|alias| !["self", "others", "system", "marketplace"].contains(&alias)) {
            return Err(rules::INVALID_ALIAS.refuse());
        }
        let community = params.flag("IsPublic")?.unwrap_or_default();
        if community && alias.as_deref() != Some("others") {
            return Err(rules::INVALID_PARAMETER.about("IsPublic needs ImageOwnerAlias others"));
        }
        let list = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect::<Vec<_>>();
        let statuses = match params.get("Status").unwrap_or("Available") {
            "ALL" => None,
            words => {
                let statuses: Option<_> = list(words).iter().map(|word| Status::from_word(word)).collect();
                Some(statuses.ok_or_else(|| rules::INVALID_PARAMETER.about("Status"))?)
            }
        };
        let [created_from, created_to] = created(params)?;
        Ok(Self {
            ids: params.get("ImageId").map(|ids| list(ids).iter().map(|id| ImageId::from(id.as_str())).collect()),
            name: text("ImageName"),
            alias,
            owner: params.get("ImageOwnerId").map(AccountId::from),
            statuses,
            community,
            family: text("ImageFamily"),
            group: text("ResourceGroupId"),
            snapshot: text("SnapshotId"),
            usage: choice(params, "Usage", &["instance", "none"])?.map(str::to_owned),
            tags: params.rows("Tag"),
            created_from,
            created_to,
            impossible: asks_the_impossible(params)?,
        })
    }

    pub(super) fn keeps(&self, image: &Image, relation: Relation) -> bool {
        let spec = image.spec();
        self.is_from(spec, relation)
            && !self.impossible
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&spec.id))
            && self.name.as_ref().is_none_or(|name| is_like(&spec.name, name))
            && self.owner.as_ref().is_none_or(|owner| *owner == spec.owner)
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&spec.status))
            && self.family.as_ref().is_none_or(|family| *family == spec.family)
            && self.group.as_ref().is_none_or(|group| *group == spec.resource_group)
            && self.usage.as_ref().is_none_or(|usage| usage == answers::usage(spec))
            && self.snapshot.as_ref().is_none_or(|id| has_snapshot(spec, id))
            && has_tags(spec, &self.tags)
            && self.created_from.is_none_or(|from| spec.created.is_some_and(|created| created >= from))
            && self.created_to.is_none_or(|to| spec.created.is_some_and(|created| created <= to))
    }

    fn is_from(&self, spec: &ImageSpec, relation: Relation) -> bool {
        let alias = match relation {
            Relation::Own => "self",
            Relation::Received => "others",
            Relation::Community => "",
            Relation::System => "system",
            Relation::Marketplace => "marketplace",
        };
        // Without an alias the Marketplace stays out; with IsPublic only community images come, own ones excepted.
        match self.alias.as_deref() {
            None => relation != Relation::Marketplace && relation != Relation::Community,
            Some("others") if self.community => spec.public && relation != Relation::Own,
            Some(wanted) => wanted == alias,
        }
    }
}

/// "Fuzzy search is supported" (`DescribeImages` page, `ImageName`): the name holds what is asked, `*` meaning anything
/// between. In which case, and whether an asterisk anchors, no page says.
fn is_like(name: &str, asked: &str) -> bool {
    let mut rest = name;
    asked.split('*').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn has_snapshot(spec: &ImageSpec, id: &str) -> bool {
    spec.disks.iter().zip('a'..='z').any(|(_, letter)| answers::snapshot(spec, letter) == id)
}

/// Whether an image has all of these tags; one without a value asks for its key only.
pub(super) fn has_tags(spec: &ImageSpec, wanted: &[(String, Option<String>)]) -> bool {
    let has = |(key, value): &(String, Option<String>)| {
        spec.tags.get(key).is_some_and(|own| value.as_ref().is_none_or(|value| value.is_empty() || value == own))
    };
    wanted.iter().all(has)
}

fn choice<'a>(params: &'a Params, name: &str, words: &[&str]) -> Result<Option<&'a str>, Refusal> {
    match params.get(name) {
        Some(word) if !words.contains(&word) => Err(rules::INVALID_PARAMETER.about(name)),
        word => Ok(word),
    }
}

/// What all simulated images are alike in: their system, their architecture, what they support. None has expired.
fn asks_the_impossible(params: &Params) -> Result<bool, Refusal> {
    let system = choice(params, "OSType", &["linux", "windows"])?;
    let architecture = choice(params, "Architecture", &["i386", "x86_64", "arm64"])?;
    params.flag("ShowExpired")?;
    let mut unlike = system.is_some_and(|system| system != OS_TYPE);
    unlike |= architecture.is_some_and(|architecture| architecture != ARCHITECTURE);
    for flag in ["IsSupportIoOptimized", "IsSupportCloudinit", "Usable"] {
        unlike |= params.flag(flag)? == Some(false);
    }
    Ok(unlike)
}

/// `Filter.N`: between which times an image was made.
fn created(params: &Params) -> Result<[Option<Timestamp>; 2], Refusal> {
    let rows = params.rows("Filter");
    if let Some((key, _)) = rows.iter().find(|(key, _)| key != "CreationStartTime" && key != "CreationEndTime") {
        return Err(rules::UNSUPPORTED_PARAMETER.about(&format!("Filter {key}")));
    }
    let at = |wanted: &str| {
        let row = rows.iter().find(|(key, _)| key == wanted);
        let value = row.map(|(_, value)| value.clone().unwrap_or_default());
        // The page writes them to the minute or to the second.
        let parse = |text: String| {
            let seconds = text.strip_suffix('Z').map(|text| format!("{text}:00Z")).unwrap_or_default();
            let time = text.parse::<Timestamp>().or_else(|_| seconds.parse());
            time.map_err(|_| rules::INVALID_PARAMETER.about(&format!("Filter {wanted}")))
        };
        value.map(parse).transpose()
    };
    Ok([at("CreationStartTime")?, at("CreationEndTime")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_a_part_of_them_and_by_asterisks() {
        for asked in ["golden", "golden-ubuntu", "ubuntu", "golden-*", "g*u*", "*"] {
            assert!(is_like("golden-ubuntu", asked), "{asked}");
        }
        for asked in ["golden-debian", "ubuntu*golden", "Golden"] {
            assert!(!is_like("golden-ubuntu", asked), "{asked}");
        }
    }
}
