//! A Kubernetes control plane of real servers on 127.0.0.1: etcd, kube-apiserver, and optionally
//! kube-controller-manager. No nodes: nothing runs in pods.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::Api;
use tokio::sync::OnceCell;

use crate::credentials::{self, Credentials};
use crate::process::{Child, Launch};
use crate::release::Release;
use crate::wait::eventually;
use crate::{assets, audit, kubectl, ports, run};

/// A server starts in about 3 s; a busy machine of two cores may take far longer.
const START: Duration = Duration::from_secs(90);

/// Starts before giving up: a port found free may be taken before a server listens on it.
const STARTS: u32 = 3;

/// Nobody renews a token here, as a kubelet would: it is good for a year, as the API server's certificate is.
const TOKEN_HOURS: u32 = 365 * 24;

/// Files of a run folder: which requests are written down, and the requests.
const AUDIT_POLICY: &str = "audit-policy.yaml";
const AUDIT_LOG: &str = "audit.log";

/// Controllers which the tests need: most others look after workloads.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
                           clusterrole-aggregation-controller";

/// Running servers; they end when this is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: clients of a server before the server.
    controller_manager: Option<Child>,
    api_server: Mutex<Option<Child>>,
    etcd: Mutex<Child>,
    api_server_launch: Launch,
    run: PathBuf,
    servers: PathBuf,
    credentials: Credentials,
    url: String,
    etcd_address: String,
    operator_kubeconfig: OnceCell<PathBuf>,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver, and waits until the API server is ready; all files are in `run_dir`.
    pub async fn start(run_dir: &Path) -> Result<Self> {
        let mut last = Ok(());
        for _ in 0..STARTS {
            match Self::start_once(run_dir).await {
                Ok(control_plane) => return Ok(control_plane),
                Err(error) => last = Err(error),
            }
        }
        last.and_then(|()| anyhow::bail!("no try")).context("starting a control plane")
    }

    /// The one control plane of this test binary, with the custom resources of `crds/`, where there are any, and
    /// the controller manager. Tests that use it do so each in a namespace of their own.
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || {
                let control_plane = Self::start(&run::folder_of_this_binary()?).await?;
                let resources = assets::workspace().join("crds");
                if resources.is_dir() {
                    control_plane.install(&resources).await?;
                }
                control_plane.with_controller_manager().await
            })
            .await
    }

    async fn start_once(run_dir: &Path) -> Result<Self> {
        let servers = assets::servers()?;
        let credentials = Credentials::create(run_dir.join("credentials"))?;
        let (client_port, peer_port, port) = (ports::free()?, ports::free()?, ports::free()?);
        let etcd_address = format!("http://127.0.0.1:{client_port}");
        fs::write(run_dir.join(AUDIT_POLICY), audit::POLICY).context("writing the audit policy")?;
        let etcd = etcd(&servers, run_dir, &etcd_address, peer_port).start(run_dir)?;
        let control_plane = Self {
            controller_manager: None,
            api_server: Mutex::new(None),
            etcd: Mutex::new(etcd),
            api_server_launch: api_server(&servers, run_dir, &credentials, &etcd_address, port),
            run: run_dir.to_path_buf(),
            servers,
            credentials,
            url: format!("https://127.0.0.1:{port}"),
            etcd_address,
            operator_kubeconfig: OnceCell::new(),
        };
        control_plane.start_api_server().await?;
        Ok(control_plane)
    }

    /// Starts kube-controller-manager, which deletes what was in deleted namespaces and what a deleted object owns.
    ///
    /// Call it after [`Self::install`]: the garbage collector looks for new kinds every 30 s only.
    pub async fn with_controller_manager(mut self) -> Result<Self> {
        let mut child = controller_manager(&self.credentials)?.start(&self.run)?;
        let accounts = Api::<ServiceAccount>::namespaced(self.client().await?, "default");
        // It serves nothing here; a first act of one of its controllers tells that they run.
        eventually(START, "the controller manager's first service account", async || {
            child.ensure_running()?;
            Ok(accounts.get_opt("default").await?)
        })
        .await?;
        self.controller_manager = Some(child);
        Ok(self)
    }

    /// Starts the API server, again on the same port and data; nothing happens if it runs. For one caller at a time.
    pub async fn start_api_server(&self) -> Result<()> {
        if lock(&self.api_server).is_some() {
            return Ok(());
        }
        let mut child = self.api_server_launch.start(&self.run)?;
        let chain = self.credentials.serving_chain();
        eventually(START, "the API server's certificate", async || {
            lock(&self.etcd).ensure_running()?;
            child.ensure_running()?;
            // Written with its key in one go, but not at once.
            let text = fs::read_to_string(&chain).unwrap_or_default();
            Ok(text.trim_end().ends_with("-----END CERTIFICATE-----").then_some(()))
        })
        .await?;
        self.credentials.write_admin_kubeconfig(&self.url)?;
        let kubeconfig = self.credentials.admin_kubeconfig();
        eventually(START, "the API server", async || {
            child.ensure_running()?;
            let client = client_of(&kubeconfig).await?;
            client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
            Ok(Api::<Namespace>::all(client).get_opt("default").await?)
        })
        .await?;
        *lock(&self.api_server) = Some(child);
        Ok(())
    }

    /// Kills the API server (SIGKILL), as an outage would, and waits until it has gone; etcd with its data and the
    /// controller manager stay. Fails if it does not run.
    pub fn stop_api_server(&self) -> Result<()> {
        let mut child = lock(&self.api_server).take().context("the API server does not run")?;
        child.kill9();
        Ok(())
    }

    /// The process ids of the servers and of their keepers.
    pub fn pids(&self) -> Vec<u32> {
        let of = |server: &Child| [server.pid(), server.keeper_pid()];
        let (etcd, api_server) = (of(&lock(&self.etcd)), lock(&self.api_server).as_ref().map(of));
        let servers = [Some(etcd), api_server, self.controller_manager.as_ref().map(of)];
        servers.into_iter().flatten().flatten().collect()
    }

    /// The folder with logs, credentials and data.
    pub fn run_dir(&self) -> &Path {
        &self.run
    }

    /// The API server's address, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// etcd's address for clients, `http://127.0.0.1:PORT`; no credentials needed.
    pub fn etcd_address(&self) -> &str {
        &self.etcd_address
    }

    /// The kubeconfig of a cluster administrator.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.credentials.admin_kubeconfig()
    }

    /// Configuration of a client that is a cluster administrator.
    pub async fn kube_config(&self) -> Result<kube::Config> {
        credentials::read(&self.kubeconfig_path()).await
    }

    /// A client that is a cluster administrator. Not to be shared between tests: it dies with the test's runtime.
    pub async fn client(&self) -> Result<kube::Client> {
        client_of(&self.kubeconfig_path()).await
    }

    /// Writes the kubeconfig of an existing service account, whose rights are those RBAC gives it. Its token outlasts whatever
    /// runs here.
    pub async fn kubeconfig_of(&self, namespace: &str, service_account: &str) -> Result<PathBuf> {
        let duration = format!("--duration={TOKEN_HOURS}h");
        let token = self.kubectl(&["create", "token", service_account, "-n", namespace, &duration]).await?;
        let path = self.credentials.folder().join(format!("{namespace}.{service_account}.kubeconfig"));
        self.credentials.write_kubeconfig(&path, &self.url, token.trim())?;
        Ok(path)
    }

    /// The kubeconfig of an operator that has the chart's rights and no others. Call it after [`Self::install`].
    pub async fn operator_kubeconfig(&self) -> Result<&Path> {
        let admitted = self.operator_kubeconfig.get_or_try_init(async || Release::default().admit(self).await);
        Ok(admitted.await?)
    }

    /// All requests that a service account outside `kube-system` has made so far.
    pub fn requests_of(&self, user: &str) -> Result<Vec<audit::Request>> {
        audit::read(&self.run.join(AUDIT_LOG), user)
    }

    /// Runs kubectl as a cluster administrator; gives its output, or fails with its error message.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_with(args, "").await
    }

    /// Runs kubectl with standard input, for `-f -`.
    pub async fn kubectl_with(&self, args: &[&str], input: &str) -> Result<String> {
        kubectl::run(self.servers.join("kubectl"), self.kubeconfig_path(), args, input).await
    }

    /// Applies YAML or JSON documents, server-side.
    pub async fn apply(&self, documents: &str) -> Result<String> {
        self.kubectl_with(&["apply", "--server-side", "-f", "-"], documents).await
    }

    /// Applies the custom resource definitions of a file or folder, and waits until they are served.
    pub async fn install(&self, definitions: &Path) -> Result<()> {
        let path = definitions.to_str().context("the path is not UTF-8")?;
        let applied = self.kubectl(&["apply", "--server-side", "-f", path, "-o", "name"]).await?;
        let names: Vec<&str> = applied.lines().filter(|name| name.starts_with("customresourcedefinition")).collect();
        ensure!(!names.is_empty(), "{path} defines no custom resource");
        let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
        self.kubectl(&[&wait[..], &names].concat()).await?;
        Ok(())
    }
}

