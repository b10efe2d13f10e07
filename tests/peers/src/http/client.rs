//! The client: keep-alive connections on one thread, with requests made beforehand and answers read just as far as needed.

use crate::spread::Spread;
use anyhow::{Context, Result, bail, ensure};
use std::{
    net::SocketAddr,
    str,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
};

/// How requests come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// At a time.
    pub(crate) connections: usize,
    /// Requests on one connection before the first answer is waited for.
    pub(crate) depth: usize,
}

/// What came out.
pub(crate) struct Answered {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

/// Posts `[1]` to the path for that long; times go to `spread`.
pub(crate) fn run(
    server: SocketAddr,
    path: &str,
    manner: Manner,
    slice: Duration,
    spread: &mut Spread,
) -> Result<Answered> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stop = Arc::new(AtomicBool::new(false));
        let mut connections = Vec::new();
        for _ in 0..manner.connections {
            let mut connection = Connection::open(server, path, b"[1]", manner.depth).await?;
            connection.exchange(None).await?;
            connections.push(connection);
        }
        let times = Arc::new(Mutex::new(Spread::new()?));
        let mut tasks = JoinSet::new();
        let began = Instant::now();
        for mut connection in connections {
            let (stop, times) = (Arc::clone(&stop), Arc::clone(&times));
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    connection.exchange(Some(&times)).await?;
                }
                anyhow::Ok(())
            });
        }
        tokio::time::sleep(slice).await;
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        let took = began.elapsed();
        let times = times.lock().unwrap_or_else(PoisonError::into_inner);
        spread.add_all(&times)?;
        Ok(Answered {
            // And those before the clock started.
            requests: times.count() + (manner.connections * manner.depth) as u64,
            per_second: times.count() as f64 / took.as_secs_f64(),
        })
    })
}

/// What the server has counted so far.
pub(crate) fn total(server: SocketAddr, path: &str) -> Result<u64> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(server, path, b"[0]", 1).await?;
        connection.stream.write_all(&connection.requests).await?;
        let answer = connection.answer().await?;
        let body = str::from_utf8(&connection.read[answer.body..answer.end])?;
        body.parse()
            .with_context(|| format!("the total is {body:?}"))
    })
}

struct Connection {
    stream: TcpStream,
    /// As many as are sent at a time.
    requests: Vec<u8>,
    depth: usize,
    /// Read, and not yet used up.
    read: Vec<u8>,
}

/// Where an answer stands in what was read.
struct Answer {
    body: usize,
    end: usize,
}

impl Connection {
    async fn open(server: SocketAddr, path: &str, body: &[u8], depth: usize) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        Ok(Connection {
            stream,
            requests: [head.as_bytes(), body].concat().repeat(depth),
            depth,
            read: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends a bundle, and reads its answers.
    async fn exchange(&mut self, times: Option<&Mutex<Spread>>) -> Result<()> {
        let began = Instant::now();
        self.stream.write_all(&self.requests).await?;
        for _ in 0..self.depth {
            let answer = self.answer().await?;
            self.read.drain(..answer.end);
            if let Some(times) = times {
                times
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .add(began.elapsed());
            }
        }
        Ok(())
    }

    async fn answer(&mut self) -> Result<Answer> {
        loop {
            if let Some(answer) = parse(&self.read)? {
                return Ok(answer);
            }
            ensure!(
                self.stream.read_buf(&mut self.read).await? > 0,
                "the server has hung up"
            );
        }
    }
}

/// The first answer, if it is there as a whole.
fn parse(read: &[u8]) -> Result<Option<Answer>> {
    let Some(head) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = str::from_utf8(&read[..head])?;
    if !text.starts_with("HTTP/1.1 200 ") {
        bail!("the server answers: {text}");
    }
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    let body = head + 4;
    let end = body + length.context("the answer does not tell its length")?;
    Ok((read.len() >= end).then_some(Answer { body, end }))
}
