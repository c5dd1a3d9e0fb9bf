//! Alibaba Cloud's rules as the simulator keeps them, each with its source. What no source settles says "unconfirmed".
//!
//! Sources: "error table" is the error table of the operation's API reference page (ECS API 2014-05-26);
//! "common table" is the ECS list of client and server errors; "V3 page" is the page on signature version 3.

use crate::chassis::refusal::{Refusal, Rule, rule};
use serde::{Deserialize, Serialize};

/// At most this many accounts are added, and this many removed, by one call; the rest is dropped without a word.
/// `ModifyImageSharePermission` page, `AddAccount.N` and `RemoveAccount.N`.
pub(super) const ACCOUNTS_PER_CALL: usize = 10;
/// Rows of a page unless asked otherwise. `DescribeImages` and `DescribeImageSharePermission` pages.
pub(super) const DEFAULT_PAGE_SIZE: u32 = 10;
/// Most rows of a page. Same pages.
pub(super) const MAX_PAGE_SIZE: u32 = 100;
/// How far `x-acs-date` may be from the server's clock, in seconds. V3 page.
pub(super) const TIME_SKEW_SECONDS: i64 = 15 * 60;

/// A mandatory parameter is absent. Common table.
pub(super) const MISSING_PARAMETER: Rule = rule(400, "MissingParameter", "a mandatory parameter is missing");
/// A parameter cannot be read. Common table.
pub(super) const INVALID_PARAMETER: Rule =
    rule(400, "InvalidParameter", "a parameter has a value that is not supported");
/// A parameter without effect here: refused, so that no test passes on an ignored one. Code of the common table.
pub(super) const UNSUPPORTED_PARAMETER: Rule =
    rule(400, "UnsupportedParameter", "the parameter has no effect in the simulator");
/// `ImageOwnerAlias` outside its four values. `DescribeImages` error table.
pub(super) const INVALID_ALIAS: Rule =
    rule(400, "InvalidImageOwnerAlias.ValueNotSupported", "ImageOwnerAlias is none of the known values");
/// The region is unknown, or not open to the account. Common table.
pub(super) const REGION_NOT_FOUND: Rule = rule(404, "InvalidRegionId.NotFound", "the region does not exist");
/// The region is unknown to the location service. The code that alibaba-cloud-sdk-go knows; the status is unconfirmed.
pub(super) const LOCATION_REGION: Rule = rule(400, "InvalidRegionId", "The specified region does not exist.");
/// The image is not one this account owns in this region. Error table.
pub(super) const IMAGE_NOT_FOUND: Rule =
    rule(404, "InvalidImageId.NotFound", "the image does not exist in this account and region");
/// Sharing with oneself; spelt as the vendor spells it. `ModifyImageSharePermission` error table.
pub(super) const SELF_SHARE: Rule = rule(404, "InvalidAccount.Forbbiden", "an image cannot be shared with its owner");
/// The recipient is no account. Common table; that the whole call is then without effect is unconfirmed.
pub(super) const ACCOUNT_NOT_FOUND: Rule = rule(403, "InvalidAccount.NotFound", "the account does not exist");
/// Too many recipients of one image. `ModifyImageSharePermission` error table; that the whole call is then without
/// effect is unconfirmed.
pub(super) const TOO_MANY_RECIPIENTS: Rule =
    rule(403, "QuotaExceed.ShareImageUser", "the image is shared with as many accounts as it may be");
/// Encrypted with the service key; spelt as the vendor spells it. `ModifyImageSharePermission` error table.
pub(super) const ENCRYPTED_SNAPSHOT: Rule =
    rule(403, "OperationDeined.EncryptedSnapshot", "an image with encrypted snapshots cannot be shared");
/// The image is not Available. Code of the `CopyImage` error table; that sharing answers the same is unconfirmed. Only
/// calls that add or publish are refused: removing must stay possible (unconfirmed).
pub(super) const IMAGE_STATUS: Rule = rule(400, "IncorrectImageStatus", "the image's status does not allow this");
/// The image is shared. `DeleteImage` error table; that Force does not overrule it is unconfirmed.
pub(super) const DELETE_SHARED: Rule = rule(403, "ImageUseShared", "the image is shared; unshare it first");
/// An instance uses the image and Force is absent. `DeleteImage` error table.
pub(super) const DELETE_IN_USE: Rule = rule(403, "ImageUsingByInstance", "instances use the image");
/// The image is being copied. `DeleteImage` error table.
pub(super) const DELETE_COPYING: Rule = rule(403, "OperationDenied.ImageCopying", "the image is being copied");
/// The image is protected against deletion. The code is unconfirmed.
pub(super) const DELETE_PROTECTED_UNCONFIRMED: Rule =
    rule(403, "OperationDenied.ImageProtected", "the image is protected against deletion");
