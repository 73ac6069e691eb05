//! Which addresses a webhook may go to. Whoever may make a webhook must not reach what only this machine reaches: its own
//! services, the network around it, a cloud's metadata.
//!
//! What is judged is the address that is connected to, at the moment of connecting: a name is resolved here, and the
//! connection goes to the very addresses that were judged. `url` has turned every spelling of an IPv4 address (decimal,
//! octal, hexadecimal, short) into the address before.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses that are not public may be reached all the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Allowed {
    /// None.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// Some networks, and whatever some host names stand for.
    Listed {
        /// Networks.
        networks: Vec<IpNet>,
        /// Host names in lower case.
        names: Vec<String>,
    },
}

impl Allowed {
    /// Reads the setting: `off`, `on`, or addresses, networks and host names joined by commas.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "off" | "false" | "0" => return Ok(Self::Nothing),
            "on" | "true" | "1" => return Ok(Self::Everything),
            _ => {}
        }
        let (mut networks, mut names) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            if let Ok(ip) = part.parse::<IpAddr>() {
                networks.push(IpNet::from(ip));
            } else if let Ok(network) = part.parse::<IpNet>() {
                networks.push(network.trunc());
            } else {
                match Host::parse(part) {
                    Ok(Host::Domain(name)) if !part.contains('/') => names.push(name),
                    _ => {
                        return Err(format!(
                            "WEBHOOK_ALLOW_PRIVATE must be off, on, or addresses, networks and host names joined by commas; {part:?} is none"
                        ));
                    }
                }
            }
        }
        Ok(Self::Listed { networks, names })
    }

    fn takes_address(&self, ip: IpAddr) -> bool {
        is_public(ip)
            || match self {
                Self::Nothing => false,
                Self::Everything => true,
                Self::Listed { networks, .. } => networks.iter().any(|network| network.contains(&ip.to_canonical())),
            }
    }

    fn takes_name(&self, name: &str) -> bool {
        matches!(self, Self::Listed { names, .. } if names.iter().any(|known| known == name))
    }

    /// Refuses an address that is written as an address; names are judged when they are resolved.
    pub fn check(&self, url: &Url) -> Result<(), Blocked> {
        let good = match url.host() {
            Some(Host::Ipv4(ip)) => self.takes_address(ip.into()),
            Some(Host::Ipv6(ip)) => self.takes_address(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        if good { Ok(()) } else { Err(Blocked) }
    }
}

/// The address is not one that webhooks may go to. Says no address: what a name stands for inside is nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked;

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is not public")
    }
}

impl std::error::Error for Blocked {}

/// Resolves names and judges what they stand for: one address that may not be reached, and none is.
#[derive(Debug)]
pub struct Guarded(pub Arc<Allowed>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let good = allowed.takes_name(name) || found.iter().all(|address| allowed.takes_address(address.ip()));
            if good {
                Ok(Box::new(found.into_iter()) as Addrs)
            } else {
                Err(Blocked.into())
            }
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(start: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = start;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// IPv4 networks that are nobody's public address (IANA's registry of special addresses), and what clouds put elsewhere.
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Azure's services for a machine of its own.
    v4(168, 63, 129, 16, 32),
];

/// The only IPv6 network with public addresses.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Its parts that are not: protocols (Teredo among them), documentation, and 6to4, which wraps an IPv4 address.
const SPECIAL_V6: &[Ipv6Net] = &[
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// NAT64's well-known prefix: in networks without IPv4 every name stands for such an address.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// Whether an address is one that everybody reaches, however it is wrapped.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|network| network.contains(&ip)),
        IpAddr::V6(ip) if NAT64.contains(&ip) => is_public(last_four(ip).into()),
        IpAddr::V6(ip) => {
            GLOBAL_V6.contains(&ip) && !SPECIAL_V6.iter().any(|network| network.contains(&ip)) && !wraps_private(ip)
        }
    }
}

fn last_four(ip: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = ip.octets();
    Ipv4Addr::new(a, b, c, d)
}

