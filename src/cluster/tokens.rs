//! Tokens of `ServiceAccount`s, each for an audience outside of the cluster. The operator never stores one.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use secrecy::SecretString;

use super::lookup::can_exist;
use super::{ClusterError, within_deadline};

/// How long a token lives, in seconds: the shortest time that the API server grants. It is used once, at once.
const SECONDS: i64 = 600;

/// Why the API server gives no token.
#[derive(Debug, thiserror::Error)]
pub enum NoTokenGiven {
    /// The operator's RBAC rules do not include it.
    #[error("the operator may not request the token")]
    Forbidden,
    /// There is no such `ServiceAccount`.
    #[error("there is no such ServiceAccount")]
    Missing,
    /// The API server refuses the request.
    #[error("the API server refuses to issue the token")]
    Refused,
    /// The API server did not answer, or answered no token.
    #[error("the token cannot be requested: {0}")]
    Unread(#[from] ClusterError),
    /// The answer holds no token.
    #[error("the API server's answer holds no token")]
    Empty,
}

/// Requests a token of a `ServiceAccount` for one audience.
pub async fn request_token(
    client: &Client,
    namespace: &str,
    name: &str,
    audience: &str,
) -> Result<SecretString, NoTokenGiven> {
    if !can_exist(namespace, name) {
        return Err(NoTokenGiven::Missing);
    }
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let audiences = vec![audience.to_owned()];
    let spec = TokenRequestSpec { audiences, expiration_seconds: Some(SECONDS), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let params = PostParams::default();
    match within_deadline(api.create_token_request(name, &params, &request)).await {
        Ok(answer) => {
            let token = answer.status.map(|status| status.token).filter(|token| !token.is_empty());
            token.map(SecretString::from).ok_or(NoTokenGiven::Empty)
        }
        Err(ClusterError::Api(kube::Error::Api(status))) => Err(match status.code {
            403 => NoTokenGiven::Forbidden,
            404 => NoTokenGiven::Missing,
            400 | 422 => NoTokenGiven::Refused,
            _ => NoTokenGiven::Unread(ClusterError::Api(kube::Error::Api(status))),
        }),
        Err(error) => Err(error.into()),
    }
}
