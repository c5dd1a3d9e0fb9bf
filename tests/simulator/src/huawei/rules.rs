//! Huawei Cloud's rules as the simulator keeps them, each with its source. What no source settles says "unconfirmed".
//!
//! Sources: "error codes" is the IMS error code page (nearly all are HTTP 400); "gateway" the API gateway's page on
//! error codes of signed requests; "members page" the API pages on image members; "sharing FAQ" the vendor's FAQ on
//! sharing images; "copy pages" the API pages and the user guide on replicating images.

use super::world_file::Seconds;
use crate::chassis::refusal::{Rule, rule};
use serde::{Deserialize, Serialize};

/// Longest name of an image, in characters. Error codes.
pub(super) const MAX_NAME: usize = 128;
/// Longest description of an image, in characters. Error codes.
pub(super) const MAX_DESCRIPTION: usize = 1_024;
/// Rows of a page of the native list unless asked otherwise. Its page.
pub(super) const DEFAULT_NATIVE_PAGE: usize = 25;
/// Most accepted recipients of a full-ECS image. Sharing FAQ.
pub(super) const RECIPIENTS_PER_FULL_SERVER: usize = 10;
/// How long an image that is being deleted stays, in milliseconds; the vendor's figure is unconfirmed.
pub(super) const DELETION_MILLIS: u32 = 150;
/// The error codes that a member call does not answer with but its job ends with: what needs the members counted. Which those
/// are at the vendor's is unconfirmed.
pub(super) const ERRORS_IN_JOB: [&str; 3] = ["IMG.0088", "IMG.0112", "IMG.0113"];
/// Wrong signatures in a row that lock a key. Gateway's FAQ ("more than 5" there).
pub(super) const LOCK_AFTER: u32 = 5;
/// How long a key stays locked, in seconds. Gateway's FAQ.
pub(super) const LOCK_SECONDS: i64 = 300;
/// How long a token is valid, in seconds. IAM's page on tokens.
pub(super) const TOKEN_SECONDS: i64 = 24 * 60 * 60;
/// The shortest and the longest life of a temporary key, in seconds. IAM's pages on temporary keys.
pub(super) const TEMPORARY_SECONDS: std::ops::RangeInclusive<i64> = 900..=86_400;
/// How long a temporary key lives unless asked otherwise, in seconds. Same pages.
pub(super) const DEFAULT_TEMPORARY_SECONDS: i64 = 900;
/// Most copies to other regions an account may have under way. Copy pages.
pub(super) const CROSS_REGION_COPIES: usize = 5;
/// Largest image copied to another region from a region that is not one of [`LARGE_COPY_REGIONS`], and largest received
/// image copied at all, in GiB. Copy pages.
pub(super) const COPY_MAX_GIB: u32 = 128;
/// Largest image copied to another region from one of [`LARGE_COPY_REGIONS`], in GiB. Copy pages.
pub(super) const LARGE_COPY_MAX_GIB: u32 = 300;
/// Those regions. Copy pages; that the source's region is meant, not the destination's, is unconfirmed.
pub(super) const LARGE_COPY_REGIONS: [&str; 4] = ["cn-south-1", "cn-east-2", "cn-east-3", "cn-north-4"];
/// Most tags of an image. Page on adding tags (10 on older pages).
pub(super) const MAX_TAGS: usize = 20;
/// Longest key of a tag, in characters. Page on adding tags (36 on older pages).
pub(super) const MAX_TAG_KEY: usize = 128;
/// Longest value of a tag, in characters. Page on adding tags (43 on older pages).
pub(super) const MAX_TAG_VALUE: usize = 255;
/// Rows of a page unless asked otherwise. Members and image list pages.
pub(super) const DEFAULT_PAGE: usize = 500;
/// Most rows of a page. Members page.
pub(super) const MAX_PAGE: usize = 1_000;
/// How far `X-Sdk-Date` may be from the server's clock, in seconds. Gateway.
pub(super) const TIME_SKEW_SECONDS: i64 = 15 * 60;
/// Most jobs under way at a time; the vendor's figure is not published.
pub(super) const MAX_RUNNING_JOBS: usize = 10_000;
/// Most jobs remembered; the oldest ended ones are forgotten first. Ours.
pub(super) const MAX_JOBS: usize = 100_000;

