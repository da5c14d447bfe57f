//! What a viewer would notice of loss, order and time.

use super::*;

const RTT: Duration = Duration::from_millis(50);
const SPS_PPS: [u8; 9] = [0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Feeds packets by hand and collects what comes out.
pub(super) struct Bench {
    pub(super) assembler: Assembler,
    pub(super) start: Instant,
    pub(super) frames: Vec<Frame>,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self { assembler: Assembler::default(), start: Instant::now(), frames: Vec::new() }
    }

    fn push(&mut self, at: u64, packet: &Packet) {
        self.assembler.push(packet.clone(), self.start + ms(at));
        self.collect();
    }

    fn push_all(&mut self, at: u64, packets: &[Packet]) {
        packets.iter().for_each(|packet| self.push(at, packet));
    }

    fn timeout(&mut self, at: u64) {
        self.assembler.handle_timeout(self.start + ms(at), RTT);
        self.collect();
    }

    fn keyframe_wanted(&mut self, at: u64) -> bool {
        self.assembler.poll_keyframe_request(self.start + ms(at), RTT)
    }

    fn collect(&mut self) {
        while let Some(frame) = self.assembler.poll_frame() {
            self.frames.push(frame);
        }
    }

    fn timestamps(&self) -> Vec<u32> {
        self.frames.iter().map(|frame| frame.timestamp).collect()
    }
}

fn packet(sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Packet {
    let payload = Bytes::copy_from_slice(payload);
    Packet { sequence, timestamp, marker, codec: VideoCodec::H264, rotation: None, payload }
}

/// Parameter sets and an IDR slice in two fragments: three packets.
pub(super) fn keyframe(sequence: u16, timestamp: u32) -> Vec<Packet> {
    vec![
        packet(sequence, timestamp, false, &SPS_PPS),
        packet(sequence.wrapping_add(1), timestamp, false, &[0x7c, 0x85, 1, 2, 3]),
        packet(sequence.wrapping_add(2), timestamp, true, &[0x7c, 0x45, 4, 5, 6]),
    ]
}

/// A non-IDR slice in three fragments: three packets.
pub(super) fn delta(sequence: u16, timestamp: u32) -> Vec<Packet> {
    vec![
        packet(sequence, timestamp, false, &[0x5c, 0x81, 1]),
        packet(sequence.wrapping_add(1), timestamp, false, &[0x5c, 0x01, 2]),
        packet(sequence.wrapping_add(2), timestamp, true, &[0x5c, 0x41, 3]),
    ]
}

#[test]
fn a_frame_is_delivered_with_its_last_packet() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(10, 0));
    bench.push_all(33, &delta(13, 3000)[..2]);
    assert_eq!(bench.timestamps(), [0]);
    bench.push(40, &delta(13, 3000)[2]);
    assert_eq!(bench.timestamps(), [0, 3000]);
    let [key, delta] = &bench.frames[..] else { panic!("two frames") };
    assert_eq!(key.data.as_ref(), [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 1, 2, 3, 4, 5, 6]);
    assert_eq!(delta.data.as_ref(), [0, 0, 0, 1, 0x41, 1, 2, 3]);
    assert!(key.is_keyframe && !delta.is_keyframe && key.contiguous && delta.contiguous);
    assert_eq!(delta.completed, bench.start + ms(40));
}

#[test]
fn reordered_and_duplicate_packets_make_no_difference() {
    let mut bench = Bench::new();
    let mut packets = [keyframe(65_533, 0), delta(0, 3000), delta(3, 6000)].concat();
    packets.swap(0, 1);
    packets.swap(2, 3);
    packets.swap(6, 8);
    for packet in &packets {
        bench.push(0, packet);
        bench.push(0, packet);
    }
    assert_eq!(bench.timestamps(), [0, 3000, 6000]);
    assert!(bench.frames.iter().all(|frame| frame.contiguous));
}

