//! What to do where an account has no temporary keys.

use crate::api::conditions::Reason;
use crate::domain::fault::{AskedBy, NoToken, NoTokenCause, RoleRefused};

/// Why Kubernetes gives no token, as a reason.
pub(super) fn reason_of(none: &NoToken) -> Reason {
    match none.cause {
        NoTokenCause::Forbidden | NoTokenCause::Refused => Reason::TokenRequestForbidden,
        NoTokenCause::Missing => Reason::ServiceAccountNotFound,
        NoTokenCause::Unavailable => Reason::CloudUnavailable,
    }
}

/// What the role's trust policy must contain.
pub(super) fn refused(refused: &RoleRefused) -> String {
    let RoleRefused { role, code, asked_by } = refused;
    match asked_by {
        AskedBy::Keys { identity, external_id } => {
            let who = identity.as_deref().unwrap_or("the identity of the account's key");
            let condition = match external_id {
                Some(id) => format!(", where it has the condition sts:ExternalId, for {id:?}"),
                None => ", without the condition sts:ExternalId, since the account names no external id".to_owned(),
            };
            // Alibaba Cloud: "Roles may not be assumed by root accounts".
            let also = if who.starts_with("acs:ram::") && who.ends_with(":root") {
                "; an account's own key may assume no role: use that of a RAM user"
            } else {
                ""
            };
            format!(
                "the cloud does not let {who} assume role {role} ({code}): the trust policy of the role must allow \
                 sts:AssumeRole to {who}{condition}; and a policy of {who} must allow sts:AssumeRole on the role{also}"
            )
        }
        AskedBy::ServiceAccount { subject, audience } => format!(
            "the cloud gives no keys of role {role} for the ServiceAccount's token ({code}): the trust policy of the role must \
             allow this cluster's OIDC provider for the subject {subject} and the audience {audience:?}, and the provider must \
             be registered at the cloud with the cluster's issuer and this audience"
        ),
    }
}

/// How the operator gets a token.
pub(super) fn no_token(none: &NoToken) -> String {
    let NoToken { namespace, service_account: name, cause } = none;
    match cause {
        NoTokenCause::Forbidden => format!(
            "the operator may not request tokens of ServiceAccount {name:?} in namespace {namespace:?}: set \
             workloadIdentity.enabled of the chart, and add {name} to workloadIdentity.serviceAccounts if that lists names; \
             without the chart, grant create on serviceaccounts/token"
        ),
        NoTokenCause::Missing => {
            format!(
                "there is no ServiceAccount {name:?} in namespace {namespace:?}: make it, or correct serviceAccountRef.name"
            )
        }
        NoTokenCause::Refused => format!(
            "the API server refuses to issue a token of ServiceAccount {name:?} in namespace {namespace:?}: correct \
             workloadIdentity.audience"
        ),
        NoTokenCause::Unavailable => {
            format!("the API server issues no token of ServiceAccount {name:?} in namespace {namespace:?}; retrying")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Fault;
    use crate::planning::problem::Problem;

    const ROLE: &str = "arn:aws:iam::444455556666:role/share";

    fn told(asked_by: AskedBy) -> Problem {
        let refused = RoleRefused { role: ROLE.to_owned(), code: "AccessDenied".to_owned(), asked_by };
        Problem::from(&Fault::RoleRefused(Box::new(refused)))
    }

    #[test]
    fn a_refused_role_says_what_its_trust_policy_must_contain() {
        let identity = Some("arn:aws:iam::111122223333:user/ci".to_owned());
        let by_keys = told(AskedBy::Keys { identity, external_id: Some("cluster/team".to_owned()) });
        assert_eq!(by_keys.reason, Reason::AssumeRoleRefused);
        for part in [ROLE, "AccessDenied", "trust policy", "arn:aws:iam::111122223333:user/ci", "\"cluster/team\""] {
            assert!(by_keys.message.contains(part), "{}", by_keys.message);
        }
        let identity = Some("acs:ram::1000000000000001:root".to_owned());
        let by_root = told(AskedBy::Keys { identity, external_id: None });
        assert!(by_root.message.ends_with("use that of a RAM user"), "{}", by_root.message);
        let unnamed = told(AskedBy::Keys { identity: None, external_id: None });
        assert!(unnamed.message.contains("names no external id"), "{}", unnamed.message);
        let subject = "system:serviceaccount:team:golden".to_owned();
        let by_token = told(AskedBy::ServiceAccount { subject, audience: "sts.amazonaws.com".to_owned() });
        for part in [ROLE, "OIDC provider", "system:serviceaccount:team:golden", "\"sts.amazonaws.com\""] {
            assert!(by_token.message.contains(part), "{}", by_token.message);
        }
    }

    #[test]
    fn a_token_that_the_operator_does_not_get_names_the_chart_value_or_the_service_account() {
        for (cause, reason, part, closes) in [
            (NoTokenCause::Forbidden, Reason::TokenRequestForbidden, "workloadIdentity.enabled", true),
            (NoTokenCause::Missing, Reason::ServiceAccountNotFound, "serviceAccountRef.name", true),
            (NoTokenCause::Refused, Reason::TokenRequestForbidden, "workloadIdentity.audience", true),
            (NoTokenCause::Unavailable, Reason::CloudUnavailable, "retrying", false),
        ] {
            let none = NoToken { namespace: "team".to_owned(), service_account: "golden".to_owned(), cause };
            let fault = Fault::NoToken(Box::new(none));
            let problem = Problem::from(&fault);
            assert_eq!((problem.reason, fault.closes_the_account()), (reason, closes));
            assert!(problem.message.contains(part) && problem.message.contains("\"golden\""), "{}", problem.message);
        }
    }
}
