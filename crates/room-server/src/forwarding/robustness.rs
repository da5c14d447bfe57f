//! Any events in any order: packets of a publisher, changes of subscriptions, and RTCP of a client, from scripts that are
//! mutated at random. Each byte is another event.
//!
//! The rule: nothing panics, little is kept, and no two packets leave under the same SSRC and number, unless they are
//! identical, since they are encrypted under one key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::crypto::dtls::SrtpProfile;

use super::core::{
    ClientAddress, Codec, IncomingPacket, LayerId, MediaPacket, Mid, PacketExtensions, SmallId, Transport,
};
use super::datagram::{Contents, Datagram};
use super::downlink::history::HISTORY_PACKETS;
use super::downlink::media_datagram::MediaDatagram;
use super::downlink::rtp_header::ExtensionIds;
use super::downlink::srtp::Srtp;
use super::downlink::{Downlink, LineSettings, PayloadTypes};
use super::dtls_keys::ExportedKeys;
use super::forwarder::{Context, ForwardOutcome, Forwarder};
use super::layer_selector::{BEST, LayerSelector};
use netsim::Random;

const LINES: [&str; 2] = ["0", "1"];
const LAYERS: [&str; 3] = ["q", "h", "f"];
const REPORTER: u32 = 1;
/// Upper bound of datagrams after one event: a NACK names at most 17 packets for each four of its bytes, and a probe sends 64
/// at once.
const AT_ONCE: usize = 255 * 17 + 100;

/// A script, read byte by byte; behind its end there are zeros.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, length: u8) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}

/// A publisher with video and audio, a subscriber of both, and a record of what it received.
struct Scene {
    now: Instant,
    began: Instant,
    down: Downlink,
    client: Srtp,
    forwarders: [Forwarder; 2],
    /// Of the publisher, by layer; the last one is the audio. Sources change together.
    sequences: [u64; 4],
    source: u32,
    timestamp: u32,
    picture: u16,
    layers: usize,
    next_ssrc: u32,
    ssrcs: [u32; 2],
    /// Newest packet that was forwarded without a change of source, and its number as sent: by m-line.
    newest: [Option<(u32, u64, u64)>; 2],
    sent: HashMap<(u32, u64), Vec<u8>>,
    last_transport_wide: u16,
    last_sequences: [u16; 2],
    media: usize,
}

impl Scene {
    fn new(profile: SrtpProfile, length: u8) -> Self {
        let now = Instant::now();
        let keys = |is_client| ExportedKeys { material: (0..length).collect(), profile, is_client };
        let mut down = Downlink::new(now, REPORTER);
        down.set_keys(Srtp::new(&keys(false)).unwrap());
        down.set_destination(ClientAddress {
            transport: Transport::Udp,
            socket: ([127, 0, 0, 1], 9).into(),
            local: None,
        });
        let mut scene = Self {
            now,
            began: now,
            down,
            client: Srtp::new(&keys(true)).unwrap(),
            forwarders: [90_000, 48_000].map(|rate| Forwarder::new(rate, LayerSelector::up_to(BEST, BEST))),
            sequences: [60_000, 5, 65_530, 0],
            source: 0,
            timestamp: 0,
            picture: 0,
            layers: 3,
            next_ssrc: 100,
            ssrcs: [0; 2],
            newest: [None; 2],
            sent: HashMap::new(),
            last_transport_wide: 0,
            last_sequences: [0; 2],
            media: 0,
        };
        (0..2).for_each(|line| scene.renew(line));
        scene
    }

    fn renew(&mut self, line: usize) {
        self.next_ssrc += 2;
        self.ssrcs[line] = self.next_ssrc;
        let repair_ssrc = (line == 0).then_some(self.next_ssrc + 1);
        let extensions =
            ExtensionIds { mid: Some(4), transport_wide: Some(3), audio_level: Some(1), orientation: Some(13) };
        let settings = LineSettings { ssrc: self.next_ssrc, repair_ssrc, extensions, name: "name".into() };
        self.down.set_line(id(LINES[line]), settings);
    }

