//! `CloudAccount`: one account at one cloud.

mod aws;
mod credentials;
mod tenancy;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

pub use aws::AwsAccount;
pub use credentials::{
    AlibabaCredentials, AlibabaRole, AlibabaWorkloadIdentity, AwsCredentials, AwsRole, AwsWorkloadIdentity, Credentials,
};
pub use tenancy::Tenancy;

use super::identity::{ACCOUNT_PROVEN, stays_in};
use super::patterns::REGION;
use crate::domain::provider::Site;

/// One account at one cloud: who it is, where its credentials are, and which limits the vendor raised for it.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "imageshare.dev",
    version = "v1alpha1",
    kind = "CloudAccount",
    plural = "cloudaccounts",
    namespaced,
    status = "CloudAccountStatus",
    derive = "PartialEq",
    doc = "One account at one cloud: provider, site and the Secret with its credentials.",
    shortname = "cla",
    category = "sharing",
    validation = Rule::new(format!("has(self.spec.alibaba) == has(oldSelf.spec.alibaba) && has(self.spec.huawei) == \
        has(oldSelf.spec.huawei) && has(self.spec.aws) == has(oldSelf.spec.aws) || !has(oldSelf.status) || !({ACCOUNT_PROVEN})")).field_path(".spec")
        .message("the provider cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("alibaba", "accountID", ACCOUNT_PROVEN)).field_path(".spec.alibaba.accountID")
        .message("accountID cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("alibaba", "site", ACCOUNT_PROVEN)).field_path(".spec.alibaba.site")
        .message("site cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("huawei", "domainID", ACCOUNT_PROVEN)).field_path(".spec.huawei.domainID")
        .message("domainID cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("huawei", "site", ACCOUNT_PROVEN)).field_path(".spec.huawei.site")
        .message("site cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("openstack", "authURL", ACCOUNT_PROVEN)).field_path(".spec.openstack.authURL")
        .message("authURL cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("openstack", "projectID", ACCOUNT_PROVEN)).field_path(".spec.openstack.projectID")
        .message("projectID cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("aws", "accountID", ACCOUNT_PROVEN)).field_path(".spec.aws.accountID")
        .message("accountID cannot be changed once the account was verified: make another CloudAccount"),
    validation = Rule::new(stays_in("aws", "partition", ACCOUNT_PROVEN)).field_path(".spec.aws.partition")
        .message("partition cannot be changed once the account was verified: make another CloudAccount"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".status.provider"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec['alibaba','huawei','openstack','aws']['accountID','domainID','projectID']"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Verified", type_ = "date", json_path = ".status.credentials.verifiedAt", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.alibaba), has(self.huawei), has(self.openstack), has(self.aws)].filter(given, given).size() == 1")
    .message("give exactly one provider: alibaba, huawei, openstack or aws"))]
pub struct CloudAccountSpec {
    /// An account at Alibaba Cloud ECS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alibaba: Option<AlibabaAccount>,
    /// An account at Huawei Cloud IMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub huawei: Option<HuaweiAccount>,
    /// A project of an `OpenStack` cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openstack: Option<OpenStackAccount>,
    /// An account at AWS EC2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsAccount>,
    /// Certificates of authorities, in PEM, that calls of this account trust in addition to the public ones: those of a private
    /// cloud, or of a proxy that inspects TLS. The key `cacert` of the account's Secret does the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    #[x_kube(validation = Rule::new("self.contains('-----BEGIN CERTIFICATE-----')")
        .message("caBundle is one or more certificates in PEM, each from -----BEGIN CERTIFICATE----- to its END line"),
        validation = Rule::new("!self.contains('PRIVATE KEY-----')")
        .message("caBundle holds a private key: keep only certificates, and renew that key"))]
    pub ca_bundle: Option<String>,
    /// How long calls of this account may take, where the cloud is far or slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// Limits that differ from the vendor's published ones, for example after a ticket. 0 means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<AccountLimits>,
    /// Regions per site where they differ from the built-in table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["site".into()]))]
    pub sites: Vec<SiteRegions>,
    /// Which images others share with this account are listed, one `SharedImage` each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// While true, nothing is granted, revoked or deleted through this account; everything granted stays.
    #[serde(default)]
    pub suspend: bool,
}

/// How long calls may take, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Longest time to open a connection, name resolution and TLS included (default: 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub connect_seconds: Option<u8>,
    /// Longest time for one call, up to the last byte of the answer (default: 10). Calls that change something never take longer than
    /// 10 seconds: another replica may have to wait for their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub call_seconds: Option<u8>,
}

/// An account at Alibaba Cloud ECS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.endpoint) || !has(self.endpoints) && (!has(self.network) || self.network == 'Public')")
    .message("give endpoint, for every call, or network and endpoints, not both"),
    validation = Rule::new("has(self.homeRegion) || !has(self.network) || self.network == 'Public'")
    .message("network VPC needs homeRegion, the region of the VPC, which gets the calls without a region"),
    validation = Rule::new("has(self.homeRegion) || !has(self.endpoints) || [has(self.endpoints.ecs) ? self.endpoints.ecs : '', \
        has(self.endpoints.sts) ? self.endpoints.sts : ''].all(endpoint, !endpoint.contains('{region}'))")
    .message("endpoints have {region}: give homeRegion, which gets the calls without a region"),
    validation = Rule::new("has(self.credentials.assumeRole) ? self.credentials.assumeRole.roleARN.startsWith('acs:ram::' + self.accountID + ':') : \
        !has(self.credentials.workloadIdentity) || self.credentials.workloadIdentity.roleARN.startsWith('acs:ram::' + self.accountID + ':')")
    .message("the credentials end with a role of another account than accountID: give assumeRole a role of accountID"))]
