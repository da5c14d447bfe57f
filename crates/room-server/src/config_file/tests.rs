use std::net::Ipv4Addr;

use super::*;
use crate::limits::Limits;
use netsim::Random;

fn read(yaml: &str) -> Result<ServerConfig, ConfigError> {
    let mut config = ServerConfig::default();
    config.apply_yaml(yaml).map(|_| config)
}

fn unused(yaml: &str) -> Vec<String> {
    let unused = ServerConfig::default().apply_yaml(yaml).unwrap();
    unused.iter().map(|one| if one.is_livekits { one.key.clone() } else { format!("{}?", one.key) }).collect()
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
    assert_eq!(config.udp_port_last, Some(7002));
    assert_eq!((config.keys, config.metrics_port), (keys(&[("123", "abc")]), Some(6789)));
    assert_eq!((config.max_participants, config.empty_timeout), (5, Duration::from_secs(60)));
    assert_eq!(config.departure_timeout, Duration::from_secs(20));
    assert_eq!(config.limits, Limits { attributes: 100, ..Limits::default() });
    assert_eq!((config.log.level.as_deref(), config.log.json), (Some("warn"), true));
    let unused: Vec<String> = unused.iter().map(ToString::to_string).collect();
    assert_eq!(unused, ["redis", "limit.num_tracks", "logging.pion_level"]);
}

#[test]
fn the_file_in_the_documentation_is_understood_to_its_last_key() {
    let page = include_str!("../../../../docs/room-server.md");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut config = ServerConfig::default();
    assert_eq!(config.apply_yaml(yaml).unwrap(), Vec::new());
    // What it calls a default is one.
    let default = ServerConfig::default();
    assert_eq!((config.port, config.bind, config.limits), (default.port, default.bind, default.limits));
    assert_eq!(config.max_participants, default.max_participants);
    assert_eq!(config.empty_timeout, default.empty_timeout);
    assert_eq!(config.departure_timeout, default.departure_timeout);
    assert_eq!(config.reconnect_timeout, default.reconnect_timeout);
    assert_eq!(config.join_rate, Some(JoinRate::DEFAULT));
}

#[test]
fn media_over_tcp_has_a_port_or_none() {
    let port = |yaml| read(yaml).unwrap().tcp_port;
    assert_eq!(port("rtc: {tcp_port: 7881}"), TcpPort::Fixed(7881));
    assert_eq!(port("rtc: {tcp_port: 0}"), TcpPort::None);
    assert!(read("rtc: {force_tcp: true}").unwrap().force_tcp);
}

#[test]
fn a_key_without_an_effect_is_named_and_is_no_error() {
    for (yaml, key) in [
        ("prot: 1", "prot?"),
        ("rtc:\n  udp_prot: 1", "rtc.udp_prot?"),
        ("rtc: {interfaces: {include: [a]}}", "rtc.interfaces.include?"),
        ("rtc: {turn_servers: [{host: a, port: 1, prot: x}]}", "rtc.turn_servers[0].prot?"),
        ("rtc: {congestion_control: {enabled: true}}", "rtc.congestion_control"),
        ("redis: {address: a}", "redis"),
        ("keys: {a: b}\nroom: {playout_delay: {min: 1}}", "room.playout_delay"),
    ] {
        assert_eq!(unused(yaml), [key], "{yaml}");
    }
}

#[test]
fn clients_that_relies_on_an_address_that_is_asked_for_outside_is_reported_what_to_give_instead() {
    assert!(unused("rtc: {use_external_ip: true}")[0].contains("rtc.node_ip"));
    assert_eq!(unused("rtc: {use_external_ip: false}"), Vec::<String>::new());
}

