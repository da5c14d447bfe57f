//! Clients that mean harm: each gets its error or is sent away, and a call beside them loses not one packet.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use protocol::messages::wrapped_join_request::Compression as Wrapping;
use protocol::messages::{
    DisconnectReason, JoinRequest, MuteTrackRequest, ProtoMessage, Request, Response, SessionDescription, SyncState,
    TrackPublishedResponse, UpdateTrackSettings, WrappedJoinRequest,
};
use protocol::token::{Claims, Grants, mint, mint_at};
use str0m::media::MediaKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite;

use crate::client::{Client, ClientEvent, payload_of};
use crate::harness::{KEY, OTHER_KEY, SECRET, Server, claims, claims_with};
use crate::http::request;
use netsim::Random;

/// Packets that have to arrive after the harm was done.
const PACKETS_AFTER: usize = 25;

/// Two people in a call, who must not notice anything.
struct Call {
    anna: Client,
    hans: Client,
    track_sid: String,
}

impl Call {
    async fn start(server: &Server) -> Self {
        let mut anna = server.join("call", "anna").await;
        let mut hans = server.join("call", "hans").await;
        let track_sid = anna.publish("v", "s", MediaKind::Video).await;
        hans.packet_of(&track_sid).await;
        hans.forget();
        Self { anna, hans, track_sid }
    }

    /// Every packet from the beginning until well after now has arrived.
    async fn lost_nothing(mut self) {
        self.anna.send_data(true, &[], b"it is done");
        let (mut counters, mut is_done, mut after) = (BTreeSet::new(), false, 0);
        let collect = |event: &ClientEvent| {
            match event {
                ClientEvent::Packet { track_sid, counter, .. } if *track_sid == self.track_sid => {
                    counters.insert(*counter);
                    after += usize::from(is_done);
                }
                ClientEvent::Data(packet) => is_done |= payload_of(packet) == b"it is done",
                _ => {}
            }
            (after >= PACKETS_AFTER).then_some(())
        };
        self.hans.wait_for("packets after the harm", collect).await;
        let (first, last) = (counters.first().copied().unwrap(), counters.last().copied().unwrap());
        let missing: Vec<u32> = (first..=last).filter(|counter| !counters.contains(counter)).collect();
        assert!(missing.is_empty(), "of {first} to {last} these are missing: {missing:?}");
    }
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Asks `/rtc/v1` for a connection, and gives the answer as far as it has come with its head.
async fn ask_to_join(server: &Server, token: &str, join_request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.server.local_addr()).await.unwrap();
    let request = format!(
        "GET /rtc/v1?access_token={token}&join_request={} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        URL_SAFE.encode(join_request)
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn wrap(request: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(request).unwrap();
    let join_request = encoder.finish().unwrap();
    WrappedJoinRequest { compression: Wrapping::Gzip as i32, join_request }.encode_to_vec()
}

async fn is_refused(server: &Server, token: &str, status: u16) {
    match Client::connect(&server.url(), token, "").await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{token}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{token} got in"),
    }
}

#[tokio::test]
async fn join_requests_that_inflate_to_megabytes_are_refused() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let token = mint(KEY, SECRET, &claims("call", "eve")).unwrap();
    let bomb = wrap(&vec![0; 5_000_000]);
    assert!(bomb.len() < 40_000, "{}", bomb.len());
    for _ in 0..30 {
        let answer = ask_to_join(&server, &token, &bomb).await;
        assert!(status_of(&answer) == 400 && answer.contains("larger than"), "{answer}");
    }
    call.lost_nothing().await;
}

#[tokio::test]
async fn broken_join_requests_neither_stop_the_server_nor_the_call() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let token = mint(KEY, SECRET, &claims("call", "eve")).unwrap();
    let offer = SessionDescription { r#type: "offer".into(), sdp: offer_of(3), ..Default::default() };
    let seed = JoinRequest { publisher_offer: Some(offer), ..JoinRequest::default() }.encode_to_vec();
    let mut random = Random::new(11);
    let mut entered = 0;
    for _ in 0..60 {
        let answer = ask_to_join(&server, &token, &wrap(&random.mutate(&seed))).await;
        entered += usize::from(status_of(&answer) == 101);
    }
    assert!(entered > 0, "damage that is not seen before the rooms do");
    call.lost_nothing().await;
}

