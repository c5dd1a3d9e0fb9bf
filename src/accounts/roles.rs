//! Where the keys of an account come from: its Secret, a token of a `ServiceAccount`, and the roles that these assume.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::clients::{Maker, unusable};
use crate::api::CloudAccount;
use crate::api::cloud_account::{AlibabaCredentials, AwsCredentials, Tenancy};
use crate::clouds::roles::{IdentityTokens, KeySource, Role, TokenRole};
use crate::clouds::{Fault, alibaba, aws};
use crate::cluster::tokens::{NoTokenGiven, request_token};
use crate::domain::fault::{NoToken, NoTokenCause};
use crate::domain::role::session_name;
use crate::planning::problem::Problem;

/// The object with an account's credentials, for messages.
pub(super) fn source_name(account: &CloudAccount) -> String {
    let tenancy = account.spec.tenancy();
    let secret = tenancy.and_then(Tenancy::secret_name);
    let service_account = tenancy.and_then(Tenancy::service_account_name);
    match (secret, service_account) {
        (None, Some(name)) => format!("ServiceAccount {name:?}"),
        (secret, _) => format!("Secret {:?}", secret.unwrap_or_default()),
    }
}

/// The tokens of one `ServiceAccount` of an account's own namespace.
struct ServiceAccountTokens {
    kubernetes: kube::Client,
    namespace: String,
    name: String,
    audience: String,
}

#[async_trait]
impl IdentityTokens for ServiceAccountTokens {
    async fn token(&self) -> Result<SecretString, Fault> {
        let token = request_token(&self.kubernetes, &self.namespace, &self.name, &self.audience).await;
        token.map_err(|error| {
            let cause = match error {
                NoTokenGiven::Forbidden => NoTokenCause::Forbidden,
                NoTokenGiven::Missing => NoTokenCause::Missing,
                NoTokenGiven::Refused => NoTokenCause::Refused,
                NoTokenGiven::Unread(_) | NoTokenGiven::Empty => NoTokenCause::Unavailable,
            };
            let (namespace, service_account) = (self.namespace.clone(), self.name.clone());
            Fault::NoToken(Box::new(NoToken { namespace, service_account, cause }))
        })
    }
}

impl Maker<'_> {
    pub(super) fn alibaba_keys(&self, given: &AlibabaCredentials) -> Result<KeySource<alibaba::Credentials>, Problem> {
        let source = if let Some(identity) = &given.workload_identity {
            let audience = identity.audience.as_deref().unwrap_or(alibaba::TOKEN_AUDIENCE);
            let role = self.token_role(&identity.service_account_ref.name, &identity.role_arn, audience);
            KeySource::of_token(TokenRole { oidc_provider: Some(identity.oidc_provider_arn.clone()), ..role })
        } else {
            let token = self.optional("securityToken")?;
            let keys = alibaba::Credentials::parse(
                self.key("accessKeyID")?.expose_secret(),
                self.key("accessKeySecret")?.expose_secret(),
                token.as_ref().map(ExposeSecret::expose_secret),
            );
            KeySource::from(keys.map_err(unusable)?)
        };
        let role = given.assume_role.as_ref().map(|role| self.role(&role.role_arn, role.external_id.as_ref()));
        Ok(source.assuming(role))
    }

    pub(super) fn aws_keys(&self, given: &AwsCredentials) -> Result<KeySource<aws::Credentials>, Problem> {
        let source = if let Some(identity) = &given.workload_identity {
            let audience = identity.audience.as_deref().unwrap_or(aws::TOKEN_AUDIENCE);
            KeySource::of_token(self.token_role(&identity.service_account_ref.name, &identity.role_arn, audience))
        } else {
            let token = self.optional("sessionToken")?;
            let keys = aws::Credentials::parse(
                self.key("accessKeyID")?.expose_secret(),
                self.key("secretAccessKey")?.expose_secret(),
                token.as_ref().map(ExposeSecret::expose_secret),
            );
            KeySource::from(keys.map_err(unusable)?)
        };
        let role = given.assume_role.as_ref().map(|role| self.role(&role.role_arn, role.external_id.as_ref()));
        Ok(source.assuming(role))
    }

    /// A role that the account's own credentials assume. Whose credentials they are may choose what the role is told: they come
    /// from a Secret or a `ServiceAccount` of the account's namespace, and never from the operator.
    fn role(&self, arn: &str, external_id: Option<&String>) -> Role {
        let session = session_name(self.namespace, self.name);
        Role { arn: arn.to_owned(), session, external_id: external_id.cloned() }
    }

    fn token_role(&self, service_account: &str, arn: &str, audience: &str) -> TokenRole {
        let tokens = ServiceAccountTokens {
            kubernetes: self.kubernetes.clone(),
            namespace: self.namespace.to_owned(),
            name: service_account.to_owned(),
            audience: audience.to_owned(),
        };
        TokenRole {
            arn: arn.to_owned(),
            session: session_name(self.namespace, self.name),
            oidc_provider: None,
            subject: format!("system:serviceaccount:{}:{service_account}", self.namespace),
            audience: audience.to_owned(),
            tokens: Arc::new(tokens),
        }
    }
}
