//! A proxy: a way to a server on this machine that a test can cut, or let fall silent as a dead network does.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

/// Which of its ends is a connection's server.
const SERVER: usize = 1;
/// How often a connection looks whether it is to go on.
const LOOK: Duration = Duration::from_millis(10);

/// Forwards connections to a port of this machine.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ended: AtomicBool,
    /// The port that new connections are forwarded to.
    to: AtomicU16,
    /// What a server says, and what is said in its place.
    said: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    connections: Mutex<Vec<Arc<Connection>>>,
}

/// One connection, with both of its ends.
#[derive(Debug)]
struct Connection {
    ends: [TcpStream; 2],
    is_frozen: AtomicBool,
    /// Whether what its client says is lost.
    is_mute: AtomicBool,
}

impl Proxy {
    /// A proxy to this port.
    ///
    /// # Panics
    /// When there is no port for it.
    #[must_use]
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
        let own = listener.local_addr().expect("it has an address").port();
        let shared = Arc::new(Shared {
            ended: AtomicBool::new(false),
            to: AtomicU16::new(port),
            said: Mutex::default(),
            connections: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &for_thread));
        Proxy { port: own, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Forwards new connections to this port from now on.
    pub fn lead_to(&self, port: u16) {
        self.shared.to.store(port, Ordering::Release);
    }

    /// Says something else, of the same length, wherever the server says `said`: such as where it is, if clients go by that.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn say_instead(&self, said: Vec<u8>, instead: Vec<u8>) {
        assert_eq!(said.len(), instead.len(), "lengths are said elsewhere");
        let mut both = self.shared.said.lock().expect("nobody panics with it");
        *both = Some((said, instead));
    }

    /// Lets all present connections fall silent: they stay open, and nothing goes through them any more, ever. New ones are
    /// forwarded.
    pub fn freeze(&self) {
        for connection in self.connections() {
            connection.is_frozen.store(true, Ordering::Release);
        }
    }

    /// Loses all that clients say on present connections from now on, and forwards what servers say. New ones are forwarded
    /// both ways.
    pub fn mute(&self) {
        for connection in self.connections() {
            connection.is_mute.store(true, Ordering::Release);
        }
    }

    /// Closes all present connections. New ones are forwarded.
    pub fn cut(&self) {
        for connection in self.connections() {
            connection.close();
        }
    }

    /// How many connections were made so far.
    #[must_use]
    pub fn made(&self) -> usize {
        self.connections().len()
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        let connections = self.shared.connections.lock();
        connections.expect("nobody panics with it").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.cut();
        // So that it looks.
        let _refused = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// A server says where it is in one piece, so that no look beyond the bytes at hand is needed.
    fn put_in_its_place(&self, bytes: &mut [u8]) {
        let both = self.said.lock().expect("nobody panics with it");
        let Some((said, instead)) = &*both else {
            return;
        };
        let last = bytes.len().saturating_sub(said.len());
        for at in 0..=last {
            if bytes[at..].starts_with(said) {
                bytes[at..at + said.len()].copy_from_slice(instead);
            }
        }
    }
}

impl Connection {
    fn close(&self) {
        for end in &self.ends {
            let _closed_already = end.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((client, _)) = listener.accept() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        // A server that is down refuses, and so does its proxy.
        let port = shared.to.load(Ordering::Acquire);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let Ok(server) = TcpStream::connect(address) else {
            continue;
        };
        let connection = Arc::new(Connection {
            ends: [client, server],
            is_frozen: AtomicBool::new(false),
            is_mute: AtomicBool::new(false),
        });
        let mut connections = shared.connections.lock().expect("nobody panics with it");
        connections.push(Arc::clone(&connection));
        drop(connections);
        for from in 0..2 {
            let (shared, connection) = (Arc::clone(shared), Arc::clone(&connection));
            thread::spawn(move || forward(&shared, &connection, from));
        }
    }
}

/// Forwards what comes in at this end, until one of them closes.
fn forward(shared: &Shared, connection: &Connection, from: usize) {
    let (mut incoming, mut outgoing) = (&connection.ends[from], &connection.ends[1 - from]);
    let _without_delay = outgoing.set_nodelay(true);
    let _looks_now_and_then = incoming.set_read_timeout(Some(LOOK));
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = match incoming.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        };
        // What a silent network has taken is gone.
        let is_lost = connection.is_frozen.load(Ordering::Acquire)
            || (from != SERVER && connection.is_mute.load(Ordering::Acquire));
        if is_lost {
            continue;
        }
        if from == SERVER {
            shared.put_in_its_place(&mut buffer[..length]);
        }
        if outgoing.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // An end that closes behind a silent network is not heard of at the other.
    if !connection.is_frozen.load(Ordering::Acquire) {
        connection.close();
    }
}
