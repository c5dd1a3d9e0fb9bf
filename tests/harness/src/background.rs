//! A runtime of its own for what must go on while tests, each with a runtime of its own, come and go.

use anyhow::Result;
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime; its tasks end when it is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    pub(crate) fn start(name: &str) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting for its tasks is forbidden inside another runtime, where tests drop it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