/// The body cannot be read. Error codes.
pub(super) const MALFORMED_BODY: Rule = rule(400, "IMG.0001", "the request body or a parameter is malformed");
/// A name that is too long. Error codes.
pub(super) const NAME_TOO_LONG: Rule = rule(400, "IMG.0002", "the image name has more than 128 characters");
/// A name that is not one. Error codes.
pub(super) const BAD_NAME: Rule = rule(400, "IMG.0003", "the format of the image name is invalid");
/// A description that is too long. Error codes.
pub(super) const DESCRIPTION_TOO_LONG: Rule =
    rule(400, "IMG.0004", "the image description has more than 1024 characters");
/// The body is absent. Error codes.
pub(super) const EMPTY_BODY: Rule = rule(400, "IMG.0007", "the request body is empty");
/// Protected against deletion. Error codes.
pub(super) const PROTECTED: Rule = rule(400, "IMG.0028", "the image is protected");
/// The project named is not the one the credentials are for. Error codes.
pub(super) const PROJECT_MISMATCH: Rule = rule(400, "IMG.0030", "the project does not match the credentials");
/// The image cannot be used. Error codes; that sharing one answers this is unconfirmed.
pub(super) const IMAGE_UNAVAILABLE: Rule = rule(400, "IMG.0046", "the image is unavailable");
/// A description with what may not be in one. Error codes.
pub(super) const BAD_DESCRIPTION: Rule = rule(400, "IMG.0054", "the format of the image description is invalid");
/// Flow control over tasks. Error codes.
pub(super) const TOO_MANY_TASKS: Rule = rule(400, "IMG.0060", "too many tasks at a time");
/// An image id of the wrong form. Error codes.
pub(super) const BAD_IMAGE_ID: Rule = rule(400, "IMG.0066", "an image id is not one");
/// A project id of the wrong form. Error codes.
pub(super) const BAD_PROJECT_ID: Rule = rule(400, "IMG.0067", "the project id is incorrect");
/// Sharing with oneself. Error codes; that it also meets the owner's own domain is unconfirmed.
pub(super) const SELF_SHARE: Rule = rule(400, "IMG.0076", "an image cannot be shared with its owner");
/// No image named. Error codes.
pub(super) const NO_IMAGE_ID: Rule = rule(400, "IMG.0086", "no image id is given");
/// More would use the image than may. Error codes; only accepted members count (sharing FAQ: an offer that waits uses
/// no quota; that a rejected one uses none either is unconfirmed).
pub(super) const TOO_MANY_RECIPIENTS: Rule = rule(400, "IMG.0088", "the image is shared with as many as it may be");
/// Not a custom image. Error codes; Marketplace images likewise (sharing FAQ).
pub(super) const NOT_CUSTOM: Rule = rule(400, "IMG.0089", "a public or Marketplace image cannot be shared");
/// Neither is it copied. Copy pages; that the code is that of sharing is unconfirmed.
pub(super) const NOT_CUSTOM_COPY: Rule = rule(400, "IMG.0089", "a public or Marketplace image cannot be copied");
/// Still being made. Error codes.
pub(super) const IMAGE_CREATING: Rule = rule(400, "IMG.0090", "the image is being created");
/// Deleting another's image. Error codes.
pub(super) const DELETE_BY_OWNER: Rule = rule(400, "IMG.0092", "an image can be deleted by its owner only");
/// Deleting a public image. Error codes.
pub(super) const DELETE_PUBLIC: Rule = rule(400, "IMG.0094", "a public image cannot be deleted");
/// The key to encrypt with is not there. Error codes.
pub(super) const KEY_NOT_FOUND: Rule = rule(400, "IMG.0095", "the KMS key does not exist");
/// The key to encrypt with is disabled. Error codes.
pub(super) const KEY_DISABLED: Rule = rule(400, "IMG.0097", "the KMS key is disabled");
/// Encrypted. Error codes; sharing FAQ.
pub(super) const ENCRYPTED: Rule = rule(400, "IMG.0098", "an encrypted image cannot be shared");
/// No project named where one is needed. Error codes.
pub(super) const PROJECT_NAME_NEEDED: Rule = rule(400, "IMG.0104", "the project name is empty");
/// What cannot be done with such an image. Error codes.
pub(super) const NOT_SUPPORTED: Rule = rule(400, "IMG.0105", "the operation is not supported");
/// No such recipient. Error codes. A domain's id given as a project's is one as well (unconfirmed).
pub(super) const TENANT_NOT_FOUND: Rule = rule(400, "IMG.0108", "the tenant is not found in this region");
/// There is no such member. Error codes ("failed to query the tenant"); that this is the case meant is unconfirmed.
pub(super) const MEMBER_NOT_FOUND: Rule = rule(400, "IMG.0114", "the image has no such member");
/// A full-ECS image is not copied in its region. Error codes; copy pages.
pub(super) const FULL_SERVER_COPY: Rule = rule(400, "IMG.0130", "a full-ECS image cannot be replicated");
/// A full-ECS image that is not from a CBR backup. Error codes; sharing FAQ.
pub(super) const FULL_SERVER_NOT_CBR: Rule = rule(400, "IMG.0135", "this full-ECS image cannot be shared");
/// The image is not there, or the caller may not know of it. Error codes.
pub(super) const IMAGE_NOT_FOUND: Rule = rule(400, "IMG.0144", "the image does not exist");
/// The project named is not one of the account's in that region. Error codes.
pub(super) const PROJECT_NAME_WRONG: Rule = rule(400, "IMG.0145", "the project name is incorrect");
/// The recipient is in another region, or its site has not this one. Error codes; that the site rule answers the same
/// is unconfirmed.
pub(super) const OTHER_REGION: Rule = rule(400, "IMG.0177", "the tenants are in different regions");
/// The agency is not there, or may not act in the destination's project. Error codes ("agency token").
pub(super) const AGENCY_INVALID: Rule = rule(400, "IMG.0179", "no token can be had by the agency");
/// Accepting a full-ECS image without a vault. Error codes ("vault not found"); members page demands the vault, that
/// this is the code is unconfirmed.
pub(super) const VAULT_NEEDED: Rule = rule(400, "IMG.0184", "a full-ECS image is accepted into a vault");
/// Copying a full-ECS image without a vault of the destination. Error codes; copy pages.
pub(super) const VAULT_NOT_FOUND: Rule = rule(400, "IMG.0184", "the vault is not one of the destination's project");
/// Copying an offered image before taking it. Error codes; copy pages.
pub(super) const NOT_ACCEPTED: Rule = rule(400, "IMG.0196", "a shared image is accepted before it is replicated");
/// Copying another's encrypted image. Error codes; copy pages.
pub(super) const RECEIVED_ENCRYPTED: Rule = rule(400, "IMG.0197", "a shared encrypted image cannot be replicated");
/// No such job, or another project's. Unconfirmed.
pub(super) const JOB_NOT_FOUND: Rule = rule(404, "IMG.0105", "the job does not exist");
/// Out of service for the moment. Code of the error codes ("unknown system error"), status of the members page.
pub(super) const UNAVAILABLE: Rule = rule(503, "IMG.0061", "the service is unavailable for the moment");
/// The service failed. Likewise.
pub(super) const INTERNAL_ERROR: Rule = rule(500, "IMG.0061", "unknown system error");