#[test]
fn what_livekits_documentation_and_generators_write_is_taken() {
    for yaml in [
        include_str!("samples/livekit_sample.yaml"),
        include_str!("samples/generated_caddy.yaml"),
        include_str!("samples/kubernetes.yaml"),
        include_str!("samples/udp_port.yaml"),
    ] {
        read(yaml).unwrap();
        let strange: Vec<String> = unused(yaml).into_iter().filter(|key| key.ends_with('?')).collect();
        assert_eq!(strange, Vec::<String>::new());
    }
    let config = read(include_str!("samples/generated_caddy.yaml")).unwrap();
    assert_eq!(config.binds(), ["0.0.0.0", "::"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    assert_eq!((config.udp_port, config.udp_port_last), (Some(50000), Some(60000)));
    assert!(!config.candidates.loopback && config.turn.external_tls);
    assert_eq!((config.turn.domain.as_deref(), config.turn.tls_port), (Some("livekit-turn.example.com"), Some(5349)));
    let config = read(include_str!("samples/kubernetes.yaml")).unwrap();
    assert_eq!((config.udp_port, config.udp_port_last), (Some(7882), Some(7892)));
    assert_eq!((config.node_ips(), config.is_loopback()), (vec!["203.0.113.5".parse().unwrap()], true));
    assert_eq!(config.candidates.networks.includes, ["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn everything_that_can_be_listened_on_is_understood() {
    let binds = |yaml| read(yaml).unwrap().binds();
    let ips = |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect::<Vec<_>>();
    assert_eq!(binds("bind_addresses: ['']"), ips(&["0.0.0.0", "::"]));
    assert_eq!(binds("bind_addresses: ['::']"), ips(&["0.0.0.0", "::"]));
    assert_eq!(binds("bind_addresses: [127.0.0.1, 127.0.0.2]"), ips(&["127.0.0.1", "127.0.0.2"]));
    assert_eq!(binds("bind_addresses: ['[::1]', 127.0.0.1]"), ips(&["::1", "127.0.0.1"]));
    assert!(binds("bind_addresses: [localhost]").contains(&Ipv4Addr::LOCALHOST.into()));
    assert_eq!(binds("bind_addresses:"), ips(&["127.0.0.1"]));
    assert!(read("bind_addresses: [no-such-host.invalid]").unwrap_err().to_string().contains("no-such-host"));
}

#[test]
fn ports_can_be_written_in_several_paths() {
    let ports = |yaml: &str| {
        let config = read(&format!("rtc: {{udp_port: {yaml}}}")).unwrap();
        (config.udp_port, config.udp_port_last)
    };
    for yaml in ["7882-7892", "\"7882-7892\"", "{start: 7882, end: 7892}"] {
        assert_eq!(ports(yaml), (Some(7882), Some(7892)), "{yaml}");
    }
    for yaml in ["7882", "\"7882\"", "{start: 7882}"] {
        assert_eq!(ports(yaml), (Some(7882), Some(7882)), "{yaml}");
    }
    for yaml in ["0", "", "null"] {
        assert_eq!(ports(yaml), (None, None), "{yaml}");
    }
    for yaml in ["70000", "9-1", "-1", "x", "[1]", "1.5"] {
        assert!(read(&format!("rtc: {{udp_port: {yaml}}}")).is_err(), "{yaml}");
    }
}

#[test]
fn a_wrong_value_is_reported_with_its_key_and_its_line() {
    for (yaml, key) in [
        ("port: 7880\nrtc:\n  tcp_port: many\n", "rtc.tcp_port"),
        ("port: 7880\nrtc:\n  ips: {includes: [10.0.0.0/99]}\n", "rtc.ips.includes[0]"),
        ("port: 7880\nrtc:\n  node_ip: here\n", "rtc.node_ip"),
    ] {
        let error = read(yaml).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("line 3"), "{error}");
    }
}

#[test]
fn a_file_without_end_and_aliases_without_end_are_refused_in_time() {
    let begun = std::time::Instant::now();
    let many = |line: &str, count: usize| line.repeat(count);
    assert!(matches!(read(&many("# nothing\n", 1_000_000)), Err(ConfigError::TooLong)));
    let addresses = format!("bind_addresses:\n{}", many("  - 127.0.0.1\n", 10_000));
    assert!(matches!(read(&addresses), Err(ConfigError::TooManyAddresses)));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..12 {
        let alias = format!("*a{}", at - 1);
        bomb += &format!("a{at}: &a{at} [{}]\n", [alias.as_str(); 10].join(", "));
    }
    assert!(read(&bomb).is_err());
    assert!(read(&format!("keys: {}{}", many("[", 100_000), many("]", 100_000))).is_err());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn anchors_can_be_used() {
    let yaml =
        "x-limits: &limits {max_metadata_size: 7}\nlimit: *limits\nroom:\n  <<: *limits\n  max_participants: 3\n";
    let config = read(yaml).unwrap();
    assert_eq!((config.limits.metadata, config.max_participants), (7, 3));
}

#[test]
fn a_certificate_needs_its_key() {
    let tls = read("tls: {cert_file: /a, key_file: /b}").unwrap().tls;
    assert_eq!(tls, Some(TlsFiles { cert: "/a".into(), key: "/b".into() }));
    assert_eq!(read("tls: {cert_file: '', key_file: ''}").unwrap().tls, None);
    assert!(matches!(read("tls: {cert_file: /a}"), Err(ConfigError::HalfCertificate("tls"))));
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
        "{",
        "[]",
        "just text",
        "webhook:\n  urls: [http://a/]\n",
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
    assert_eq!(config.join_rate, Some(JoinRate { per_second: 3, ..JoinRate::DEFAULT }));
}

#[cfg(unix)]
#[test]
fn a_key_file_that_all_clients_can_read_is_refused() {
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
