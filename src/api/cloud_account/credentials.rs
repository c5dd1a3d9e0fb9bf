//! Where the credentials of an account are, or what the operator exchanges for them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::references::{SecretRef, ServiceAccountRef};

/// Where credentials are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// A Secret of the same namespace, with the keys that the provider's `credentials` names.
    pub secret_ref: SecretRef,
}

/// Where the credentials of an account at Alibaba Cloud come from: `secretRef` or `workloadIdentity`; and the role that they assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.workloadIdentity)")
    .message("give exactly one of secretRef and workloadIdentity"))]
pub struct AlibabaCredentials {
    /// A Secret of the same namespace with the keys `accessKeyID`, `accessKeySecret` and, for temporary ones, `securityToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A RAM role whose keys the cloud gives for a token of a `ServiceAccount` (RRSA). No key is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<AlibabaWorkloadIdentity>,
    /// A RAM role of the account, which the credentials above assume. The operator then works with the role's temporary keys alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AlibabaRole>,
}

/// Where the credentials of an account at AWS come from: `secretRef` or `workloadIdentity`; and the role that they assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.workloadIdentity)")
    .message("give exactly one of secretRef and workloadIdentity"))]
pub struct AwsCredentials {
    /// A Secret of the same namespace with the keys `accessKeyID`, `secretAccessKey` and, for temporary ones, `sessionToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A role whose keys the cloud gives for a token of a `ServiceAccount` (IRSA). No key is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<AwsWorkloadIdentity>,
    /// A role of the account, which the credentials above assume. The operator then works with the role's temporary keys alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AwsRole>,
}

/// A RAM role that other credentials assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlibabaRole {
    /// Its ARN, `acs:ram::ACCOUNT:role/NAME`.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^acs:ram::[1-9][0-9]{4,19}:role/[0-9A-Za-z._-]{1,64}$')")
        .message("roleARN is a role's ARN: acs:ram::ACCOUNT:role/NAME"))]
    pub role_arn: String,
    /// What the role's trust policy demands to be told, as `sts:ExternalId`. None by default.
    #[serde(rename = "externalID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z_+=,.@:/-]*$')")
        .message("externalID has 2 to 1224 letters, digits and characters of _+=,.@:/-"))]
    pub external_id: Option<String>,
}

/// A role that other credentials assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsRole {
    /// Its ARN, `arn:aws:iam::ACCOUNT:role/NAME`.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 1, max = 640))]
    #[x_kube(validation = Rule::new("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]{1,576}$')")
        .message("roleARN is a role's ARN: arn:aws:iam::ACCOUNT:role/NAME"))]
    pub role_arn: String,
    /// What the role's trust policy demands to be told, as `sts:ExternalId`. None by default.
    #[serde(rename = "externalID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z_+=,.@:/-]*$')")
        .message("externalID has 2 to 1224 letters, digits and characters of _+=,.@:/-"))]
    pub external_id: Option<String>,
}

/// A RAM role whose keys Alibaba Cloud gives for a token of a `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlibabaWorkloadIdentity {
    /// The `ServiceAccount`, of the same namespace.
    pub service_account_ref: ServiceAccountRef,
    /// ARN of the role, `acs:ram::ACCOUNT:role/NAME`. Its trust policy names the OIDC provider and the `ServiceAccount`.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^acs:ram::[1-9][0-9]{4,19}:role/[0-9A-Za-z._-]{1,64}$')")
        .message("roleARN is a role's ARN: acs:ram::ACCOUNT:role/NAME"))]
    pub role_arn: String,
    /// ARN of the cluster's OIDC provider in the role's account, `acs:ram::ACCOUNT:oidc-provider/NAME`.
    #[serde(rename = "oidcProviderARN")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.matches('^acs:ram::[1-9][0-9]{4,19}:oidc-provider/[0-9A-Za-z._-]{1,128}$')")
        .message("oidcProviderARN is a provider's ARN: acs:ram::ACCOUNT:oidc-provider/NAME"))]
    pub oidc_provider_arn: String,
    /// Audience of the tokens (default: `sts.aliyuncs.com`); one of those registered with the OIDC provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[!-~]+$') && !self.contains('kubernetes.default')")
        .message("audience is one of those registered with the OIDC provider, and not the cluster's API server"))]
    pub audience: Option<String>,
}

/// A role whose keys AWS gives for a token of a `ServiceAccount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsWorkloadIdentity {
    /// The `ServiceAccount`, of the same namespace.
    pub service_account_ref: ServiceAccountRef,
    /// ARN of the role, `arn:aws:iam::ACCOUNT:role/NAME`. Its trust policy names the OIDC provider and the `ServiceAccount`.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 1, max = 640))]
    #[x_kube(validation = Rule::new("self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]{1,576}$')")
        .message("roleARN is a role's ARN: arn:aws:iam::ACCOUNT:role/NAME"))]
    pub role_arn: String,
    /// Audience of the tokens (default: `sts.amazonaws.com`); one of those registered with the OIDC provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    #[x_kube(validation = Rule::new("self.matches('^[!-~]+$') && !self.contains('kubernetes.default')")
        .message("audience is one of those registered with the OIDC provider, and not the cluster's API server"))]
    pub audience: Option<String>,
}
