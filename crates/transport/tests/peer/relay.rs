//! A poor network between peer and server: a relay that passes datagrams through emulated links, in real time.

use netsim::{Link, LinkConfig};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// IPv4 and UDP.
const HEADERS: usize = 28;

pub struct Relay {
    /// Where the peer finds the server.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Stands between a peer and the server at this address.
    pub fn start(server: SocketAddr, up: LinkConfig, down: LinkConfig) -> Self {
        let (outside, inside) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = outside.local_addr().unwrap();
        inside.connect(server).unwrap();
        outside.set_read_timeout(Some(Duration::from_micros(500))).unwrap();
        inside.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let (mut up, mut down) = (Link::new(up, began), Link::new(down, began));
            let (mut peer, mut buffer) = (None, [0; 2048]);
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, from)) = outside.recv_from(&mut buffer) {
                    peer = Some(from);
                    up.send(Instant::now(), len + HEADERS, buffer[..len].to_vec());
                }
                while let Ok(len) = inside.recv(&mut buffer) {
                    down.send(Instant::now(), len + HEADERS, buffer[..len].to_vec());
                }
                while let Some((_, datagram)) = up.receive(Instant::now()) {
                    let _ = inside.send(&datagram);
                }
                while let Some((_, datagram)) = down.receive(Instant::now()) {
                    if let Some(peer) = peer {
                        let _ = outside.send_to(&datagram, peer);
                    }
                }
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
