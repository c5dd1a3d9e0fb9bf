//! Waiting on conditions, instead of sleeping.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks every 50 ms until there is a value; the error says `what` was waited for, and the last state seen.
///
/// A look that returns an error is not the end: its message is the state shown when time runs out. So a look
/// may `ensure!(status.ready, "status is {status:?}")` and then give its value. `Ok(None)` is "nothing yet".
/// A look that hangs is given up at the deadline.
pub async fn eventually<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut state = "nothing".to_owned();
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => "nothing yet".clone_into(&mut state),
            Ok(Err(error)) => state = format!("{error:#}"),
            Err(_) => bail!("waited {limit:?} in vain for {what}; the last look hung, before it: {state}"),
        }
        if Instant::now() + PAUSE > deadline {
            bail!("waited {limit:?} in vain for {what}; last seen: {state}");
        }
        sleep(PAUSE).await;
    }
}