    /// A packet of the publisher, on the m-line of the video unless `layer` is beyond the layers.
    fn packet(&mut self, layer: usize, sequence: u64, payload: Vec<u8>) {
        let is_sound = layer >= LAYERS.len();
        let line = usize::from(is_sound);
        let name = (!is_sound && self.layers > 1).then(|| id(LAYERS[layer]));
        let packet = IncomingPacket {
            line: id("up"),
            layer: name,
            ssrc: self.source * 8 + layer as u32,
            sequence,
            timestamp: self.timestamp,
            marker: true,
            codec: if is_sound { Codec::Opus } else { Codec::Vp8 },
            payload: payload.into(),
            extensions: PacketExtensions { audio_level: Some(-20), voice_activity: None, orientation: Some(1) },
            captured_at: self.now,
        };
        let media = Arc::new(MediaPacket::of(&packet));
        let arriving: Vec<LayerId> = LAYERS.iter().take(self.layers).map(|name| id(name)).collect();
        let format = packet.codec.video_format();
        let starts_keyframe = format.is_some_and(|format| rtp::keyframe::begins_keyframe(format, &packet.payload));
        let context = Context { media: &media, starts_keyframe, arriving: &arriving };
        let fate = self.forwarders[line].take(self.now, &packet, &context, id(LINES[line]));
        let ForwardOutcome::Sent(outgoing) = fate else { return };
        let types = PayloadTypes { media: 96, repair: (!is_sound).then_some(97), inside: None };
        let datagram = self.down.write(self.now, &outgoing, || Some(types));
        let is_in_order = self.newest[line].is_none_or(|(ssrc, newest, _)| ssrc != packet.ssrc || sequence > newest);
        if is_in_order {
            let before = self.newest[line].map(|(_, _, out)| out);
            assert!(before.is_none_or(|before| outgoing.sequence > before), "numbers rise");
            self.newest[line] = Some((packet.ssrc, sequence, outgoing.sequence));
            assert!(datagram.is_some(), "nothing keeps a new packet back");
        }
        self.last_sequences[line] = outgoing.sequence as u16;
        if let Some(datagram) = datagram {
            self.check(&datagram);
        }
    }

    /// A frame in all layers.
    fn picture(&mut self, is_key: bool) {
        self.picture = self.picture.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(3000);
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        for layer in 0..self.layers {
            self.sequences[layer] += 1;
            let payload = [&[0x90, 0xe0, high, low, 7, 0, u8::from(!is_key)][..], &[5; 600]].concat();
            self.packet(layer, self.sequences[layer], payload);
        }
    }

