//! Threads that only encrypt and send: in a large room one packet goes to hundreds of clients, and most of its cost is that
//! and the system call.
//!
//! A client's datagrams keep their order: they all take the same lane, and none overtakes those that wait there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::udp::UdpSockets;
use super::udp::sender::UdpSender;
use crate::forwarding::datagram::Datagram;

/// Upper bound of lanes. Before more of them would help, the thread that fills them is busy all the time.
const MAX_LANES: usize = 4;
/// Fewer datagrams at once are sent where they are: to wake another thread costs more.
const WORTH_A_LANE: usize = 150;
/// Batches that wait for a lane. When it is full, the thread that fills it waits.
const QUEUE: usize = 1024;

struct Lane {
    batches: SyncSender<Vec<Datagram>>,
    /// Datagrams handed over and not sent yet.
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// The lanes, and what waits for them.
pub struct SendLanes {
    sockets: UdpSockets,
    lanes: Vec<Lane>,
    /// Sent with the next flush.
    pending: Vec<Datagram>,
}

impl SendLanes {
    /// As many lanes as there are processors to spare, all on these non-blocking sockets.
    ///
    /// # Errors
    /// The system has no threads or sockets left.
    pub fn start(sockets: UdpSockets) -> io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = processors.saturating_sub(1).min(MAX_LANES);
        let lanes = (0..count).map(|number| start_lane(sockets.try_clone()?, number)).collect::<io::Result<_>>()?;
        Ok(Self { sockets, lanes, pending: Vec::new() })
    }

    /// Adds a datagram to those that the next flush sends.
    pub fn push(&mut self, datagram: Datagram) {
        self.pending.push(datagram);
    }

    /// How many datagrams the next flush sends.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Sends what was added: with `sender`, or soon.
    pub fn flush(&mut self, sender: &mut UdpSender) {
        if self.pending.is_empty() {
            return;
        }
        let is_idle = self.lanes.iter().all(|lane| lane.waiting.load(Ordering::Acquire) == 0);
        if self.lanes.is_empty() || (self.pending.len() < WORTH_A_LANE && is_idle) {
            return sender.send(&self.sockets, self.pending.drain(..));
        }
        let count = self.lanes.len();
        let mut batches = vec![Vec::with_capacity(self.pending.len() / count + WORTH_A_LANE); count];
        for datagram in self.pending.drain(..) {
            if let Some(batch) = batches.get_mut(usize::from(datagram.destination.socket.port()) % count) {
                batch.push(datagram);
            }
        }
        for (lane, batch) in self.lanes.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            lane.waiting.fetch_add(batch.len(), Ordering::AcqRel);
            if lane.batches.send(batch).is_err() {
                // It has panicked. The others go on.
                tracing::error!("a sending thread is gone");
            }
        }
    }
}

impl Drop for SendLanes {
    /// Sends what waits, and releases the socket.
    fn drop(&mut self) {
        for Lane { batches, thread, .. } in self.lanes.drain(..) {
            drop(batches);
            if thread.join().is_err() {
                tracing::error!("a sending thread panicked");
            }
        }
    }
}

fn start_lane(sockets: UdpSockets, number: usize) -> io::Result<Lane> {
    let (batches, queue) = sync_channel(QUEUE);
    let waiting = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&waiting);
    let name = format!("room-send-{number}");
    let thread = std::thread::Builder::new().name(name).spawn(move || run(&sockets, &queue, &counter))?;
    Ok(Lane { batches, waiting, thread })
}

fn run(sockets: &UdpSockets, queue: &Receiver<Vec<Datagram>>, waiting: &AtomicUsize) {
    let mut sender = UdpSender::new();
    while let Ok(batch) = queue.recv() {
        let count = batch.len();
        sender.send(sockets, batch);
        waiting.fetch_sub(count, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::forwarding::core::{ClientAddress, Transport};

    /// Sends `batches` of datagrams with rising numbers to some sockets, and returns what each received.
    fn received(batches: &[usize]) -> Vec<Vec<u32>> {
        let receivers: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut lanes = SendLanes::start(UdpSockets::new(vec![socket]).unwrap()).unwrap();
        let mut sender = UdpSender::new();
        let mut number = 0u32;
        for batch in batches {
            for at in 0..*batch {
                let socket = receivers[at % 3].local_addr().unwrap();
                let destination = ClientAddress { transport: Transport::Udp, socket, local: None };
                lanes.push(Datagram::of_bytes(destination, number.to_be_bytes().to_vec()));
                number += 1;
            }
            lanes.flush(&mut sender);
        }
        let total: usize = batches.iter().sum();
        let mut buffer = [0; 16];
        let mut received = vec![Vec::new(); 3];
        for (receiver, received) in receivers.iter().zip(&mut received) {
            receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            while received.len() < total / 3 {
                let length = receiver.recv(&mut buffer).unwrap();
                received.push(u32::from_be_bytes(buffer[..length].try_into().unwrap()));
            }
        }
        received
    }

    #[test]
    fn every_client_gets_its_datagrams_in_order_through_lanes_and_past_them() {
        for numbers in received(&[3, 300, 3, 3, 180, 3]) {
            assert!(numbers.is_sorted(), "{numbers:?}");
        }
    }
}
