//! A computer whose clock is wrong: another process under libfaketime, against a server with the right time.

use std::process::Command;
use std::time::Duration;

use engine::{EngineProfile, RoomConfig, User};
use protocol::token::{Claims, mint};

use crate::harness::{APP_ID, APP_SIGN, Client, Server, answer, fakes, profile};
use crate::reaching_the_server::message;
use crate::stock_server::StockServer;

/// Runs a test of this binary as another process whose clock is off. False, with a plain line, where that cannot be done.
fn under_clock(offset: &str, test: &str, server: &str, token: &str) -> bool {
    let mut command = Command::new("faketime");
    command.args(["-m", "-f", offset]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("clocks::{test}"), "--ignored", "--nocapture"]);
    // Timers must go on as they do on any machine whose clock was set wrongly.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("CHILD_SERVER", server).env("CHILD_TOKEN", token);
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("1 passed"), "{offset}: {said}");
            true
        }
        Err(error) => {
            eprintln!("skipped: faketime is not here ({error})");
            false
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

fn own_token(ttl_s: u64) -> String {
    let claims =
        Claims { identity: "anna".into(), room: "room".into(), ttl: Duration::from_secs(ttl_s), ..Claims::default() };
    mint(&APP_ID.to_string(), APP_SIGN, &claims).unwrap()
}

fn by_token(server: &str, token: String) -> Client {
    let profile = EngineProfile { app_sign: String::new(), ..profile(server) };
    let client = Client::with(profile, fakes());
    let config = RoomConfig { token, ..RoomConfig::default() };
    client.engine.login_room("room", User { id: "anna".into(), name: "A".into() }, config).unwrap();
    client
}

#[test]
fn a_clock_that_is_a_day_off_prevents_no_login() {
    let server = Server::start();
    for offset in ["+1d", "-1d", "+70s", "-2y"] {
        if !under_clock(offset, "child_calls_by_app_sign", &server.url(), "") {
            return;
        }
    }
}

#[test]
fn nor_does_it_with_a_stock_server() {
    let Some(server) = StockServer::start() else { return };
    for offset in ["+1d", "-1d"] {
        if !under_clock(offset, "child_calls_by_app_sign", &server.url, "") {
            return;
        }
    }
}

#[test]
fn a_stock_servers_refusals_have_their_codes() {
    let Some(server) = StockServer::start() else { return };
    let mut wrong = profile(&server.url);
    wrong.app_sign = "f".repeat(64);
    let mut client = Client::with(wrong, fakes());
    client.login("room", "anna");
    client.expect("onRoomStateUpdate", |event| event["state"] == 0 && event["errorCode"] == 1_001_005);
    let claims = Claims { identity: "anna".into(), room: "room".into(), ..Claims::default() };
    let old = protocol::token::mint_at(&APP_ID.to_string(), APP_SIGN, &claims, 1_600_000_000).unwrap();
    by_token(&server.url, old).expect("onRoomStateUpdate", |event| event["errorCode"] == 1_002_078);
    let forged = mint(&APP_ID.to_string(), "another", &claims).unwrap();
    by_token(&server.url, forged).expect("onRoomStateUpdate", |event| event["errorCode"] == 1_002_033);
}

#[test]
#[ignore = "runs with another clock, started by the test above"]
fn child_calls_by_app_sign() {
    let mut anna = Client::with(profile(&variable("CHILD_SERVER")), fakes());
    anna.login("room", "anna");
    anna.expect("onRoomStateUpdate", |event| event["state"] != 1 || event["errorCode"] != 0);
    assert_eq!(anna.all("onRoomStateUpdate").last().unwrap()["state"], 2, "{:?}", anna.seen);
    anna.publish("stream");
    let reported = answer(|reply| anna.engine.set_room_extra_info("room", "key", "value", reply));
    assert_eq!(reported["errorCode"], 0);
}

#[test]
fn an_applications_token_is_warned_of_by_its_own_life_whatever_the_clock_here_says() {
    let server = Server::start();
    for offset in ["+1d", "-1d"] {
        if !under_clock(offset, "child_holds_a_token", &server.url(), &own_token(33)) {
            return;
        }
    }
}

#[test]
#[ignore = "runs with another clock, started by the test above"]
fn child_holds_a_token() {
    let mut anna = by_token(&variable("CHILD_SERVER"), variable("CHILD_TOKEN"));
    anna.expect("onRoomStateUpdate", |event| event["state"] == 2);
    let reported = anna.expect("onRoomTokenWillExpire", |_| true);
    assert!((25..=30).contains(&reported["remainTimeInSecond"].as_u64().unwrap()), "{reported}");
}

#[test]
fn a_token_that_is_over_names_the_clock_if_that_is_off() {
    let server = Server::start();
    let claims = Claims { identity: "anna".into(), room: "room".into(), ..Claims::default() };
    let old = protocol::token::mint_at(&APP_ID.to_string(), APP_SIGN, &claims, 1_600_000_000).unwrap();
    under_clock("-91800", "child_holds_an_old_token", &server.url(), &old);
    let event = by_token(&server.url(), old).expect("onRoomStateUpdate", |event| event["state"] == 0);
    assert!(!message(&event).contains("clock"), "{event}");
}

#[test]
#[ignore = "runs with another clock, started by the test above"]
fn child_holds_an_old_token() {
    let mut anna = by_token(&variable("CHILD_SERVER"), variable("CHILD_TOKEN"));
    let event = anna.expect("onRoomStateUpdate", |event| event["state"] == 0);
    assert_eq!(event["errorCode"], 1_002_078);
    assert!(message(&event).contains("clock is 1 d 1 h behind the room server's"), "{event}");
}
