//! A release of the chart in a control plane: the `ServiceAccount` and the rights it gives the operator, by which the tests'
//! operators run. Nothing runs in pods here, so that its Deployment stays out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{ControlPlane, eventually, helm};

/// The API server learns of a new binding a moment later.
const BINDING: Duration = Duration::from_secs(60);

/// A release, by default that of every test's operator.
#[derive(Debug, Clone)]
pub struct Release {
    name: String,
    namespace: String,
    watched: Vec<String>,
}

impl Default for Release {
    fn default() -> Self {
        Self { name: "imageshare-operator".to_owned(), namespace: "imageshare-system".to_owned(), watched: Vec::new() }
    }
}

impl Release {
    /// One that watches these namespaces only; its own is `namespace`, where its lease is.
    pub fn watching(namespace: &str, watched: &[&str]) -> Self {
        let watched = watched.iter().map(|&name| name.to_owned()).collect();
        Self { namespace: namespace.to_owned(), watched, ..Self::default() }
    }

    /// The user that its operator is.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Its lease, as the operator's `--lease` wants it.
    pub fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Its `ServiceAccount`, roles and bindings.
    pub async fn rights(&self) -> Result<String> {
        let watched = format!("watchNamespaces={{{}}}", self.watched.join(","));
        let mut args = vec!["--show-only", "templates/serviceaccount.yaml", "--show-only", "templates/rbac.yaml"];
        if !self.watched.is_empty() {
            args.extend(["--set", &watched]);
        }
        helm::template(&self.name, &self.namespace, &args).await
    }

    /// Applies them, and waits until they hold; gives the kubeconfig of its operator.
    pub async fn admit(&self, control_plane: &ControlPlane) -> Result<PathBuf> {
        self.admit_with(control_plane, &self.rights().await?).await
    }

    /// The same with [`Self::rights`] as they were rendered before.
    pub async fn admit_with(&self, control_plane: &ControlPlane, rights: &str) -> Result<PathBuf> {
        let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n", self.namespace);
        control_plane.apply(&namespace).await?;
        control_plane.apply(rights).await?;
        let user = format!("--as={}", self.user());
        let may = async |verb: &str, what: &str, scope: &[&str]| {
            let args = [&["auth", "can-i", verb, what, &user], scope].concat();
            eventually(BINDING, &format!("{user} to {verb} {what} {scope:?}"), async || {
                ensure!(control_plane.kubectl(&args).await?.trim() == "yes");
                Ok(Some(()))
            })
            .await
        };
        may("create", "leases.coordination.k8s.io", &["-n", &self.namespace]).await?;
        if self.watched.is_empty() {
            may("list", "imageshares.imageshare.dev", &["--all-namespaces"]).await?;
        }
        for watched in &self.watched {
            may("list", "imageshares.imageshare.dev", &["-n", watched]).await?;
        }
        self.kubeconfig(control_plane).await
    }

    /// Writes the kubeconfig of its operator, with a new token.
    pub async fn kubeconfig(&self, control_plane: &ControlPlane) -> Result<PathBuf> {
        control_plane.kubeconfig_of(&self.namespace, &self.name).await
    }
}