/// An offer with this many lines.
fn offer_of(lines: usize) -> String {
    let mut sdp = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-ufrag:abcd\r\n\
                   a=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=fingerprint:sha-256 "
        .to_owned();
    sdp.push_str(&["AB"; 32].join(":"));
    sdp.push_str("\r\na=setup:actpass\r\n");
    for mid in 0..lines {
        let _ = write!(
            sdp,
            "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=sendonly\r\na=msid:a b{mid}\r\n\
             a=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
        );
    }
    sdp
}

#[tokio::test]
async fn descriptions_of_a_megabyte_end_the_session_of_their_sender_only() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let one_line = "v=0\r\na=".to_owned() + &"x".repeat(1_000_000);
    let of_lines = [(offer_of(10_000), true), ("m=video\r\n".repeat(110_000), true)];
    let of_nothing = [(one_line, false), ("a=ssrc:1 x\r\n".repeat(90_000), false)];
    for (sdp, has_many_lines) in of_lines.into_iter().chain(of_nothing) {
        assert!(sdp.len() > 900_000);
        for as_answer in [false, true] {
            let mut eve = server.join("call", "eve").await;
            let description = SessionDescription { sdp: sdp.clone(), id: 1, ..Default::default() };
            eve.send(if as_answer { Request::Answer(description) } else { Request::Offer(description) });
            eve.send(Request::Ping(1));
            let end = |event: &ClientEvent| match event {
                ClientEvent::Signal(Response::Leave(leave)) => Some(Some(leave.reason)),
                // What is no answer to any offer is not even looked at.
                ClientEvent::Signal(Response::Pong(_)) => Some(None),
                _ => None,
            };
            let reason = eve.wait_for("leave or pong", end).await;
            let expected = (!as_answer || has_many_lines).then_some(DisconnectReason::StateMismatch as i32);
            assert_eq!(reason, expected, "{:.20} as answer: {as_answer}", sdp);
        }
    }
    call.lost_nothing().await;
}

#[tokio::test]
async fn a_message_of_more_than_two_megabytes_ends_the_connection() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let mut eve = server.join("call", "eve").await;
    eve.send_raw(&vec![0x22; 2 * 1024 * 1024 + 1]);
    eve.wait_for("end of signalling", |event| matches!(event, ClientEvent::SignalClosed).then_some(())).await;
    call.lost_nothing().await;
}

/// Answers are what a client says to an offer of the server's; here a true one is damaged line by line.
#[tokio::test]
async fn hundreds_of_broken_answers_and_offers_leave_the_call_alone() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let seed = |name: &str| {
        let bytes = std::fs::read(format!("{}/fuzz-seeds/{name}.bin", env!("CARGO_MANIFEST_DIR"))).unwrap();
        match protocol::messages::SignalRequest::decode(&bytes[..]).unwrap().message.unwrap() {
            Request::Answer(description) | Request::Offer(description) => description,
            other => panic!("{other:?}"),
        }
    };
    let (answer, offer) = (seed("answer"), seed("offer"));
    let mut random = Random::new(13);
    for _ in 0..40 {
        let eve = server.join("call", "eve").await;
        for _ in 0..10 {
            let sdp = random.mutate_lines(&answer.sdp);
            eve.send(Request::Answer(SessionDescription { sdp, ..answer.clone() }));
            let sdp = random.mutate_lines(&offer.sdp);
            eve.send(Request::Offer(SessionDescription { sdp, ..offer.clone() }));
        }
    }
    call.lost_nothing().await;
}

