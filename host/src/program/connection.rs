//! A connection: how one comes in, how long it may keep the host waiting, and how it ends.
//!
//! A client that is slow on purpose costs nothing but a connection, and that only for a while: a head, a body and an idle
//! connection have their times. They are kept by one alarm for each connection, which is set again when it rings, and not with
//! every request: a request only notes what it waits for, and since when.
//!
//! # States
//! - *idle*: nothing of a request is there, and nothing is to be answered. Bytes that go out count against being idle.
//! - *head*: some of a request's head is there. *body*: its head is there, and somebody wants its body.
//! - *answering*: the host is to say something. That may take as long as it likes.
//!
//! What is too slow is cut off; but a request whose body is too slow is told so first, by whoever reads the body.
//!
//! All of a connection happens in its own task; atomics are only for the compiler's peace.

use axum::serve::Listener;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use std::{
    error::Error,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Semaphore,
    time::{Instant, Sleep},
};

/// What a listener allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub(crate) connections: usize,
    /// Bytes of a request's head.
    pub(crate) head_size: usize,
    /// For a request's head.
    pub(crate) head: Duration,
    /// For a request's body, where [`Progress::of_body`] is asked.
    pub(crate) body: Duration,
    /// For nothing at all.
    pub(crate) idle: Duration,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BODY: u8 = 2;
const ANSWERING: u8 = 3;

/// How far a connection has come with its request.
#[derive(Debug)]
pub(crate) struct Progress {
    epoch: Instant,
    state: AtomicU8,
    /// Nanoseconds since the epoch: when bytes last moved, and when the state began.
    moved: AtomicU64,
    since: AtomicU64,
    body_is_late: AtomicBool,
}

/// While it lives, the host is to say something.
#[derive(Debug)]
struct Answering(Arc<Progress>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.enter(IDLE);
    }
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Progress {
            epoch: Instant::now(),
            state: AtomicU8::new(IDLE),
            moved: AtomicU64::new(0),
            since: AtomicU64::new(0),
            body_is_late: AtomicBool::new(false),
        })
    }

    /// Waits for a request's body, or until it is late: then there is nothing.
    pub(crate) async fn of_body<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        self.enter(BODY);
        let mut reading = std::pin::pin!(reading);
        let read = std::future::poll_fn(|context| match reading.as_mut().poll(context) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            // The connection's task polls this again when the alarm has rung.
            Poll::Pending if self.body_is_late.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await;
        self.enter(ANSWERING);
        read
    }

    fn answer(self: &Arc<Self>) -> Answering {
        self.enter(ANSWERING);
        Answering(Arc::clone(self))
    }

    /// Goes to another state. It counts from when bytes last moved: that was just now.
    fn enter(&self, state: u8) {
        self.state.store(state, Ordering::Relaxed);
        let moved = self.moved.load(Ordering::Relaxed);
        self.since.store(moved, Ordering::Relaxed);
    }

    fn note_moved(&self) {
        let nanos = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.moved.store(nanos, Ordering::Relaxed);
    }

    fn note_read(&self) {
        self.note_moved();
        if self.state.load(Ordering::Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    /// Until when the client has time, if it is the client that is waited for.
    fn due(&self, limits: &Limits) -> Option<Instant> {
        let (since, limit) = match self.state.load(Ordering::Relaxed) {
            IDLE => (&self.moved, limits.idle),
            HEAD => (&self.since, limits.head),
            BODY => (&self.since, limits.body),
            _ => return None,
        };
        let since = Duration::from_nanos(since.load(Ordering::Relaxed));
        Some(self.epoch + since + limit)
    }

    /// Says to whom reads the body that it is late; where nobody does, there is nobody to say it to.
    fn tell_late(&self) -> bool {
        self.state.load(Ordering::Relaxed) == BODY
            && !self.body_is_late.swap(true, Ordering::Relaxed)
    }
}

/// Answers what comes in at `listener`, until `stop` is ready; then lets requests in flight finish for at most `grace`.
/// `service` gives each connection its own service, which may ask for the connection's progress.
pub(crate) async fn serve<S, B>(
    mut listener: impl Listener,
    service: impl Fn(Arc<Progress>) -> S,
    limits: Limits,
    stop: impl Future<Output = ()>,
    grace: Duration,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send> + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.max_header_size(limits.head_size);
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await.0)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let progress = Progress::new();
        let inner = service(Arc::clone(&progress));
        let noted = Arc::clone(&progress);
        let outer = service_fn(move |request: Request<Incoming>| {
            let answering = noted.answer();
            let answered = inner.call(request);
            async move { answered.await.map(|answer| said(answer, answering)) }
        });
        let stream = Stream {
            stream,
            progress: Arc::clone(&progress),
        };
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), outer));
        let patience = Patience {
            connection: Box::pin(connection),
            alarm: Box::pin(tokio::time::sleep(limits.idle.min(limits.head))),
            progress,
            limits,
        };
        tokio::spawn(async move {
            let _place = place;
            match patience.await {
                Some(Err(error)) => tracing::debug!(%error, "a connection ended early"),
                Some(Ok(())) => {}
                None => tracing::debug!("a connection was cut off: its client was too slow"),
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some connections were still busy when the time for them was over");
    }
}

/// An answer that counts as not said before its body is.
fn said<B>(answer: Response<B>, answering: Answering) -> Response<Said<B>> {
    answer.map(|body| Said {
        body,
        _answering: answering,
    })
}

/// A body that is being said.
struct Said<B> {
    body: B,
    _answering: Answering,
}

impl<B: Body + Unpin> Body for Said<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection for as long as its client is worth waiting for; `None` where it was not.
struct Patience<C> {
    connection: Pin<Box<C>>,
    alarm: Pin<Box<Sleep>>,
    progress: Arc<Progress>,
    limits: Limits,
}

impl<C: Future> Future for Patience<C> {
    type Output = Option<C::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            if let Poll::Ready(ended) = this.connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            let due = this.progress.due(&this.limits);
            if let Some(due) = due.filter(|due| *due < this.alarm.deadline()) {
                this.alarm.as_mut().reset(due);
            }
            ready!(this.alarm.as_mut().poll(context));
            let now = Instant::now();
            let next = match due {
                Some(due) if due <= now && !this.progress.tell_late() => return Poll::Ready(None),
                Some(due) if due > now => due,
                // Whoever reads the body is told now; nobody is waited for; or there is an answer to be given.
                _ => now + this.limits.idle,
            };
            this.alarm.as_mut().reset(next);
        }
    }
}

/// The bytes of a connection, which note that they move.
struct Stream<S> {
    stream: S,
    progress: Arc<Progress>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.progress.note_read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> Stream<S> {
    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.progress.note_moved();
        }
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
