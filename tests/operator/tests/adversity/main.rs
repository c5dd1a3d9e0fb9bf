//! What must hold when views are stale, the operator stalls, shares cannot be read and answers are incomplete: judged by
//! the cloud's journal, the API's history and the auditor. The operator sits behind the fault proxy.

mod expiry;
mod frozen;
mod half_status;
mod loosened;
mod newcomer;
mod older;
mod orders;
mod pages;
mod refused;
mod requests;
mod restored;
mod stale;
mod unreadable;

use anyhow::Result;
use serde_json::json;
use support::behind::Behind;
use support::{QUICK, world_of};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

const PLAYERS: u32 = 80;
const RECIPIENTS: u32 = 10;

/// The stage of tests that play side by side.
async fn behind() -> Result<&'static Behind> {
    static BEHIND: OnceCell<Behind> = OnceCell::const_new();
    BEHIND
        .get_or_try_init(async || {
            let mut world = world_of(PLAYERS, RECIPIENTS);
            let crowd = world["accounts"].as_array_mut().unwrap();
            crowd.extend(pages::crowd().map(|id| json!({"id": id})));
            // The owner's own limit is the vendor's default unless its account says otherwise.
            world["rules"] = json!({"recipientsPerImage": 200});
            Behind::start(world, &QUICK).await
        })
        .await
}

/// Another stage, for tests that stop the operator or hold what it sees of everybody: one at a time.
async fn alone() -> Result<(MutexGuard<'static, ()>, &'static Behind)> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    static APART: OnceCell<Behind> = OnceCell::const_new();
    let alone = ALONE.lock().await;
    let start = async || Behind::start_apart(world_of(PLAYERS, RECIPIENTS), &QUICK).await;
    Ok((alone, APART.get_or_try_init(start).await?))
}
