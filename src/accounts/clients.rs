//! Creates the cloud client of an account from its Secret. Only this module reads the keys of credentials.

use secrecy::ExposeSecret;
use std::sync::Arc;

use crate::api::CloudAccount;
use crate::api::cloud_account::{
    AlibabaAccount, AwsAccount, CatalogInterface, HuaweiAccount, OpenStackAccount, Tenancy,
};
use crate::api::conditions::Reason;
use crate::clouds::connect::{
    AlibabaAccess, AwsAccess, ClientContext, HuaweiAccess, OpenStackAccess, alibaba, aws, huawei, openstack,
};
use crate::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint};
use crate::clouds::openstack::Interface;
use crate::clouds::{
    Cloud, alibaba as alibaba_cloud, aws as aws_cloud, huawei as huawei_cloud, openstack as openstack_cloud,
};
use crate::cluster::credentials::{Keys, NoKeys};
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::Provider;
use crate::planning::problem::Problem;

/// The keys that a provider's credentials need, for messages.
fn wanted_keys(tenancy: Tenancy<'_>) -> &'static str {
    match tenancy {
        Tenancy::Alibaba(_) => "accessKeyID and accessKeySecret",
        Tenancy::Huawei(_) => "accessKeyID and accessKeySecret, or username, password and userDomainName",
        Tenancy::OpenStack(_) => {
            "applicationCredentialID and applicationCredentialSecret, or username, password and userDomainName"
        }
        Tenancy::Aws(_) => "accessKeyID and secretAccessKey",
    }
}

/// What else may be wrong where the cloud refuses credentials: they are asked for together with this field.
pub(crate) fn also_suspect(tenancy: Tenancy<'_>) -> Option<&'static str> {
    match tenancy {
        Tenancy::Alibaba(_) | Tenancy::Huawei(_) => None,
        Tenancy::OpenStack(_) => Some(
            "; or correct spec.openstack.projectID: the id of a project of that user, not its name, as Keystone lists it",
        ),
        Tenancy::Aws(_) => Some("; or correct spec.aws.partition: no other partition knows the key"),
    }
}

/// The problem of a key that is missing from an account's Secret.
pub(crate) fn missing_key(account: &str, tenancy: Tenancy<'_>, error: &NoKeys) -> Problem {
    let message = format!("CloudAccount {account}: {error}: restore it, with the keys {}", wanted_keys(tenancy));
    Problem::blocked(Reason::SecretNotFound, message)
}

/// Creates the client of an account; sends no request yet.
pub(crate) fn client_for(
    account: &CloudAccount,
    keys: &Keys,
    allowed: &AllowedEndpoints,
    client_context: &ClientContext,
) -> Result<Arc<dyn Cloud>, Problem> {
    let Some(tenancy) = account.spec.tenancy() else {
        return Err(Problem::blocked(Reason::Unreadable, "spec: exactly one provider must be given"));
    };
    let maker =
        Maker { name: account.metadata.name.as_deref().unwrap_or_default(), tenancy, keys, allowed, client_context };
    match tenancy {
        Tenancy::Alibaba(account) => maker.alibaba(account),
        Tenancy::Huawei(account) => maker.huawei(account),
        Tenancy::OpenStack(account) => maker.openstack(account),
        Tenancy::Aws(account) => maker.aws(account),
    }
}

struct Maker<'a> {
    name: &'a str,
    tenancy: Tenancy<'a>,
    keys: &'a Keys,
    allowed: &'a AllowedEndpoints,
    client_context: &'a ClientContext,
}

impl Maker<'_> {
    fn alibaba(&self, account: &AlibabaAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoint = self.endpoint("spec.alibaba.endpoint", account.endpoint.as_deref())?;
        let token = self.optional("securityToken")?;
        let credentials = alibaba_cloud::Credentials::parse(
            self.key("accessKeyID")?.expose_secret(),
            self.key("accessKeySecret")?.expose_secret(),
            token.as_ref().map(ExposeSecret::expose_secret),
        )
        .map_err(unusable)?;
        let id = self.account("spec.alibaba.accountID")?;
        Ok(alibaba(AlibabaAccess { account: id, endpoint, credentials }, self.client_context))
    }

    fn huawei(&self, account: &HuaweiAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoint = self.endpoint("spec.huawei.endpoint", account.endpoint.as_deref())?;
        let credentials = if self.keys.has("username") {
            huawei_cloud::Credentials::password(
                self.key("username")?.expose_secret(),
                self.key("password")?.expose_secret(),
                self.key("userDomainName")?.expose_secret(),
            )
        } else {
            let token = self.optional("securityToken")?;
            huawei_cloud::Credentials::access_key(
                self.key("accessKeyID")?.expose_secret(),
                self.key("accessKeySecret")?.expose_secret(),
                token.as_ref().map(ExposeSecret::expose_secret),
            )
        }
        .map_err(unusable)?;
        let domain = self.account("spec.huawei.domainID")?;
        let projects = account.projects.iter().enumerate().map(|(index, project)| {
            let unreadable =
                |error| Problem::blocked(Reason::Unreadable, format!("spec.huawei.projects[{index}]: {error}"));
            let region = RegionId::parse(&project.region).map_err(unreadable)?;
            Ok((region, Provider::Huawei.parse_principal(&project.project_id).map_err(unreadable)?))
        });
        let projects = projects.collect::<Result<_, Problem>>()?;
        Ok(huawei(HuaweiAccess { domain, site: account.site, projects, endpoint, credentials }, self.client_context))
    }

    fn openstack(&self, account: &OpenStackAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let refused =
            |refused| Problem::blocked(Reason::EndpointNotAllowed, format!("spec.openstack.authURL: {refused}"));
        let auth_url = self.allowed.check_service(Provider::OpenStack, &account.auth_url).map_err(refused)?;
        let credentials = if self.keys.has("username") {
            openstack_cloud::Credentials::password(
                self.key("username")?.expose_secret(),
                self.key("password")?.expose_secret(),
                self.key("userDomainName")?.expose_secret(),
            )
        } else {
            openstack_cloud::Credentials::application(
                self.key("applicationCredentialID")?.expose_secret(),
                self.key("applicationCredentialSecret")?.expose_secret(),
            )
        }
        .map_err(unusable)?;
        let project = self.account("spec.openstack.projectID")?;
        let interface = match account.interface {
            CatalogInterface::Public => Interface::Public,
            CatalogInterface::Internal => Interface::Internal,
        };
        let allowed = self.allowed.clone();
        Ok(openstack(OpenStackAccess { project, auth_url, interface, allowed, credentials }, self.client_context))
    }

    fn aws(&self, account: &AwsAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoint = self.endpoint("spec.aws.endpoint", account.endpoint.as_deref())?;
        let token = self.optional("sessionToken")?;
        let credentials = aws_cloud::Credentials::parse(
            self.key("accessKeyID")?.expose_secret(),
            self.key("secretAccessKey")?.expose_secret(),
            token.as_ref().map(ExposeSecret::expose_secret),
        )
        .map_err(unusable)?;
        let (id, partition) = (self.account("spec.aws.accountID")?, account.partition);
        let home_region = RegionId::parse(account.home_region.as_deref().unwrap_or(partition.home_region()))
            .map_err(|error| Problem::blocked(Reason::Unreadable, format!("spec.aws.homeRegion: {error}")))?;
        let AwsAccount { fips, dual_stack, .. } = *account;
        let access = AwsAccess { account: id, partition, home_region, fips, dual_stack, endpoint, credentials };
        Ok(aws(access, self.client_context))
    }

    fn key(&self, key: &'static str) -> Result<secrecy::SecretString, Problem> {
        self.keys.demand(key).map_err(|error| missing_key(self.name, self.tenancy, &error))
    }

    fn optional(&self, key: &'static str) -> Result<Option<secrecy::SecretString>, Problem> {
        self.keys.find(key).map_err(|error| missing_key(self.name, self.tenancy, &error))
    }

    fn account(&self, field: &str) -> Result<PrincipalId, Problem> {
        let parsed = self.tenancy.provider().parse_account(self.tenancy.account_id());
        parsed.map_err(|e| Problem::blocked(Reason::Unreadable, format!("{field}: {e}")))
    }

    fn endpoint(&self, field: &str, text: Option<&str>) -> Result<Option<CheckedEndpoint>, Problem> {
        let checked = text.map(|text| self.allowed.check(self.tenancy.provider(), text)).transpose();
        checked.map_err(|refused| Problem::blocked(Reason::EndpointNotAllowed, format!("{field}: {refused}")))
    }
}

fn unusable(error: impl std::fmt::Display) -> Problem {
    Problem::blocked(Reason::CredentialsRejected, format!("the Secret's keys: {error}"))
}
