//! The provider of a `CloudAccount`, and what its spec says whichever it is.

use super::{AlibabaAccount, AwsAccount, CloudAccountSpec, HuaweiAccount, OpenStackAccount};
use crate::api::references::SecretRef;
use crate::domain::provider::{Provider, Site};

/// The one provider an account names.
#[derive(Debug, Clone, Copy)]
pub enum Tenancy<'a> {
    /// Alibaba Cloud ECS.
    Alibaba(&'a AlibabaAccount),
    /// Huawei Cloud IMS.
    Huawei(&'a HuaweiAccount),
    /// `OpenStack` Glance.
    OpenStack(&'a OpenStackAccount),
    /// AWS EC2.
    Aws(&'a AwsAccount),
}

impl CloudAccountSpec {
    /// The provider this account names; the schema demands exactly one.
    pub fn tenancy(&self) -> Option<Tenancy<'_>> {
        match (&self.alibaba, &self.huawei, &self.openstack, &self.aws) {
            (Some(alibaba), None, None, None) => Some(Tenancy::Alibaba(alibaba)),
            (None, Some(huawei), None, None) => Some(Tenancy::Huawei(huawei)),
            (None, None, Some(openstack), None) => Some(Tenancy::OpenStack(openstack)),
            (None, None, None, Some(aws)) => Some(Tenancy::Aws(aws)),
            _ => None,
        }
    }
}

impl<'a> Tenancy<'a> {
    /// The cloud.
    pub fn provider(self) -> Provider {
        match self {
            Self::Alibaba(_) => Provider::Alibaba,
            Self::Huawei(_) => Provider::Huawei,
            Self::OpenStack(_) => Provider::OpenStack,
            Self::Aws(_) => Provider::Aws,
        }
    }

    /// Who the credentials must belong to: the account, the domain, the project.
    pub fn account_id(self) -> &'a str {
        match self {
            Self::Alibaba(account) => &account.account_id,
            Self::Huawei(account) => &account.domain_id,
            Self::OpenStack(account) => &account.project_id,
            Self::Aws(account) => &account.account_id,
        }
    }

    /// The site that sold the account, where the cloud has sites.
    pub fn site(self) -> Option<Site> {
        match self {
            Self::Alibaba(account) => Some(account.site),
            Self::Huawei(account) => Some(account.site),
            Self::OpenStack(_) => None,
            Self::Aws(account) => Some(Site::Partition(account.partition)),
        }
    }

    /// Where single services are, by the account's spec.
    pub fn service_endpoints(self) -> Vec<&'a str> {
        let services = match self {
            Self::Alibaba(account) => {
                account.endpoints.as_ref().map(|given| [given.ecs.as_deref(), given.sts.as_deref()])
            }
            Self::Huawei(account) => {
                account.endpoints.as_ref().map(|given| [given.ims.as_deref(), given.iam.as_deref()])
            }
            Self::OpenStack(account) => account.endpoints.as_ref().map(|given| [given.image.as_deref(), None]),
            Self::Aws(_) => None,
        };
        services.into_iter().flatten().flatten().collect()
    }

    /// Where the account's calls go, if not to the vendor's own hosts.
    pub fn endpoint(self) -> Option<&'a str> {
        match self {
            Self::Alibaba(account) => account.endpoint.as_deref(),
            Self::Huawei(account) => account.endpoint.as_deref(),
            Self::OpenStack(account) => Some(&account.auth_url),
            Self::Aws(account) => account.endpoint.as_deref(),
        }
    }

    /// Name of the Secret with the credentials; `None` where they come from a `ServiceAccount`.
    pub fn secret_name(self) -> Option<&'a str> {
        let secret: Option<&'a SecretRef> = match self {
            Self::Alibaba(account) => account.credentials.secret_ref.as_ref(),
            Self::Huawei(account) => Some(&account.credentials.secret_ref),
            Self::OpenStack(account) => Some(&account.credentials.secret_ref),
            Self::Aws(account) => account.credentials.secret_ref.as_ref(),
        };
        secret.map(|secret| secret.name.as_str())
    }

    /// Name of the `ServiceAccount` whose tokens stand in for credentials, if any.
    pub fn service_account_name(self) -> Option<&'a str> {
        match self {
            Self::Alibaba(account) => {
                account.credentials.workload_identity.as_ref().map(|given| given.service_account_ref.name.as_str())
            }
            Self::Aws(account) => {
                account.credentials.workload_identity.as_ref().map(|given| given.service_account_ref.name.as_str())
            }
            Self::Huawei(_) | Self::OpenStack(_) => None,
        }
    }
}
