//! What a client does between its orders: signalling, negotiation, and the frames and audio that it sends.

use super::*;

impl Worker {
    pub(super) async fn run(mut self) {
        let (mut from_server, mut for_publisher) = (vec![0; 2000], vec![0; 2000]);
        loop {
            self.drive().await;
            let arrival = self.subscriber.next_arrival();
            let deadline = self.publisher.deadline.min(self.subscriber.deadline).min(self.next_packet).min(arrival);
            tokio::select! {
                order = self.orders.recv() => {
                    let Some(order) = order else { return };
                    self.obey(order).await;
                }
                message = next_message(&mut self.socket) => match message {
                    Some(message) => self.signal(message).await,
                    None => {
                        self.socket = None;
                        let _ = self.events.send(ClientEvent::SignalClosed);
                    }
                },
                Ok((length, source)) = self.subscriber.udp.recv_from(&mut from_server) => {
                    self.subscriber.arrive(source, &from_server[..length]);
                }
                Ok((length, source)) = self.publisher.udp.recv_from(&mut for_publisher) => {
                    self.publisher.receive(source, &for_publisher[..length]);
                }
                () = sleep_until(deadline.into()) => {}
            }
            self.subscriber.take_arrived();
            if self.next_packet <= Instant::now() {
                self.next_packet = Instant::now() + PACKET_INTERVAL;
                self.send_packets();
            }
        }
    }

    async fn drive(&mut self) {
        for event in self.publisher.drive().await {
            match event {
                Event::ChannelOpen(id, label) => {
                    self.publisher.channels.insert(label, id);
                }
                Event::KeyframeRequest(_) => {
                    let _ = self.events.send(ClientEvent::KeyframeRequested);
                }
                _ => {}
            }
        }
        for event in self.subscriber.drive().await {
            match event {
                Event::RtpPacket(packet) => {
                    if self.subscriber.asks_for_all
                        && let Some(stream) = self.subscriber.rtc.direct_api().stream_rx(&packet.header.ssrc)
                    {
                        stream.suppress_nack(false);
                    }
                    let mid = self.subscriber.rtc.direct_api().stream_rx(&packet.header.ssrc).map(|s| s.mid());
                    let track_sid = mid.and_then(|mid| self.subscriber.tracks.get(&mid).cloned()).unwrap_or_default();
                    let counter = packet.payload.last_chunk().map(|bytes| u32::from_be_bytes(*bytes)).unwrap_or(0);
                    let (sequence, size) = (*packet.seq_no, packet.payload.len());
                    let orientation = packet.header.ext_vals.video_orientation.map(|turns| turns as u8);
                    let _ = self.events.send(ClientEvent::Packet { track_sid, sequence, counter, size, orientation });
                }
                Event::ChannelData(data) => {
                    let _ = self.events.send(ClientEvent::Data(DataPacket::decode(&data.data[..]).unwrap()));
                }
                _ => {}
            }
        }
    }

    fn send_packets(&mut self) {
        for track in self.sending.values_mut() {
            let Some(media) = self.publisher.rtc.media(track.mid) else { continue };
            // Whatever the server would rather have: the payload below is VP8.
            let is_vp8 = |pt: &&Pt| {
                self.publisher.rtc.codec_config().iter().any(|p| p.pt() == **pt && p.spec().codec == Codec::Vp8)
            };
            let vp8 = media.remote_pts().iter().find(is_vp8);
            let Some(pt) = vp8.or(media.remote_pts().first()).copied() else { continue };
            track.turns += 1;
            let ticks = if track.kind == MediaKind::Audio { 960 } else { 1800 };
            for (burst, counter) in track.bursts.iter().zip(&mut track.counters) {
                for packet in 1..=burst.packets {
                    let mut api = self.publisher.rtc.direct_api();
                    let Some(stream) = api.stream_tx_by_mid(track.mid, burst.layer.map(Rid::from)) else { continue };
                    *counter += 1;
                    // As VP8 each of these packets starts a key frame.
                    let mut payload = vec![0x90; burst.payload];
                    payload.extend(counter.to_be_bytes());
                    let mut extensions = ExtensionValues::default();
                    if track.kind == MediaKind::Video {
                        extensions.video_orientation = Some(ORIENTATION.into());
                    }
                    stream.write_rtp(
                        RtpWrite::new(pt, u64::from(*counter).into(), track.turns * ticks, Instant::now(), payload)
                            .marker(packet == burst.packets)
                            .ext_vals(extensions)
                            .nackable(track.kind == MediaKind::Video),
                    );
                }
            }
        }
    }

