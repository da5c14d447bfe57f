//! Tokens that a backend made: their end, their renewal, their rights.

use std::time::Duration;

use engine::{EngineProfile, RoomConfig, User};
use protocol::token::{Claims, Grants, mint};
use room_server::ServerConfig;

use crate::harness::{APP_ID, APP_SIGN, Client, Server, fakes, profile, wait_for};

fn token(ttl_s: u64, grants: Grants) -> String {
    let claims = Claims {
        identity: "anna".into(),
        room: "room".into(),
        ttl: Duration::from_secs(ttl_s),
        grants,
        ..Claims::default()
    };
    mint(&APP_ID.to_string(), APP_SIGN, &claims).unwrap()
}

/// A client without AppSign, in the room by a token.
fn by_token(server: &Server, token: String) -> Client {
    let profile = EngineProfile { app_sign: String::new(), ..profile(&server.url()) };
    let mut client = Client::with(profile, fakes());
    let config = RoomConfig { token, ..RoomConfig::default() };
    client.engine.login_room("room", User { id: "anna".into(), name: "A".into() }, config).unwrap();
    client.expect("onRoomStateUpdate", |event| event["state"] != 1);
    client
}

#[test]
fn a_token_about_to_end_is_reported_and_after_its_end_what_runs_continues_but_nothing_new_is_published() {
    let server = Server::start();
    let mut anna = by_token(&server, token(4, Grants::participant()));
    anna.publish("runs");
    let reported = anna.expect("onRoomTokenWillExpire", |_| true);
    assert_eq!(reported["roomID"], "room");
    assert!(reported["remainTimeInSecond"].as_u64().unwrap() <= 4);
    let ben = Client::joined(&server, "room", "ben");
    let screen = ben.play("runs");
    // The end is a point in time that has to pass.
    std::thread::sleep(Duration::from_secs(reported["remainTimeInSecond"].as_u64().unwrap() + 1));
    anna.engine.start_publishing_stream("new", Default::default(), 1).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_003_072);
    screen.frames(0);
    screen.frames(5);
    assert_eq!(anna.all("onRoomTokenWillExpire").len(), 1);
    assert_eq!(anna.all("onRoomStateUpdate").last().unwrap()["state"], 2);
    anna.engine.renew_token("room", &token(600, Grants::participant())).unwrap();
    anna.engine.start_publishing_stream("new", Default::default(), 1).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["streamID"] == "new" && event["state"] == 2);
}

#[test]
fn a_renewed_token_brings_its_rights_without_a_word_to_the_application() {
    let server = Server::start();
    let silent = Grants { can_publish: Some(false), ..Grants::participant() };
    let mut anna = by_token(&server, token(600, silent));
    anna.engine.start_publishing_stream("s", Default::default(), 0).unwrap();
    anna.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_003_025);
    anna.engine.renew_token("room", &token(600, Grants::participant())).unwrap();
    let anna = std::cell::RefCell::new(anna);
    wait_for("the right to publish", || {
        let mut anna = anna.borrow_mut();
        anna.engine.start_publishing_stream("s", Default::default(), 0).unwrap();
        anna.expect("onPublisherStateUpdate", |event| event["state"] != 1)["state"] == 2
    });
    let states = anna.borrow_mut().all("onRoomStateChanged");
    assert_eq!(states.len(), 2, "{states:?}");
}

#[test]
fn tokens_that_cannot_be_used_have_their_codes() {
    let server = Server::start();
    let mut anna = by_token(&server, token(600, Grants::participant()));
    let foreign = mint(&APP_ID.to_string(), APP_SIGN, &Claims { identity: "eve".into(), ..Claims::default() }).unwrap();
    for (room, token, code) in [
        ("room", "no token", 1_002_075),
        ("room", "", 1_002_067),
        ("room", &foreign, 1_002_077),
        ("other", "x", 1_002_002),
    ] {
        anna.engine.renew_token(room, token).unwrap();
        anna.expect("onDebugError", |event| event["funcName"] == "renewToken" && event["errorCode"] == code);
    }
    let mut nobody = Client::new(&server);
    nobody.engine.renew_token("room", "x").unwrap();
    nobody.expect("onDebugError", |event| event["errorCode"] == 1_000_002);
}

