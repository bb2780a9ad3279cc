//! Which addresses the signals of a controller's runs, and the alerts of its game days, may reach. They
//! are asked from the controller's own host, so whoever may submit an experiment could otherwise have it ask what only
//! that host can reach, above all the metadata service of a cloud, which hands out the host's credentials.
//!
//! What is checked is the address to which a connection is about to be made, each time one is: a name that means something
//! else the next time changes nothing.

use std::cell::RefCell;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::OnceLock;

/// A network, as in `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network: write it as 10.0.0.0/8, fd00::/8 or 10.1.2.3, without bits beyond the length")]
pub struct NetworkError(String);

/// Networks that no signal reaches unless they are allowed by name: where hosts of clouds find what is for them alone.
const REFUSED: [(&str, &str); 6] = [
    ("169.254.0.0/16", "link-local, with the metadata of most clouds (RFC 3927)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fd00:ec2::/32", "the metadata of AWS"),
    ("fd20:ce::/32", "the metadata of Google's cloud"),
    ("100.100.100.200", "the metadata of Alibaba's cloud"),
    ("168.63.129.16", "the platform of Azure"),
];

/// What signals may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// Everything: a run on the host of whoever started it, who could reach it anyway.
    Everything,
    /// Everything but link-local addresses and the metadata of clouds.
    #[default]
    NoMetadata,
    /// These networks alone, whatever they are.
    Only(Vec<Network>),
}

impl Reach {
    /// These networks alone, or the usual if there are none.
    pub fn only(networks: Vec<Network>) -> Self {
        if networks.is_empty() { Self::NoMetadata } else { Self::Only(networks) }
    }

    /// Whether an address may be reached.
    ///
    /// # Errors
    /// If not, with the reason and the way on.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        // An address of IPv4 in one of IPv6 reaches the same.
        let plain = embedded(address);
        match self {
            Self::Everything => Ok(()),
            Self::NoMetadata => {
                let of = |(network, _): &&(&str, &str)| network.parse::<Network>().is_ok_and(|all| all.holds(plain));
                match REFUSED.iter().find(of) {
                    None => Ok(()),
                    Some((network, what)) => Err(format!(
                        "{address} is not reached by signals of a controller: {network} is {what} (hint: whoever runs the \
                         controller can allow it: `faultline serve --signal-allow`)"
                    )),
                }
            }
            Self::Only(networks) if networks.iter().any(|network| network.holds(plain)) => Ok(()),
            Self::Only(_) => Err(format!(
                "{address} is not among the addresses that signals of this controller may reach (hint: see \
                 `faultline serve --signal-allow`)"
            )),
        }
    }
}

/// The address of IPv4 that one of IPv6 stands for: mapped (RFC 4291), and translated by a NAT64 of the well-known prefix
/// (RFC 6052).
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let octets = six.octets();
    let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0).octets();
    match six.to_ipv4_mapped() {
        Some(four) => IpAddr::V4(four),
        None if octets[..12] == nat64[..12] => IpAddr::from([octets[12], octets[13], octets[14], octets[15]]),
        None => address,
    }
}

impl Network {
    /// Whether an address is in it.
    pub fn holds(&self, address: IpAddr) -> bool {
        let (own, other) = (number(self.address), number(address));
        own.1 == other.1 && bits_before(own.0, self.bits) == bits_before(other.0, self.bits)
    }
}

/// An address as a number whose first bit is the highest one, and how many bits it has.
fn number(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)) << 96, 32),
        IpAddr::V6(six) => (u128::from(six), 128),
    }
}

fn bits_before(number: u128, bits: u8) -> u128 {
    number.checked_shr(128 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.chars().take(64).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (whole, most) = number(address);
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| wrong())?;
        let beyond = if bits == 0 { whole } else { whole.checked_shl(u32::from(bits)).unwrap_or(0) };
        if bits > most || beyond != 0 {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// What whoever started this process as a controller decided.
static OF_THIS_CONTROLLER: OnceLock<Reach> = OnceLock::new();

thread_local! {
    /// That of the source that runs on this thread: each has a thread of its own.
    static OF_THIS_THREAD: RefCell<Reach> = const { RefCell::new(Reach::Everything) };
}

/// Decides for all runs on a fleet that this process drives. Only the first word counts.
pub fn decide(reach: Reach) {
    let _ = OF_THIS_CONTROLLER.set(reach);
}

/// What was decided for runs on a fleet; the usual if nothing was.
pub(super) fn of_this_controller() -> Reach {
    OF_THIS_CONTROLLER.get().cloned().unwrap_or_default()
}

/// From now on all connections of this thread keep to it.
pub(super) fn keep_to(reach: Reach) {
    OF_THIS_THREAD.set(reach);
}

/// Whether a connection of this thread may be made.
pub(super) fn check(address: IpAddr) -> Result<(), String> {
    OF_THIS_THREAD.with_borrow(|reach| reach.check(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(reach: &Reach, address: &str) -> bool {
        reach.check(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn the_metadata_of_clouds_is_out_of_reach_however_it_is_written() {
        let usual = Reach::default();
        for refused in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            assert!(!reached(&usual, refused), "{refused}");
            assert!(reached(&Reach::Everything, refused), "{refused}");
        }
        for allowed in
            ["127.0.0.1", "10.0.0.1", "169.253.255.255", "169.255.0.0", "::1", "fd00::1", "fec0::1", "8.8.8.8"]
        {
            assert!(reached(&usual, allowed), "{allowed}");
        }
    }

    #[test]
    fn networks_that_are_allowed_are_all_that_is_reached() {
        let only = Reach::only(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (address, inside) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("fd12::1", true),
            ("11.0.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("fe80::1", false),
        ] {
            assert_eq!(reached(&only, address), inside, "{address}");
        }
        let named = Reach::only(vec!["169.254.169.254".parse().unwrap()]);
        assert!(reached(&named, "169.254.169.254") && !reached(&named, "169.254.169.253"), "who names it means it");
        assert!(reached(&Reach::only(vec!["0.0.0.0/0".parse().unwrap()]), "1.2.3.4"));
        assert!(!reached(&Reach::only(vec!["0.0.0.0/0".parse().unwrap()]), "::1"));
        assert_eq!(Reach::only(Vec::new()), Reach::NoMetadata);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10/8", "x", "", "::/129", "fd00::1/8", "0.0.0.1/0"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "10.1.2.3/32", "::/0", "fd00::/8"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }

    #[tokio::test]
    async fn a_name_is_refused_by_the_address_to_which_it_leads() {
        use super::super::exchange::{Failure, open};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        keep_to(Reach::Only(vec!["10.0.0.0/8".parse().unwrap()]));
        for host in ["localhost", "127.0.0.1"] {
            let refused = open(host, port).await.unwrap_err();
            assert!(matches!(&refused, Failure::Ours(why) if why.contains("--signal-allow")), "{refused:?}");
        }
        keep_to(Reach::default());
        assert!(open("localhost", port).await.is_ok());
        let metadata = open("169.254.169.254", 80).await.unwrap_err();
        assert!(matches!(&metadata, Failure::Ours(why) if why.contains("metadata")), "{metadata:?}");
    }
}
