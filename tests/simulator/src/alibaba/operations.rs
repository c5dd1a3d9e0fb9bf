//! The operations simulated: ECS 2014-05-26 on images and regions, STS 2015-04-01 `GetCallerIdentity`. Each turns
//! parameters into a step of the world and the vendor's answer.

use super::answers::{self, Page};
use super::authentication::Caller;
use super::params::Params;
use crate::journal::Asked;
use crate::names::{AccountId, ImageId, RegionId};
use crate::rules::{self, Refusal};
use crate::world::{CopyRequest, Effect, Image, Relation, SharingChange, World};
use crate::world_file::Status;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Filters of `DescribeImages` that are not simulated, and are refused rather than ignored.
const FILTERS_NOT_KEPT: [&str; 15] = [
    "ImageFamily",
    "SnapshotId",
    "Usage",
    "OSType",
    "Architecture",
    "InstanceType",
    "ActionType",
    "IsSupportIoOptimized",
    "IsSupportCloudinit",
    "ResourceGroupId",
    "ShowExpired",
    "Usable",
    "Tag",
    "Filter",
    "DryRun",
];

/// Parameters of `CopyImage` that are not simulated, and are refused rather than ignored.
const COPY_NOT_KEPT: [&str; 3] = ["ResourceGroupId", "Tag", "EncryptAlgorithm"];

/// An operation the simulator offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    DescribeImages,
    DescribeImageSharePermission,
    ModifyImageSharePermission,
    DeleteImage,
    CopyImage,
    CancelCopyImage,
    DescribeRegions,
    GetCallerIdentity,
}

impl Operation {
    /// The operation of an action in a version.
    pub(super) fn find(action: &str, version: &str) -> Result<Self, Refusal> {
        match (version, action) {
            ("2014-05-26", "DescribeImages") => Ok(Self::DescribeImages),
            ("2014-05-26", "DescribeImageSharePermission") => Ok(Self::DescribeImageSharePermission),
            ("2014-05-26", "ModifyImageSharePermission") => Ok(Self::ModifyImageSharePermission),
            ("2014-05-26", "DeleteImage") => Ok(Self::DeleteImage),
            ("2014-05-26", "CopyImage") => Ok(Self::CopyImage),
            ("2014-05-26", "CancelCopyImage") => Ok(Self::CancelCopyImage),
            ("2014-05-26", "DescribeRegions") => Ok(Self::DescribeRegions),
            ("2015-04-01", "GetCallerIdentity") => Ok(Self::GetCallerIdentity),
            _ => Err(rules::INVALID_ACTION.about(&format!("{action} of {version}"))),
        }
    }
}

/// What a request for a copy asks, as it came; an unreadable flag counts as absent.
fn copy_request(params: &Params) -> CopyRequest {
    let text = |name| params.get(name).map(str::to_owned);
    CopyRequest {
        destination: params.get("DestinationRegionId").map(RegionId::from),
        name: text("DestinationImageName"),
        description: text("DestinationDescription"),
        encrypted: params.flag("Encrypted").ok().flatten(),
        kms_key: text("KMSKeyId"),
        client_token: text("ClientToken"),
        dry_run: params.flag("DryRun").ok().flatten().unwrap_or_default(),
    }
}

/// What a request asks as far as the journal and the weather care; unreadable flags count as false here.
pub(super) fn asked(action: &str, params: &Params) -> Asked {
    let flag = |name| params.flag(name).ok().flatten();
    Asked {
        add: params.accounts("AddAccount"),
        remove: params.accounts("RemoveAccount"),
        force: flag("Force").unwrap_or_default(),
        dry_run: flag("DryRun").unwrap_or_default(),
        is_public: flag("IsPublic"),
        copy: (action == "CopyImage").then(|| copy_request(params)),
        ..Asked::default()
    }
}

/// One authenticated request on its way to the world.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) caller: &'a Caller,
    pub(super) params: &'a Params,
    pub(super) now: Timestamp,
    /// The instant whose sharing `DescribeImageSharePermission` shows; `now` but for the weather.
    pub(super) sharing_as_of: Timestamp,
}