fn lock<T>(server: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client with the rights of a kubeconfig's user.
pub async fn client_of(kubeconfig: &Path) -> Result<kube::Client> {
    Ok(kube::Client::try_from(credentials::read(kubeconfig).await?)?)
}

fn etcd(servers: &Path, run: &Path, address: &str, peer_port: u16) -> Launch {
    let data = run.join("etcd-data");
    let peer = format!("http://127.0.0.1:{peer_port}");
    Launch::new("etcd", servers.join("etcd"))
        .arguments(["--unsafe-no-fsync", "--log-level=warn", "--name=harness"])
        .arguments([format!("--data-dir={}", data.display())])
        .arguments([format!("--listen-client-urls={address}"), format!("--advertise-client-urls={address}")])
        .arguments([format!("--listen-peer-urls={peer}"), format!("--initial-advertise-peer-urls={peer}")])
        .arguments([format!("--initial-cluster=harness={peer}")])
        // It reserves 64 MiB at once.
        .removes(data)
}

fn api_server(servers: &Path, run: &Path, credentials: &Credentials, etcd_address: &str, port: u16) -> Launch {
    Launch::new("kube-apiserver", servers.join("kube-apiserver"))
        .arguments([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=RBAC",
            // It concerns pods only, and these never run here.
            "--disable-admission-plugins=ServiceAccount",
        ])
        .arguments([
            format!("--etcd-servers={etcd_address}"),
            format!("--secure-port={port}"),
            format!("--cert-dir={}", credentials.folder().display()),
            format!("--token-auth-file={}", credentials.tokens().display()),
            format!("--service-account-key-file={}", credentials.verifying_key().display()),
            format!("--service-account-signing-key-file={}", credentials.signing_key().display()),
        ])
        .arguments([
            format!("--audit-policy-file={}", run.join(AUDIT_POLICY).display()),
            format!("--audit-log-path={}", run.join(AUDIT_LOG).display()),
        ])
}

fn controller_manager(credentials: &Credentials) -> Result<Launch> {
    let launch = Launch::new("kube-controller-manager", assets::controller_manager()?)
        // Each controller acts as itself, as in a cluster: policies can tell them from people.
        .arguments(["--leader-elect=false", "--secure-port=0", "--use-service-account-credentials"])
        .arguments([
            format!("--controllers={CONTROLLERS}"),
            format!("--kubeconfig={}", credentials.admin_kubeconfig().display()),
        ]);
    Ok(launch)
}