    async fn request(&mut self, request: Request) {
        let bytes = SignalRequest { message: Some(request) }.encode_to_vec();
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(Message::Binary(bytes.into())).await;
        }
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Send(request) => self.request(*request).await,
            Order::Raw(bytes) => {
                if let Some(socket) = &mut self.socket {
                    let _ = socket.send(Message::Binary(bytes.into())).await;
                }
            }
            Order::Publish { cid, kind, bursts } => {
                let layers = bursts.iter().filter_map(|burst| burst.layer).map(SimulcastLayer::new);
                let simulcast = Simulcast { send: layers.collect(), recv: Vec::new() };
                let simulcast = (!simulcast.send.is_empty()).then_some(simulcast);
                let names = (Some("stream".to_owned()), Some(cid.clone()));
                let mut api = self.publisher.rtc.sdp_api();
                let mid = api.add_media(kind, Direction::SendOnly, names.0, names.1, simulcast);
                let offer = api.apply();
                let counters = vec![0; bursts.len()];
                self.sending.insert(cid, Sending { mid, kind, bursts, counters, turns: 0 });
                self.offer(offer).await;
            }
            Order::Unpublish { cid } => {
                let Some(Sending { mid, .. }) = self.sending.remove(&cid) else { return };
                let mut api = self.publisher.rtc.sdp_api();
                api.set_direction(mid, Direction::Inactive);
                let offer = api.apply();
                self.offer(offer).await;
            }
            Order::Data { reliable, packet } => {
                if self.publisher.channels.is_empty() {
                    self.open_channels().await;
                }
                let label = if reliable { RELIABLE_CHANNEL } else { LOSSY_CHANNEL };
                let id = self.publisher.channels[label];
                // The channel may still be opening.
                let end = Instant::now() + PATIENCE;
                loop {
                    if let Some(mut channel) = self.publisher.rtc.channel(id)
                        && channel.write(true, &packet.encode_to_vec()).unwrap_or(false)
                    {
                        break;
                    }
                    assert!(Instant::now() < end, "data channel does not open");
                    self.pump_once().await;
                }
            }
            Order::LoseEvery(n) => {
                self.publisher.lose_every = n;
                self.subscriber.lose_every = n;
            }
            Order::LinkRate(bps) => self.subscriber.link_bps = bps,
            Order::DropSignal => self.socket = None,
            Order::Resume(socket) => self.socket = Some(*socket),
        }
    }

    /// One turn of the loop without taking orders.
    async fn pump_once(&mut self) {
        self.drive().await;
        let (mut a, mut b) = (vec![0; 2000], vec![0; 2000]);
        tokio::select! {
            Some(message) = next_message(&mut self.socket) => self.signal(message).await,
            Ok((n, source)) = self.subscriber.udp.recv_from(&mut a) => self.subscriber.arrive(source, &a[..n]),
            Ok((n, source)) = self.publisher.udp.recv_from(&mut b) => self.publisher.receive(source, &b[..n]),
            () = sleep_until((Instant::now() + Duration::from_millis(10)).into()) => {}
        }
        self.subscriber.take_arrived();
    }

    async fn open_channels(&mut self) {
        let mut api = self.publisher.rtc.sdp_api();
        let reliable = api.add_channel(RELIABLE_CHANNEL.to_owned());
        let lossy = api.add_channel_with_config(ChannelConfig {
            label: LOSSY_CHANNEL.to_owned(),
            ordered: false,
            reliability: Reliability::MaxRetransmits { retransmits: 0 },
            ..ChannelConfig::default()
        });
        let offer = api.apply();
        self.publisher.channels.insert(RELIABLE_CHANNEL.to_owned(), reliable);
        self.publisher.channels.insert(LOSSY_CHANNEL.to_owned(), lossy);
        self.offer(offer).await;
    }

    async fn offer(&mut self, offer: Option<(SdpOffer, SdpPendingOffer)>) {
        let Some((offer, pending)) = offer else { return };
        self.publisher.pending = Some(pending);
        let offer = SessionDescription {
            r#type: "offer".to_owned(),
            sdp: offer.to_sdp_string(),
            id: 1,
            ..SessionDescription::default()
        };
        self.request(Request::Offer(offer)).await;
    }

    async fn signal(&mut self, message: Response) {
        match &message {
            Response::Offer(offer) => {
                self.subscriber
                    .tracks
                    .extend(offer.mid_to_track_id.iter().map(|(mid, sid)| (Mid::from(mid.as_str()), sid.clone())));
                let sdp = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
                let answer = self.subscriber.rtc.sdp_api().accept_offer(sdp).unwrap();
                let answer = SessionDescription {
                    r#type: "answer".to_owned(),
                    sdp: answer.to_sdp_string(),
                    id: offer.id,
                    ..SessionDescription::default()
                };
                self.request(Request::Answer(answer)).await;
            }
            Response::Answer(answer) => {
                if let Some(pending) = self.publisher.pending.take() {
                    let sdp = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
                    self.publisher.rtc.sdp_api().accept_answer(pending, sdp).unwrap();
                }
            }
            _ => {}
        }
        let _ = self.events.send(ClientEvent::Signal(message));
    }
}

/// The next message; `None` when the socket ended. Without a socket it never returns.
async fn next_message(socket: &mut Option<Socket>) -> Option<Response> {
    let Some(open) = socket else { return std::future::pending().await };
    loop {
        match open.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                if let Some(message) = SignalResponse::decode(bytes).unwrap().message {
                    return Some(message);
                }
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            Some(Ok(_)) => {}
        }
    }
}