/// Sharing or changing another's image that the caller has been given. Error codes; `IMG.0106` reads alike.
pub(super) const NOT_OWNER: Rule = rule(400, "IMG.0047", "only its owner may do that with the image");
/// An image shared with a domain or an organization is not deleted: the members page of the vendor's sister cloud; the code is
/// unconfirmed.
pub(super) const DELETE_SHARED_UNCONFIRMED: Rule =
    rule(400, "IMG.0105", "the image is shared with a domain or an organization");
/// A copy past the images a project may have: the one row of the error codes on a quota.
pub(super) const IMAGE_QUOTA_UNCONFIRMED: Rule = rule(400, "IMG.0088", "the project has as many images as it may");
/// A copy of an image that is too large: a code whose text is of image files.
pub(super) const COPY_SIZE_UNCONFIRMED: Rule = rule(400, "IMG.0059", "the image is too large to be copied");
/// A copy to a region that the account's site has not.
pub(super) const COPY_REGION_UNCONFIRMED: Rule = rule(400, "IMG.0001", "there is no such region");
/// The server or disk that an image is to be made of is not there. The code is unconfirmed.
pub(super) const NO_MATERIAL_UNCONFIRMED: Rule = rule(400, "IMG.0001", "the server or the disk does not exist");
/// Somebody else answers an offer by the native call. The status is that of Glance and of a sister cloud
/// (terraform-provider-opentelekomcloud issue 2686, terraform-provider-openstack issue 1283); the code is unconfirmed.
pub(super) const NOT_THE_MEMBER_UNCONFIRMED: Rule =
    rule(403, "IMG.0030", "the project is not the one that the request acts for");
