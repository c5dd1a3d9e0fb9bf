//! Copies of images, in the region and across regions, over every cloud: judged by what the cloud itself says, and by how
//! many copies it was made to make.

/// Runs each scenario over both vendors' clouds, as tests of their own.
macro_rules! over_both_clouds {
    ($($scenario:ident),* $(,)?) => {
        mod at_alibaba {
            $(#[tokio::test]
            async fn $scenario() -> anyhow::Result<()> {
                super::$scenario(crate::party::Cloud::Alibaba).await
            })*
        }

        mod at_huawei {
            $(#[tokio::test]
            async fn $scenario() -> anyhow::Result<()> {
                super::$scenario(crate::party::Cloud::Huawei).await
            })*
        }
    };
}

mod alibaba;
mod deleting;
mod examples;
mod failures;
mod huawei;
mod leaving;
mod party;
mod received;
mod refusals;
mod replicating;
mod rest;
mod sources;
mod stage;
mod unknown;
