//! The member `aws` of a `CloudAccount`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::AwsCredentials;
use crate::api::patterns::REGION;
use crate::domain::aws::Partition;

/// An account at AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.homeRegion) || has(self.endpoint) || \
        self.partition == 'aws' && self.homeRegion.matches('^(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-[0-9]+$') || \
        self.partition == 'aws-cn' && self.homeRegion.matches('^cn-[a-z]+-[0-9]+$') || \
        self.partition == 'aws-us-gov' && self.homeRegion.matches('^us-gov-[a-z]+-[0-9]+$') || \
        self.partition == 'aws-eusc' && self.homeRegion.matches('^eusc-de-[a-z]+-[0-9]+$')")
    .message("homeRegion must be a region of the account's partition, such as eu-west-1 for aws"),
    validation = Rule::new("has(self.credentials.assumeRole) ? \
        self.credentials.assumeRole.roleARN.startsWith('arn:' + self.partition + ':iam::' + self.accountID + ':') : \
        !has(self.credentials.workloadIdentity) || \
        self.credentials.workloadIdentity.roleARN.startsWith('arn:' + self.partition + ':iam::' + self.accountID + ':')")
    .message("the credentials end with a role of another account or partition than accountID and partition: give assumeRole a role of accountID"))]
pub struct AwsAccount {
    /// Id of the account (12 digits); compared with what the credentials say they belong to. Immutable once verified.
    #[serde(rename = "accountID")]
    #[schemars(length(min = 12, max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')")
        .message("accountID is the account's id: 12 digits, in quotes"))]
    pub account_id: String,
    /// Partition of the account: aws (default), aws-cn, aws-us-gov or aws-eusc. Images are shared within a partition alone.
    /// Immutable once verified.
    #[serde(default)]
    pub partition: Partition,
    /// Region that is asked who the account is and which regions it has. By default us-east-1, cn-northwest-1, us-gov-west-1
    /// or eusc-de-east-1, by partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = REGION))]
    pub home_region: Option<String>,
    /// While true, calls go to the hosts with FIPS 140 validated cryptography.
    #[serde(default)]
    pub fips: bool,
    /// While true, calls go to the hosts that have IPv6 addresses, too.
    #[serde(default)]
    pub dual_stack: bool,
    /// Where the credentials come from: a Secret, or a role and a `ServiceAccount`.
    pub credentials: AwsCredentials,
    /// Another endpoint for every call, as `https://host:port`. Refused unless the operator was started with
    /// `--allowed-endpoint` for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 300))]
    pub endpoint: Option<String>,
}