impl Call<'_> {
    /// Takes the step: the answer without its request id, and what changed.
    pub(super) fn perform(&self, world: &mut World) -> Result<(Value, Effect), Refusal> {
        let unchanged = |answer| (answer, Effect::default());
        let changed = |effect| (json!({}), effect);
        match self.operation {
            Operation::DescribeImages => self.describe_images(world).map(unchanged),
            Operation::DescribeImageSharePermission => self.describe_sharing(world).map(unchanged),
            Operation::DescribeRegions => Ok(unchanged(self.describe_regions(world))),
            Operation::GetCallerIdentity => Ok(unchanged(self.identity())),
            Operation::ModifyImageSharePermission => self.modify_sharing(world).map(changed),
            Operation::DeleteImage => self.delete_image(world).map(changed),
            Operation::CopyImage => self.copy_image(world),
            Operation::CancelCopyImage => self.cancel_copy(world).map(changed),
        }
    }

    fn modify_sharing(&self, world: &mut World) -> Result<Effect, Refusal> {
        let (region, image) = (self.params.region()?, self.params.image()?);
        let change = SharingChange {
            add: self.params.accounts("AddAccount"),
            remove: self.params.accounts("RemoveAccount"),
            public: self.params.flag("IsPublic")?,
            dry_run: self.params.flag("DryRun")?.unwrap_or_default(),
        };
        world.modify_sharing(&self.caller.account, &region, &image, &change, self.now)
    }

    fn delete_image(&self, world: &mut World) -> Result<Effect, Refusal> {
        let (region, image) = (self.params.region()?, self.params.image()?);
        let flag = |name| self.params.flag(name).map(Option::unwrap_or_default);
        world.delete_image(&self.caller.account, &region, &image, flag("Force")?, flag("DryRun")?, self.now)
    }

    fn copy_image(&self, world: &mut World) -> Result<(Value, Effect), Refusal> {
        let (region, id) = (self.params.region()?, self.params.image()?);
        if let Some(name) = self.params.given(&COPY_NOT_KEPT) {
            return Err(rules::UNSUPPORTED_PARAMETER.about(name));
        }
        self.params.flag("Encrypted")?;
        self.params.flag("DryRun")?;
        let request = copy_request(self.params);
        let sound = |token: &String| token.is_ascii() && token.len() <= rules::MAX_CLIENT_TOKEN;
        if !request.client_token.as_ref().is_none_or(sound) {
            return Err(rules::INVALID_PARAMETER.about("ClientToken"));
        }
        let (image, effect) = world.copy_image(&self.caller.account, &region, &id, &request, self.now)?;
        Ok((json!({ "ImageId": image }), effect))
    }

    fn cancel_copy(&self, world: &mut World) -> Result<Effect, Refusal> {
        world.cancel_copy(&self.caller.account, &self.params.region()?, &self.params.image()?, self.now)
    }

    fn describe_sharing(&self, world: &World) -> Result<Value, Refusal> {
        let (region, id, page) = (self.params.region()?, self.params.image()?, self.params.page()?);
        let image = world.owned(&self.caller.account, &region, &id)?;
        let rows = image.grants_at(self.sharing_as_of).iter().map(answers::recipient_row).collect();
        let rest = json!({"RegionId": region, "ImageId": id, "ShareGroups": {"ShareGroup": []}});
        Ok(Page::of(rows, page).answer("Accounts", "Account", rest))
    }

    fn describe_images(&self, world: &World) -> Result<Value, Refusal> {
        let (region, page) = (self.params.region()?, self.params.page()?);
        if let Some(name) = self.params.given(&FILTERS_NOT_KEPT) {
            return Err(rules::UNSUPPORTED_PARAMETER.about(name));
        }
        let filter = ImageFilter::read(self.params)?;
        let seen = match &filter.ids {
            Some(ids) => world.seen_of(&self.caller.account, &region, ids)?,
            None => world.seen_by(&self.caller.account, &region)?,
        };
        let kept = seen.into_iter().filter(|(image, relation)| filter.keeps(image, *relation));
        let rows = kept.map(|(image, relation)| answers::image_row(image, relation)).collect();
        Ok(Page::of(rows, page).answer("Images", "Image", json!({"RegionId": region})))
    }

    fn describe_regions(&self, world: &World) -> Value {
        let row = |region| {
            let endpoint = format!("ecs.{region}.aliyuncs.com");
            json!({"RegionId": region, "RegionEndpoint": endpoint, "LocalName": region, "Status": "available"})
        };
        let rows: Vec<_> = world.regions(&self.caller.account).into_iter().map(row).collect();
        json!({"Regions": {"Region": rows}})
    }

    /// An account's lasting key is taken for its root's, a temporary one for a role's; users are not simulated.
    fn identity(&self) -> Value {
        let account = self.caller.account.as_str();
        if self.caller.temporary {
            let role = format!("3{account}");
            return json!({
                "AccountId": account, "Arn": format!("acs:ram::{account}:assumed-role/simulated/session"),
                "IdentityType": "AssumedRoleUser", "PrincipalId": format!("{role}:session"), "RoleId": role,
            });
        }
        json!({
            "AccountId": account, "Arn": format!("acs:ram::{account}:root"), "IdentityType": "Account",
            "PrincipalId": account, "UserId": account,
        })
    }
}

/// Which images `DescribeImages` was asked for.
struct ImageFilter {
    ids: Option<BTreeSet<ImageId>>,
    /// As the whole name; the vendor's own search is a fuzzy one.
    name: Option<String>,
    alias: Option<String>,
    owner: Option<AccountId>,
    statuses: Option<Vec<Status>>,
    community: bool,
}

impl ImageFilter {
    fn read(params: &Params) -> Result<Self, Refusal> {
        let alias = params.get("ImageOwnerAlias").map(str::to_owned);
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
        let owner = params.get("ImageOwnerId").map(AccountId::from);
        let name = params.get("ImageName").map(str::to_owned);
        let ids = params.get("ImageId").map(|text| list(text).iter().map(|id| ImageId::from(id.as_str())).collect());
        Ok(Self { ids, name, alias, owner, statuses, community })
    }

    fn keeps(&self, image: &Image, relation: Relation) -> bool {
        let spec = image.spec();
        let alias = match relation {
            Relation::Own => "self",
            Relation::Received => "others",
            Relation::Community => "",
            Relation::System => "system",
            Relation::Marketplace => "marketplace",
        };
        // Without an alias the Marketplace stays out; with IsPublic only community images come, own ones excepted.
        let wanted = match self.alias.as_deref() {
            None => relation != Relation::Marketplace && relation != Relation::Community,
            Some("others") if self.community => spec.public && relation != Relation::Own,
            Some(wanted) => wanted == alias,
        };
        wanted
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&spec.id))
            && self.name.as_ref().is_none_or(|name| *name == spec.name)
            && self.owner.as_ref().is_none_or(|owner| *owner == spec.owner)
            && self.statuses.as_ref().is_none_or(|statuses| statuses.contains(&spec.status))
    }
}
