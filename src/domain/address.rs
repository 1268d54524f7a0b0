//! Blocks of IP addresses, the keys of limits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses that counts as one client: one IPv4 address, or a /64 of IPv6, because its holder owns all addresses in it.
/// It is the key of every limit by address, except where the wider [`AddressBlock::network`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressBlock {
    first: IpAddr,
    prefix: u8,
}

impl AddressBlock {
    /// The block of an address. An IPv4 address that is mapped into IPv6 counts as IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self::with_prefix(address.to_canonical(), 32, 64)
    }

    /// The network around the block, a size that providers assign to one customer: /24 of IPv4, /48 of IPv6.
    pub fn network(self) -> Self {
        Self::with_prefix(self.first, 24, 48)
    }

    /// Whether the block is of IPv6 addresses.
    pub fn is_ipv6(self) -> bool {
        self.first.is_ipv6()
    }

    fn with_prefix(address: IpAddr, v4: u8, v6: u8) -> Self {
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits() & (u32::MAX << (32 - v4));
                Self { first: Ipv4Addr::from_bits(bits).into(), prefix: v4 }
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits() & (u128::MAX << (128 - v6));
                Self { first: Ipv6Addr::from_bits(bits).into(), prefix: v6 }
            }
        }
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().unwrap())
    }

    #[test]
    fn neighbours_in_ipv6_are_one_block_and_in_ipv4_they_are_not() {
        assert_eq!(block("2001:db8::1"), block("2001:db8::ffff:2"));
        assert_ne!(block("2001:db8::1"), block("2001:db8:0:1::1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
        assert_eq!(block("192.0.2.1"), block("::ffff:192.0.2.1"));
        assert_eq!(block("0.0.0.0").to_string(), "0.0.0.0/32");
    }

    #[test]
    fn a_network_is_what_providers_hand_out_and_never_equal_to_a_block() {
        assert_eq!(block("2001:db8::1").network(), block("2001:db8:0:1::1").network());
        assert_ne!(block("2001:db8::1").network(), block("2001:db8:1::1").network());
        assert_eq!(block("192.0.2.1").network(), block("192.0.2.254").network());
        assert_ne!(block("192.0.2.1").network(), block("192.0.3.1").network());
        assert_ne!(block("192.0.2.0").network(), block("192.0.2.0"));
        assert_eq!(block("2001:db8:0:7::1").network().to_string(), "2001:db8::/48");
    }
}
