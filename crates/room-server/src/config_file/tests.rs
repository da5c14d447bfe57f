use std::net::Ipv4Addr;

use super::*;
use crate::limits::Limits;
use crate::mutation::Random;

fn read(yaml: &str) -> Result<ServerConfig, ConfigError> {
    let mut config = ServerConfig::default();
    config.apply_yaml(yaml).map(|_| config)
}

fn keys(pairs: &[(&str, &str)]) -> KeyPolicy {
    KeyPolicy::Fixed(pairs.iter().map(|(key, secret)| ((*key).to_owned(), (*secret).to_owned())).collect())
}

#[test]
fn a_livekit_file_is_understood() {
    let mut config = ServerConfig::default();
    let unused = config
        .apply_yaml(
            "port: 7000\nbind_addresses:\n  - 0.0.0.0\nkeys:\n  \"123\": abc\nprometheus_port: 6789\n\
             redis:\n  address: localhost:6379\n\
             rtc:\n  udp_port: 7002\n  port_range_start: 50000\n  use_external_ip: false\n\
             room:\n  max_participants: 5\n  empty_timeout: 60\n  departure_timeout: 20\n\
             limit:\n  num_tracks: -1\n  max_attributes_size: 100\n\
             logging:\n  level: warning\n  json: true\n  pion_level: error\n",
        )
        .unwrap();
    assert_eq!((config.port, config.udp_port, config.bind), (7000, Some(7002), Ipv4Addr::UNSPECIFIED.into()));
    assert_eq!((config.keys, config.metrics_port), (keys(&[("123", "abc")]), Some(6789)));
    assert_eq!((config.max_participants, config.empty_timeout), (5, Duration::from_secs(60)));
    assert_eq!(config.departure_timeout, Duration::from_secs(20));
    assert_eq!(config.limits, Limits { attributes: 100, ..Limits::default() });
    assert_eq!((config.log.level.as_deref(), config.log.json), (Some("warn"), true));
    let expected = ["redis", "rtc.port_range_start", "rtc.use_external_ip", "limit.num_tracks", "logging.pion_level"];
    assert_eq!(unused, expected);
}

#[test]
fn the_file_in_the_documentation_is_understood_to_its_last_key() {
    let page = include_str!("../../../../docs/room-server.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut config = ServerConfig::default();
    assert_eq!(config.apply_yaml(yaml).unwrap(), Vec::<&str>::new());
    // What it calls a default is one.
    let default = ServerConfig::default();
    assert_eq!((config.port, config.bind, config.limits), (default.port, default.bind, default.limits));
    assert_eq!(config.max_participants, default.max_participants);
    assert_eq!(config.empty_timeout, default.empty_timeout);
    assert_eq!(config.departure_timeout, default.departure_timeout);
    assert_eq!(config.reconnect_timeout, default.reconnect_timeout);
    assert_eq!(config.join_rate, Some(JoinRate::USUAL));
}

#[test]
fn media_over_tcp_has_a_port_or_none() {
    let port = |yaml| read(yaml).unwrap().tcp_port;
    assert_eq!(port("rtc: {tcp_port: 7881}"), TcpPort::Fixed(7881));
    assert_eq!(port("rtc: {tcp_port: 0}"), TcpPort::None);
    assert!(read("rtc: {force_tcp: true}").unwrap().force_tcp);
}

#[test]
fn a_key_that_nobody_knows_is_named() {
    for (yaml, key) in [("prot: 1", "prot"), ("rtc:\n  udp_prot: 1", "udp_prot"), ("limit:\n  joins: 1", "joins")] {
        let error = read(yaml).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut config = ServerConfig::default();
    assert!(config.apply_yaml("port: 1\nlogging:\n  level: loud\n").is_err());
    assert_eq!(config, ServerConfig::default());
}

#[test]
fn keys_that_look_like_numbers_need_no_quotes() {
    let config = read("keys:\n  1234567: 0123456789abcdef\n").unwrap();
    assert_eq!(config.keys, keys(&[("1234567", "0123456789abcdef")]));
}

#[test]
fn nonsense_is_refused() {
    for yaml in [
        "port: many",
        "port: 70000",
        "bind_addresses: [127.0.0.1, 127.0.0.2]",
        "{",
        "[]",
        "just text",
        "webhook:\n  urls: [http://a/]\n",
        "webhook:\n  api_key: a\n",
        "rtc:\n  turn_servers:\n    - host: a\n",
        "rtc:\n  turn_servers:\n    - {host: a, port: 1, protocol: ip}\n",
        "logging:\n  level: loud\n",
        "limit:\n  max_metadata_size: -1\n",
        "key_file: /nowhere/at/all\n",
    ] {
        assert!(read(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(read("").unwrap(), ServerConfig::default());
    assert_eq!(read("# nothing yet\n").unwrap_or_default(), ServerConfig::default());
}

#[test]
fn relays_become_addresses_for_clients() {
    let config = read(
        "rtc:\n  stun_servers: [stun.example.com:3478]\n  turn_servers:\n\
         \x20   - {host: turn.example.com, port: 443, protocol: tls, username: u, credential: c}\n\
         \x20   - {host: \"2001:db8::1\", port: 3478, protocol: udp}\n",
    )
    .unwrap();
    let urls: Vec<&str> = config.ice_servers.iter().flat_map(|server| &server.urls).map(String::as_str).collect();
    let expected = [
        "stun:stun.example.com:3478",
        "turns:turn.example.com:443?transport=tcp",
        "turn:[2001:db8::1]:3478?transport=udp",
    ];
    assert_eq!(urls, expected);
    assert_eq!((config.ice_servers[1].username.as_str(), config.ice_servers[1].credential.as_str()), ("u", "c"));
}

#[test]
fn half_a_join_rate_is_completed() {
    let config = read("limit:\n  joins_per_second: 3\n").unwrap();
    assert_eq!(config.join_rate, Some(JoinRate { per_second: 3, ..JoinRate::USUAL }));
}

#[cfg(unix)]
#[test]
fn a_key_file_that_everybody_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("room-server-keys-{}", std::process::id()));
    std::fs::write(&path, "1234567: abc\n").unwrap();
    let with_mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&format!("key_file: {}\n", path.display()))
    };
    let (open, closed) = (with_mode(0o644), with_mode(0o640));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(open, Err(ConfigError::OpenKeyFile(_))));
    assert_eq!(closed.unwrap().keys, keys(&[("1234567", "abc")]));
}

/// Random changes of a file with every key in it: whatever comes out, it is an answer and not a panic.
#[test]
fn thousands_of_broken_files_are_answered() {
    let seed = "port: 7000\nbind_addresses: [0.0.0.0]\nkeys: {a: b}\nrtc: {udp_port: 1, turn_servers: [{host: a, port: 1}]}\n\
                webhook: {urls: ['http://127.0.0.1/'], api_key: a}\nlimit: {join_burst: 3}\nlogging: {level: info}\n";
    assert!(read(seed).is_ok());
    let mut random = Random::new(0x5eed);
    for round in 0..3000 {
        let text = match round % 2 {
            0 => String::from_utf8_lossy(&random.mutate(seed.as_bytes())).into_owned(),
            _ => random.mutate_lines(seed),
        };
        let _ = read(&text);
    }
}