#[tokio::test]
async fn forged_tokens_open_nothing() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let eve = claims("call", "eve");
    let good = mint(KEY, SECRET, &eve).unwrap();
    let part = |n: usize| good.split('.').nth(n).unwrap();
    let header = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let more = String::from_utf8(URL_SAFE_NO_PAD.decode(part(1)).unwrap()).unwrap().replace("\"call\"", "\"other\"");
    let forged = [
        format!("{}.{}.", header(r#"{"alg":"none","typ":"JWT"}"#), part(1)),
        format!("{}.{}.{}", header(r#"{"alg":"none","typ":"JWT"}"#), part(1), part(2)),
        format!("{}.{}.{}", header(r#"{"alg":"HS384","typ":"JWT"}"#), part(1), part(2)),
        format!("{}.{}.{}", part(0), URL_SAFE_NO_PAD.encode(more), part(2)),
        mint(KEY, "another secret", &eve).unwrap(),
        mint("999", SECRET, &eve).unwrap(),
        mint_at(KEY, SECRET, &eve, now - 3600).unwrap(),
        mint_at(KEY, SECRET, &eve, now + 3600).unwrap(),
    ];
    for token in &forged {
        is_refused(&server, token, 401).await;
        assert_eq!(status_of(&ask_to_join(&server, token, &wrap(&[])).await), 401);
        let bearer = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let answer = request(&server, "POST /twirp/livekit.RoomService/ListRooms", &bearer, "{}").await;
        assert_eq!(status_of(&answer), 401, "{token}");
    }
    is_refused(&server, &mint(KEY, SECRET, &Claims { grants: Grants::default(), ..eve }).unwrap(), 403).await;
    call.lost_nothing().await;
}

#[tokio::test]
async fn a_token_for_another_room_or_app_opens_only_that() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    // Whatever else the request says.
    let mut eve = server.connect(claims("other", "eve"), "&room=call&room_name=call").await;
    let joined = eve.joined().await;
    assert_eq!((joined.room.unwrap().name.as_str(), joined.other_participants.len()), ("other", 0));
    let token = mint(OTHER_KEY, SECRET, &claims("call", "eve")).unwrap();
    let mut eve = Client::connect(&server.url(), &token, "").await.unwrap();
    assert!(eve.joined().await.other_participants.is_empty());
    let admin = Grants { room_admin: true, ..Grants::default() };
    let token = mint(KEY, SECRET, &claims_with("other", "eve", admin)).unwrap();
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let body = r#"{"room":"call","identity":"anna"}"#;
    let answer = request(&server, "POST /twirp/livekit.RoomService/RemoveParticipant", &headers, body).await;
    assert_eq!(status_of(&answer), 403);
    call.lost_nothing().await;
}

#[tokio::test]
async fn who_claims_to_be_another_process_is_sent_away() {
    let server = Server::start().await;
    let mut call = Call::start(&server).await;
    let anna = call.anna.joined().await.participant.unwrap().sid;
    for (room, identity) in [("call", "eve"), ("other", "anna"), ("other", "eve")] {
        let mut eve = server.connect(claims(room, identity), &format!("&reconnect=1&sid={anna}")).await;
        assert_eq!(eve.leave_message().await.reason, DisconnectReason::StateMismatch as i32);
    }
    let token = mint(KEY, SECRET, &claims("call", "eve")).unwrap();
    let resume = JoinRequest { reconnect: true, participant_sid: anna, ..JoinRequest::default() };
    // The upgrade is granted; what is said then is to leave, and the connection ends.
    let answer = ask_to_join(&server, &token, &wrap(&resume.encode_to_vec())).await;
    assert_eq!(status_of(&answer), 101);
    call.lost_nothing().await;
}

#[tokio::test]
async fn what_belongs_to_others_cannot_be_touched() {
    let server = Server::start().await;
    let mut call = Call::start(&server).await;
    let sid = call.track_sid.clone();
    let mut eve = server.join("call", "eve").await;
    eve.packet_of(&sid).await;
    eve.send(Request::Mute(MuteTrackRequest { sid: sid.clone(), muted: true }));
    let disabled = UpdateTrackSettings { track_sids: vec![sid.clone()], disabled: true, ..Default::default() };
    eve.send(Request::TrackSetting(disabled));
    let stolen = protocol::messages::TrackInfo { sid: sid.clone(), ..Default::default() };
    let publish_tracks = vec![TrackPublishedResponse { cid: "v".into(), track: Some(stolen) }];
    eve.send(Request::SyncState(SyncState { publish_tracks, ..SyncState::default() }));
    assert_eq!(eve.leave_message().await.reason, DisconnectReason::StateMismatch as i32);
    let is_muted = |event: &ClientEvent| match event {
        ClientEvent::Signal(Response::Mute(_)) => true,
        ClientEvent::Signal(Response::Update(update)) => {
            update.participants.iter().flat_map(|p| &p.tracks).any(|t| t.muted)
        }
        _ => false,
    };
    assert!(call.anna.never(Duration::from_millis(100), is_muted).await);
    call.lost_nothing().await;
}

#[tokio::test]
async fn a_flood_of_data_is_not_paid_by_those_who_see_each_other() {
    let server = Server::start().await;
    let call = Call::start(&server).await;
    let eve = server.join("call", "eve").await;
    for _ in 0..300 {
        eve.send_data(false, &["nobody"], &[0; 1000]);
        eve.send_data(true, &["nobody"], &[0; 1000]);
    }
    call.lost_nothing().await;
}
