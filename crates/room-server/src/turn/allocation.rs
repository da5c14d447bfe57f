//! A client's allocation: an address that exists only here, and the addresses of ours that it may send to.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long permissions and channels live (RFC 8656, sections 9 and 12).
const PERMISSION_LIFETIME: Duration = Duration::from_secs(300);
const CHANNEL_LIFETIME: Duration = Duration::from_secs(600);
/// Upper bound of permissions and of channels. We have fewer addresses than that.
const MAX_CHANNELS: usize = 64;
const MAX_PERMISSIONS: usize = 64;

/// An allocation.
#[derive(Debug)]
pub struct Allocation {
    /// The address, under which the rooms know the client.
    pub relay: SocketAddr,
    /// Whose it is.
    pub username: String,
    /// The transaction that created it, in case it is retransmitted.
    pub transaction: u128,
    /// When it ends, unless it is refreshed.
    pub ends_at: Instant,
    /// When something was last sent to the client.
    pub served_at: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<(u16, SocketAddr, Instant)>,
}

impl Allocation {
    /// A new one, with no permission yet.
    pub fn new(relay: SocketAddr, username: String, transaction: u128, now: Instant, lifetime: Duration) -> Self {
        let (permissions, channels) = (Vec::new(), Vec::new());
        Self { relay, username, transaction, ends_at: now + lifetime, served_at: now, permissions, channels }
    }

    /// Lets datagrams to and from an address pass.
    pub fn permit(&mut self, now: Instant, ip: IpAddr) -> bool {
        let until = now + PERMISSION_LIFETIME;
        self.permissions.retain(|(permitted, ends_at)| *permitted != ip && *ends_at > now);
        let has_room = self.permissions.len() < MAX_PERMISSIONS;
        if has_room {
            self.permissions.push((ip, until));
        }
        has_room
    }

    /// Whether datagrams to and from an address pass.
    pub fn permits(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.iter().any(|(permitted, ends_at)| *permitted == ip && *ends_at > now)
    }

    /// Binds a channel to an address. False when the channel, or the address, is bound already.
    pub fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> bool {
        self.channels.retain(|(_, _, ends_at)| *ends_at > now);
        let is_same = |(bound, to, _): &(u16, SocketAddr, Instant)| *bound == number && *to == peer;
        let is_other = |(bound, to, _): &(u16, SocketAddr, Instant)| (*bound == number) != (*to == peer);
        if self.channels.iter().any(is_other) {
            return false;
        }
        self.channels.retain(|channel| !is_same(channel));
        if self.channels.len() >= MAX_CHANNELS {
            return false;
        }
        self.channels.push((number, peer, now + CHANNEL_LIFETIME));
        self.permit(now, peer.ip())
    }

    /// The address with this name.
    pub fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let is_it = |channel: &&(u16, SocketAddr, Instant)| channel.0 == number && channel.2 > now;
        self.channels.iter().find(is_it).map(|(_, peer, _)| *peer)
    }

    /// The name of this address.
    pub fn channel_of(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        self.channels.iter().find(|(_, to, ends_at)| *to == peer && *ends_at > now).map(|(number, ..)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_and_channels_end_unless_they_are_renewed() {
        let now = Instant::now();
        let peer: SocketAddr = "10.0.0.1:7".parse().unwrap();
        let other: SocketAddr = "10.0.0.2:7".parse().unwrap();
        let mut allocation =
            Allocation::new("240.0.0.1:7".parse().unwrap(), "a".to_owned(), 1, now, Duration::from_secs(600));
        assert!(allocation.bind(now, 0x4000, peer) && allocation.bind(now, 0x4000, peer));
        assert!(!allocation.bind(now, 0x4000, other) && !allocation.bind(now, 0x4001, peer));
        assert!(allocation.permits(now, peer.ip()) && !allocation.permits(now, other.ip()));
        let later = now + PERMISSION_LIFETIME;
        assert!(!allocation.permits(later, peer.ip()) && allocation.peer_of(later, 0x4000) == Some(peer));
        assert_eq!(allocation.channel_of(now + CHANNEL_LIFETIME, peer), None);
        assert!(allocation.bind(now + CHANNEL_LIFETIME, 0x4000, other));
    }
}
