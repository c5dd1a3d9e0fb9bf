//! Calls that give temporary keys.

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use super::{AlibabaCloud, Service};
use crate::clouds::alibaba::endpoints::url_of;
use crate::clouds::alibaba::faults::fault_of;
use crate::clouds::alibaba::wire::roles::{read_arn, read_granted};
use crate::clouds::alibaba::{Credentials, Operation};
use crate::clouds::instrumented::{self, within};
use crate::clouds::roles::{Exchange, Granted, Role, TokenRole};
use crate::clouds::signing::canonical_query;
use crate::clouds::transport::{Answer, Request};
use crate::clouds::{Fault, Priority};
use crate::domain::fault::Missing;
use crate::domain::provider::Provider;
use crate::domain::role::SESSION_SECONDS;

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

impl AlibabaCloud {
    /// Makes the one call that has no signature. The token goes into the form, as the vendor's SDK for Go puts it, and not into the
    /// URL.
    async fn call_unsigned(&self, role: &TokenRole, token: &SecretString) -> Result<Vec<u8>, Fault> {
        let (operation, service) = (Operation::AssumeRoleWithOidc, Service::Sts);
        let mut url = url_of(service, &self.endpoints).ok_or(Fault::NotFound(Missing::Region))?;
        let (account, region) = self.budget_of(service);
        self.client_context.acquire(Provider::Alibaba, &account, &region, Priority::Acceptance).await?;
        let timestamp = self.client_context.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        url.set_query(Some(&canonical_query(&[
            pair("Action", operation.action()),
            pair("Version", operation.version()),
            pair("Format", "JSON"),
            pair("Timestamp", &timestamp),
        ])));
        let form = [
            pair("RoleArn", &role.arn),
            pair("OIDCProviderArn", role.oidc_provider.as_deref().unwrap_or_default()),
            pair("OIDCToken", token.expose_secret()),
            pair("RoleSessionName", &role.session),
            pair("DurationSeconds", &SESSION_SECONDS.to_string()),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let request = Request { method: Method::POST, url, headers, body: canonical_query(&form).into_bytes() };
        let judge = |answer: &Answer| {
            (answer.status != 200).then(|| fault_of(operation, answer.status, &answer.headers, &answer.body))
        };
        Ok(self.client_context.send((Provider::Alibaba, &account, &region), request, judge).await?.body)
    }
}

impl Exchange<Credentials> for AlibabaCloud {
    async fn by_keys(&self, keys: &Credentials, role: &Role) -> Result<Granted<Credentials>, Fault> {
        let mut query = vec![
            pair("RoleArn", &role.arn),
            pair("RoleSessionName", &role.session),
            pair("DurationSeconds", &SESSION_SECONDS.to_string()),
        ];
        query.extend(role.external_id.as_ref().map(|id| pair("ExternalId", id)));
        let call = self.call_as(keys, Operation::AssumeRole, Service::Sts, &query, Priority::Acceptance);
        let body = within(instrumented::Operation::AssumeRole, call).await?;
        read_granted(&body, self.client_context.clock.now())
    }

    async fn by_token(&self, role: &TokenRole, token: &SecretString) -> Result<Granted<Credentials>, Fault> {
        let body = within(instrumented::Operation::AssumeRole, self.call_unsigned(role, token)).await?;
        read_granted(&body, self.client_context.clock.now())
    }

    async fn identity_of(&self, keys: &Credentials) -> Option<String> {
        let call = self.call_as(keys, Operation::GetCallerIdentity, Service::Sts, &[], Priority::Acceptance);
        read_arn(&within(instrumented::Operation::AssumeRole, call).await.ok()?)
    }
}
