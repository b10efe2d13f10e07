//! A plugin with a runtime of its own, which ends with it.

use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Has a runtime while it serves.
#[derive(Default)]
struct TokioRuntime {
    runtime: Option<Runtime>,
}

#[plugin_api::plugin(name = "tokio-runtime", version = "1.0.0", stateless)]
impl TokioRuntime {
    fn attach(&mut self) -> std::io::Result<()> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()?;
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Does its work, and returns 42.
    fn work(&self) -> u64 {
        let Some(runtime) = &self.runtime else {
            return 0;
        };
        let answer = runtime.spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            42
        });
        runtime.block_on(answer).unwrap_or(0)
    }
}
