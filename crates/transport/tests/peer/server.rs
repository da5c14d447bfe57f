//! The room server's side of a connection, played by a str0m ICE-lite peer on a thread of its own.

use crate::relay::Relay;
use netsim::LinkConfig;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpApi, SdpOffer, SdpPendingOffer};
use str0m::channel::ChannelId;
use str0m::media::{MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// What the server has received.
#[derive(Debug)]
pub enum Seen {
    Media { kind: MediaKind, rid: Option<String>, data: Vec<u8>, contiguous: bool, at: Instant },
    KeyframeRequest,
    ChannelOpen,
    Data(String, Vec<u8>),
}

/// Decides whether a datagram is lost. Arguments: whether it goes to the peer, and its bytes.
pub type Loss = Box<dyn FnMut(bool, &[u8]) -> bool + Send>;

pub struct Core {
    pub rtc: Rtc,
    pub loss: Loss,
    pub channels: Vec<(ChannelId, String)>,
    pub mids: Vec<(Mid, MediaKind)>,
    pub pending: Option<SdpPendingOffer>,
    started: Instant,
}

impl Core {
    /// Answers the peer's offer.
    pub fn answer(&mut self, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(offer).unwrap();
        self.rtc.sdp_api().accept_offer(offer).unwrap().to_sdp_string()
    }

    /// Creates an offer with the given changes.
    pub fn offer<T>(&mut self, change: impl FnOnce(&mut SdpApi<'_>) -> T) -> (String, T) {
        let mut api = self.rtc.sdp_api();
        let result = change(&mut api);
        let (offer, pending) = api.apply().unwrap();
        self.pending = Some(pending);
        (offer.to_sdp_string(), result)
    }

    /// Applies the peer's answer.
    pub fn accept(&mut self, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending.take().unwrap(), answer).unwrap();
    }

    /// Sends a frame on a media section.
    pub fn send(&mut self, mid: Mid, timestamp: u64, data: Vec<u8>) {
        let writer = self.rtc.writer(mid).unwrap();
        let parameters = writer.payload_params().next().unwrap();
        let (pt, rate) = (parameters.pt(), parameters.spec().clock_rate);
        writer.write(pt, Instant::now(), MediaTime::new(timestamp, rate), data).unwrap();
    }

    pub fn send_video(&mut self, mid: Mid, frame: u64, data: Vec<u8>) {
        self.send(mid, frame * 3000, data);
    }

    pub fn send_data(&mut self, label: &str, payload: &[u8]) {
        let id = self.channels.iter().find(|(_, known)| known == label).unwrap().0;
        assert!(self.rtc.channel(id).unwrap().write(true, payload).unwrap());
    }

    fn on_event(&mut self, event: Event, seen: &mpsc::Sender<Seen>) {
        let seen_now = match event {
            Event::MediaAdded(added) => {
                self.mids.push((added.mid, added.kind));
                return;
            }
            Event::MediaData(media) => {
                let kind = if media.params.spec().codec.is_video() { MediaKind::Video } else { MediaKind::Audio };
                Seen::Media {
                    kind,
                    rid: media.rid.map(|rid| rid.to_string()),
                    data: media.data.to_vec(),
                    contiguous: media.contiguous,
                    at: Instant::now(),
                }
            }
            Event::KeyframeRequest(_) => Seen::KeyframeRequest,
            Event::ChannelOpen(id, label) => {
                self.channels.push((id, label));
                Seen::ChannelOpen
            }
            Event::ChannelData(data) => {
                let label = self.channels.iter().find(|(id, _)| *id == data.id).unwrap().1.clone();
                Seen::Data(label, data.data.clone())
            }
            _ => return,
        };
        let _ = seen.send(seen_now);
    }
}

type Command = Box<dyn FnOnce(&mut Core) + Send>;

pub struct Server {
    commands: mpsc::Sender<Command>,
    seen: mpsc::Receiver<Seen>,
    /// Events that arrived while another one was awaited.
    earlier: Vec<Seen>,
    wake: UdpSocket,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _relay: Option<Relay>,
}

impl Server {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        Self::on(socket, address, None)
    }

    /// A server behind a poor network.
    pub fn start_behind(up: LinkConfig, down: LinkConfig) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let relay = Relay::start(socket.local_addr().unwrap(), up, down);
        Self::on(socket, relay.address, Some(relay))
    }

    /// `public` is the address that peers send to.
    fn on(socket: UdpSocket, public: SocketAddr, relay: Option<Relay>) -> Self {
        let address = socket.local_addr().unwrap();
        let (commands, command_queue) = mpsc::channel();
        let (seen_sender, seen) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || run(&socket, public, &command_queue, &seen_sender, &stopped));
        let wake = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { commands, seen, earlier: Vec::new(), wake, address, stop, thread: Some(thread), _relay: relay }
    }

    /// Runs a closure on the server's thread and returns its result.
    pub fn call<T: Send + 'static>(&self, closure: impl FnOnce(&mut Core) -> T + Send + 'static) -> T {
        let (result, answer) = mpsc::channel();
        self.commands
            .send(Box::new(move |core| {
                let _ = result.send(closure(core));
            }))
            .unwrap();
        self.wake.send_to(&[], self.address).unwrap();
        answer.recv_timeout(Duration::from_secs(5)).unwrap()
    }

    /// Takes all events so far.
    pub fn take_all(&mut self) -> Vec<Seen> {
        let mut all = std::mem::take(&mut self.earlier);
        all.extend(self.seen.try_iter());
        all
    }

    /// Waits for an event that matches; all others are kept.
    pub fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Seen) -> Option<T>) -> T {
        for (index, seen) in self.earlier.iter().enumerate() {
            if let Some(picked) = pick(seen) {
                self.earlier.remove(index);
                return picked;
            }
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let seen = self.seen.recv_timeout(left).unwrap_or_else(|_| panic!("the server did not see {what}"));
            if let Some(picked) = pick(&seen) {
                return picked;
            }
            self.earlier.push(seen);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.wake.send_to(&[], self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    socket: &UdpSocket,
    address: SocketAddr,
    commands: &mpsc::Receiver<Command>,
    seen: &mpsc::Sender<Seen>,
    stop: &AtomicBool,
) {
    let mut rtc = Rtc::builder()
        .set_ice_lite(true)
        .clear_codecs()
        .enable_h264(true)
        .enable_opus(true, false)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
    let mut core = Core {
        rtc,
        loss: Box::new(|_, _| false),
        channels: Vec::new(),
        mids: Vec::new(),
        pending: None,
        started: Instant::now(),
    };
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) && core.started.elapsed() < Duration::from_secs(60) {
        while let Ok(command) = commands.try_recv() {
            command(&mut core);
            // Each command is followed by its effects.
            drain(&mut core, socket, seen);
        }
        let timeout = drain(&mut core, socket, seen);
        let wait = timeout.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(50)))).unwrap();
        let input = match socket.recv_from(&mut buffer) {
            Ok((0, _)) | Err(_) => Input::Timeout(Instant::now()),
            Ok((len, from)) => {
                if (core.loss)(false, &buffer[..len]) {
                    continue;
                }
                match Receive::new(Protocol::Udp, from, address, &buffer[..len]) {
                    Ok(receive) => Input::Receive(Instant::now(), receive),
                    Err(_) => continue,
                }
            }
        };
        core.rtc.handle_input(input).unwrap();
    }
}

fn drain(core: &mut Core, socket: &UdpSocket, seen: &mpsc::Sender<Seen>) -> Instant {
    loop {
        match core.rtc.poll_output().unwrap() {
            Output::Timeout(at) => return at,
            Output::Transmit(datagram) => {
                if !(core.loss)(true, &datagram.contents) {
                    let _ = socket.send_to(&datagram.contents, datagram.destination);
                }
            }
            Output::Event(event) => core.on_event(event, seen),
        }
    }
}
