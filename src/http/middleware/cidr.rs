//! Ranges of addresses, such as those of trusted proxies.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses such as `10.0.0.0/8`, `fd00::/8` or one address. IPv4 and its IPv6-mapped form are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    /// Leading bits that count, of 128.
    prefix: u8,
}

/// The text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{0}' is not an address or a range like 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        mask(as_bits(address), self.prefix) == self.bits
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Host bits after the prefix are ignored, as most tools do.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.to_owned());
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let (offset, width) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let length = length.map_or(Ok(width), |l| l.parse::<u8>().map_err(|_| error()))?;
        if length > width {
            return Err(error());
        }
        let prefix = offset + length;
        Ok(Self { bits: mask(as_bits(address), prefix), prefix })
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped() {
            Some(v4) if self.prefix >= 96 => write!(f, "{v4}/{}", self.prefix - 96),
            _ => write!(f, "{address}/{}", self.prefix),
        }
    }
}

fn as_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(bits: u128, prefix: u8) -> u128 {
    if prefix == 0 { 0 } else { bits & (u128::MAX << (128 - u32::from(prefix))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_range_holds_its_addresses_and_no_others() {
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("fd00::/8", "fdff::1"));
        assert!(!holds("fd00::/8", "fe00::1"));
        assert!(holds("::/0", "10.0.0.1"));
        assert!(holds("0.0.0.0/0", "10.0.0.1"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
    }

    #[test]
    fn an_ipv4_address_seen_through_an_ipv6_socket_is_the_same() {
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    }

    #[test]
    fn a_range_prints_as_it_is_written() {
        for text in ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("10.1.2.3/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "proxy"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