pub struct AlibabaAccount {
    /// UID of the account (5 to 20 digits); compared with what the credentials say they belong to. Immutable once verified.
    #[serde(rename = "accountID")]
    #[schemars(length(min = 5, max = 20))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{4,19}$')")
        .message("accountID is the account's UID: 5 to 20 digits without a leading zero, in quotes"))]
    pub account_id: String,
    /// Site that sold the account: China (aliyun.com) or International (alibabacloud.com). Immutable once verified.
    #[x_kube(validation = Rule::new("self != 'Europe'").message("Alibaba Cloud has the sites China and International"))]
    pub site: Site,
    /// Where the credentials come from: a Secret, or a RAM role and a `ServiceAccount`.
    pub credentials: AlibabaCredentials,
    /// Another endpoint for every call, as `https://host:port`, such as a simulator. Refused unless the operator was started with
    /// `--allowed-endpoint` for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 300))]
    pub endpoint: Option<String>,
    /// Which of the vendor's hosts are called: `Public` (default), or `VPC`, which works without a public network, from a VPC in the
    /// region that is called.
    #[serde(default)]
    pub network: Network,
    /// Region that gets the calls without a region, such as the one that proves whose credentials they are. By default they go to the
    /// vendor's central hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = REGION))]
    pub home_region: Option<String>,
    /// Other endpoints, each for one service in place of the vendor's hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<AlibabaEndpoints>,
}

/// From where Alibaba Cloud is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Network {
    /// From anywhere.
    #[default]
    Public,
    /// From a VPC.
    #[serde(rename = "VPC")]
    Vpc,
}

/// Endpoints of Alibaba Cloud's services. `{region}` in a host stands for the region that is called. Hosts that are not the vendor's
/// are refused unless the operator was started with `--allowed-endpoint` for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AlibabaEndpoints {
    /// ECS, as `https://ecs-vpc.{region}.aliyuncs.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 120))]
    pub ecs: Option<String>,
    /// STS, as `https://sts.ap-southeast-1.aliyuncs.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 120))]
    pub sts: Option<String>,
}

/// Endpoints of the services of Huawei Cloud, or of a cloud of the same technology. `{region}` in a host stands for the region that is
/// called. Hosts that are not the vendor's are refused unless the operator was started with `--allowed-endpoint` for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HuaweiEndpoints {
    /// IMS, as `https://ims.{region}.otc.t-systems.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 120))]
    pub ims: Option<String>,
    /// IAM, as `https://iam.{region}.otc.t-systems.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 120))]
    pub iam: Option<String>,
}

/// Endpoints of an `OpenStack` cloud's services.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct OpenStackEndpoints {
    /// Glance in place of the catalogue's entry, as `https://glance.{region}.example.com:9292`; `{region}` stands for the region that
    /// is called. Refused unless the operator was started with `--allowed-endpoint` for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 120))]
    pub image: Option<String>,
}

/// An account at Huawei Cloud IMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.endpoint) || !has(self.endpoints)")
    .message("give endpoint, for every call, or endpoints, for single services, not both"),
    validation = Rule::new("has(self.homeRegion) || !has(self.endpoints) || !has(self.endpoints.iam) || !self.endpoints.iam.contains('{region}')")
    .message("endpoints.iam has {region}: give homeRegion, whose identity service gets the calls without a region"))]
