//! What this binary's tests share: two OpenStack clouds, a proxy before the first one's Glance, and two operators, each with
//! an API server of its own: one for all, and one for those who kill it or weigh it.

use anyhow::Result;
use imageshare_harness::openstack::Settings;
use imageshare_harness::{ControlPlane, FaultProxy, OpenStack, Operator, Simulator, assets, run};
use tokio::sync::{Mutex, OnceCell, RwLock};

use support::Stage;

/// The clouds, started once.
pub struct Clouds {
    pub here: OpenStack,
    pub there: OpenStack,
    /// Before the Glance of `here`: the catalogue's entry `internal` leads to it.
    pub proxy: FaultProxy,
}

pub async fn clouds() -> Result<&'static Clouds> {
    static CLOUDS: OnceCell<Clouds> = OnceCell::const_new();
    CLOUDS
        .get_or_try_init(async || {
            let run = run::folder_of_this_binary()?;
            // Copies within one cloud are read from it while they are written to it, and others want to be served.
            let settings = Settings { image_threads: 8, ..Settings::default() };
            let (here, there, control_plane) = tokio::try_join!(
                OpenStack::start_with(&run, settings),
                OpenStack::start_with(&run, settings),
                ControlPlane::shared(),
            )?;
            let proxy = FaultProxy::start(&run, &control_plane.kubeconfig_path(), here.image_url()).await?;
            here.lead_internal_to(&proxy.cloud()).await?;
            Ok(Clouds { here, there, proxy })
        })
        .await
}

async fn start(control_plane: &'static ControlPlane, blocked_interval: &str) -> Result<Stage> {
    let clouds = clouds().await?;
    let run = run::folder_of_this_binary()?;
    let arguments = support::quick(&["--blocked-interval", blocked_interval]);
    let mut launch = Operator::launch(control_plane.operator_kubeconfig().await?)?.arguments(arguments);
    for cloud in [&clouds.here, &clouds.there] {
        launch =
            launch.arguments(["--allowed-endpoint", cloud.identity_url(), "--allowed-endpoint", cloud.image_url()]);
    }
    let launch = launch.arguments(["--allowed-endpoint".to_owned(), clouds.proxy.cloud()]);
    let world = support::world_of(24, 0);
    let cloud = Simulator::start(&run, &world).await?;
    let operator = Mutex::new(Operator::start(launch, &run)?);
    Ok(Stage { control_plane, cloud, operator, players: support::players_of(&world) })
}

/// For all who leave the operator alone. What is stuck is looked at so rarely that who goes on was told to.
pub async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || start(ControlPlane::shared().await?, "30s").await).await
}

/// For those who interrupt copies; what failed is tried again soon.
pub struct Rough {
    pub stage: Stage,
    /// Held alone by who kills the operator or weighs it.
    pub alone: RwLock<()>,
}

pub async fn rough() -> Result<&'static Rough> {
    static ROUGH: OnceCell<Rough> = OnceCell::const_new();
    ROUGH
        .get_or_try_init(async || {
            let control_plane = ControlPlane::start(&run::folder_of_this_binary()?).await?;
            control_plane.install(&assets::workspace().join("crds")).await?;
            // As long as the process, whose end is its end too.
            let control_plane: &'static ControlPlane = Box::leak(Box::new(control_plane));
            Ok(Rough { stage: start(control_plane, "1s").await?, alone: RwLock::new(()) })
        })
        .await
}
