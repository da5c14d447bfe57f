//! Load on a room server that speaks LiveKit's client protocol: one publisher, many subscribers, and what it costs.
//!
//! ```text
//! cargo run --release -p room-server --example sfu_load -- --server target/release/room-server --subscribers 100
//! cargo run --release -p room-server --example sfu_load -- --url ws://127.0.0.1:7880 --key K --secret S --pid 4711
//! ```
//!
//! Prints one line of JSON. CPU is that of the server's process, also as a multiple of the floor: a thread that in the
//! same run receives as many packets and sends each to as many sockets, and does nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod client;
mod floor;
mod process;
mod stamped_socket;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use protocol::token::{Claims, mint};

use client::{Counters, Role};

#[derive(Parser)]
struct Arguments {
    /// Binary of our server, started for this run.
    #[arg(long)]
    server: Option<String>,
    /// A server that runs already.
    #[arg(long, default_value = "")]
    url: String,
    /// Its process, to measure CPU and memory.
    #[arg(long)]
    pid: Option<u32>,
    #[arg(long, default_value = "1234567")]
    key: String,
    #[arg(long, default_value = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")]
    secret: String,
    #[arg(long, default_value_t = 100)]
    subscribers: usize,
    /// Clients in another room who do nothing.
    #[arg(long, default_value_t = 0)]
    idle: usize,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Of the publisher's video, in bits per second.
    #[arg(long, default_value_t = 1_500_000)]
    bitrate: u64,
}

struct Started {
    child: Option<Child>,
    url: String,
    pid: Option<u32>,
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(arguments: &Arguments) -> Started {
    let Some(binary) = &arguments.server else {
        return Started { child: None, url: arguments.url.clone(), pid: arguments.pid };
    };
    let key = format!("{}:{}", arguments.key, arguments.secret);
    let mut child = Command::new(binary)
        .args(["--port", "0", "--key", &key])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("ws://")).expect("an address").to_owned();
    Started { pid: Some(child.id()), child: Some(child), url }
}

fn token(arguments: &Arguments, room: &str, identity: &str) -> String {
    let claims = Claims {
        room: room.to_owned(),
        identity: identity.to_owned(),
        ttl: Duration::from_secs(600),
        ..Claims::default()
    };
    mint(&arguments.key, &arguments.secret, &claims).unwrap()
}

/// Waits until `fits`, and gives how long that took.
async fn until(what: &str, since: Instant, fits: impl Fn() -> bool) -> Duration {
    while !fits() {
        assert!(since.elapsed() < Duration::from_secs(20), "waited in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    since.elapsed()
}

fn percentile(sorted: &[u32], share: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * share) as usize;
    sorted.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
}

fn main() {
    let arguments = Arguments::parse();
    str0m::crypto::from_feature_flags().install_process_default();
    let server = start(&arguments);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(run(&arguments, &server));
    runtime.shutdown_background();
}

async fn run(arguments: &Arguments, server: &Started) {
    let counters = Arc::new(Counters::default());
    let join = |room: &str, name: String, role: Role| {
        let url =
            format!("{}/rtc?protocol=15&auto_subscribe=1&access_token={}", server.url, token(arguments, room, &name));
        tokio::spawn(client::run(url, role, Arc::clone(&counters)))
    };
    let idle_memory = measure_idle(arguments, server, &counters, &join).await;

    let begin = Instant::now();
    (0..arguments.subscribers).for_each(|n| drop(join("load", format!("s{n}"), Role::Subscriber)));
    let all = arguments.idle + arguments.subscribers;
    let joined = until("all have joined", begin, || counters.active() == all).await;
    join("load", "publisher".to_owned(), Role::Publisher { bitrate: arguments.bitrate });
    let begin = Instant::now();
    let first = until("all get packets", begin, || counters.receiving() == arguments.subscribers).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    counters.start();
    let (cpu, begin) = (server.pid.map(process::cpu), Instant::now());
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (time, cpu) = (begin.elapsed(), server.pid.map(process::cpu).zip(cpu).map(|(after, before)| after - before));
    let measured = counters.stop();
    let memory = server.pid.map(process::resident_kb);

    let packets_per_second = arguments.bitrate as f64 / (client::PAYLOAD as f64 * 8.0);
    let floor =
        floor::measure(arguments.subscribers, packets_per_second, Duration::from_secs(arguments.seconds.min(5)));
    let per_packet = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / measured.packets as f64);
    let mut latencies = measured.latencies_us;
    latencies.sort_unstable();
    println!(
        "{}",
        serde_json::json!({
            "subscribers": arguments.subscribers,
            "joined_s": joined.as_secs_f64(),
            "first_packet_s": first.as_secs_f64(),
            "idle_kb": idle_memory,
            "resident_kb": memory,
            "packets_per_s": measured.packets as f64 / time.as_secs_f64(),
            "lost": measured.lost,
            "cpu_percent": cpu.map(|cpu| 100.0 * cpu.as_secs_f64() / time.as_secs_f64()),
            "us_per_packet": per_packet,
            "floor_us": floor,
            "times_floor": per_packet.map(|us| us / floor),
            "latency_ms": {
                "p50": percentile(&latencies, 0.5),
                "p99": percentile(&latencies, 0.99),
                "max": percentile(&latencies, 1.0),
            },
        })
    );
}

/// Memory of the server for each client who does nothing, in kB.
async fn measure_idle<T>(
    arguments: &Arguments,
    server: &Started,
    counters: &Counters,
    join: &impl Fn(&str, String, Role) -> T,
) -> Option<f64> {
    if arguments.idle == 0 {
        return None;
    }
    let before = server.pid.map(process::resident_kb)?;
    let begin = Instant::now();
    (0..arguments.idle).for_each(|n| drop(join("idle", format!("i{n}"), Role::Subscriber)));
    until("all have joined", begin, || counters.active() == arguments.idle).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Some((process::resident_kb(server.pid?) as f64 - before as f64) / arguments.idle as f64)
}
