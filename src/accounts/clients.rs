//! Creates the cloud client of an account from its Secret. Only this module reads the keys of credentials.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::api::CloudAccount;
use crate::api::cloud_account::{
    AlibabaAccount, AwsAccount, CatalogInterface, HuaweiAccount, Network, OpenStackAccount, Tenancy,
};
use crate::api::conditions::Reason;
use crate::clouds::connect::{
    AlibabaAccess, AwsAccess, ClientContext, HuaweiAccess, OpenStackAccess, alibaba, aws, huawei, openstack,
};
use crate::clouds::endpoint_rule::{AllowedEndpoints, CheckedEndpoint, EndpointRefused, ServiceEndpoint};
use crate::clouds::openstack::Interface;
use crate::clouds::transport::{Authorities, Tailoring};
use crate::clouds::{Cloud, alibaba as alibaba_cloud, huawei as huawei_cloud, openstack as openstack_cloud};
use crate::cluster::credentials::{Keys, NoKeys};
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::Provider;
use crate::planning::problem::Problem;

/// The key of a Secret with certificates of authorities, as other controllers for `OpenStack` name it (ORC, CAPO).
const AUTHORITIES_KEY: &str = "cacert";

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
    keys: Option<&Keys>,
    kubernetes: &kube::Client,
    allowed: &AllowedEndpoints,
    client_context: &ClientContext,
) -> Result<Arc<dyn Cloud>, Problem> {
    let Some(tenancy) = account.spec.tenancy() else {
        return Err(Problem::blocked(Reason::Unreadable, "spec: exactly one provider must be given"));
    };
    let tailoring = tailoring(account, tenancy, keys)?;
    let client_context = &client_context
        .tailored(&tailoring)
        .map_err(|unusable| Problem::blocked(Reason::CABundleInvalid, format!("spec.caBundle: {unusable}")))?;
    let name = account.metadata.name.as_deref().unwrap_or_default();
    let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
    let maker = Maker { namespace, name, tenancy, keys, kubernetes, allowed, client_context };
    match tenancy {
        Tenancy::Alibaba(account) => maker.alibaba(account),
        Tenancy::Huawei(account) => maker.huawei(account),
        Tenancy::OpenStack(account) => maker.openstack(account),
        Tenancy::Aws(account) => maker.aws(account),
    }
}

/// How the account's connections differ from those of others: by its spec, and by `cacert` of its Secret.
fn tailoring(account: &CloudAccount, tenancy: Tenancy<'_>, keys: Option<&Keys>) -> Result<Tailoring, Problem> {
    let parse = |named: &str, pem: &str| {
        let refused = |refused| Problem::blocked(Reason::CABundleInvalid, format!("{named}: {refused}"));
        Authorities::parse(pem).map_err(refused)
    };
    let spec =
        account.spec.ca_bundle.as_deref().map_or(Ok(Authorities::default()), |pem| parse("spec.caBundle", pem))?;
    let secret = tenancy.secret_name().unwrap_or_default();
    let of_secret = match keys.map_or(Ok(None), |keys| keys.find_text(AUTHORITIES_KEY)) {
        Ok(Some(pem)) => parse(&format!("Secret {secret:?}, key {AUTHORITIES_KEY:?}"), pem)?,
        Ok(None) => Authorities::default(),
        Err(error) => return Err(Problem::blocked(Reason::CABundleInvalid, error.to_string())),
    };
    let seconds = |given: Option<u8>| given.map(|seconds| Duration::from_secs(seconds.into()));
    let timeouts = account.spec.timeouts.clone().unwrap_or_default();
    let (connect, call) = (seconds(timeouts.connect_seconds), seconds(timeouts.call_seconds));
    Ok(Tailoring { authorities: spec.and(of_secret), connect, call })
}

pub(super) struct Maker<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    tenancy: Tenancy<'a>,
    keys: Option<&'a Keys>,
    pub(super) kubernetes: &'a kube::Client,
    allowed: &'a AllowedEndpoints,
    client_context: &'a ClientContext,
}

