//! AWS EC2 (API 2016-11-15) and STS (API 2011-06-15): signing, wire format, faults, hosts and the client. Only this module
//! knows the vendor's API; it neither plans nor retries.

#[cfg(test)]
mod adversarial;
mod client;
mod endpoints;
mod faults;
mod sign;
mod wire;
mod xml;

pub(crate) use client::CALL_SHAPE;
pub use client::{AwsAccess, AwsCloud};
pub(super) use endpoints::is_api_host;
pub use sign::Credentials;

/// The audience that a cluster's OIDC provider is registered with, unless its owner chose another (user guide of EKS).
pub const TOKEN_AUDIENCE: &str = "sts.amazonaws.com";

/// The API calls of this operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    DescribeImages,
    DescribeImageAttribute,
    ModifyImageAttribute,
    DeregisterImage,
    CopyImage,
    DescribeRegions,
    DescribeSnapshots,
    DescribeSnapshotAttribute,
    ModifySnapshotAttribute,
    GetCallerIdentity,
    AssumeRole,
    AssumeRoleWithWebIdentity,
}

/// Calls that the vendor counts together. It counts each API of an account and region by itself and refills slower the
/// buckets of those that change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Reads,
    Changes,
    Copies,
}

impl Operation {
    /// All of them.
    #[cfg(test)]
    const ALL: [Self; 12] = [
        Self::DescribeImages,
        Self::DescribeImageAttribute,
        Self::ModifyImageAttribute,
        Self::DeregisterImage,
        Self::CopyImage,
        Self::DescribeRegions,
        Self::DescribeSnapshots,
        Self::DescribeSnapshotAttribute,
        Self::ModifySnapshotAttribute,
        Self::GetCallerIdentity,
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
    ];

    /// The vendor's name of the API call.
    fn action(self) -> &'static str {
        match self {
            Self::DescribeImages => "DescribeImages",
            Self::DescribeImageAttribute => "DescribeImageAttribute",
            Self::ModifyImageAttribute => "ModifyImageAttribute",
            Self::DeregisterImage => "DeregisterImage",
            Self::CopyImage => "CopyImage",
            Self::DescribeRegions => "DescribeRegions",
            Self::DescribeSnapshots => "DescribeSnapshots",
            Self::DescribeSnapshotAttribute => "DescribeSnapshotAttribute",
            Self::ModifySnapshotAttribute => "ModifySnapshotAttribute",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
        }
    }

    /// The API version of the call.
    fn version(self) -> &'static str {
        match self {
            Self::GetCallerIdentity | Self::AssumeRole | Self::AssumeRoleWithWebIdentity => "2011-06-15",
            Self::DescribeImages
            | Self::DescribeImageAttribute
            | Self::ModifyImageAttribute
            | Self::DeregisterImage
            | Self::CopyImage
            | Self::DescribeRegions
            | Self::DescribeSnapshots
            | Self::DescribeSnapshotAttribute
            | Self::ModifySnapshotAttribute => "2016-11-15",
        }
    }

    /// Which budget the call takes its token from.
    fn pace(self) -> Pace {
        match self {
            Self::DescribeImages
            | Self::DescribeImageAttribute
            | Self::DescribeRegions
            | Self::DescribeSnapshots
            | Self::DescribeSnapshotAttribute
            | Self::GetCallerIdentity
            | Self::AssumeRole
            | Self::AssumeRoleWithWebIdentity => Pace::Reads,
            Self::ModifyImageAttribute | Self::ModifySnapshotAttribute | Self::DeregisterImage => Pace::Changes,
            Self::CopyImage => Pace::Copies,
        }
    }
}
