//! The operations simulated: EC2 2016-11-15 on images, their snapshots and regions, STS 2011-06-15. Each turns parameters into
//! a step of the world and the vendor's answer. Parameters without effect are refused.

use super::authentication::Caller;
use super::calls::{copies, images, lifecycle, permissions, regions, snapshots, tags, usage};
use super::hosts::Service;
use super::params::Params;
use super::rules;
use super::throttling::Size;
use super::world::{View, World};
use crate::chassis::effect::Effect;
use crate::chassis::refusal::Refusal;
use serde_json::Value;

/// One authenticated request of EC2 on its way to the world.
pub(super) struct Call<'a> {
    pub(super) caller: &'a Caller,
    pub(super) params: &'a Params,
    pub(super) view: View,
}

/// What a call came to: the answer without its request's id, and what changed.
pub(super) type Outcome = Result<(Value, Effect), Refusal>;

/// What the world does for a call.
type Step = fn(&Call<'_>, &mut World) -> Outcome;

/// An operation of EC2: its action, the parameters that have an effect, its step.
pub(super) struct Operation {
    action: &'static str,
    parameters: &'static [&'static str],
    step: Step,
}

const fn operation(action: &'static str, parameters: &'static [&'static str], step: Step) -> Operation {
    Operation { action, parameters, step }
}

const OPERATIONS: &[Operation] = &[
    operation(
        "DescribeImages",
        &[
            "ImageId",
            "Owner",
            "ExecutableBy",
            "IncludeDeprecated",
            "IncludeDisabled",
            "MaxResults",
            "NextToken",
            "Filter",
            "DryRun",
        ],
        images::describe,
    ),
    operation("DescribeImageAttribute", &["ImageId", "Attribute", "DryRun"], images::describe_attribute),
    operation(
        "ModifyImageAttribute",
        &[
            "ImageId",
            "LaunchPermission",
            "Description",
            "Value",
            "DryRun",
            "Attribute",
            "OperationType",
            "UserId",
            "UserGroup",
            "OrganizationArn",
            "OrganizationalUnitArn",
        ],
        permissions::modify_image,
    ),
    operation("ResetImageAttribute", &["ImageId", "Attribute", "DryRun"], permissions::reset_image),
    operation("CancelImageLaunchPermission", &["ImageId", "DryRun"], permissions::cancel),
    operation(
        "CopyImage",
        &[
            "Name",
            "SourceImageId",
            "SourceRegion",
            "ClientToken",
            "Description",
            "Encrypted",
            "KmsKeyId",
            "CopyImageTags",
            "TagSpecification",
            "DryRun",
        ],
        copies::copy,
    ),
    operation("DeregisterImage", &["ImageId", "DeleteAssociatedSnapshots", "DryRun"], lifecycle::deregister),
    operation("DisableImage", &["ImageId", "DryRun"], lifecycle::disable),
    operation("EnableImage", &["ImageId", "DryRun"], lifecycle::enable),
    operation("EnableImageDeprecation", &["ImageId", "DeprecateAt", "DryRun"], lifecycle::deprecate),
    operation("DisableImageDeprecation", &["ImageId", "DryRun"], lifecycle::undeprecate),
    operation("EnableImageDeregistrationProtection", &["ImageId", "WithCooldown", "DryRun"], lifecycle::protect),
    operation("DisableImageDeregistrationProtection", &["ImageId", "DryRun"], lifecycle::unprotect),
    operation("ListImagesInRecycleBin", &["ImageId", "MaxResults", "NextToken", "DryRun"], lifecycle::list_recycled),
    operation("RestoreImageFromRecycleBin", &["ImageId", "DryRun"], lifecycle::restore),
    operation(
        "DescribeSnapshots",
        &["SnapshotId", "Owner", "RestorableBy", "MaxResults", "NextToken", "Filter", "DryRun"],
        snapshots::describe,
    ),
    operation("DescribeSnapshotAttribute", &["SnapshotId", "Attribute", "DryRun"], snapshots::describe_attribute),
    operation(
        "ModifySnapshotAttribute",
        &["SnapshotId", "CreateVolumePermission", "Attribute", "OperationType", "UserId", "UserGroup", "DryRun"],
        permissions::modify_snapshot,
    ),
    operation("DeleteSnapshot", &["SnapshotId", "DryRun"], snapshots::delete),
    operation("CreateTags", &["ResourceId", "Tag", "DryRun"], tags::create),
    operation("DeleteTags", &["ResourceId", "Tag", "DryRun"], tags::delete),
    operation("DescribeRegions", &["RegionName", "AllRegions", "Filter", "DryRun"], regions::describe),
    operation(
        "EnableImageBlockPublicAccess",
        &["ImageBlockPublicAccessState", "DryRun"],
        regions::enable_block_public_access,
    ),
    operation("DisableImageBlockPublicAccess", &["DryRun"], regions::disable_block_public_access),
    operation(
        "CreateImageUsageReport",
        &["ImageId", "ResourceType", "AccountId", "ClientToken", "DryRun"],
        usage::create,
    ),
    operation(
        "DescribeImageUsageReports",
        &["ImageId", "ReportId", "MaxResults", "NextToken", "Filter", "DryRun"],
        usage::describe,
    ),
    operation(
        "DescribeImageUsageReportEntries",
        &["ImageId", "ReportId", "MaxResults", "NextToken", "Filter", "DryRun"],
        usage::describe_entries,
    ),
    operation("DeleteImageUsageReport", &["ReportId", "DryRun"], usage::delete),
    operation(
        "DescribeImageReferences",
        &["ImageId", "IncludeAllResourceTypes", "ResourceType", "MaxResults", "NextToken", "DryRun"],
        usage::references,
    ),
    operation("GetImageBlockPublicAccessState", &["DryRun"], regions::block_public_access),
    operation("GetAllowedImagesSettings", &["DryRun"], regions::allowed_images),
];

impl Operation {
    /// The operation of an action in a version.
    pub(super) fn find(action: &str, version: &str) -> Result<&'static Self, Refusal> {
        let found = OPERATIONS.iter().find(|one| one.action == action && version == Service::Ec2.version());
        found.ok_or_else(|| unknown_action(action))
    }

    /// What the bucket of a call is like.
    pub(super) fn bucket(&self, params: &Params) -> Size {
        let is_scoped = params.get("MaxResults").is_some() || !params.rows("Filter").is_empty();
        Size::of(self.action, is_scoped)
    }

    /// Takes the step.
    pub(super) fn perform(&self, call: &Call<'_>, world: &mut World) -> Outcome {
        call.params.only(self.parameters)?;
        (self.step)(call, world)
    }
}

/// There is no such action, or not in this version.
pub(super) fn unknown_action(action: &str) -> Refusal {
    rules::INVALID_ACTION.saying(format!("The action {action} is not valid for this web service."))
}

/// What a reading answers: nothing changed. A dry run ends here.
pub(super) fn read(call: &Call<'_>, answer: Value) -> Outcome {
    if call.params.flag("DryRun")? { Err(rules::DRY_RUN.refuse()) } else { Ok((answer, Effect::default())) }
}