#[test]
fn a_retransmission_in_time_hides_the_loss() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(33, &delta(3, 3000)[1..]);
    bench.push_all(66, &delta(6, 6000));
    bench.timeout(150);
    assert_eq!(bench.timestamps(), [0]);
    bench.push(160, &delta(3, 3000)[0]);
    assert_eq!(bench.timestamps(), [0, 3000, 6000]);
    assert!(bench.frames.iter().all(|frame| frame.contiguous));
    assert!(!bench.keyframe_wanted(1000));
}

#[test]
fn a_lost_packet_freezes_the_video_until_the_next_key_frame() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(33, &delta(3, 3000)[1..]);
    bench.push_all(66, &delta(6, 6000));
    let deadline = bench.assembler.next_timeout(RTT).unwrap();
    assert_eq!(deadline, bench.start + ms(33) + keyframe_timeout(RTT));
    bench.timeout(33 + keyframe_timeout(RTT).as_millis() as u64);
    assert!(bench.keyframe_wanted(340));
    assert_eq!(bench.timestamps(), [0]);
    bench.push_all(350, &delta(9, 9000));
    assert_eq!(bench.timestamps(), [0]);
    bench.push_all(380, &keyframe(12, 12_000));
    bench.push_all(410, &delta(15, 15_000));
    assert_eq!(bench.timestamps(), [0, 12_000, 15_000]);
    assert_eq!(bench.frames.iter().map(|frame| frame.contiguous).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(bench.assembler.stats().given_up, 1);
}

#[test]
fn a_late_packet_still_helps_while_a_key_frame_is_pending() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    let late = delta(3, 3000);
    bench.push_all(33, &late[1..]);
    bench.push_all(66, &delta(6, 6000));
    bench.timeout(340);
    assert!(bench.keyframe_wanted(340));
    bench.push(400, &late[0]);
    assert_eq!(bench.timestamps(), [0, 3000, 6000]);
    assert!(bench.frames.iter().all(|frame| frame.contiguous));
}

#[test]
fn a_gap_that_is_never_filled_is_given_up() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(33, &delta(3, 3000)[1..]);
    bench.timeout(340);
    assert_eq!(bench.assembler.stats().given_up, 0);
    assert_eq!(
        bench.assembler.next_timeout(RTT).map(|at| at - bench.start),
        Some(ms(200)),
        "the first key frame request"
    );
    assert!(bench.keyframe_wanted(340));
    bench.timeout(33 + gap_timeout(RTT).as_millis() as u64);
    assert_eq!(bench.assembler.stats().given_up, 1);
}

#[test]
fn key_frames_are_requested_again_at_a_limited_rate_until_one_comes() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(33, &delta(4, 3000));
    bench.timeout(1000);
    assert!(bench.keyframe_wanted(1000));
    assert!(!bench.keyframe_wanted(1100));
    assert_eq!(bench.assembler.next_timeout(RTT), Some(bench.start + ms(1200)));
    assert!(bench.keyframe_wanted(1200));
    bench.push_all(1250, &keyframe(7, 6000));
    assert!(!bench.keyframe_wanted(2000));
}

#[test]
fn a_late_joiner_waits_for_a_key_frame_and_requests_one() {
    let mut bench = Bench::new();
    bench.push_all(0, &delta(5, 0)[1..]);
    bench.push_all(33, &delta(8, 3000));
    assert!(!bench.keyframe_wanted(33));
    assert!(bench.keyframe_wanted(250));
    assert!(bench.frames.is_empty());
    bench.push_all(300, &keyframe(11, 6000));
    assert_eq!(bench.timestamps(), [6000]);
}

#[test]
fn after_a_loss_a_key_frame_is_shown_without_waiting_for_gaps() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(33, &delta(4, 3000));
    bench.timeout(1000);
    bench.push_all(1010, &delta(20, 9000));
    bench.push_all(1020, &keyframe(40, 12_000));
    assert_eq!(bench.timestamps(), [0, 12_000]);
}

