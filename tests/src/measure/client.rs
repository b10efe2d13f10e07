//! A client: one connection that is kept, one request after another. It never sends anything twice.

use crate::waiting::LIMIT;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{self, SendRequest},
    header::HOST,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Runtime, time::timeout};

/// A connection to a host's listener for calls.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The generation that answered.
    pub generation: Option<u64>,
    /// The version that answered.
    pub version: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// Connects to `address`, with or without `http://`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect(address: &str) -> Result<Self> {
        let address = address.trim_start_matches("http://").to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting a client")?;
        let sender = runtime.block_on(async {
            let stream = TcpStream::connect(&address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // What ends it is told by the request that meets it.
            tokio::spawn(connection);
            anyhow::Ok(sender)
        });
        Ok(Client {
            sender: sender.with_context(|| format!("connecting to {address}"))?,
            runtime,
            address,
        })
    }

    /// `POST /call/PLUGIN/METHOD`.
    ///
    /// # Errors
    /// There is no answer. Whether the call was executed is unknown then.
    pub fn call(&mut self, plugin: &str, method: &str, body: Bytes) -> Result<Reply> {
        let request = Request::post(format!("/call/{plugin}/{method}"))
            .header(HOST, &self.address)
            .body(Full::new(body))?;
        let answer = self.sender.send_request(request);
        // The clock of the time-out belongs to the runtime.
        let _inside = self.runtime.enter();
        let limited = timeout(LIMIT, async {
            let response = answer.await?;
            let header = |name: &str| {
                let value = response.headers().get(name)?.to_str().ok()?;
                Some(value.to_owned())
            };
            Ok(Reply {
                status: response.status().as_u16(),
                generation: header("x-plugin-generation").and_then(|text| text.parse().ok()),
                version: header("x-plugin-version"),
                body: response.into_body().collect().await?.to_bytes(),
            })
        });
        self.runtime
            .block_on(limited)
            .context("waiting for an answer")?
    }
}
