//! Lines of ended tracks are used again, so that a connection does not grow with all clients who comes and goes.

use std::time::Duration;

use protocol::messages::{LeaveRequest, Request, Response, SessionDescription, UpdateSubscription};
use str0m::media::MediaKind;

use crate::client::{Client, ClientEvent};
use crate::harness::{Server, claims};

/// The last offer that came.
async fn last_offer(client: &mut Client) -> SessionDescription {
    let mut last = None;
    client
        .never(Duration::ZERO, |event| {
            if let ClientEvent::Signal(Response::Offer(offer)) = event {
                last = Some(offer.clone());
            }
            false
        })
        .await;
    last.expect("an offer")
}

fn media_lines(offer: &SessionDescription) -> usize {
    offer.sdp.lines().filter(|line| line.starts_with("m=audio") || line.starts_with("m=video")).count()
}

fn names(offer: &SessionDescription) -> Vec<&str> {
    offer.sdp.lines().filter_map(|line| line.strip_prefix("a=msid:")).collect()
}

async fn until_ended(client: &mut Client, sid: &str) {
    client
        .wait_for("an offer without the track", |event| match event {
            ClientEvent::Signal(Response::Offer(offer)) => {
                (!offer.mid_to_track_id.values().any(|track| track == sid)).then_some(())
            }
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn a_user_who_leaves_and_returns_makes_the_offer_no_longer() {
    let server = Server::start().await;
    let mut hans = server.join("r", "hans").await;
    let mut lengths = Vec::new();
    for _ in 0..20 {
        hans.forget();
        let mut anna = server.join("r", "anna").await;
        let sound = anna.publish("a", "s", MediaKind::Audio).await;
        let picture = anna.publish("v", "s", MediaKind::Video).await;
        hans.packet_of(&sound).await;
        hans.packet_of(&picture).await;
        let offer = last_offer(&mut hans).await;
        assert_eq!(names(&offer).len(), 2, "{}", offer.sdp);
        for sid in [&sound, &picture] {
            assert!(names(&offer).iter().any(|name| name.ends_with(&format!("|{sid} {sid}"))), "{}", offer.sdp);
        }
        lengths.push((media_lines(&offer), offer.sdp.len()));
        hans.forget();
        anna.send(Request::Leave(LeaveRequest::default()));
        until_ended(&mut hans, &picture).await;
    }
    assert!(lengths.iter().all(|(lines, _)| *lines <= 4), "{lengths:?}");
    assert!(lengths[19].1 < lengths[3].1 + 200, "{lengths:?}");
}

/// One client may have 4096 wishes. Those for what is gone must not count.
#[tokio::test]
async fn wishes_for_tracks_of_those_who_left_take_no_room() {
    let server = Server::start().await;
    let mut hans = server.connect(claims("r", "hans"), "&auto_subscribe=0").await;
    hans.until_active().await;
    let wish = |track_sids| {
        Request::Subscription(UpdateSubscription { track_sids, subscribe: true, ..UpdateSubscription::default() })
    };
    hans.send(wish((0..4095).map(|n| format!("TR_{n}")).collect()));
    for _ in 0..2 {
        let mut anna = server.join("r", "anna").await;
        let sid = anna.publish("a", "s", MediaKind::Audio).await;
        hans.send(wish(vec![sid.clone()]));
        hans.packet_of(&sid).await;
        hans.forget();
        anna.send(Request::Leave(LeaveRequest::default()));
        until_ended(&mut hans, &sid).await;
    }
}

#[tokio::test]
async fn tracks_of_others_stay_on_their_lines_while_one_comes_and_goes() {
    let server = Server::start().await;
    let mut hans = server.join("r", "hans").await;
    let mut bert = server.join("r", "bert").await;
    let lasting = bert.publish("b", "t", MediaKind::Video).await;
    hans.packet_of(&lasting).await;
    let line_of = |offer: &SessionDescription| {
        offer.mid_to_track_id.iter().find(|(_, sid)| **sid == lasting).map(|(line, _)| line.clone())
    };
    let line = line_of(&last_offer(&mut hans).await);
    for round in 0..3 {
        hans.forget();
        let cid = format!("v{round}");
        let mut anna = server.join("r", "anna").await;
        let picture = anna.publish(&cid, "s", MediaKind::Video).await;
        hans.packet_of(&picture).await;
        let offer = last_offer(&mut hans).await;
        assert_eq!(line_of(&offer), line);
        assert_eq!(names(&offer).len(), 2);
        hans.forget();
        anna.unpublish(&cid);
        until_ended(&mut hans, &picture).await;
        hans.forget();
        hans.packet_of(&lasting).await;
    }
}
