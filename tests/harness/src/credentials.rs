//! Keys, tokens and kubeconfigs of a control plane.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use pem::Pem;
use serde_json::json;

/// The files of credentials in a run folder.
#[derive(Debug)]
pub(crate) struct Credentials {
    folder: PathBuf,
    admin_token: String,
}

impl Credentials {
    /// Makes the service-account keys and the token of a cluster administrator.
    pub(crate) fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let admin_token = format!("{:032x}", rand::random::<u128>());
        let credentials = Self { folder, admin_token };
        credentials.write_service_account_keys().context("making service-account keys")?;
        let line = format!("{},admin,admin,\"system:masters\"\n", credentials.admin_token);
        fs::write(credentials.tokens(), line)?;
        Ok(credentials)
    }

    fn write_service_account_keys(&self) -> Result<()> {
        let private = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .map_err(|_| anyhow!("no key"))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private.as_ref())
            .map_err(|_| anyhow!("the new key is refused"))?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| anyhow!("no public key"))?;
        fs::write(self.signing_key(), pem::encode(&Pem::new("PRIVATE KEY", private.as_ref())))?;
        fs::write(self.verifying_key(), pem::encode(&Pem::new("PUBLIC KEY", public.as_ref())))?;
        Ok(())
    }

    /// The folder where kube-apiserver puts the serving certificate it signs itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The chain which the API server serves; its last certificate is the authority.
    pub(crate) fn serving_chain(&self) -> PathBuf {
        self.folder.join("apiserver.crt")
    }

    pub(crate) fn signing_key(&self) -> PathBuf {
        self.folder.join("service-account.key")
    }

    pub(crate) fn verifying_key(&self) -> PathBuf {
        self.folder.join("service-account.pub")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    /// The administrator's kubeconfig; there once [`Self::write_admin_kubeconfig`] has been called.
    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    pub(crate) fn write_admin_kubeconfig(&self, server: &str) -> Result<()> {
        self.write_kubeconfig(&self.admin_kubeconfig(), server, &self.admin_token)
    }

    /// Writes a kubeconfig for the bearer of `token`.
    pub(crate) fn write_kubeconfig(&self, path: &Path, server: &str, token: &str) -> Result<()> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "harness",
            "contexts": [{"name": "harness", "context": {"cluster": "harness", "user": "harness"}}],
            "clusters": [
                {"name": "harness", "cluster": {"server": server, "certificate-authority": self.serving_chain()}}
            ],
            "users": [{"name": "harness", "user": {"token": token}}],
        });
        // JSON is YAML.
        fs::write(path, config.to_string()).with_context(|| format!("writing {}", path.display()))
    }
}

/// Reads a kubeconfig into a client's configuration.
pub(crate) async fn read(kubeconfig: &Path) -> Result<kube::Config> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    Ok(kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}
