//! A server with several networks, each in a namespace of its own: the server is the real program there, and the clients are
//! this test once more. Needs the right to make namespaces; without it these tests say so and pass.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::token::mint;
use str0m::media::MediaKind;

use crate::client::{Client, LOCAL_IP};
use crate::harness::{KEY, SECRET, claims};

const URL: &str = "ROOM_SERVER_TEST_URL";

fn ip(arguments: &str) -> bool {
    let arguments = arguments.split(' ');
    Command::new("ip").args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Two namespaces with two links between them.
struct Networks {
    name: String,
    server: Option<Child>,
}

impl Networks {
    /// `None` where that is not allowed.
    fn new(name: &str) -> Option<Self> {
        let name = format!("rs{}{name}", std::process::id());
        let networks = Self { name, server: None };
        let (s, c) = (networks.server_side(), networks.client_side());
        if !ip(&format!("netns add {s}")) || !ip(&format!("netns add {c}")) {
            println!("skipped: no namespaces can be made here");
            return None;
        }
        for side in [&s, &c] {
            assert!(ip(&format!("-n {side} link set lo up")));
        }
        networks.link(1);
        networks.link(2);
        Some(networks)
    }

    fn server_side(&self) -> String {
        format!("{}s", self.name)
    }

    fn client_side(&self) -> String {
        format!("{}c", self.name)
    }

    /// Network `number`: the server is 10.77.NUMBER.1 and fd77:NUMBER::1 there, the client 2.
    fn link(&self, number: u8) {
        let (s, c) = (self.server_side(), self.client_side());
        assert!(ip(&format!("link add e{number} netns {s} type veth peer name e{number} netns {c}")));
        for (side, host) in [(&s, 1), (&c, 2)] {
            assert!(ip(&format!("-n {side} addr add 10.77.{number}.{host}/24 dev e{number}")));
            assert!(ip(&format!("-n {side} addr add fd77:{number}::{host}/64 dev e{number} nodad")));
            assert!(ip(&format!("-n {side} link set e{number} up")));
        }
    }

    fn on_client_side(&self, arguments: &str) {
        assert!(ip(&format!("-n {} {arguments}", self.client_side())));
    }

    fn start_server(&mut self, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.server_side(), env!("CARGO_BIN_EXE_room-server")]);
        command.args(["--key", &format!("{KEY}:{SECRET}")]).args(arguments).env("RUST_LOG", "warn");
        self.server = Some(command.stdout(Stdio::null()).spawn().unwrap());
    }

    /// Runs a call between two clients at this address of theirs, as [`two_users_see_each_other`].
    fn call(&self, url: &str, local: &str) -> bool {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.client_side()]).arg(program);
        command.args(["--exact", "networks::two_users_see_each_other", "--ignored", "--nocapture"]);
        command.env(URL, url).env(LOCAL_IP, local).stdout(Stdio::null());
        command.status().unwrap().success()
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        ip(&format!("netns del {}", self.server_side()));
        ip(&format!("netns del {}", self.client_side()));
    }
}

/// The part of the other tests that runs in the clients' namespace.
#[tokio::test]
#[ignore = "a part of other tests"]
async fn two_users_see_each_other() {
    let Ok(url) = std::env::var(URL) else { return };
    let join = async |identity: &str| {
        let token = mint(KEY, SECRET, &claims("r", identity)).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        // The server may just have been started.
        loop {
            match Client::connect(&url, &token, "").await {
                Ok(client) => return client,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (mut anna, mut hans) = (join("anna").await, join("hans").await);
    anna.until_active().await;
    hans.until_active().await;
    let sid = anna.publish("v", "s", MediaKind::Video).await;
    hans.packet_of(&sid).await;
}

#[test]
fn clients_on_each_network_get_media_without_a_default_route() {
    let Some(mut networks) = Networks::new("a") else { return };
    networks.start_server(&["--bind", "0.0.0.0", "--node-ip", "203.0.113.5"]);
    assert!(networks.call("ws://10.77.1.1:7880", "10.77.1.2"));
    assert!(networks.call("ws://10.77.2.1:7880", "10.77.2.2"));
}

#[test]
fn both_families_are_served_by_one_server() {
    let Some(mut networks) = Networks::new("b") else { return };
    networks.start_server(&["--bind", "::"]);
    assert!(networks.call("ws://10.77.1.1:7880", "10.77.1.2"));
    assert!(networks.call("ws://[fd77:2::1]:7880", "fd77:2::2"));
}

#[test]
fn a_server_on_several_addresses_serves_each_of_them() {
    let Some(mut networks) = Networks::new("c") else { return };
    networks.start_server(&["--bind", "10.77.2.1", "--bind", "fd77:1::1"]);
    assert!(networks.call("ws://10.77.2.1:7880", "10.77.2.2"));
    assert!(networks.call("ws://[fd77:1::1]:7880", "fd77:1::2"));
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked_and_not_from_the_nearest() {
    let Some(mut networks) = Networks::new("d") else { return };
    networks.on_client_side("addr del 10.77.1.2/24 dev e1");
    networks.on_client_side("route add 10.77.1.0/24 via 10.77.2.1");
    let only_first = "rtc: {enable_loopback_candidate: false, ips: {includes: [10.77.1.0/24]}}";
    networks.start_server(&["--bind", "0.0.0.0", "--config-body", only_first]);
    assert!(networks.call("ws://10.77.1.1:7880", "10.77.2.2"));
}

#[test]
fn a_network_that_comes_later_is_offered_to_those_who_join_then() {
    let Some(mut networks) = Networks::new("e") else { return };
    networks.start_server(&["--bind", "0.0.0.0"]);
    assert!(networks.call("ws://10.77.1.1:7880", "10.77.1.2"));
    networks.link(3);
    assert!(networks.call(&format!("ws://{}:7880", Ipv4Addr::new(10, 77, 3, 1)), "10.77.3.2"));
}