/// The native read of an image that is not there, or that the caller may not know of. Status of the native page.
pub(super) const NATIVE_NOT_FOUND: Rule = rule(404, "IMG.0144", "the image does not exist");
/// More tags than an image may have. The code is unconfirmed.
pub(super) const TOO_MANY_TAGS_UNCONFIRMED: Rule = rule(400, "IMG.0001", "an image has at most 20 tags");
/// A tag that is none. The code is unconfirmed.
pub(super) const BAD_TAG_UNCONFIRMED: Rule = rule(400, "IMG.0001", "the tag is malformed");
/// A tag that is not there. The code is unconfirmed.
pub(super) const TAG_NOT_FOUND_UNCONFIRMED: Rule = rule(404, "IMG.0001", "the image has no such tag");

/// A parameter of the identity service that is none. IAM's page on error codes.
pub(super) const IAM_BAD_PARAMETER: Rule = rule(400, "IAM.0007", "Request parameter is invalid");
/// A token that is none, or past its time, where it is to become a temporary key. The code is unconfirmed.
pub(super) const BAD_TOKEN_UNCONFIRMED: Rule = rule(401, "401", "The token is not valid.");
/// An agency that is not there, or not delegated to the caller. Status 403 of the page on temporary keys by an agency; the
/// text is unconfirmed.
pub(super) const BAD_AGENCY: Rule = rule(403, "403", "You have no right to do this action");
/// The identity service throttles. Its page on status codes.
pub(super) const IAM_THROTTLED: Rule = rule(429, "429", "Too many requests");
/// The identity service is out of service. Likewise.
pub(super) const IAM_UNAVAILABLE: Rule = rule(503, "503", "Service Unavailable");
/// The identity service failed. Likewise.
pub(super) const IAM_INTERNAL_ERROR: Rule = rule(500, "500", "Internal Server Error");

/// No such API. Gateway.
pub(super) const API_NOT_FOUND: Rule =
    rule(404, "APIGW.0101", "The API does not exist or has not been published in the environment");
/// Who asks could not be told; the text says why. Gateway.
pub(super) const NOT_AUTHENTICATED: Rule = rule(401, "APIGW.0301", "Incorrect IAM authentication information");
/// Throttled. Gateway.
pub(super) const THROTTLED: Rule = rule(
    429,
    "APIGW.0308",
    "The throttling threshold has been reached: policy user over ratelimit, limit:10, time:1 minute",
);
/// A name or password that is wrong. IAM's page on tokens by password; the code stands as the status there.
pub(super) const WRONG_PASSWORD: Rule = rule(401, "401", "The username or password is wrong.");
/// A scope the user may not have. Likewise.
pub(super) const WRONG_SCOPE: Rule = rule(401, "401", "The scope is not the user's.");
/// A token request that cannot be read. Likewise.
pub(super) const BAD_TOKEN_REQUEST: Rule = rule(400, "400", "The request body is invalid");

/// The rules a world may set; `huawei.rules` of a world file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// Most accepted recipients of an image that is no full-ECS one. Default 128, sharing FAQ.
    pub recipients_per_image: usize,
    /// How long a member job takes, in milliseconds. Default 150; the vendor's samples take one to three seconds.
    pub job_millis: u32,
    /// Custom images one project may have, those being made included; 0 for no limit. Default 100.
    pub image_quota: u32,
    /// How long a copy takes, in seconds. Default 2; the vendor's take minutes.
    pub copy_seconds: Seconds,
    /// Whether the image a copy makes is listed only from the end of its job on, rather than from its beginning. The
    /// vendor does not say. Default false.
    pub copy_shown_late: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            recipients_per_image: 128,
            job_millis: 150,
            image_quota: 100,
            copy_seconds: Seconds::whole(2),
            copy_shown_late: false,
        }
    }
}