#[test]
fn an_expired_token_does_not_open_the_room() {
    let server = Server::start();
    let expired = protocol::token::mint_at(
        &APP_ID.to_string(),
        APP_SIGN,
        &Claims { identity: "anna".into(), room: "room".into(), ttl: Duration::from_secs(1), ..Claims::default() },
        1_600_000_000,
    )
    .unwrap();
    let mut anna = by_token(&server, expired);
    assert_eq!(anna.all("onRoomStateUpdate").last().unwrap()["errorCode"], 1_002_078);
}

/// Of app 1234567890, for `userA`, until 2036: one without rights of its own, and one that opens `TheRoomID` only and
/// forbids to publish.
const VENDOR_SECRET: &str = "0123456789abcdef0123456789abcdef";
const VENDOR_BASIC: &str = "04AAAAAH3PJAwAEGRrOHVldHY4Ym83a3VncDEAcB0CEszooLaoBT6EuTtB+lsoB02Vk2bGTyMeAqlEstQLHweqeVH6M8UD6a858g5af7wd7kH1EYalQV791ZVQfpIvLe11CbtXo51bc8gTpx8CXQ5G0jNosWZKqpwswXZYX5zgOemNUclounmrZA67WAU=";
const VENDOR_RIGHTS: &str = "04AAAAAH3PJAwAEDg0dHdhZWxqZXJsbmF2cWUA0DRa9zdx3PHw0kqcBcrOK9U5BKwmGBsup2I4mpncy9yE9NFD7y+Le3rBayAoiHhuHT22FKAXim4s+Ft6Wi849bbSktaMkd5hTi+v2KFoOCvv37yu1ohvWtuB+SciDw9j+ftzXdfdPlbzk7hfxPuV7nPc8M/ISBGGQLQkLdsDU0szvKkqGcPdKx2jvZDWDwbDB+hZqrTVhRGV4/MlnCdDWuU9HmxEXE+nMiNm2R7zkI4TX14kjVFNAM1ZY6UT5wUxW783fG29CfOMf+PHufFaDfQ=";

#[test]
fn the_vendors_tokens_open_the_room_that_is_asked_for_with_the_rights_they_have() {
    let config = ServerConfig {
        port: 0,
        server_secrets: [(APP_ID.to_string(), VENDOR_SECRET.to_owned())].into(),
        ..ServerConfig::default()
    };
    let server = Server::with(config);
    let login = |room: &str, user: &str, token: &str| {
        let profile = EngineProfile { app_sign: String::new(), ..profile(&server.url()) };
        let mut client = Client::with(profile, fakes());
        let config = RoomConfig { token: token.into(), ..RoomConfig::default() };
        client.engine.login_room(room, User { id: user.into(), name: "A-B".into() }, config).unwrap();
        let reported = client.expect("onRoomStateUpdate", |event| event["state"] != 1);
        (client, reported["errorCode"].as_i64().unwrap())
    };
    let (mut anna, code) = login("any&room=x", "userA", VENDOR_BASIC);
    assert_eq!(code, 0);
    anna.publish("s");
    assert_eq!(login("any", "userB", VENDOR_BASIC).1, 1_002_077);
    assert_eq!(login("other", "userA", VENDOR_RIGHTS).1, 1_002_033);
    let (mut bound, code) = login("TheRoomID", "userA", VENDOR_RIGHTS);
    assert_eq!(code, 0);
    bound.engine.start_publishing_stream("t", Default::default(), 0).unwrap();
    bound.expect("onPublisherStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_003_025);
    assert_eq!(login("any", "userA", "04AAAA").1, 1_002_075);
}
