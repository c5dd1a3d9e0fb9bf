//! Finds changed Secrets of accounts. A rule that allows to watch Secrets by name must name each of them, and one without
//! names shows every Secret of the cluster. So the operator reads the metadata of each Secret that an account names, one after
//! the other and at a bounded rate, and enqueues the account when the version is another one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use crate::api::CloudAccount;
use crate::cluster::guard::Guarded;
use crate::reconcile::context::Context;
use crate::reconcile::queue::send_all;

/// How often each Secret is read, as long as there are few accounts.
const ROUND: Duration = Duration::from_secs(3);

/// The shortest pause between two reads: with more than thirty accounts, a round takes longer.
const PAUSE: Duration = Duration::from_millis(100);

/// Compares the Secrets with what was read of them until the process stops acting, once it may act (`ready`).
pub(super) async fn watch_secrets(
    ready: impl Future<Output = ()>,
    ctx: Arc<Context>,
    queue: UnboundedSender<ObjectRef<Guarded<CloudAccount>>>,
) {
    ready.await;
    loop {
        let accounts = ctx.stores.accounts.state();
        if accounts.is_empty() {
            sleep(ROUND).await;
        }
        let pause = pause(accounts.len());
        for account in accounts {
            sleep(pause).await;
            let Some(readable) = account.readable() else { continue };
            if ctx.connections.secret_has_changed(readable).await {
                send_all(&queue, [ObjectRef::from_obj(account.as_ref())]);
            }
        }
    }
}

fn pause(accounts: usize) -> Duration {
    let accounts = u32::try_from(accounts).unwrap_or(u32::MAX).max(1);
    (ROUND / accounts).max(PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_secrets_are_read_every_few_seconds_and_many_at_ten_a_second() {
        assert_eq!([0, 1, 3, 30].map(|accounts| pause(accounts).as_millis()), [3000, 3000, 1000, 100]);
        assert_eq!(pause(100_000), PAUSE);
    }
}