impl Maker<'_> {
    fn alibaba(&self, account: &AlibabaAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoints = self.alibaba_endpoints(account)?;
        let credentials = self.alibaba_keys(&account.credentials)?;
        let id = self.account("spec.alibaba.accountID")?;
        Ok(alibaba(AlibabaAccess { account: id, endpoints, credentials }, self.client_context))
    }

    fn huawei(&self, account: &HuaweiAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoints = self.huawei_endpoints(account)?;
        let credentials = if self.has("username") {
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
        let access = HuaweiAccess { domain, site: account.site, projects, endpoints, credentials };
        Ok(huawei(access, self.client_context))
    }

    fn openstack(&self, account: &OpenStackAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let auth_url = self.allowed.check_service(Provider::OpenStack, &account.auth_url);
        let auth_url = auth_url.map_err(not_allowed("spec.openstack.authURL"))?;
        let credentials = if self.has("username") {
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
            CatalogInterface::Admin => Interface::Admin,
        };
        let image = account.endpoints.as_ref().and_then(|endpoints| endpoints.image.as_deref());
        let check = |text| self.allowed.check_regional_service(Provider::OpenStack, text);
        let image = image.map(check).transpose().map_err(not_allowed("spec.openstack.endpoints.image"))?;
        let allowed = self.allowed.clone();
        let access = OpenStackAccess { project, auth_url, interface, image, allowed, credentials };
        Ok(openstack(access, self.client_context))
    }

    fn aws(&self, account: &AwsAccount) -> Result<Arc<dyn Cloud>, Problem> {
        let endpoint = self.endpoint("spec.aws.endpoint", account.endpoint.as_deref())?;
        let credentials = self.aws_keys(&account.credentials)?;
        let (id, partition) = (self.account("spec.aws.accountID")?, account.partition);
        let home_region = RegionId::parse(account.home_region.as_deref().unwrap_or(partition.home_region()))
            .map_err(|error| Problem::blocked(Reason::Unreadable, format!("spec.aws.homeRegion: {error}")))?;
        let AwsAccount { fips, dual_stack, .. } = *account;
        let access = AwsAccess { account: id, partition, home_region, fips, dual_stack, endpoint, credentials };
        Ok(aws(access, self.client_context))
    }

    fn has(&self, key: &str) -> bool {
        self.keys.is_some_and(|keys| keys.has(key))
    }

    /// The account's Secret; the schema demands one where there is no other source of credentials.
    fn keys(&self) -> Result<&Keys, Problem> {
        self.keys.ok_or_else(|| Problem::blocked(Reason::Unreadable, "spec: credentials.secretRef is missing"))
    }

    pub(super) fn key(&self, key: &'static str) -> Result<secrecy::SecretString, Problem> {
        self.keys()?.demand(key).map_err(|error| missing_key(self.name, self.tenancy, &error))
    }

    pub(super) fn optional(&self, key: &'static str) -> Result<Option<secrecy::SecretString>, Problem> {
        self.keys()?.find(key).map_err(|error| missing_key(self.name, self.tenancy, &error))
    }

    fn account(&self, field: &str) -> Result<PrincipalId, Problem> {
        let parsed = self.tenancy.provider().parse_account(self.tenancy.account_id());
        parsed.map_err(|e| Problem::blocked(Reason::Unreadable, format!("{field}: {e}")))
    }

    fn alibaba_endpoints(&self, account: &AlibabaAccount) -> Result<alibaba_cloud::Endpoints, Problem> {
        if let Some(all) = self.endpoint("spec.alibaba.endpoint", account.endpoint.as_deref())? {
            return Ok(alibaba_cloud::Endpoints::all_at(all));
        }
        let given = account.endpoints.as_ref();
        Ok(alibaba_cloud::Endpoints {
            ecs: self.service("spec.alibaba.endpoints.ecs", given.and_then(|given| given.ecs.as_deref()))?,
            sts: self.service("spec.alibaba.endpoints.sts", given.and_then(|given| given.sts.as_deref()))?,
            vpc: account.network == Network::Vpc,
            home: home("spec.alibaba.homeRegion", account.home_region.as_deref())?,
        })
    }

    fn huawei_endpoints(&self, account: &HuaweiAccount) -> Result<huawei_cloud::Endpoints, Problem> {
        if let Some(all) = self.endpoint("spec.huawei.endpoint", account.endpoint.as_deref())? {
            return Ok(huawei_cloud::Endpoints::all_at(all));
        }
        let given = account.endpoints.as_ref();
        Ok(huawei_cloud::Endpoints {
            ims: self.service("spec.huawei.endpoints.ims", given.and_then(|given| given.ims.as_deref()))?,
            iam: self.service("spec.huawei.endpoints.iam", given.and_then(|given| given.iam.as_deref()))?,
            home: home("spec.huawei.homeRegion", account.home_region.as_deref())?,
        })
    }

    /// One endpoint for every call.
    fn endpoint(&self, field: &'static str, text: Option<&str>) -> Result<Option<CheckedEndpoint>, Problem> {
        let checked = text.map(|text| self.allowed.check(self.tenancy.provider(), text)).transpose();
        checked.map_err(not_allowed(field))
    }

    fn service(&self, field: &'static str, text: Option<&str>) -> Result<Option<ServiceEndpoint>, Problem> {
        let checked = text.map(|text| self.allowed.check_regional(self.tenancy.provider(), text)).transpose();
        checked.map_err(not_allowed(field))
    }
}

fn home(field: &str, region: Option<&str>) -> Result<Option<RegionId>, Problem> {
    let unreadable = |error| Problem::blocked(Reason::Unreadable, format!("{field}: {error}"));
    region.map(RegionId::parse).transpose().map_err(unreadable)
}

fn not_allowed(field: &'static str) -> impl Fn(EndpointRefused) -> Problem {
    move |refused| Problem::blocked(Reason::EndpointNotAllowed, format!("{field}: {refused}"))
}

pub(super) fn unusable(error: impl std::fmt::Display) -> Problem {
    Problem::blocked(Reason::CredentialsRejected, format!("the Secret's keys: {error}"))
}
