//! What forwarding costs when nothing is done but receiving and sending.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::PAYLOAD;
use crate::process::own_thread_cpu;

/// Header, extensions and authentication of a packet.
const AROUND: usize = 40;

/// CPU time in µs for each packet sent.
pub fn measure(sinks: usize, packets_per_second: f64, time: Duration) -> f64 {
    let sinks: Vec<UdpSocket> = (0..sinks).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = sinks.iter().map(|sink| sink.local_addr().unwrap()).collect();
    sinks.iter().for_each(|sink| sink.set_nonblocking(true).unwrap());
    let forwarder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let entrance = forwarder.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let forwarding = scope.spawn(|| {
            let mut buffer = [0; 2048];
            let (mut sent, begin) = (0_u64, own_thread_cpu());
            while let Ok((length, _)) = forwarder.recv_from(&mut buffer) {
                if length == 0 {
                    break;
                }
                sent +=
                    addresses.iter().filter(|sink| forwarder.send_to(&buffer[..length], sink).is_ok()).count() as u64;
            }
            (own_thread_cpu() - begin).as_secs_f64() * 1e6 / sent as f64
        });
        scope.spawn(|| {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                for sink in &sinks {
                    while sink.recv_from(&mut buffer).is_ok() {}
                }
                thread::sleep(Duration::from_millis(2));
            }
        });
        let source = UdpSocket::bind("127.0.0.1:0").unwrap();
        let end = Instant::now() + time;
        while Instant::now() < end {
            source.send_to(&[0x5a; PAYLOAD + AROUND], entrance).unwrap();
            thread::sleep(Duration::from_secs_f64(1.0 / packets_per_second));
        }
        source.send_to(&[], entrance).unwrap();
        let floor = forwarding.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        floor
    })
}