/// ISATAP (RFC 5214) wraps an IPv4 address behind any prefix.
fn wraps_private(ip: Ipv6Addr) -> bool {
    let [.., first, second, _, _] = ip.segments();
    matches!((first, second), (0 | 0x200, 0x5efe)) && !is_public(last_four(ip).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(url: &str) -> bool {
        let url = Url::parse(url).expect(url);
        assert!(!matches!(url.host(), Some(Host::Domain(_))), "{url} has a name");
        Allowed::Nothing.check(&url).is_ok()
    }

    #[test]
    fn no_spelling_of_an_inner_address_passes() {
        let inner = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.01",
            "127.0.0.1.",
            "①②⑦.⓪.⓪.①",
            "127。0。0。1",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "2852039166",
            "0xA9FEA9FE",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "240.0.0.1",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:a9fe:a9fe]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::7f00:1]",
            "[2002:7f00:1::]",
            "[2002:c0a8:101::1]",
            "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[100::1]",
            "[5f00::1]",
            "[2600:1f18::5efe:10.0.0.1]",
            "[2600:1f18::200:5efe:127.0.0.1]",
        ];
        for host in inner {
            assert!(!judged(&format!("http://{host}/")), "{host}");
            assert!(!judged(&format!("https://{host}:8443/x?y")), "{host}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        let public = [
            "1.1.1.1",
            "93.184.215.14",
            "16843009",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "169.253.255.255",
            "[2606:4700:4700::1111]",
            "[::ffff:1.1.1.1]",
            "[64:ff9b::101:101]",
            "[2001:200::1]",
            "[2600:1f18::5efe:1.1.1.1]",
        ];
        for host in public {
            assert!(judged(&format!("http://{host}/")), "{host}");
        }
    }

    #[test]
    fn what_the_operator_names_passes_and_nothing_else() {
        let allowed = Allowed::parse("127.0.0.1, 10.1.2.3/16,fd00::/8, Hooks.Intern").expect("a list");
        let takes = |ip: &str| allowed.takes_address(ip.parse().expect(ip));
        assert!(
            ["127.0.0.1", "::ffff:127.0.0.1", "10.1.255.255", "fd12::1", "1.1.1.1"]
                .into_iter()
                .all(takes)
        );
        assert!(!["127.0.0.2", "10.2.0.1", "fe80::1", "::1"].into_iter().any(takes));
        assert!(allowed.takes_name("hooks.intern") && !allowed.takes_name("intern"));
        assert!(
            Allowed::parse("on")
                .expect("on")
                .takes_address(Ipv4Addr::LOCALHOST.into())
        );
        assert_eq!(Allowed::parse("off"), Ok(Allowed::Nothing));
        for bad in ["10.0.0.0/33", "http://x/", "a b"] {
            assert!(Allowed::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_judged_alike_however_it_is_written(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            let [a, b, c, d] = ip.octets();
            let public = is_public(ip.into());
            let (high, low) = (bits >> 16, bits & 0xffff);
            for host in [
                format!("{ip}"), format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"),
                format!("{a:#x}.0{b:o}.{c}.{d:#x}"), format!("{a}.{b}.{}", bits & 0xffff), format!("{a}.{}", bits & 0xff_ffff),
                format!("[::ffff:{ip}]"), format!("[::ffff:{high:x}:{low:x}]"), format!("[64:ff9b::{ip}]"),
            ] {
                prop_assert_eq!(judged(&format!("http://{host}/")), public, "{}", host);
            }
            for host in [format!("[2002:{high:x}:{low:x}::1]"), format!("[::{ip}]")] {
                prop_assert!(!judged(&format!("http://{host}/")), "{}", host);
            }
        }

        #[test]
        fn nothing_outside_the_global_network_is_public(bits: u128) {
            let ip = Ipv6Addr::from(bits);
            let wrapped = ip.to_ipv4_mapped().is_some() || NAT64.contains(&ip);
            prop_assert!(wrapped || bits >> 125 == 1 || !is_public(ip.into()));
        }
    }
}
