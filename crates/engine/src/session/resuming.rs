//! Taking up a session whose signalling connection is lost, or whose media does not get through.
//!
//! The peer connections stay and go on carrying media. With the new connection they restart ICE, so that they follow a
//! change of network: the publisher by our offer, unless it is plainly well, the subscriber by the server's.

use std::time::Duration;

use protocol::conventions::{LOSSY_CHANNEL, RELIABLE_CHANNEL};
use protocol::messages::{
    DataChannelInfo, ReconnectReason, ReconnectResponse, SignalTarget, SyncState, TrackPublishedResponse,
    UpdateSubscription, signal_request,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use transport::{DataKind, Role};

use super::joining::ice_servers;
use super::run::{ResumeReason, Session, Step, Stop, left};
use super::{EndReason, LostReason, SessionCommand, SessionEvent, SessionSink};
use crate::signalling::{self, ConnectError, Connection};

/// After this time without problems the next outage counts from zero.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// This many packets on the publisher connection during an outage show that its path works.
const WORKING_PATH_PACKETS: u64 = 2;

/// An outage: it lasts until the session has worked for a while.
#[derive(Debug)]
pub(super) struct Outage {
    since: Instant,
    attempts: u32,
    resumed_at: Option<Instant>,
}

impl<S: SessionSink> Session<'_, S> {
    /// Opens a new signalling connection, trying as long as the policy says. The application's commands wait meanwhile.
    pub(super) async fn resume(
        &mut self,
        failure: ResumeReason,
        commands: &mut UnboundedReceiver<SessionCommand>,
    ) -> Step {
        // Where only media do not get through, nothing is wrong with signalling, and no attempts of it are used up.
        let before = self.outage.take().filter(|_| failure != ResumeReason::Media);
        let mut outage = before.unwrap_or_else(|| Outage { since: Instant::now(), attempts: 0, resumed_at: None });
        tracing::info!(?failure, attempts = outage.attempts, "resuming");
        // Without media the server takes a closed connection for the end of its client: the old one has to stay open until the
        // new one is there.
        let mut reported = failure == ResumeReason::Signal;
        if reported {
            self.connection = None;
            self.sink.emit(SessionEvent::SignalLost);
        }
        let arrivals = self.publisher.arrivals();
        let mut held = Vec::new();
        let (connection, response) = loop {
            let elapsed = outage.since.elapsed();
            let Some(delay) = self.params.policy.next_resume(outage.attempts, elapsed, rand::random()) else {
                return Err(EndReason::Lost(LostReason("the session could not be taken up")).into());
            };
            outage.attempts += 1;
            match self.attempt(delay, failure, commands, &mut held).await? {
                Ok(resumed) => break resumed,
                Err(ConnectError::Leave(leave)) => return Err(left(&leave).into()),
                // Only a new login learns the reason. The answer of something that is no room server may be another one soon.
                Err(ConnectError::Refused { .. } | ConnectError::Unauthorized { .. }) => {
                    return Err(EndReason::Lost(LostReason("the room server refused the resume")).into());
                }
                Err(error) => tracing::info!(%error, attempt = outage.attempts, "not resumed"),
            }
            if !std::mem::replace(&mut reported, true) {
                self.connection = None;
                self.sink.emit(SessionEvent::SignalLost);
            }
        };
        outage.resumed_at = Some(Instant::now());
        self.outage = Some(outage).filter(|_| failure != ResumeReason::Media || reported);
        // Where the server was still heard the path works, and a restart would only cost a gap.
        let is_heard = self.publisher.arrivals() >= arrivals + WORKING_PATH_PACKETS;
        self.take_up(connection, &response, failure == ResumeReason::Media || !is_heard).await?;
        if reported {
            self.sink.emit(SessionEvent::Resumed);
        }
        for command in held {
            self.command(command).await?;
        }
        Ok(())
    }

    /// One attempt, after a wait. The peer connections are looked after all the while.
    async fn attempt(
        &mut self,
        delay: Duration,
        failure: ResumeReason,
        commands: &mut UnboundedReceiver<SessionCommand>,
        held: &mut Vec<SessionCommand>,
    ) -> Result<Result<(Connection, ReconnectResponse), ConnectError>, Stop> {
        let (params, sid) = (self.params.clone(), self.sid.clone());
        let reason = match failure {
            ResumeReason::Signal => ReconnectReason::RrSignalDisconnected,
            ResumeReason::Asked | ResumeReason::Token => ReconnectReason::RrUnknown,
            ResumeReason::Media if self.links.is_up(Role::Subscriber) => ReconnectReason::RrPublisherFailed,
            ResumeReason::Media => ReconnectReason::RrSubscriberFailed,
        };
        let attempt = async move {
            tokio::time::sleep(delay).await;
            let server = params.address().await?;
            signalling::resume(&params.dialer, &server, &params.token, &params.query, &sid, reason).await
        };
        tokio::pin!(attempt);
        loop {
            tokio::select! {
                result = &mut attempt => return Ok(result),
                command = commands.recv() => match command {
                    None | Some(SessionCommand::Leave) => {
                        self.say_goodbye().await;
                        return Err(EndReason::Done.into());
                    }
                    // Data goes over the publisher connection, which may well be up.
                    Some(SessionCommand::SendData { kind, packet }) => self.send_data(kind, *packet),
                    Some(command @ SessionCommand::RenewToken(_)) => self.command(command).await?,
                    Some(command) => held.push(command),
                },
                Some(event) = self.publisher_events.recv() => self.peer_event(Role::Publisher, event).await?,
                Some(event) = self.subscriber_events.recv() => self.peer_event(Role::Subscriber, event).await?,
            }
        }
    }

    /// Synchronizes the server over the new connection.
    async fn take_up(&mut self, connection: Connection, response: &ReconnectResponse, ice_restart: bool) -> Step {
        let now = Instant::now();
        // They come with every resume, since their credentials expire soon.
        if !response.ice_servers.is_empty() {
            let servers = ice_servers(&response.ice_servers);
            self.publisher.set_ice_servers(&servers);
            self.subscriber.set_ice_servers(&servers);
        }
        self.server_ip = connection.server_ip().or(self.server_ip);
        self.connection = Some(connection);
        self.liveness.heard(now);
        self.links.restarted(now);
        self.awaits_all_participants = true;
        let state = self.sync_state();
        self.send(signal_request::Message::SyncState(state)).await;
        self.negotiation.start_over();
        self.negotiate(ice_restart).await?;
        let unanswered: Vec<_> = self.unanswered.values().cloned().collect();
        for request in unanswered {
            self.send(signal_request::Message::AddTrack(request)).await;
        }
        for packet in self.reliable.missed(response.last_message_seq) {
            if let Err(error) = self.publisher.send_data(DataKind::Reliable, packet) {
                tracing::warn!(%error, "a data packet was not repeated");
            }
        }
        Ok(())
    }

    fn sync_state(&self) -> SyncState {
        let published = |(cid, track): (&String, &_)| TrackPublishedResponse {
            cid: cid.clone(),
            track: Some(protocol::messages::TrackInfo::clone(track)),
        };
        let channel = |label: &str, target: SignalTarget| DataChannelInfo {
            label: label.to_owned(),
            id: 0,
            target: target as i32,
        };
        let (offer, answer) = self.subscribed.clone().unzip();
        SyncState {
            offer,
            answer,
            subscription: Some(UpdateSubscription {
                track_sids: self.wanted.iter().cloned().collect(),
                subscribe: true,
                ..UpdateSubscription::default()
            }),
            publish_tracks: self.published.iter().map(published).collect(),
            data_channels: [SignalTarget::Publisher, SignalTarget::Subscriber]
                .into_iter()
                .flat_map(|target| [channel(RELIABLE_CHANNEL, target), channel(LOSSY_CHANNEL, target)])
                .collect(),
            datachannel_receive_states: self.reliable.receive_states(),
            ..SyncState::default()
        }
    }

    /// Forgets an outage that is over.
    pub(super) fn forget_outage(&mut self, now: Instant) {
        let resumed_at = self.outage.as_ref().and_then(|outage| outage.resumed_at);
        if self.links.all_well() && resumed_at.is_some_and(|at| now.duration_since(at) >= STABLE_AFTER) {
            self.outage = None;
        }
    }
}