/// The region a copy is asked for in. `CopyImage` error table, as all up to [`NOT_FROM_COPY`].
pub(super) const SOURCE_REGION_NOT_FOUND: Rule = rule(400, "SourceRegion.NotFound", "the source region does not exist");
/// The region a copy is to go to.
pub(super) const DESTINATION_REGION_NOT_FOUND: Rule =
    rule(400, "DestinationRegion.NotFound", "the destination region does not exist");
/// The copy's name is none.
pub(super) const NAME_MALFORMED: Rule = rule(400, "InvalidImageName.Malformed", "the name of the copy is malformed");
/// The account has an image of that name in the destination region.
pub(super) const NAME_DUPLICATED: Rule = rule(400, "InvalidImageName.Duplicated", "there is an image of that name");
/// The copy's description is none.
pub(super) const DESCRIPTION_MALFORMED: Rule =
    rule(400, "InvalidDescription.Malformed", "the description of the copy is malformed");
/// The account has as many images as it may.
pub(super) const TOO_MANY_IMAGES: Rule =
    rule(403, "QuotaExceed.Image", "the account has as many private images as it may");
/// A received image is copied within its region only.
pub(super) const SAME_REGION_ONLY: Rule =
    rule(403, "OperationDenied.SameRegionOnly", "a shared image can be copied within its region only");
/// The image is too large.
pub(super) const TOO_LARGE_TO_COPY: Rule = rule(403, "SizeExceed.Image", "the image is too large to be copied");
/// The key is not the account's.
pub(super) const KMS_KEY_NOT_FOUND: Rule = rule(404, "InvalidParameter.KMSKeyId.NotFound", "the key does not exist");
/// `Encrypted` contradicts the key or the image.
pub(super) const ENCRYPTED_ILLEGAL: Rule =
    rule(400, "InvalidParameter.EncryptedIllegal", "Encrypted must be true for an encrypted copy");
/// Another's image that is not shared with the account; spelt as the vendor spells it. That community, system and
/// Marketplace images are refused so is unconfirmed.
pub(super) const NOT_COPYABLE_UNCONFIRMED: Rule = rule(403, "Forbbiden", "the image is not for this account to copy");
/// The image is no copy. `CancelCopyImage` error table; the status is unconfirmed.
pub(super) const NOT_FROM_COPY: Rule = rule(400, "ImageCreatedNotFromCopy", "the image was not made by copying");
/// The client token stands for another request. Common table.
pub(super) const TOKEN_OF_ANOTHER: Rule =
    rule(400, "IdempotentParameterMismatch", "the client token was used with other parameters");
/// Longest client token, in characters, all of them ASCII. `CopyImage` page.
pub(super) const MAX_CLIENT_TOKEN: usize = 64;
/// All checks of a dry run passed. Common table.
pub(super) const DRY_RUN: Rule = rule(400, "DryRunOperation", "the request would have succeeded; DryRun is set");

