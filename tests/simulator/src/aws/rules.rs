//! Amazon Web Services' rules as the simulator keeps them, each with its source. What no source settles says "unconfirmed".
//!
//! Sources: "error page" is "Error codes for the Amazon EC2 API"; "throttling page" is "Request throttling for the Amazon EC2
//! API"; "quotas page" is the page of EC2's quotas; "model" is the SDK's description of the API; others are public threads.

use crate::chassis::refusal::{Refusal, Rule, rule};
use serde::{Deserialize, Serialize};

/// How far `x-amz-date` may be from the server's clock, in seconds. Error page, `RequestExpired`.
pub(super) const TIME_SKEW_SECONDS: i64 = 15 * 60;
/// Most changes of permissions of one image by a call. Model, `LaunchPermission.UserId`: of account ids; that the others count
/// is unconfirmed.
pub(super) const CHANGES_PER_CALL: usize = 10_000;
/// Most changes of permissions of one snapshot by a call. Model, `ModifySnapshotAttribute`.
pub(super) const SNAPSHOT_CHANGES_PER_CALL: usize = 500;
/// Most rows of a page, and fewest that may be asked for. Unconfirmed.
pub(super) const PAGE_SIZES: std::ops::RangeInclusive<usize> = 5..=1000;
/// Most filters of a call, and most values of them together. Unconfirmed.
pub(super) const MAX_FILTERS: (usize, usize) = (10, 200);
/// Most tags of a resource. Quotas page.
pub(super) const MAX_TAGS: usize = 50;
/// Longest client token. Model.
pub(super) const MAX_CLIENT_TOKEN: usize = 128;
/// Longest description. Model.
pub(super) const MAX_DESCRIPTION: usize = 255;
/// How long an image stays protected after protection with cooldown was disabled, in hours. User guide.
pub(super) const COOLDOWN_HOURS: i64 = 24;

/// The key is unknown, its secret or its token wrong, or the region not the account's. Error page; that EC2 tells a wrong
/// signature so: aws-sdk-java-v2 issue 2981; that a region which is not opted in answers this: steampipe-plugin-aws issue 75.
pub(super) const AUTH_FAILURE: Rule =
    rule(401, "AuthFailure", "AWS was not able to validate the provided access credentials");