pub struct HuaweiAccount {
    /// Id of the account (domain), 32 hexadecimal digits; compared with what the credentials say they belong to. Immutable once verified.
    #[serde(rename = "domainID")]
    #[schemars(length(min = 32, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{32}$')")
        .message("domainID is the account's id: 32 hexadecimal digits in lower case"))]
    pub domain_id: String,
    /// Site that sold the account: China (huaweicloud.com), International (intl) or Europe (eu). Immutable once verified.
    pub site: Site,
    /// Projects to use instead of a region's own (the one called like the region). The first one of a region owns and
    /// receives images; all are listed by the inventory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    pub projects: Vec<HuaweiProject>,
    /// Where the credentials are: a Secret with the keys `accessKeyID`, `accessKeySecret` and, for temporary ones,
    /// `securityToken`; or, for IAM tokens, `username`, `password` and `userDomainName`.
    pub credentials: Credentials,
    /// Another endpoint for every call, as `https://host:port`, such as a simulator. Refused unless the operator was started with
    /// `--allowed-endpoint` for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 300))]
    pub endpoint: Option<String>,
    /// Region that gets the calls without a region, such as the one that proves whose credentials they are. By default they go to the
    /// vendor's central hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = REGION))]
    pub home_region: Option<String>,
    /// Other endpoints, each for one service in place of the vendor's hosts, for clouds of the same technology.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<HuaweiEndpoints>,
}

/// A project of a Huawei Cloud account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HuaweiProject {
    /// Its region.
    #[schemars(length(min = 1, max = 63), regex(pattern = REGION))]
    pub region: String,
    /// Its id, 32 hexadecimal digits.
    #[serde(rename = "projectID")]
    #[schemars(length(min = 32, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{32}$')")
        .message("projectID is a project's id: 32 hexadecimal digits in lower case"))]
    pub project_id: String,
}

/// A project of an `OpenStack` cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenStackAccount {
    /// Keystone, as `https://host:5000/v3`. Refused unless the operator was started with `--allowed-endpoint` for its
    /// host and port, and for those of the image service. Immutable once verified.
    #[serde(rename = "authURL")]
    #[schemars(length(min = 8, max = 300))]
    pub auth_url: String,
    /// Id of the project that owns and receives images; compared with what the credentials say they belong to. Immutable once verified.
    #[serde(rename = "projectID")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9A-Za-z_-]{1,64}$')")
        .message("projectID is a project's id: up to 64 letters, digits, '-' and '_'"))]
    pub project_id: String,
    /// Which endpoint of the image service is called: Public (default), Internal or Admin.
    #[serde(default)]
    pub interface: CatalogInterface,
    /// Other endpoints than those of the service catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<OpenStackEndpoints>,
    /// Where the credentials are: a Secret with the keys `applicationCredentialID` and `applicationCredentialSecret`, or
    /// `username`, `password` and `userDomainName`.
    pub credentials: Credentials,
}

/// Which endpoint of a service catalogue is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum CatalogInterface {
    /// The one for everybody.
    #[default]
    Public,
    /// The one inside the cloud.
    Internal,
    /// The one for administrators.
    Admin,
}

/// Which images others share with an account are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Inventory {
    /// In these regions.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 63), regex(pattern = REGION)))]
    pub regions: Vec<String>,
}

/// Limits of one account. Each is optional; 0 means no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLimits {
    /// Recipients one image may have (Alibaba Cloud: 50, AWS: 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub recipients_per_image: Option<u32>,
    /// Recipients a full-server image may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub recipients_per_full_server_image: Option<u32>,
    /// Images this account may receive (Alibaba Cloud: 30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000))]
    pub received_images: Option<u32>,
}

/// The regions one site sells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SiteRegions {
    /// The site.
    pub site: Site,
    /// All of its regions.
    #[schemars(length(max = 200), inner(length(min = 1, max = 63), regex(pattern = REGION)))]
    pub regions: Vec<String>,
}

/// What the operator found out about the account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudAccountStatus {
    /// Generation this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Value of the last `reconcile-requested-at` annotation that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// `Ready`, and `Reconciling` or `Stalled` while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The cloud, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub provider: Option<String>,
    /// The account the credentials proved to belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub account: Option<String>,
    /// Whose images they are, with the endpoint, as the credentials proved. Gone once they were refused for so long that another
    /// object for the same image may take over (`--takeover-after`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 600))]
    pub identity: Option<String>,
    /// The credentials in force. A key that the Secret held before may be disabled once these are newer than the last change of
    /// the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<VerifiedCredentials>,
    /// Since when the credentials are refused or missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Time>,
    /// Regions open to the account, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200), inner(length(max = 63)))]
    pub regions: Vec<String>,
    /// Secrets that are kept from going for this account, by the finalizer `imageshare.dev/credentials`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub held_secrets: Vec<String>,
    /// Images others share with this account in the regions of `spec.inventory`, and how many it may receive, as `12/30`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub received: Option<String>,
    /// How many of them wait for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u32>,
}

/// Credentials that the cloud accepted as the account's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedCredentials {
    /// The `resourceVersion` of the Secret when they were read.
    #[schemars(length(max = 64))]
    pub secret_version: String,
    /// When the cloud accepted them first.
    pub verified_at: Time,
}
