//! What this binary's tests share: one API server, the simulated Huawei Cloud, a real Keystone and Glance, one operator.

use anyhow::Result;
use imageshare_harness::{OpenStack, run};
use tokio::sync::OnceCell;

use support::Stage;
use support::huawei;

/// Everything, started once.
pub struct Servers {
    pub stage: Stage,
    pub openstack: OpenStack,
}

pub async fn servers() -> Result<&'static Servers> {
    static SERVERS: OnceCell<Servers> = OnceCell::const_new();
    SERVERS
        .get_or_try_init(async || {
            let openstack = OpenStack::start(&run::folder_of_this_binary()?).await?;
            let identity = openstack.identity_url().to_owned();
            let images = openstack.image_url().to_owned();
            // Nothing tells this operator what happens at the cloud: it reads it again.
            let mut arguments = support::quick(&["--inventory-interval", "3s", "--drift-interval", "3s"]);
            arguments.extend(["--allowed-endpoint", &identity, "--allowed-endpoint", &images]);
            Ok(Servers { stage: support::start(&huawei::world(), &arguments).await?, openstack })
        })
        .await
}

/// The simulated clouds alone, for those who show that a refused key is left alone by an operator that reads its Secret again
/// all the time.
pub async fn polling() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE
        .get_or_try_init(async || {
            let arguments = support::quick(&[support::POLLING.as_slice(), &["--drift-interval", "3s"]].concat());
            support::start_apart(&huawei::world(), &arguments).await
        })
        .await
}

/// An arena of its own at Huawei Cloud.
pub async fn huawei() -> Result<huawei::Huawei> {
    huawei::Huawei::enter_on(&servers().await?.stage).await
}
