//! AWS, end to end: a real API server, the operator as a process, and the simulated cloud's journal as the judge.

mod calls;
mod copyable;
mod encrypted;
mod examples;
mod foreign;
mod leaving;
mod left;
mod receiving;
mod refused;
mod sharing;

use anyhow::Result;
use serde_json::Value;
use support::Stage;
use support::aws::{Aws, world};
use tokio::sync::OnceCell;

/// One stage for all; nobody is short of calls.
async fn stage() -> Result<&'static Stage> {
    static STAGE: OnceCell<Stage> = OnceCell::const_new();
    let arguments = support::quick(&["--calls-per-second", "200", "--calls-burst", "200", "--log", "info"]);
    STAGE.get_or_try_init(async || support::start(&world(), &arguments).await).await
}

async fn with_image(extra: Value) -> Result<(Aws, String)> {
    Aws::with_image_on(stage().await?, extra).await
}
