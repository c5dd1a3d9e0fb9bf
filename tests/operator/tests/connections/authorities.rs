//! Authorities of single accounts. Two sets of clouds have an authority each: that of the first stands for the public ones, since
//! the operator finds it where the system has its own; that of the second is private.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::forward_proxy::{ADMITTED, ForwardProxy};
use crate::scene::{Clouds, Scene};

/// Alibaba Cloud's hosts have the public authority, Huawei Cloud's the private one.
struct Setting {
    /// Held while the clouds are asked.
    _public: Clouds,
    private: Clouds,
    scene: Scene,
}

impl Setting {
    async fn open() -> Result<Self> {
        let (public, private) = (Clouds::start().await?, Clouds::start().await?);
        let [to_public, to_private]: [SocketAddr; 2] = [public.address(), private.address()];
        let proxy =
            ForwardProxy::open(move |host| if host.ends_with(".aliyuncs.com") { to_public } else { to_private })
                .await?;
        let file = public.authority_file()?;
        let scene = Scene::open(&[], |launch| {
            launch
                .environment("HTTPS_PROXY", proxy.url(ADMITTED))
                .environment("NO_PROXY", "127.0.0.1")
                .environment("SSL_CERT_FILE", file.display().to_string())
        })
        .await?;
        for name in ["plain", "public", "private", "secret"] {
            scene.secret(name, &[]).await?;
        }
        Ok(Self { _public: public, private, scene })
    }

    fn bundle(&self) -> Value {
        json!({"caBundle": self.private.authority()})
    }
}

#[tokio::test]
async fn the_bundle_of_an_account_is_trusted_by_that_account_besides_the_public_authorities() -> Result<()> {
    let mut setting = Setting::open().await?;
    let bundle = setting.bundle();
    let scene = &mut setting.scene;
    scene.huawei_account("private", json!({}), bundle.clone()).await?;
    scene.until("private", "Verified").await?;
    scene.account("public", json!({}), bundle).await?;
    scene.until("public", "Verified").await?;

    scene.huawei_account("plain", json!({}), json!({})).await?;
    let message = scene.until("plain", "CloudUnavailable").await?;
    ensure!(message.contains("an unknown authority signed its TLS certificate"), "{message}");
    ensure!(message.contains("put its certificate into spec.caBundle of the CloudAccount"), "{message}");
    Ok(())
}

/// The remedy of the message, carried out; and what a mistake in it says.
#[tokio::test]
async fn a_bundle_is_in_force_without_a_restart_wherever_it_is_written() -> Result<()> {
    let mut setting = Setting::open().await?;
    let (authority, bundle) = (setting.private.authority().to_owned(), setting.bundle());
    let broken = authority.replace("MII", "MI");
    let scene = &mut setting.scene;
    for (name, secret) in [("private", false), ("secret", true)] {
        scene.huawei_account(name, json!({}), json!({})).await?;
        scene.until(name, "CloudUnavailable").await?;
        if secret {
            scene.secret(name, &[("cacert", &broken)]).await?;
            let message = scene.until(name, "CABundleInvalid").await?;
            ensure!(
                message.starts_with("Secret \"secret\", key \"cacert\": certificate 1 in it cannot be read"),
                "{message}"
            );
            scene.secret(name, &[("cacert", &authority)]).await?;
        } else {
            scene.huawei_account(name, json!({}), json!({"caBundle": broken.clone()})).await?;
            let message = scene.until(name, "CABundleInvalid").await?;
            ensure!(message.starts_with("spec.caBundle: certificate 1 in it cannot be read"), "{message}");
            scene.huawei_account(name, json!({}), bundle.clone()).await?;
        }
        scene.until(name, "Verified").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_bundle_that_is_none_or_holds_a_private_key_is_refused_in_words() -> Result<()> {
    let setting = Setting::open().await?;
    let accounts = setting.scene.accounts();
    setting.scene.huawei_account("plain", json!({}), json!({})).await?;
    for (bundle, words) in [
        ("LS0tLS1CRUdJTiBD".to_owned(), "caBundle is one or more certificates in PEM"),
        (format!("{}-----BEGIN PRIVATE KEY-----", setting.private.authority()), "caBundle holds a private key"),
    ] {
        let change = Patch::Merge(json!({"spec": {"caBundle": bundle}}));
        let refused = accounts.patch("plain", &PatchParams::default(), &change).await.unwrap_err().to_string();
        ensure!(refused.contains(words), "{refused}");
    }
    Ok(())
}
