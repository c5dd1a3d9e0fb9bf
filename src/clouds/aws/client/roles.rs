//! Calls that give temporary keys.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE as CONTENT_TYPE_NAME, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{AwsCloud, Service, pair};
use crate::clouds::aws::faults::{Asked, fault_of};
use crate::clouds::aws::sign::CONTENT_TYPE;
use crate::clouds::aws::wire::roles::{read_arn, read_granted};
use crate::clouds::aws::wire::{Form, body_of};
use crate::clouds::aws::{Credentials, Operation};
use crate::clouds::instrumented::{self, within};
use crate::clouds::roles::{Exchange, Granted, Role, TokenRole};
use crate::clouds::transport::{Answer, Request};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::Missing;
use crate::domain::provider::Provider;
use crate::domain::role::SESSION_SECONDS;

impl AwsCloud {
    /// Makes the one call that has no signature.
    async fn call_unsigned(&self, role: &TokenRole, token: &SecretString) -> Result<Vec<u8>, Fault> {
        let (operation, service) = (Operation::AssumeRoleWithWebIdentity, Service::Sts);
        let url = self.hosts.url_of(service).ok_or(Fault::NotFound(Missing::Region))?;
        let (account, region) = self.budget_of(&self.client_context, service);
        self.client_context.acquire(Provider::Aws, &account, &region, Priority::Acceptance).await?;
        let form: Form = vec![
            pair("RoleArn", &role.arn),
            pair("RoleSessionName", &role.session),
            pair("WebIdentityToken", token.expose_secret()),
            pair("DurationSeconds", &SESSION_SECONDS),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE_NAME, HeaderValue::from_static(CONTENT_TYPE));
        let request = Request { method: Method::POST, url, headers, body: body_of(operation, &form).into_bytes() };
        let asked = Asked { operation, temporary: true, at: self.client_context.clock.now() };
        let judge = |answer: &Answer| {
            (answer.status != 200).then(|| fault_of(asked, answer.status, &answer.headers, &answer.body))
        };
        Ok(self.client_context.send((Provider::Aws, &account, &region), request, judge).await?.body)
    }
}

impl Exchange<Credentials> for AwsCloud {
    async fn by_keys(&self, keys: &Credentials, role: &Role) -> Result<Granted<Credentials>, Fault> {
        let mut form: Form = vec![
            pair("RoleArn", &role.arn),
            pair("RoleSessionName", &role.session),
            pair("DurationSeconds", &SESSION_SECONDS),
        ];
        form.extend(role.external_id.as_ref().map(|id| pair("ExternalId", id)));
        let call = self.call_as(keys, Operation::AssumeRole, Service::Sts, &form, Priority::Acceptance);
        let body = within(instrumented::Operation::AssumeRole, call).await?;
        read_granted(&body, Operation::AssumeRole, self.client_context.clock.now())
    }

    async fn by_token(&self, role: &TokenRole, token: &SecretString) -> Result<Granted<Credentials>, Fault> {
        let body = within(instrumented::Operation::AssumeRole, self.call_unsigned(role, token)).await?;
        read_granted(&body, Operation::AssumeRoleWithWebIdentity, self.client_context.clock.now())
    }

    async fn identity_of(&self, keys: &Credentials) -> Option<String> {
        let call = self.call_as(keys, Operation::GetCallerIdentity, Service::Sts, &[], Priority::Acceptance);
        read_arn(&within(instrumented::Operation::AssumeRole, call).await.ok()?)
    }
}
