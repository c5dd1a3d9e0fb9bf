//! What this binary's tests share: the world of the demo with players in it, one operator, and the plugin.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use imageshare_harness::assets;
use serde_json::Value;
use tokio::sync::OnceCell;

use support::arena::Arena as _;
use support::huawei::Huawei;
use support::{Player, Stage};

/// How many tests may play, and recipients of each.
const PLAYERS: u32 = 32;
const RECIPIENTS: u32 = 60;

/// Everything, started once.
pub async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    STAGE.get_or_try_init(async || support::start(&world()?, &support::QUICK).await).await
}

/// A player with a ready account and image.
pub async fn with_image() -> Result<Player> {
    Player::with_image_on(stage().await?).await
}

/// A player at Huawei Cloud. Some domains of the first one have the ids of the demo's.
pub async fn huawei() -> Result<Huawei> {
    loop {
        let arena = Huawei::enter_on(stage().await?).await?;
        if arena.player().number > 0 {
            return Ok(arena);
        }
    }
}

/// The world that `examples/` speaks of, and that of the players.
fn world() -> Result<Value> {
    let text = std::fs::read_to_string(assets::workspace().join("examples/simulator/world.yaml"))?;
    let demo: Value = serde_yaml::from_str(&text)?;
    let mut world = support::world_of(PLAYERS, RECIPIENTS);
    for list in ["accounts", "images"] {
        let all = world[list].as_array_mut().context("a list")?;
        for entry in demo[list].as_array().context("a list")? {
            if !all.iter().any(|there| there["id"] == entry["id"]) {
                all.push(entry.clone());
            }
        }
    }
    let players = support::huawei::world()["huawei"].clone();
    world["huawei"] = demo["huawei"].clone();
    for part in ["/sites/China", "/sites/International"] {
        let regions = players.pointer(part).and_then(Value::as_array).context("regions")?.clone();
        let all = world["huawei"].pointer_mut(part).and_then(Value::as_array_mut).context("regions")?;
        all.extend(regions.into_iter().filter(|region| region != support::huawei::REGION));
    }
    let all = world["huawei"]["domains"].as_array_mut().context("domains")?;
    let demos: Vec<Value> = all.iter().map(|domain| domain["id"].clone()).collect();
    let of_players = players["domains"].as_array().context("domains")?.iter();
    all.extend(of_players.filter(|domain| !demos.contains(&domain["id"])).cloned());
    Ok(world)
}

/// What the plugin answered.
#[derive(Debug)]
pub struct Ran {
    pub exit: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, of an answer in JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{self:?}"))
    }
}

/// The plugin with the rights of a kubeconfig's user: nothing of this process's environment, and no terminal.
pub fn plugin_as(kubeconfig: Option<&Path>, args: &[&str], input: &str) -> Result<Ran> {
    let mut command = Command::new(assets::built("kubectl-imageshare")?);
    command.env_clear().current_dir(assets::workspace()).args(args);
    command.envs(kubeconfig.map(|file| ("KUBECONFIG", file)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("its input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(Ran {
        exit: output.status.code().context("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

/// The same as a cluster administrator.
pub async fn plugin(args: &[&str]) -> Result<Ran> {
    plugin_as(Some(&stage().await?.control_plane.kubeconfig_path()), args, "")
}

/// The kubeconfig of a new service account that may do this in its namespace, each as `verbs resources` of the group.
pub async fn user(player: &Player, name: &str, rights: &[(&str, &str)]) -> Result<PathBuf> {
    let namespace = player.namespace.name();
    let rules: Vec<Value> = rights
        .iter()
        .map(|(verbs, resources)| {
            let (verbs, resources): (Vec<&str>, Vec<&str>) =
                (verbs.split(',').collect(), resources.split(',').collect());
            serde_json::json!({"apiGroups": ["imageshare.dev"], "resources": resources, "verbs": verbs})
        })
        .collect();
    let meta = serde_json::json!({"name": name, "namespace": namespace});
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]},
    ]});
    let control_plane = player.stage.control_plane;
    control_plane.apply(&list.to_string()).await?;
    control_plane.kubeconfig_of(namespace, name).await
}
