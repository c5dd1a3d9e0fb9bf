//! Where the calls of an account go: by the vendor's hosts, by its network, by endpoints of single services.

use anyhow::{Result, ensure};
use imageshare_harness::eventually;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::PATIENCE;

use crate::forward_proxy::{ADMITTED, ForwardProxy};
use crate::scene::{Clouds, Scene};

struct Setting {
    /// Held while the clouds are asked.
    _clouds: Clouds,
    proxy: ForwardProxy,
    scene: Scene,
}

impl Setting {
    /// Every host of the clouds is reached through a proxy, which tells which one is asked.
    async fn open(arguments: &[&str]) -> Result<Self> {
        let clouds = Clouds::start().await?;
        let proxy = clouds.proxy().await?;
        let file = clouds.authority_file()?;
        let scene = Scene::open(arguments, |launch| {
            launch
                .environment("HTTPS_PROXY", proxy.url(ADMITTED))
                .environment("NO_PROXY", "127.0.0.1")
                .environment("SSL_CERT_FILE", file.display().to_string())
        })
        .await?;
        scene.secret("golden", &[]).await?;
        Ok(Self { _clouds: clouds, proxy, scene })
    }

    /// Waits until a host is asked.
    async fn until_asked(&self, host: &str) -> Result<()> {
        eventually(PATIENCE, &format!("{host} to be asked"), async || {
            let asked = self.proxy.passed_to(&format!("CONNECT {host}:443")) > 0;
            ensure!(asked, "{:?}", self.proxy.passed());
            Ok(Some(()))
        })
        .await
    }
}

#[tokio::test]
async fn an_account_of_a_vpc_calls_no_public_host() -> Result<()> {
    let mut setting = Setting::open(&[]).await?;
    let vpc = json!({"network": "VPC", "homeRegion": "cn-beijing"});
    setting.scene.account("golden", vpc, json!({"timeouts": {"connectSeconds": 9, "callSeconds": 30}})).await?;
    setting.scene.until("golden", "Verified").await?;
    setting.scene.image("golden", "cn-hangzhou").await?;
    for host in ["sts-vpc.cn-beijing", "ecs-vpc.cn-beijing", "ecs-vpc.cn-hangzhou"] {
        setting.until_asked(&format!("{host}.aliyuncs.com")).await?;
    }
    let public: Vec<String> = setting.proxy.passed().into_iter().filter(|asked| !asked.contains("-vpc.")).collect();
    ensure!(public.is_empty(), "{public:?}");
    Ok(())
}

#[tokio::test]
async fn services_of_another_cloud_of_the_same_technology_are_called_where_a_flag_allows_them() -> Result<()> {
    let ims = "https://ims.{region}.sovereign.huaweicloud.com";
    let mut setting = Setting::open(&["--allowed-endpoint", ims]).await?;
    let iam = "https://iam.cn-north-4.myhuaweicloud.com";
    let given = |ims: &str| json!({"endpoints": {"ims": ims, "iam": iam}});
    for refused in ["https://ims.{region}.elsewhere.example", "https://golden.obs.cn-north-4.myhuaweicloud.com"] {
        setting.scene.huawei_account("golden", given(refused), json!({})).await?;
        let message = setting.scene.until("golden", "EndpointNotAllowed").await?;
        ensure!(message.starts_with("spec.huawei.endpoints.ims: this endpoint is not allowed"), "{message}");
    }
    ensure!(setting.proxy.passed().is_empty(), "{:?}", setting.proxy.passed());
    setting.scene.huawei_account("golden", given(ims), json!({})).await?;
    setting.scene.until("golden", "Verified").await?;
    setting.scene.image("golden", "cn-north-4").await?;
    setting.until_asked("iam.cn-north-4.myhuaweicloud.com").await?;
    setting.until_asked("ims.cn-north-4.sovereign.huaweicloud.com").await
}

/// Below a vendor's domain, customers choose the names of buckets and load balancers.
#[tokio::test]
async fn a_bucket_below_the_vendors_domain_gets_no_signed_request() -> Result<()> {
    let mut setting = Setting::open(&[]).await?;
    for host in ["ecs.oss-cn-hangzhou.aliyuncs.com", "golden.cn-hangzhou.alb.aliyuncs.com"] {
        setting.scene.account("golden", json!({"endpoint": format!("https://{host}")}), json!({})).await?;
        let message = setting.scene.until("golden", "EndpointNotAllowed").await?;
        ensure!(message.starts_with("spec.alibaba.endpoint: "), "{message}");
    }
    ensure!(setting.proxy.passed().is_empty(), "{:?}", setting.proxy.passed());
    Ok(())
}

#[tokio::test]
async fn endpoints_that_contradict_each_other_or_lack_a_region_are_refused_in_words() -> Result<()> {
    let setting = Setting::open(&[]).await?;
    setting.scene.account("alibaba", json!({}), json!({})).await?;
    setting.scene.huawei_account("huawei", json!({}), json!({})).await?;
    let everywhere = "https://ecs.{region}.aliyuncs.com";
    for (name, change, words) in [
        ("alibaba", json!({"network": "VPC"}), "network VPC needs homeRegion"),
        ("alibaba", json!({"endpoints": {"ecs": everywhere}}), "endpoints have {region}: give homeRegion"),
        ("alibaba", json!({"endpoint": everywhere, "endpoints": {}}), "not both"),
        ("huawei", json!({"endpoints": {"iam": "https://iam.{region}.myhuaweicloud.com"}}), "give homeRegion"),
        ("huawei", json!({"endpoint": "https://a.example", "endpoints": {}}), "not both"),
    ] {
        let change = Patch::Merge(json!({"spec": {name: change}}));
        let accounts = setting.scene.accounts();
        let refused = accounts.patch(name, &PatchParams::default(), &change).await.unwrap_err().to_string();
        ensure!(refused.contains(words), "{name}: {refused}");
    }
    Ok(())
}
