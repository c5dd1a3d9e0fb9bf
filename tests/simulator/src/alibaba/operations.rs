//! The operations simulated: ECS 2014-05-26 on images, their tags and regions, STS 2015-04-01 `GetCallerIdentity`,
//! `AssumeRole` and `AssumeRoleWithOIDC`, the location service 2015-06-12 `DescribeEndpoints`. Each turns parameters into a step of the world and the vendor's answer. Parameters without effect are refused.

use super::answers::{self, Page};
use super::authentication::Caller;
use super::filters::{FILTERS, ImageFilter};
use super::params::Params;
use super::world::{Attributes, Making, SharingChange, World};
use super::world_file::Status;
use super::{Cloud, rules, sts, tags};
use crate::chassis::effect::{Asked, CopyRequest, Effect};
use crate::chassis::exchange::Fresh;
use crate::chassis::names::RegionId;
use crate::chassis::refusal::Refusal;
use jiff::Timestamp;
use serde_json::{Value, json};

/// An operation the simulator offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    DescribeImages,
    DescribeImageSharePermission,
    ModifyImageSharePermission,
    ModifyImageAttribute,
    DeleteImage,
    CreateImage,
    CopyImage,
    CancelCopyImage,
    TagResources,
    UntagResources,
    ListTagResources,
    DescribeTags,
    DescribeRegions,
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithOidc,
    DescribeEndpoints,
}

impl Operation {
    /// The operation of an action in a version.
    pub(super) fn find(action: &str, version: &str) -> Result<Self, Refusal> {
        Ok(match (version, action) {
            ("2014-05-26", "DescribeImages") => Self::DescribeImages,
            ("2014-05-26", "DescribeImageSharePermission") => Self::DescribeImageSharePermission,
            ("2014-05-26", "ModifyImageSharePermission") => Self::ModifyImageSharePermission,
            ("2014-05-26", "ModifyImageAttribute") => Self::ModifyImageAttribute,
            ("2014-05-26", "DeleteImage") => Self::DeleteImage,
            ("2014-05-26", "CreateImage") => Self::CreateImage,
            ("2014-05-26", "CopyImage") => Self::CopyImage,
            ("2014-05-26", "CancelCopyImage") => Self::CancelCopyImage,
            ("2014-05-26", "TagResources") => Self::TagResources,
            ("2014-05-26", "UntagResources") => Self::UntagResources,
            ("2014-05-26", "ListTagResources") => Self::ListTagResources,
            ("2014-05-26", "DescribeTags") => Self::DescribeTags,
            ("2014-05-26", "DescribeRegions") => Self::DescribeRegions,
            ("2015-04-01", "GetCallerIdentity") => Self::GetCallerIdentity,
            ("2015-04-01", "AssumeRole") => Self::AssumeRole,
            ("2015-04-01", "AssumeRoleWithOIDC") => Self::AssumeRoleWithOidc,
            ("2015-06-12", "DescribeEndpoints") => Self::DescribeEndpoints,
            _ => return Err(rules::ACTION_NOT_FOUND.refuse()),
        })
    }

    /// The parameters that have an effect, besides those every request may carry.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::DescribeImages => &FILTERS,
            Self::DescribeImageSharePermission => &["ImageId", "PageNumber", "PageSize"],
            Self::ModifyImageSharePermission => &["ImageId", "AddAccount", "RemoveAccount", "IsPublic", "DryRun"],
            Self::ModifyImageAttribute => {
                &["ImageId", "ImageName", "Description", "ImageFamily", "Status", "Features.NvmeSupport", "DryRun"]
            }
            Self::DeleteImage => &["ImageId", "Force", "DryRun"],
            Self::CreateImage => &[
                "InstanceId",
                "SnapshotId",
                "ImageName",
                "Description",
                "ImageFamily",
                "Architecture",
                "ResourceGroupId",
                "Tag",
                "ClientToken",
                "DryRun",
            ],
            Self::CopyImage => &[
                "ImageId",
                "DestinationRegionId",
                "DestinationImageName",
                "DestinationDescription",
                "Encrypted",
                "KMSKeyId",
                "ClientToken",
                "ResourceGroupId",
                "Tag",
                "DryRun",
            ],
            Self::CancelCopyImage => &["ImageId"],
            Self::TagResources => &["ResourceType", "ResourceId", "Tag"],
            Self::UntagResources => &["ResourceType", "ResourceId", "TagKey", "All"],
            Self::ListTagResources => &["ResourceType", "ResourceId", "Tag", "NextToken"],
            Self::DescribeTags => &["ResourceType", "ResourceId", "Tag", "PageNumber", "PageSize"],
            // The language of the names, of which there is one.
            Self::DescribeRegions => &["AcceptLanguage"],
            Self::GetCallerIdentity => &[],
            // A policy, which narrows a session, is not among them: what callers may do is not simulated.
            Self::DescribeEndpoints => &["Id", "ServiceCode", "Type"],
            Self::AssumeRole => &["RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"],
            Self::AssumeRoleWithOidc => {
                &["RoleArn", "OIDCProviderArn", "OIDCToken", "RoleSessionName", "DurationSeconds"]
            }
        }
    }
}

