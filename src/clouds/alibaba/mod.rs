//! Alibaba Cloud ECS (API 2014-05-26) and STS (API 2015-04-01): signing, wire format, faults, hosts and the client. Only this
//! module knows the vendor's API; it neither plans nor retries.

#[cfg(test)]
mod adversarial;
mod client;
mod endpoints;
mod faults;
mod sign;
mod wire;

pub(crate) use client::CALL_SHAPE;
pub use client::{AlibabaAccess, AlibabaCloud};
pub use endpoints::Endpoints;
pub use sign::Credentials;

/// The audience that the cluster's OIDC provider is registered with, unless its owner chose another (RRSA page, error
/// `AuthenticationFail.OIDCToken.AudienceNotMatch`).
pub const TOKEN_AUDIENCE: &str = "sts.aliyuncs.com";

/// The API calls of this operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    DescribeImages,
    DescribeImageSharePermission,
    ModifyImageSharePermission,
    DeleteImage,
    CopyImage,
    CancelCopyImage,
    DescribeRegions,
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithOidc,
}

impl Operation {
    /// The vendor's name of the API call.
    fn action(self) -> &'static str {
        match self {
            Self::DescribeImages => "DescribeImages",
            Self::DescribeImageSharePermission => "DescribeImageSharePermission",
            Self::ModifyImageSharePermission => "ModifyImageSharePermission",
            Self::DeleteImage => "DeleteImage",
            Self::CopyImage => "CopyImage",
            Self::CancelCopyImage => "CancelCopyImage",
            Self::DescribeRegions => "DescribeRegions",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
        }
    }

    /// The API version of the call.
    fn version(self) -> &'static str {
        match self {
            Self::GetCallerIdentity | Self::AssumeRole | Self::AssumeRoleWithOidc => "2015-04-01",
            Self::DescribeImages
            | Self::DescribeImageSharePermission
            | Self::ModifyImageSharePermission
            | Self::DeleteImage
            | Self::CopyImage
            | Self::CancelCopyImage
            | Self::DescribeRegions => "2014-05-26",
        }
    }
}