#[test]
fn after_an_outage_a_key_frame_is_requested_and_shown_at_once() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(1000, &delta(63, 90_000));
    assert!(bench.keyframe_wanted(1000));
    bench.push_all(1060, &keyframe(66, 96_000));
    assert_eq!(bench.timestamps(), [0, 96_000]);
}

#[test]
fn a_short_gap_is_waited_for() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push_all(200, &delta(63, 18_000));
    assert!(!bench.keyframe_wanted(200));
}

#[test]
fn padding_between_frames_is_skipped() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push(10, &packet(3, 0, false, &[]));
    bench.push(10, &packet(4, 0, false, &[]));
    bench.push_all(33, &delta(5, 3000));
    assert_eq!(bench.timestamps(), [0, 3000]);
    assert!(bench.frames[1].contiguous);
}

#[test]
fn frames_without_marker_bits_end_with_their_timestamp() {
    let mut bench = Bench::new();
    let mut packets = [keyframe(0, 0), delta(3, 3000), delta(6, 6000)].concat();
    packets.iter_mut().for_each(|packet| packet.marker = false);
    bench.push_all(0, &packets);
    assert_eq!(bench.timestamps(), [0, 3000]);
}

#[test]
fn parameter_sets_sent_alone_precede_their_frame() {
    let mut bench = Bench::new();
    bench.push(0, &packet(0, 0, true, &SPS_PPS));
    bench.push(1, &packet(1, 10, true, &[0x65, 9]));
    assert_eq!(bench.frames[0].data.as_ref(), [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 9]);
}

#[test]
fn a_malformed_frame_is_counted_and_waits_for_a_key_frame() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.push(33, &packet(3, 3000, true, &[0x5c, 0x01, 9]));
    bench.push_all(66, &delta(4, 6000));
    assert_eq!(bench.timestamps(), [0]);
    assert_eq!((bench.assembler.stats().malformed, bench.assembler.stats().skipped), (1, 1));
    assert!(bench.keyframe_wanted(250));
}

#[test]
fn an_endless_frame_is_dropped() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    let fragment = [&[0x5c, 0x01][..], &[7; 1100]].concat();
    bench.push(1, &packet(3, 3000, false, &[0x5c, 0x81, 1]));
    for number in 0..20_000u16 {
        bench.push(2, &packet(4 + number, 3000, false, &fragment));
        assert!(bench.assembler.packets.len() <= MAX_BUFFERED_PACKETS);
        assert!(bench.assembler.buffered_bytes <= MAX_BUFFERED_BYTES);
    }
    assert!(bench.assembler.stats().given_up >= 1);
    bench.timeout(2000);
    bench.push_all(2001, &keyframe(20_004, 6000));
    assert_eq!(bench.timestamps(), [0, 6000]);
}

#[test]
fn a_restart_of_the_sequence_numbers_is_followed() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(30_000, 0));
    for number in 0..100 {
        let packets =
            if number == 80 { keyframe(number * 3, 900_000) } else { delta(number * 3, 900_000 + u32::from(number)) };
        bench.push_all(100 + u64::from(number), &packets);
    }
    assert_eq!(bench.assembler.stats().restarts, 1);
    assert_eq!(bench.timestamps()[..2], [0, 900_000]);
}

#[test]
fn a_stalled_consumer_resumes_with_a_key_frame() {
    let mut bench = Bench::new();
    bench.push_all(0, &keyframe(0, 0));
    bench.assembler.require_keyframe();
    bench.push_all(33, &delta(3, 3000));
    assert_eq!(bench.timestamps(), [0]);
    assert!(bench.keyframe_wanted(250));
    bench.push_all(300, &keyframe(6, 6000));
    assert_eq!(bench.timestamps(), [0, 6000]);
    assert!(!bench.frames[1].contiguous);
}