/// What a request for a copy asks, as it came; an unreadable flag or tag counts as absent.
fn copy_request(params: &Params) -> CopyRequest {
    let text = |name| params.get(name).map(str::to_owned);
    CopyRequest {
        destination: params.get("DestinationRegionId").map(RegionId::from),
        name: text("DestinationImageName"),
        description: text("DestinationDescription"),
        encrypted: params.flag("Encrypted").ok().flatten(),
        kms_key: text("KMSKeyId"),
        client_token: text("ClientToken"),
        tags: params.tags().unwrap_or_default(),
        resource_group: text("ResourceGroupId"),
        dry_run: params.flag("DryRun").ok().flatten().unwrap_or_default(),
    }
}

/// What a request asks as far as the journal and injected faults need it; unreadable flags count as false here.
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
    pub(super) fresh: &'a Fresh,
    pub(super) now: Timestamp,
    /// The instant whose sharing `DescribeImageSharePermission` shows; `now` but for injected lag.
    pub(super) sharing_as_of: Timestamp,
}

impl Call<'_> {
    /// Takes the step: the answer without its request id, and what changed.
    pub(super) fn perform(&self, cloud: &mut Cloud) -> Result<(Value, Effect), Refusal> {
        let unchanged = |answer| (answer, Effect::default());
        let changed = |effect| (json!({}), effect);
        self.params.only(self.operation.parameters())?;
        let Cloud { world, sessions, .. } = cloud;
        match self.operation {
            Operation::DescribeImages => self.describe_images(world).map(unchanged),
            Operation::DescribeImageSharePermission => self.describe_sharing(world).map(unchanged),
            Operation::DescribeRegions => Ok(unchanged(self.describe_regions(world))),
            Operation::DescribeEndpoints => self.describe_endpoints(world).map(unchanged),
            Operation::GetCallerIdentity => Ok(unchanged(sts::identity(self.caller))),
            Operation::AssumeRole => sessions.assume_role(self, world).map(unchanged),
            Operation::AssumeRoleWithOidc => sessions.assume_role_with_oidc(self, world).map(unchanged),
            Operation::ModifyImageSharePermission => self.modify_sharing(world).map(changed),
            Operation::ModifyImageAttribute => self.modify_attributes(world).map(changed),
            Operation::DeleteImage => self.delete_image(world).map(changed),
            Operation::CreateImage => self.create_image(world),
            Operation::CopyImage => self.copy_image(world),
            Operation::CancelCopyImage => self.cancel_copy(world).map(changed),
            Operation::TagResources => tags::tag(world, &self.caller.account, self.params).map(changed),
            Operation::UntagResources => tags::untag(world, &self.caller.account, self.params).map(changed),
            Operation::ListTagResources => tags::list(world, &self.caller.account, self.params).map(unchanged),
            Operation::DescribeTags => tags::describe(world, &self.caller.account, self.params).map(unchanged),
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

    fn modify_attributes(&self, world: &mut World) -> Result<Effect, Refusal> {
        let (region, image) = (self.params.region()?, self.params.image()?);
        // The Terraform provider repeats what an image supports; no simulated one supports NVMe.
        if self.params.get("Features.NvmeSupport").is_some_and(|word| word != answers::NVME) {
            return Err(rules::UNSUPPORTED_PARAMETER.about("Features.NvmeSupport"));
        }
        let text = |name| self.params.get(name).map(str::to_owned);
        let settable = |word| Status::from_word(word).filter(|s| matches!(s, Status::Available | Status::Deprecated));
        let status = self
            .params
            .get("Status")
            .map(|word| settable(word).ok_or_else(|| rules::INVALID_PARAMETER.about("Status")));
        let change = Attributes {
            name: text("ImageName"),
            description: text("Description"),
            family: text("ImageFamily"),
            status: status.transpose()?,
            dry_run: self.params.flag("DryRun")?.unwrap_or_default(),
        };
        world.modify_attributes(&self.caller.account, &region, &image, change)
    }

    fn delete_image(&self, world: &mut World) -> Result<Effect, Refusal> {
        let (region, image) = (self.params.region()?, self.params.image()?);
        let flag = |name| self.params.flag(name).map(Option::unwrap_or_default);
        world.delete_image(&self.caller.account, &region, &image, flag("Force")?, flag("DryRun")?, self.now)
    }

    fn create_image(&self, world: &mut World) -> Result<(Value, Effect), Refusal> {
        let (region, text) = (self.params.region()?, |name| self.params.get(name).map(str::to_owned));
        if self.params.get("Architecture").is_some_and(|word| word != answers::ARCHITECTURE) {
            return Err(rules::INVALID_PARAMETER.about("Architecture: every image of the simulator is x86_64"));
        }
        let making = Making {
            instance: text("InstanceId"),
            snapshot: text("SnapshotId"),
            name: text("ImageName"),
            description: text("Description"),
            family: text("ImageFamily").unwrap_or_default(),
            resource_group: text("ResourceGroupId").unwrap_or_default(),
            tags: self.params.tags()?,
            client_token: self.client_token()?,
            dry_run: self.params.flag("DryRun")?.unwrap_or_default(),
        };
        let (image, effect) = world.make_image(&self.caller.account, &region, making, self.now)?;
        Ok((json!({ "ImageId": image }), effect))
    }

    /// The token by which a repetition is known.
    fn client_token(&self) -> Result<Option<String>, Refusal> {
        let token = self.params.get("ClientToken");
        let sound = |token: &str| token.is_ascii() && token.len() <= rules::MAX_CLIENT_TOKEN;
        if token.is_none_or(sound) {
            Ok(token.map(str::to_owned))
        } else {
            Err(rules::INVALID_PARAMETER.about("ClientToken"))
        }
    }

    fn copy_image(&self, world: &mut World) -> Result<(Value, Effect), Refusal> {
        let (region, id) = (self.params.region()?, self.params.image()?);
        self.params.tags()?;
        self.params.flag("Encrypted")?;
        self.params.flag("DryRun")?;
        self.client_token()?;
        let request = copy_request(self.params);
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
        // That a community image has this row is likely, not proven (`DescribeImageSharePermission` page, `ShareGroups`).
        let groups: Vec<_> = image.spec().public.then(|| json!({"Group": "all"})).into_iter().collect();
        let rest = json!({"RegionId": region, "ImageId": id, "ShareGroups": {"ShareGroup": groups}});
        Ok(Page::of(rows, page).answer("Accounts", "Account", rest))
    }

    fn describe_images(&self, world: &World) -> Result<Value, Refusal> {
        let (region, page) = (self.params.region()?, self.params.page()?);
        let filter = ImageFilter::read(self.params)?;
        let seen = match &filter.ids {
            Some(ids) => world.seen_of(&self.caller.account, &region, ids)?,
            None => world.seen_by(&self.caller.account, &region)?,
        };
        let kept = seen.into_iter().filter(|(image, relation)| filter.keeps(image, *relation));
        let rows = kept.map(|(image, relation)| answers::image_row(image, relation)).collect();
        if self.params.flag("DryRun")?.unwrap_or_default() {
            return Err(rules::DRY_RUN.refuse());
        }
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

    /// Where a service is in a region, which SDKs without a list of their own ask first: ECS and STS, by the hosts of
    /// [`super::is_host`]. Shape and parameters are those of alibaba-cloud-sdk-go (`location_resolver.go`).
    fn describe_endpoints(&self, world: &World) -> Result<Value, Refusal> {
        let (region, service) = (self.params.required("Id")?, self.params.required("ServiceCode")?);
        if !world.regions(&self.caller.account).contains(&&RegionId::from(region)) {
            return Err(rules::LOCATION_REGION.about(region));
        }
        let kind = self.params.get("Type").unwrap_or("openAPI");
        let row = json!({
            "Endpoint": format!("{service}.{region}.aliyuncs.com"), "Id": region, "Namespace": "", "Type": kind,
            "SerivceCode": service, "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
        });
        let known = ["ecs", "sts"].contains(&service) && kind == "openAPI";
        let rows = if known { vec![row] } else { Vec::new() };
        Ok(json!({"Endpoints": {"Endpoint": rows}, "Success": true}))
    }
}
