//! The bare handler: what somebody would write with axum alone for the same work, on tokio's default runtime.

use crate::process::{Served, say_ready};
use anyhow::{Context, Result};
use axum::{Json, Router, extract::State, routing::post, serve::ListenerExt as _};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpListener, runtime::Runtime};

/// Where it answers.
pub(crate) const PATH: &str = "/call/counter/add";

/// Starts it in a process of its own.
pub(crate) fn start() -> Result<(Served, SocketAddr)> {
    let served = Served::this_program("serve-axum", &[])?;
    let address = served.ready.parse().context("reading the address")?;
    Ok((served, address))
}

/// Serves until the process is ended.
pub(crate) fn serve() -> Result<()> {
    Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        say_ready(&listener.local_addr()?.to_string());
        let total = Arc::new(AtomicU64::new(0));
        let router = Router::new().route(PATH, post(add)).with_state(total);
        let listener = listener.tap_io(|stream| {
            // Without it an answer may wait; with an error it only does that.
            let _delayed = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn add(State(total): State<Arc<AtomicU64>>, Json((by,)): Json<(u64,)>) -> Json<u64> {
    Json(total.fetch_add(by, Ordering::Relaxed) + by)
}
