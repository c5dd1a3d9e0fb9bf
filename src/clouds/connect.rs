//! Creates clients of all clouds.

use std::sync::Arc;

use super::Cloud;
pub use super::alibaba::AlibabaAccess;
use super::alibaba::AlibabaCloud;
pub use super::aws::AwsAccess;
use super::aws::AwsCloud;
pub use super::client_context::ClientContext;
pub use super::huawei::HuaweiAccess;
use super::huawei::HuaweiCloud;
use super::instrumented::Instrumented;
pub use super::openstack::OpenStackAccess;
use super::openstack::OpenStackCloud;

/// Creates a client of one Alibaba Cloud account; makes no call.
pub fn alibaba(access: AlibabaAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    Arc::new(Instrumented::new(AlibabaCloud::new(access, shared)))
}

/// Creates a client of one Huawei Cloud account; makes no call.
pub fn huawei(access: HuaweiAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    Arc::new(Instrumented::new(HuaweiCloud::new(access, shared)))
}

/// Creates a client of one project of one `OpenStack` cloud; makes no call.
pub fn openstack(access: OpenStackAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    Arc::new(Instrumented::new(OpenStackCloud::new(access, shared)))
}

/// Creates a client of one AWS account; makes no call.
pub fn aws(access: AwsAccess, shared: &ClientContext) -> Arc<dyn Cloud> {
    Arc::new(Instrumented::new(AwsCloud::new(access, shared)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::alibaba::Credentials;
    use crate::clouds::budget::BudgetSettings;
    use crate::clouds::clock::SystemClock;
    use crate::clouds::transport::TransportSettings;
    use crate::domain::identifiers::PrincipalId;

    #[test]
    fn client_is_built_without_installing_cryptography_by_hand_and_shows_no_secret() {
        let clock = Arc::new(SystemClock);
        let client_context =
            ClientContext::new(TransportSettings::default(), BudgetSettings::default(), clock).unwrap();
        let access = AlibabaAccess {
            account: PrincipalId::parse("1000000000000001").unwrap(),
            endpoints: crate::clouds::alibaba::Endpoints::default(),
            credentials: Credentials::parse("key-id-text", "secret-text", Some("token-text")).unwrap().into(),
        };
        let shown = format!("{access:?} {:?}", AlibabaCloud::new(access.clone(), &client_context));
        for secret in ["key-id-text", "secret-text", "token-text"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert_eq!(alibaba(access, &client_context).call_shape().recipients, 10);
    }
}
