//! The command line.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, ensure};
use clap::Parser;

use crate::target::Kind;

/// Sockets to open, events to publish, processes to watch.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub(crate) struct Options {
    /// Kind of server: a hub, or a plain publisher such as nchan
    #[arg(long, value_enum, default_value_t = Kind::Bellhop)]
    pub(crate) kind: Kind,
    /// Address of the server, host:port on loopback or in the range for benchmarks (198.18.0.0/15)
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub(crate) address: SocketAddr,
    /// Path that opens a socket on a plain server
    #[arg(long, default_value = "/sub")]
    pub(crate) subscribe: String,
    /// Path that publishes the body of a POST on a plain server
    #[arg(long, default_value = "/pub")]
    pub(crate) publish: String,
    /// Sockets to open
    #[arg(long, default_value_t = 5000)]
    pub(crate) sockets: usize,
    /// Rooms of a hub that the sockets and the events are spread over, evenly
    #[arg(long, default_value_t = 1)]
    pub(crate) rooms: usize,
    /// Handshakes under way at once
    #[arg(long, default_value_t = 128)]
    pub(crate) connecting: usize,
    /// Events published at the pace
    #[arg(long, default_value_t = 50)]
    pub(crate) events: u64,
    /// Events a second at the pace, in all rooms together
    #[arg(long, default_value_t = 5.0)]
    pub(crate) pace: f64,
    /// Events published afterwards as fast as the server takes them
    #[arg(long, default_value_t = 50)]
    pub(crate) burst: u64,
    /// Bytes of a message; to a plain server, of the whole payload
    #[arg(long, default_value_t = 200)]
    pub(crate) bytes: usize,
    /// Bytes of the largest message, if they differ: sizes go evenly from --bytes to this
    #[arg(long)]
    pub(crate) bytes_to: Option<usize>,
    /// Sockets of the first room that stop reading after their greeting, besides the others; hub only
    #[arg(long, default_value_t = 0)]
    pub(crate) stalled: usize,
    /// Server processes whose memory, CPU and descriptors are counted, separated by commas
    #[arg(long, value_delimiter = ',')]
    pub(crate) pids: Vec<u32>,
    /// Seconds to let the sockets idle before memory is read
    #[arg(long, default_value_t = 5)]
    pub(crate) idle: u64,
    /// Instead of all that: send on each socket the header of a frame that claims so many MiB, and see it refused
    #[arg(long, value_name = "MIB", conflicts_with = "hold")]
    pub(crate) claim: Option<u64>,
    /// Instead of all that: open the sockets, print "open", and hold them without a word until killed
    #[arg(long)]
    pub(crate) hold: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// Refuses what would reach other machines or ask for too much.
    ///
    /// # Errors
    /// Names what is out of its bounds.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(is_ours(self.address.ip()), "load goes to loopback or to 198.18.0.0/15 only");
        ensure!((1..=60_000).contains(&self.sockets), "1 to 60000 sockets");
        ensure!((1..=10_000).contains(&self.rooms), "1 to 10000 rooms");
        ensure!(self.rooms <= self.sockets, "no more rooms than sockets");
        ensure!(self.stalled <= 1_000, "at most 1000 sockets that stop reading");
        let hub = self.kind == Kind::Bellhop;
        ensure!(
            hub || (self.rooms, self.stalled) == (1, 0),
            "a plain server has one room, and everybody reads"
        );
        ensure!(hub || self.claim.is_none(), "frames that claim too much are for a hub");
        Ok(())
    }

    /// Bytes of the message with this number: from `bytes` to `bytes_to`, all of them equally often.
    pub(crate) fn bytes_of(&self, number: u64) -> usize {
        let most = self.bytes_to.unwrap_or(self.bytes).max(self.bytes);
        // 7919 is prime: sizes do not go hand in hand with rooms.
        self.bytes + (number.wrapping_mul(7919) % (most - self.bytes + 1) as u64) as usize
    }
}

/// Loopback, and the range that RFC 2544 sets aside for benchmarks: network namespaces of this machine.
fn is_ours(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || matches!(v4.octets(), [198, 18 | 19, ..]),
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_never_leaves_the_machine() {
        for (address, ours) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("198.18.77.1", true),
            ("198.20.0.1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_ours(address.parse().unwrap()), ours, "{address}");
        }
    }

    #[test]
    fn sizes_stay_between_their_bounds_and_differ() {
        let options = Options::parse_from(["load", "--bytes", "200", "--bytes-to", "500"]);
        let sizes: Vec<usize> = (1..=1_000).map(|number| options.bytes_of(number)).collect();
        assert!(sizes.iter().all(|size| (200..=500).contains(size)));
        let average = sizes.iter().sum::<usize>() / sizes.len();
        assert!((340..=360).contains(&average), "{average}");
        assert_eq!(Options::parse_from(["load"]).bytes_of(9), 200);
    }
}
