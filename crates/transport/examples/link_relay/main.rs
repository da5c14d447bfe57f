//! The lab's link in real time: a UDP relay between real clients and a real server.
//!
//! Clients send to the relay's port, which it prints. It forwards to the server, from one socket for each client, and back.
//! Commands are read from standard input, one JSON object per line, each answered by one line:
//!
//! - `{"server": "127.0.0.1:7882"}`: where to forward to.
//! - `{"newcomers": {"name": …, "up": LINK, "down": LINK}}`: the links of clients that connect from now on.
//! - `{"change": {"name": …, "up": LINK, "down": LINK}}`: new links for connected clients; their times start now.
//! - `{"rebind": NAME}`: the server sees these clients at new addresses from now on, as after a router restart.
//! - `{"mark": null}`: starts the report.
//! - `{"report": NAME}`: traffic of the links since the start of the report.
//!
//! LINK: `{seed, loss, burst, delayMs, jitterMs, reorder, reorderMs, duplicate, capacity: [[fromMs, bps]], queueMs,
//! outages: [[fromMs, toMs]]}`, all optional. `burst` is the mean length of a loss in packets.

#![allow(missing_docs, reason = "an example")]

mod control;
mod flow;

use control::{Command, Links};
use flow::Flow;
use std::collections::HashMap;
use std::io::{self, BufRead};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

const MAX_DATAGRAM_BYTES: usize = 2048;
const QUEUE: usize = 4096;
const IDLE: Duration = Duration::from_secs(3600);

/// A datagram of the server to the client with this address.
type FromServer = (SocketAddr, Vec<u8>);

struct Relay {
    clients: Arc<UdpSocket>,
    server: Option<SocketAddr>,
    newcomers: Links,
    flows: HashMap<SocketAddr, Flow>,
    from_server: mpsc::Sender<FromServer>,
}

impl Relay {
    async fn on_client(&mut self, source: SocketAddr, packet: Vec<u8>) -> io::Result<()> {
        let Some(server) = self.server else { return Ok(()) };
        if !self.flows.contains_key(&source) {
            let mut flow = Flow::new(&self.newcomers, Instant::now());
            flow.connect(source, server, self.from_server.clone()).await?;
            self.flows.insert(source, flow);
        }
        if let Some(flow) = self.flows.get_mut(&source) {
            flow.up.send(Instant::now(), packet);
        }
        Ok(())
    }

    /// Forwards what has arrived.
    async fn deliver(&mut self) {
        for (client, flow) in &mut self.flows {
            let now = Instant::now();
            // A datagram that cannot be sent is a lost one.
            while let Some(packet) = flow.up.receive(now) {
                let _ = flow.socket_send(&packet).await;
            }
            while let Some(packet) = flow.down.receive(now) {
                let _ = self.clients.send_to(&packet, client).await;
            }
        }
    }

    fn next_arrival(&self) -> Option<Instant> {
        self.flows.values().filter_map(Flow::next_arrival).min()
    }

    async fn execute(&mut self, command: Command) -> io::Result<serde_json::Value> {
        let now = Instant::now();
        match command {
            Command::Server(server) => self.server = Some(server),
            Command::Newcomers(links) => self.newcomers = links,
            Command::Change(links) => {
                self.named(&links.name).for_each(|(_, flow)| flow.change(&links, now));
            }
            Command::Rebind(name) => {
                let (server, from_server) = (self.server, self.from_server.clone());
                for (client, flow) in self.named(&name) {
                    if let Some(server) = server {
                        flow.connect(*client, server, from_server.clone()).await?;
                    }
                }
            }
            Command::Mark(()) => self.flows.values_mut().for_each(|flow| flow.mark(now)),
            Command::Report(name) => return Ok(self.named(&name).map(|(_, flow)| flow.report()).collect()),
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Ok(serde_json::json!({ "at": at as u64 }))
    }

    fn named<'a>(&'a mut self, name: &'a str) -> impl Iterator<Item = (&'a SocketAddr, &'a mut Flow)> {
        self.flows.iter_mut().filter(move |(_, flow)| flow.name == name)
    }
}

/// Lines of standard input. The relay ends with it.
fn commands() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let clients = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?);
    println!("{}", serde_json::json!({ "port": clients.local_addr()?.port() }));
    let (from_server, mut server_packets) = mpsc::channel(QUEUE);
    let newcomers = Links::default();
    let mut relay = Relay { clients: clients.clone(), server: None, newcomers, flows: HashMap::new(), from_server };
    let mut lines = commands();
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    loop {
        let wake = relay.next_arrival().unwrap_or_else(|| Instant::now() + IDLE);
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else { return Ok(()) };
                let answer = match serde_json::from_str(&line) {
                    Ok(command) => relay.execute(command).await?,
                    Err(error) => serde_json::json!({ "error": error.to_string() }),
                };
                println!("{answer}");
            }
            received = clients.recv_from(&mut buffer) => {
                if let Ok((length, source)) = received {
                    relay.on_client(source, buffer[..length].to_vec()).await?;
                }
            }
            Some((client, packet)) = server_packets.recv() => {
                if let Some(flow) = relay.flows.get_mut(&client) {
                    flow.down.send(Instant::now(), packet);
                }
            }
            () = sleep_until(wake.into()) => {}
        }
        relay.deliver().await;
    }
}