/// No such action, or not in this version; the vendor's words (aliyun-cli PR 415, iotx-api-demo issue 4).
pub(super) const ACTION_NOT_FOUND: Rule =
    rule(404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.");
/// Neither GET nor POST. Common table.
pub(super) const HTTP_METHOD: Rule = rule(403, "UnsupportedHTTPMethod", "the HTTP method is not supported");
/// The request's signature lacks a part, or leaves out a header it must cover. Common table.
pub(super) const INCOMPLETE_SIGNATURE: Rule = rule(400, "IncompleteSignature", "the request is not fully signed");
/// The key is unknown. Gateway; 404 on current pages, 400 in the common table of 2021.
pub(super) const KEY_NOT_FOUND: Rule = rule(404, "InvalidAccessKeyId.NotFound", "the access key does not exist");
/// The key is disabled. Common table.
pub(super) const KEY_DISABLED: Rule = rule(403, "Forbidden.AccessKeyDisabled", "the access key is disabled");
/// The key is temporary and its token is absent. Gateway; status unconfirmed.
pub(super) const TOKEN_MISSING: Rule = rule(400, "MissingSecurityToken", "the access key needs its security token");
/// The token is not the key's. Gateway; status unconfirmed.
pub(super) const TOKEN_MALFORMED: Rule =
    rule(400, "InvalidSecurityToken.Malformed", "the security token is not the key's");
/// The token is past its time. Gateway; status unconfirmed.
pub(super) const TOKEN_EXPIRED: Rule = rule(400, "InvalidSecurityToken.Expired", "the security token has expired");
/// The signature differs; what the server signed follows, and clients read it (alibaba-cloud-sdk-go,
/// `signature_does_not_match_wrapper.go`; NewFuture/DDNS issue 57). Status unconfirmed.
pub(super) const SIGNATURE_MISMATCH: Rule = rule(
    400,
    "SignatureDoesNotMatch",
    "Specified signature is not matched with our calculation. server string to sign is:",
);
/// The nonce was seen before. Common table.
pub(super) const NONCE_USED: Rule = rule(400, "SignatureNonceUsed", "the signature nonce was used before");
/// The date is not one. Common table.
pub(super) const ILLEGAL_TIMESTAMP: Rule =
    rule(400, "IllegalTimestamp", "the request's date is not of the required form");
/// The date is too far from the server's. V3 page; status unconfirmed.
pub(super) const TIMESTAMP_EXPIRED: Rule =
    rule(400, "InvalidTimeStamp.Expired", "the request's date is too far from the server's");

/// The role is not there. `AssumeRole` error table.
pub(super) const ROLE_NOT_FOUND: Rule = rule(404, "EntityNotExist.Role", "The specified Role not exists.");
/// The role does not trust the caller, or its external id is another. Words of the `AssumeRole` page; the code is that of
/// hashicorp/vault issue 6226.
pub(super) const NO_PERMISSION: Rule =
    rule(403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.");
/// The token is past its time. ACK, page on RRSA, table of errors; statuses of these are unconfirmed.
pub(super) const OIDC_EXPIRED: Rule =
    rule(400, "AuthenticationFail.OIDCToken.Expired", "This JsonWebToken is expired.");
/// The token is none. Tests of the vendor's SDKs.
pub(super) const OIDC_INVALID: Rule = rule(400, "AuthenticationFail.OIDCToken.Invalid", "The OIDC Token is invalid.");
/// The token is for another audience. ACK, page on RRSA.
pub(super) const OIDC_AUDIENCE: Rule = rule(400, "AuthenticationFail.OIDCToken.AudienceNotMatch", "Invalid audience.");
/// The role does not trust the subject. ACK, page on RRSA.
pub(super) const OIDC_NO_PERMISSION: Rule = rule(403, "AuthenticationFail.NoPermission", "There is no permission");
/// The role's ARN is none. `AssumeRole` error table.
pub(super) const BAD_ROLE_ARN: Rule = rule(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.");
/// The name of a session is none. `AssumeRole` error table.
pub(super) const BAD_SESSION_NAME: Rule =
    rule(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.");
/// A session is too short or too long. `AssumeRole` error table.
pub(super) const BAD_DURATION: Rule =
    rule(400, "InvalidParameter.DurationSeconds", "The Min/Max value of DurationSeconds is 15min/1hr.");
/// The shortest session, in seconds. `AssumeRole` page.
pub(super) const SHORTEST_SESSION: u32 = 900;
/// How long a session is unless asked otherwise, in seconds. `AssumeRole` page.
pub(super) const DEFAULT_SESSION: u32 = 3_600;

/// Throttled. Common table and throttling page.
pub(super) const THROTTLED: Rule = rule(400, "Throttling.User", "request was denied due to user flow control");
/// Out of service for the moment. Common table.
pub(super) const UNAVAILABLE: Rule = rule(503, "ServiceUnavailable", "the service is unavailable for the moment");
/// The service failed. Common table.
pub(super) const INTERNAL_ERROR: Rule = rule(500, "InternalError", "the service failed");
/// The instance an image is to be made of. `CreateImage` error table.
pub(super) const INSTANCE_NOT_FOUND: Rule =
    rule(404, "InvalidInstanceId.NotFound", "The specified InstanceId does not exist.");
/// The snapshot an image is to be made of. `CreateImage` error table.
pub(super) const SNAPSHOT_NOT_FOUND: Rule =
    rule(404, "InvalidSnapshotId.NotFound", "The specified SnapshotId does not exist.");
/// The snapshot is a data disk's. `CreateImage` error table.
pub(super) const SNAPSHOT_KIND: Rule =
    rule(403, "OperationDenied", "The specified snapshot is not allowed to create image.");
/// The resource that is tagged is none. `TagResources` error table.
pub(super) const RESOURCE_NOT_FOUND: Rule = rule(404, "InvalidResourceId.NotFound", "the resource does not exist");
/// Something other than an image is tagged, which the simulator has not. Code of the `TagResources` error table.
pub(super) const RESOURCE_TYPE: Rule =
    rule(400, "InvalidResourceType.NotFound", "the simulator has tags of images only");
/// A tag's key is none. `TagResources` error table; keys and values have the form of the page on limits of tags.
pub(super) const TAG_KEY: Rule = rule(400, "InvalidTagKey.Malformed", "the tag's key is malformed");
/// A tag's value is none. Likewise.
pub(super) const TAG_VALUE: Rule = rule(400, "InvalidTagValue.Malformed", "the tag's value is malformed");
/// A key is given twice. Likewise.
pub(super) const TAG_TWICE: Rule = rule(400, "Duplicate.TagKey", "a tag's key is given twice");
/// More tags than a resource may have. Likewise.
pub(super) const TOO_MANY_TAGS: Rule = rule(400, "NumberExceed.Tags", "a resource has at most 20 tags");
/// Most tags of a resource, and of a call. `TagResources` page.
pub(super) const MAX_TAGS: usize = 20;
/// Longest key of a tag, in characters. `TagResources` page (64 on older pages).
pub(super) const MAX_TAG_KEY: usize = 128;
/// Longest value of a tag, in characters. `TagResources` page.
pub(super) const MAX_TAG_VALUE: usize = 128;
/// The account receives as many images as it may. The vendor's code is unconfirmed.
pub(super) const RECIPIENT_FULL_UNCONFIRMED: Rule =
    rule(403, "QuotaExceed.ReceivedImage", "the account receives as many images as it may");
/// A Marketplace-derived image shared with an account of another site. That it is refused is the vendor's page on sharing;
/// the code is unconfirmed.
pub(super) const CROSS_SITE_UNCONFIRMED: Rule = rule(
    403,
    "OperationDenied.MarketplaceImageCrossSite",
    "a Marketplace image cannot be shared with an account of another site",
);
/// Most copies at once of an account to a region; others are queued. `CopyImage` page.
pub(super) const COPIES_AT_ONCE: usize = 5;

/// What is wrong with the signature, with what the server would have signed.
pub(super) fn signature_mismatch(signed: &str) -> Refusal {
    let refusal = SIGNATURE_MISMATCH.refuse();
    Refusal { message: format!("{}{signed}", refusal.message), ..refusal }
}

/// The rules a world may set; the `rules` of a world file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// Most recipients of one image. Default 50, `ModifyImageSharePermission` page.
    pub recipients_per_image: usize,
    /// Most images one account receives, in all regions together; null for no limit. Default 30, the vendor's FAQ on
    /// sharing images (a later FAQ says 100; per region or not is unconfirmed).
    pub received_images: Option<usize>,
    /// How long a copy takes, in seconds. Default 2; the vendor says only that it depends.
    pub copy_seconds: u32,
    /// Most private images of an account, in all regions together; null for no limit, and 0 leaves no room at all. Default
    /// 100, the vendor's page on limits (per region or not is unconfirmed).
    pub private_images: Option<usize>,
    /// Largest image that is copied, in GiB; null for no limit. Default null: the vendor names no figure.
    #[serde(rename = "copySizeGiB")]
    pub copy_size_gib: Option<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            recipients_per_image: 50,
            received_images: Some(30),
            copy_seconds: 2,
            private_images: Some(100),
            copy_size_gib: None,
        }
    }
}
