//! The path of one client to the server and back.

use super::FromServer;
use super::control::Links;
use netsim::{Link, LinkConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// IPv4 and UDP.
const HEADERS: usize = 28;
/// Length of a bin of the report.
const BIN: Duration = Duration::from_millis(100);
const MAX_DATAGRAM_BYTES: usize = 2048;
/// Bytes of the SRTP tag.
const AUTHENTICATION: usize = 16;

pub struct Flow {
    pub name: String,
    pub up: Direction,
    pub down: Direction,
    socket: Option<(Arc<UdpSocket>, JoinHandle<()>)>,
}

impl Flow {
    pub fn new(links: &Links, now: Instant) -> Self {
        let (up, down) = (Direction::new(links.up.config(), now), Direction::new(links.down.config(), now));
        Self { name: links.name.clone(), up, down, socket: None }
    }

    /// Binds a new socket towards the server.
    pub async fn connect(
        &mut self,
        client: SocketAddr,
        server: SocketAddr,
        from_server: mpsc::Sender<FromServer>,
    ) -> io::Result<()> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
        socket.connect(server).await?;
        let reading = socket.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
            loop {
                // A port may be closed for a while.
                let Ok(length) = reading.recv(&mut buffer).await else { continue };
                if from_server.send((client, buffer[..length].to_vec())).await.is_err() {
                    return;
                }
            }
        });
        if let Some((_, old)) = self.socket.replace((socket, task)) {
            old.abort();
        }
        Ok(())
    }

    pub async fn socket_send(&self, packet: &[u8]) -> io::Result<usize> {
        match &self.socket {
            Some((socket, _)) => socket.send(packet).await,
            None => Ok(0),
        }
    }

    pub fn change(&mut self, links: &Links, now: Instant) {
        self.up.change(links.up.config(), now);
        self.down.change(links.down.config(), now);
    }

    pub fn mark(&mut self, now: Instant) {
        self.up.mark(now);
        self.down.mark(now);
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        [self.up.next_arrival(), self.down.next_arrival()].into_iter().flatten().min()
    }

    pub fn report(&self) -> Value {
        json!({ "up": self.up.report(), "down": self.down.report() })
    }
}

/// One direction of the path.
pub struct Direction {
    link: Link<Vec<u8>>,
    /// Links that were replaced, until they are empty.
    old: Vec<Link<Vec<u8>>>,
    marked: Instant,
    sent_before: [u64; 3],
    waits_before: usize,
    /// Bytes that arrived, with headers, a bin.
    bytes: Vec<u64>,
    /// Payload of RTP that arrived, by SSRC.
    payloads: BTreeMap<u32, Vec<u64>>,
}

impl Direction {
    fn new(config: LinkConfig, now: Instant) -> Self {
        Self {
            link: Link::new(config, now),
            old: Vec::new(),
            marked: now,
            sent_before: [0; 3],
            waits_before: 0,
            bytes: Vec::new(),
            payloads: BTreeMap::new(),
        }
    }

    fn change(&mut self, config: LinkConfig, now: Instant) {
        self.old.push(std::mem::replace(&mut self.link, Link::new(config, now)));
        self.mark(now);
    }

    fn mark(&mut self, now: Instant) {
        self.marked = now;
        self.sent_before = self.counts();
        self.waits_before = self.link.queue_delays.len();
        self.bytes.clear();
        self.payloads.clear();
    }

    fn counts(&self) -> [u64; 3] {
        [self.link.stats.sent, self.link.stats.lost, self.link.stats.overflowed]
    }

    pub fn send(&mut self, now: Instant, packet: Vec<u8>) {
        self.link.send(now, packet.len() + HEADERS, packet);
    }

    pub fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.old.retain(|link| link.next_arrival().is_some());
        let mut links = self.old.iter_mut().chain(std::iter::once(&mut self.link));
        let (_, packet) = links.find_map(|link| link.receive(now))?;
        self.count(now, &packet);
        Some(packet)
    }

    fn count(&mut self, now: Instant, packet: &[u8]) {
        let bin = (now.saturating_duration_since(self.marked).as_millis() / BIN.as_millis()) as usize;
        add(&mut self.bytes, bin, packet.len() + HEADERS);
        if let Some((ssrc, payload)) = rtp(packet) {
            add(self.payloads.entry(ssrc).or_default(), bin, payload);
        }
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.old.iter().chain(std::iter::once(&self.link)).filter_map(Link::next_arrival).min()
    }

    fn report(&self) -> Value {
        let counts = self.counts();
        let [sent, lost, overflowed] = [0, 1, 2].map(|index| counts[index] - self.sent_before[index]);
        let waits = self.link.queue_delays.iter().skip(self.waits_before);
        let waits: Vec<[u64; 2]> = waits.map(|(at, wait)| [at.as_millis() as u64, wait.as_millis() as u64]).collect();
        // The largest stream is the video.
        let video = self.payloads.values().max_by_key(|bins| bins.iter().sum::<u64>());
        json!({
            "sent": sent, "lost": lost, "overflowed": overflowed,
            "waits": waits, "bytes": self.bytes, "picture": video,
        })
    }
}

fn add(bins: &mut Vec<u64>, bin: usize, bytes: usize) {
    if bins.len() <= bin {
        bins.resize(bin + 1, 0);
    }
    bins[bin] += bytes as u64;
}

/// SSRC and payload size of an SRTP packet; `None` for RTCP, STUN and DTLS (RFC 7983, RFC 5761).
fn rtp(packet: &[u8]) -> Option<(u32, usize)> {
    let (first, second) = (*packet.first()?, *packet.get(1)?);
    if first >> 6 != 2 || (192..=223).contains(&second) {
        return None;
    }
    let ssrc = u32::from_be_bytes(packet.get(8..12)?.try_into().ok()?);
    let mut header = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(header + 2..header + 4)?;
        header += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    Some((ssrc, packet.len().saturating_sub(header + AUTHENTICATION)))
}