    fn report(&mut self, kind: u8, format: u8, body: &[u8]) {
        let mut body = [&[0, 0, 0, 9][..], body].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let mut packet = vec![0x80 | format & 0x1f, kind, 0, (body.len() / 4) as u8];
        packet.extend_from_slice(&body);
        self.client.protect_rtcp(&mut packet).unwrap();
        self.down.handle_rtcp(self.now, &packet);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 16 {
            0 | 1 => {
                let what = script.byte();
                (0..what & 0x1f).for_each(|_| self.picture(false));
                self.picture(what & 0x80 != 0);
            }
            2 => {
                let (layer, offset, length) = (script.byte() % 4, script.byte().cast_signed(), script.byte());
                let sequence = self.sequences[usize::from(layer)].saturating_add_signed(offset.into());
                let payload = script.bytes(length % 16);
                self.packet(layer.into(), sequence, payload);
            }
            3 => {
                for _ in 0..script.byte() & 0x1f {
                    self.sequences[3] += 1;
                    self.packet(3, self.sequences[3], vec![9; 80]);
                }
            }
            4 => {
                let (kind, format, length) = (script.byte(), script.byte(), script.byte());
                let body = script.bytes(length);
                self.report(kind, format, &body);
            }
            5 => {
                let (line, behind) = (usize::from(script.byte() % 2), script.byte());
                let first = self.last_sequences[line].wrapping_sub(behind.into()).to_be_bytes();
                let body = [&self.ssrcs[line].to_be_bytes()[..], &first, &script.bytes(2)].concat();
                self.report(205, 1, &body);
            }
            6 => {
                let (behind, count) = (script.byte(), script.byte());
                let first = self.last_transport_wide.wrapping_sub(behind.into()).to_be_bytes();
                let time = ((self.now - self.began).as_millis() as u32 / 64) << 8;
                let chunk = (0x2000 | u16::from(count)).to_be_bytes();
                let head = [&[0; 4][..], &first, &[0, count], &time.to_be_bytes(), &chunk].concat();
                let body = [head, vec![script.byte(); count.into()]].concat();
                self.report(205, 15, &body);
            }
            7 => {
                let ssrc = self.ssrcs[usize::from(script.byte() % 2)] + u32::from(script.byte() % 2);
                self.report(206, 1, &ssrc.to_be_bytes());
                self.report(201, 1, &[&ssrc.to_be_bytes()[..], &script.bytes(20)].concat());
            }
            8 | 9 => self.now += Duration::from_millis(u64::from(script.byte()) * 5),
            10 => {
                let what = script.byte();
                self.forwarders[0].layers.max_rank = what & 3;
                self.forwarders[0].layers.link_rank = what >> 2 & 3;
                self.layers = 1 + usize::from(what >> 4) % 3;
            }
            11 => self.forwarders[usize::from(script.byte() % 2)].pause(),
            12 => {
                self.source = script.byte().into();
                self.sequences = self.sequences.map(|sequence| sequence % 1000 + u64::from(script.byte()) * 256);
            }
            13 => match script.byte() % 5 {
                line @ 0..2 => self.renew(line.into()),
                2 => self.down.forget_types(),
                3 => self.down.set_desired_bitrate(self.now, u64::from(script.byte()) * 50_000),
                _ => self.down.probe(self.now),
            },
            14 => {
                let layer = usize::from(script.byte() % 4);
                self.sequences[layer] += 1;
                self.packet(layer, self.sequences[layer], Vec::new());
            }
            _ => {
                let length = script.byte();
                self.down.handle_rtcp(self.now, &script.bytes(length));
            }
        }
        self.down.handle_timeout(self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while self.down.poll_event().is_some() {}
        let mut count = 0;
        while let Some(datagram) = self.down.poll_datagram() {
            self.check(&datagram);
            count += 1;
        }
        assert!(count <= AT_ONCE, "{count} datagrams at once");
        assert!(self.down.kept() <= LINES.len() * HISTORY_PACKETS);
    }

    fn check(&mut self, datagram: &Datagram) {
        let bytes = datagram.clone().into_bytes();
        assert_eq!(bytes.len(), datagram.length());
        match &datagram.contents {
            Contents::Bytes(_) => drop(self.client.unprotect_rtcp(&bytes).expect("a report of ours")),
            Contents::Media(MediaDatagram { ssrc, sequence, .. }) => {
                self.media += 1;
                assert_eq!(bytes[8..12], ssrc.to_be_bytes());
                assert_eq!(bytes[2..4], (*sequence as u16).to_be_bytes());
                if bytes[16] == 0x31 {
                    self.last_transport_wide = u16::from_be_bytes([bytes[17], bytes[18]]);
                }
                let before = self.sent.insert((*ssrc, *sequence), bytes.clone());
                assert!(before.is_none_or(|before| before == bytes), "two packets under one number");
            }
        }
    }
}

fn id(name: &str) -> Mid {
    SmallId::new(name).unwrap()
}

/// Runs a script; returns the number of media packets.
fn run(script: &[u8]) -> usize {
    let even = script.len().is_multiple_of(2);
    let (profile, length) =
        if even { (SrtpProfile::AEAD_AES_128_GCM, 56) } else { (SrtpProfile::AES128_CM_SHA1_80, 60) };
    let mut scene = Scene::new(profile, length);
    let mut script = Script(script);
    while !script.0.is_empty() {
        scene.step(&mut script);
    }
    scene.media
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz-seeds/forwarding");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn calls_as_they_are_lead_to_media() {
    let seeds = seeds();
    assert!(seeds.len() >= 5);
    for seed in seeds {
        assert!(run(&seed) > 50);
    }
}

#[test]
fn whatever_happens_in_a_call_no_number_is_used_twice_and_little_is_kept() {
    let seeds = seeds();
    let mut random = Random::new(0xf0_4a4d);
    for _ in 0..400 {
        let parts = [0; 2].map(|_| random.index(seeds.len())).map(|seed| random.mutate(&seeds[seed]));
        run(&parts.concat());
        let length = random.index(300);
        let noise: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        run(&noise);
    }
}
