//! A proxy: a way to a server on this machine that a test can cut, or let fall silent as a dead network does.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

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
    connections: Mutex<Vec<Arc<Connection>>>,
}

/// One connection, with both of its ends.
#[derive(Debug)]
struct Connection {
    ends: [TcpStream; 2],
    is_frozen: AtomicBool,
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
            connections: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, port, &for_thread));
        Proxy { port: own, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets all present connections fall silent: they stay open, and nothing goes through them any more, ever. New ones are
    /// forwarded.
    pub fn freeze(&self) {
        for connection in self.connections() {
            connection.is_frozen.store(true, Ordering::Release);
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

impl Connection {
    fn close(&self) {
        for end in &self.ends {
            let _closed_already = end.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, port: u16, shared: &Shared) {
    while let Ok((client, _)) = listener.accept() {
        if shared.ended.load(Ordering::Acquire) {
            return;
        }
        // A server that is down refuses, and so does its proxy.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let Ok(server) = TcpStream::connect(address) else {
            continue;
        };
        let connection = Arc::new(Connection {
            ends: [client, server],
            is_frozen: AtomicBool::new(false),
        });
        let mut connections = shared.connections.lock().expect("nobody panics with it");
        connections.push(Arc::clone(&connection));
        drop(connections);
        for from in 0..2 {
            let connection = Arc::clone(&connection);
            thread::spawn(move || forward(&connection, from));
        }
    }
}

/// Forwards what comes in at this end, until one of them closes.
fn forward(connection: &Connection, from: usize) {
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
        if connection.is_frozen.load(Ordering::Acquire) {
            continue;
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