/// The image is another's. cloudquery issue 9406, cloudcaptain issue 66.
pub(super) const NOT_AUTHORIZED: Rule = rule(400, "AuthFailure", "Not authorized for image");
/// The request is not signed. Common errors; the status is unconfirmed for EC2.
pub(super) const NOT_SIGNED: Rule = rule(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
/// The signature lacks a part, or leaves out a header it must cover. Common errors.
pub(super) const INCOMPLETE_SIGNATURE: Rule = rule(400, "IncompleteSignature", "The request signature is not complete");
/// The date is too far off, or temporary credentials are past their time. Error page; status unconfirmed.
pub(super) const REQUEST_EXPIRED: Rule = rule(400, "RequestExpired", "Request has expired.");
/// STS: the key is unknown, or its token wrong. Common errors.
pub(super) const INVALID_CLIENT_TOKEN_ID: Rule =
    rule(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
/// STS: the signature differs, or its date is too far off. Common errors.
pub(super) const SIGNATURE_MISMATCH: Rule = rule(
    403,
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
     signing method. Consult the service documentation for details.",
);
/// STS: temporary credentials are past their time. Common errors.
pub(super) const EXPIRED_TOKEN: Rule =
    rule(403, "ExpiredToken", "The security token included in the request is expired");
/// Service Quotas: the key is unknown. Common errors; the statuses of these three are unconfirmed.
pub(super) const UNRECOGNIZED_CLIENT: Rule =
    rule(400, "UnrecognizedClientException", "The security token included in the request is invalid.");
/// Service Quotas: the signature differs, or its date is too far off. Likewise.
pub(super) const INVALID_SIGNATURE: Rule = rule(
    400,
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided.",
);
/// Service Quotas: temporary credentials are past their time. Likewise.
pub(super) const EXPIRED_TOKEN_JSON: Rule =
    rule(400, "ExpiredTokenException", "The security token included in the request is expired");
/// STS: the role does not trust the caller, or another external id is asked for. STS `AssumeRole`.
pub(super) const ACCESS_DENIED: Rule = rule(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole");
/// STS: the session is longer than it may be. STS `AssumeRole`.
pub(super) const VALIDATION: Rule = rule(400, "ValidationError", "a parameter of the request is not valid");
/// STS: the web identity token is none of the role's. STS `AssumeRoleWithWebIdentity`.
pub(super) const INVALID_IDENTITY: Rule =
    rule(400, "InvalidIdentityToken", "The web identity token that was passed could not be validated");
/// STS: the web identity token is past its time. STS `AssumeRoleWithWebIdentity`.
pub(super) const EXPIRED_IDENTITY: Rule = rule(400, "ExpiredTokenException", "Token expired");

/// There is no such action. Common errors.
pub(super) const INVALID_ACTION: Rule = rule(400, "InvalidAction", "the action is not valid for this web service");
/// Something the request needs is absent. Error page.
pub(super) const MISSING_PARAMETER: Rule = rule(400, "MissingParameter", "a parameter is missing");
/// A parameter without effect here: refused, so that no test passes on an ignored one. Error page.
pub(super) const UNKNOWN_PARAMETER: Rule = rule(400, "UnknownParameter", "the parameter is not recognized");
/// A parameter has no value of its kind. Error page.
pub(super) const INVALID_VALUE: Rule = rule(400, "InvalidParameterValue", "a parameter has a value that is not valid");
/// Parameters that are not for one call. Error page.
pub(super) const INVALID_COMBINATION: Rule =
    rule(400, "InvalidParameterCombination", "the parameters cannot be used in combination");
/// A parameter that needs another. Error page.
pub(super) const INVALID_DEPENDENCY: Rule =
    rule(400, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.");
/// A page's token is none. Error page, `InvalidPaginationToken`.
pub(super) const INVALID_PAGE: Rule = rule(400, "InvalidPaginationToken", "the pagination token is not valid");
/// More filters than a call may have. Error page.
pub(super) const TOO_MANY_FILTERS: Rule = rule(400, "FilterLimitExceeded", "the request uses too many filters");
/// All checks of a dry run passed. Error page; status unconfirmed (emulators say 412).
pub(super) const DRY_RUN: Rule = rule(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");

/// There is no such image, or the caller does not see it. Error page.
pub(super) const IMAGE_NOT_FOUND: Rule = rule(400, "InvalidAMIID.NotFound", "The image id does not exist");
/// The id has not the form of one. Error page.
pub(super) const IMAGE_MALFORMED: Rule = rule(400, "InvalidAMIID.Malformed", "Invalid id");
/// The image is deregistered or in a state that does not allow it. Error page; moto issue 5050.
pub(super) const IMAGE_UNAVAILABLE: Rule = rule(400, "InvalidAMIID.Unavailable", "The image ID is no longer available");
/// A recipient is none. packer-plugin-amazon issue 156.
pub(super) const RECIPIENT: Rule = rule(400, "InvalidAMIAttributeItemValue", "Invalid attribute item value");
/// The image is shared with as many as it may be, or too many are public. The code is that of the public quota
/// (studio-selfhosted issue 90); that sharing with accounts answers it is unconfirmed.
pub(super) const RESOURCE_LIMIT: Rule = rule(400, "ResourceLimitExceeded", "You have reached your quota");
/// The snapshots are encrypted with the AWS managed key. packer issue 7410.
pub(super) const DEFAULT_KEY_IMAGE: Rule = rule(
    400,
    "InvalidParameter",
    "Snapshots encrypted with the AWS Managed CMK can't be shared. Specify another snapshot",
);
/// The same for a snapshot. packer issue 7499.
pub(super) const DEFAULT_KEY_SNAPSHOT: Rule =
    rule(400, "OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared");
/// Encrypted snapshots are never public. ods-core issue 1062.
pub(super) const ENCRYPTED_PUBLIC: Rule =
    rule(400, "UnsupportedOperation", "Encrypted snapshots can't be shared publicly. Specify another snapshot");
/// The account blocks public access. User guide.
pub(super) const PUBLIC_BLOCKED: Rule = rule(
    400,
    "OperationNotPermitted",
    "You can't publicly share this image because block public access for AMIs is enabled for this account. To publicly share \
     the image, you must call the DisableImageBlockPublicAccess API.",
);
/// The image is protected against deregistering. The code is unconfirmed.
pub(super) const PROTECTED_UNCONFIRMED: Rule =
    rule(400, "OperationNotPermitted", "deregistration protection is enabled for the image");
/// AWS Backup's images are deregistered there. User guide; the code is unconfirmed.
pub(super) const BACKUP_IMAGE_UNCONFIRMED: Rule =
    rule(400, "OperationNotPermitted", "the image is managed by AWS Backup and cannot be deregistered by this service");

/// There is no such snapshot, or it is not the caller's. Error page, where the other spelling is as well.
pub(super) const SNAPSHOT_NOT_FOUND: Rule = rule(400, "InvalidSnapshot.NotFound", "The snapshot does not exist.");
/// The id has not the form of one. Error page.
pub(super) const SNAPSHOT_MALFORMED: Rule = rule(400, "InvalidParameterValue", "the snapshot's id is malformed");
/// An image uses the snapshot. Error page.
pub(super) const SNAPSHOT_IN_USE: Rule = rule(400, "InvalidSnapshot.InUse", "The snapshot is currently in use");
/// A grant of a snapshot is another account's to change. Unconfirmed.
pub(super) const SNAPSHOT_NOT_AUTHORIZED: Rule = rule(400, "AuthFailure", "You do not own the specified snapshot");

/// The copy's name is none. Error page.
pub(super) const NAME_MALFORMED: Rule = rule(
    400,
    "InvalidAMIName.Malformed",
    "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, '(', ')', '.', '-', '/' and '_'",
);
/// The account has an image of that name in the region. Error page.
pub(super) const NAME_DUPLICATE: Rule = rule(400, "InvalidAMIName.Duplicate", "the AMI name is already in use");
/// The client token stands for another request. Error page.
pub(super) const TOKEN_OF_ANOTHER: Rule =
    rule(400, "IdempotentParameterMismatch", "the client token was used with other parameters");
/// The image cannot be copied. Messages: packer issues 3344 and 3761, terraform-provider-aws and others; which is which, see
/// [`NO_STORAGE`] and below.
pub(super) const NOT_COPYABLE: Rule = rule(400, "InvalidRequest", "the image cannot be copied");
/// The owner granted no permission on a snapshot behind the image. packer issue 3344.
pub(super) const NO_STORAGE: &str = "You do not have permission to access the storage of this ami";
/// Something of the Marketplace is in it. User guide, error messages of `CopyImage`.
pub(super) const MARKETPLACE_COPY: &str = "Images from AWS Marketplace cannot be copied to another AWS account";
/// Something that AWS bills is in it. Likewise.
pub(super) const BILLED_COPY: &str = "Images with EC2 BillingProduct codes cannot be copied to another AWS account";
/// More copies at once than the destination region takes.
pub(super) const TOO_MANY_COPIES: &str =
    "Too many snapshot copies in progress. The limit has been reached for this region";
/// Why a copy failed whose key cannot be used. Documentation of snapshot copies, `StateMessage`.
pub(super) const KEY_NOT_ACCESSIBLE: &str = "Given key ID is not accessible";
/// Why a copy failed that the world has fail.
pub(super) const COPY_FAILED: &str = "Client.InternalError: the copy was made to fail by the simulator";

/// There is no such usage report. The code is unconfirmed.
pub(super) const REPORT_NOT_FOUND_UNCONFIRMED: Rule =
    rule(400, "InvalidImageUsageReportId.NotFound", "the usage report does not exist");
/// A tag's key is reserved. Error page, `InvalidParameterValue`.
pub(super) const TAG_RESERVED: &str = "Tag keys starting with 'aws:' are reserved for internal use";
/// More tags than a resource may have. Error page.
pub(super) const TOO_MANY_TAGS: Rule = rule(400, "TagLimitExceeded", "The maximum number of Tags has been reached");
/// The resource that is tagged is none. Error page.
pub(super) const INVALID_ID: Rule = rule(400, "InvalidID", "The ID is not valid");

/// Throttled. Throttling page: a server error, so 503 (unconfirmed).
pub(super) const THROTTLED: Rule = rule(503, "RequestLimitExceeded", "Request limit exceeded.");
/// STS: throttled. Common errors.
pub(super) const STS_THROTTLED: Rule = rule(400, "Throttling", "Rate exceeded");
/// Out of service for the moment. Error page.
pub(super) const UNAVAILABLE: Rule = rule(503, "Unavailable", "The server is overloaded and can't handle the request.");
/// The service failed. Error page.
pub(super) const INTERNAL_ERROR: Rule = rule(500, "InternalError", "An internal error has occurred");

/// What is wrong with a value of a parameter.
pub(super) fn bad_value(name: &str, value: &str) -> Refusal {
    INVALID_VALUE.saying(format!("Value ({value}) for parameter {name} is invalid."))
}

/// What a request has to contain.
pub(super) fn missing(name: &str) -> Refusal {
    MISSING_PARAMETER.saying(format!("The request must contain the parameter {name}"))
}

/// The rules a world may set.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each its own field of the file")]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// Most organizations, units and accounts of one image. Default 1000, quotas page. Everybody does not count (unconfirmed).
    pub recipients_per_image: usize,
    /// Most public images of an account in a region. Default 5, quotas page.
    pub public_images: usize,
    /// Most accounts of one snapshot; null for no limit. Default null: the vendor names no figure.
    pub accounts_per_snapshot: Option<usize>,
    /// How long a copy takes, in seconds. Default 2; the vendor says only that it depends.
    pub copy_seconds: u32,
    /// Most copies at once of an account to a region. Default 100, user guide.
    pub copies_at_once: usize,
    /// Whether each API has its bucket per account and region, with the figures of the throttling page. Default false: on a
    /// clock that stands still they run dry.
    pub throttling: bool,
    /// How far owners' lists of permissions are behind, in milliseconds. Default 0; the vendor promises nothing.
    pub owner_lag_millis: u32,
    /// How far what recipients see is behind, in milliseconds. Default 0, likewise.
    pub recipient_lag_millis: u32,
    /// Whether an account that is not in the world is refused as a recipient. Default false: only the form is known to be
    /// checked.
    pub refuses_unknown_accounts: bool,
    /// Whether ARNs of organizations and units come back with the management account in them. Default false (unconfirmed).
    pub normalizes_arns: bool,
    /// Whether lists begin with an empty page and go on with half ones. Default false; the vendor allows it.
    pub short_pages: bool,
    /// Whether answers have elements that no client knows. Default false; the vendor adds some every month.
    pub unknown_elements: bool,
    /// How long a usage report takes, in seconds. Default 2; the vendor names no figure.
    pub report_seconds: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            recipients_per_image: 1000,
            public_images: 5,
            accounts_per_snapshot: None,
            copy_seconds: 2,
            copies_at_once: 100,
            throttling: false,
            owner_lag_millis: 0,
            recipient_lag_millis: 0,
            refuses_unknown_accounts: false,
            normalizes_arns: false,
            short_pages: false,
            unknown_elements: false,
            report_seconds: 2,
        }
    }
}
