//! Send queues of one priority: one queue for each stream, served in turn.
//!
//! The next packet is taken from the stream that was served least recently, so the queue of one stream, such as a large
//! key frame, does not delay the packets of another.

use rtp::DataSize;
use std::collections::VecDeque;

/// Streams without packets are forgotten when there are more than this.
const MAX_IDLE_STREAMS: usize = 32;

#[derive(Debug)]
struct Queued<T> {
    size: DataSize,
    packet: T,
}

#[derive(Debug)]
struct StreamQueue<T> {
    stream: u32,
    packets: VecDeque<Queued<T>>,
    /// Value of the serve counter when this stream was last served.
    last_served: u64,
}

/// Queues of packets by stream.
#[derive(Debug)]
pub struct StreamQueues<T> {
    queues: Vec<StreamQueue<T>>,
    /// Counts the packets that were taken out.
    served: u64,
    size: DataSize,
}

impl<T> Default for StreamQueues<T> {
    fn default() -> Self {
        Self { queues: Vec::new(), served: 0, size: DataSize::ZERO }
    }
}

impl<T> StreamQueues<T> {
    /// Adds a packet of a stream.
    pub fn push(&mut self, stream: u32, size: DataSize, packet: T) {
        let queued = Queued { size, packet };
        self.size += size;
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.stream == stream) {
            queue.packets.push_back(queued);
            return;
        }
        if self.queues.len() >= MAX_IDLE_STREAMS {
            self.queues.retain(|queue| !queue.packets.is_empty());
        }
        self.queues.push(StreamQueue { stream, packets: VecDeque::from([queued]), last_served: 0 });
    }

    /// Takes the next packet, of the stream that was served least recently.
    pub fn pop(&mut self) -> Option<(DataSize, T)> {
        let waiting = self.queues.iter_mut().filter(|queue| !queue.packets.is_empty());
        let queue = waiting.min_by_key(|queue| queue.last_served)?;
        let Queued { size, packet } = queue.packets.pop_front()?;
        self.served += 1;
        queue.last_served = self.served;
        self.size -= size;
        Some((size, packet))
    }

    /// Size of all packets.
    #[must_use]
    pub fn size(&self) -> DataSize {
        self.size
    }

    /// Whether there are no packets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(|queue| queue.packets.is_empty())
    }

    /// Drops all packets.
    pub fn clear(&mut self) {
        self.queues.clear();
        self.size = DataSize::ZERO;
    }

    /// Drops the packets of a stream.
    pub fn remove_stream(&mut self, stream: u32) {
        self.queues.retain(|queue| queue.stream != stream);
        self.size = self.queues.iter().flat_map(|queue| &queue.packets).map(|queued| queued.size).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(packets: impl IntoIterator<Item = (u32, u32)>) -> StreamQueues<u32> {
        let mut queues = StreamQueues::default();
        packets.into_iter().for_each(|(stream, packet)| queues.push(stream, DataSize::bytes(100), packet));
        queues
    }

    fn drain(queues: &mut StreamQueues<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queues.pop()).map(|(_, packet)| packet).collect()
    }

    #[test]
    fn streams_are_served_in_turn() {
        let mut queues = queues([(1, 10), (1, 11), (1, 12), (2, 20), (3, 30), (3, 31)]);
        assert_eq!(drain(&mut queues), [10, 20, 30, 11, 31, 12]);
        assert!(queues.is_empty());
    }

    #[test]
    fn a_stream_that_starts_to_send_is_served_next() {
        let mut queues = queues((0..10).map(|packet| (1, packet)));
        queues.pop();
        queues.push(2, DataSize::bytes(100), 99);
        assert_eq!(queues.pop().map(|(_, packet)| packet), Some(99));
        queues.push(2, DataSize::bytes(100), 98);
        assert_eq!(drain(&mut queues)[..2], [1, 98]);
    }

    #[test]
    fn packets_of_a_removed_stream_are_dropped() {
        let mut queues = queues([(1, 10), (2, 20), (1, 11)]);
        queues.remove_stream(1);
        assert_eq!(queues.size(), DataSize::bytes(100));
        assert_eq!(drain(&mut queues), [20]);
    }

    #[test]
    fn idle_streams_are_forgotten() {
        let mut queues = StreamQueues::default();
        for stream in 0..1000 {
            queues.push(stream, DataSize::bytes(1), 0);
            queues.pop();
        }
        assert!(queues.queues.len() <= MAX_IDLE_STREAMS);
    }
}
