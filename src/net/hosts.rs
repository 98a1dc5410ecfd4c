//! Distinguishes public hosts from private ones: a cast or a setting must not make castline send requests into the
//! local network.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A host that is not public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public host (to test on this machine, set publish.allow_private_hosts)")]
pub(crate) struct PrivateHost(String);

/// Checks the host in a URL without resolving it: an IP address, or a name that is local by definition. Other names
/// are checked by [`PublicOnly`] when they are resolved.
pub(crate) fn literal(url: &Url) -> Result<(), PrivateHost> {
    let public = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.contains('.')
                && ![".localhost", ".local", ".internal"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
        None => false,
    };
    let host = || PrivateHost(url.host_str().unwrap_or("a URL without a host").to_owned());
    public.then_some(()).ok_or_else(host)
}

/// Resolves names to their public addresses only. Connections, including redirects, are made to the addresses
/// returned here, so that a name can't be checked as one address and connected to as another.
pub(crate) struct PublicOnly {
    /// Hosts of the proxies in the environment. They may be private, and resolve other names themselves.
    proxies: Arc<HashSet<String>>,
}

impl PublicOnly {
    pub(crate) fn new() -> Self {
        let variables = [
            "HTTPS_PROXY",
            "https_proxy",
            "ALL_PROXY",
            "all_proxy",
            "HTTP_PROXY",
            "http_proxy",
        ];
        let proxies = variables
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .filter_map(|proxy| {
                Url::parse(&proxy)
                    .or_else(|_| Url::parse(&format!("http://{proxy}")))
                    .ok()
            })
            .filter_map(|proxy| proxy.host_str().map(str::to_owned))
            .collect();
        Self {
            proxies: Arc::new(proxies),
        }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let proxies = Arc::clone(&self.proxies);
        Box::pin(async move {
            let name = name.as_str();
            // The port is ignored: the client sets its own.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
            let known = found.len();
            let public: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| proxies.contains(name) || is_public(address.ip()))
                .collect();
            if public.is_empty() && known > 0 {
                return Err(PrivateHost(name.to_owned()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address belongs to the public internet, by the IANA special-purpose registries.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// Whether an IPv4 address is public: <https://www.iana.org/assignments/iana-ipv4-special-registry>.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        // Shared by carriers, 100.64.0.0/10.
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        // Benchmarks, 198.18.0.0/15.
        || (a == 198 && (18..20).contains(&b))
        // Multicast, reserved, broadcast.
        || a >= 224)
}

/// Whether an IPv6 address is public: <https://www.iana.org/assignments/iana-ipv6-special-registry>.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // ::/96, IPv4-mapped and IPv4-translated addresses.
        (0, 0) if [c, d, e] == [0; 3] && matches!(f, 0 | 0xffff) => embedded(g, h),
        (0, 0) => false,
        // NAT64, and its private part.
        (0x64, 0xff9b) => [c, d, e, f] == [0; 4] && embedded(g, h),
        // 6to4.
        (0x2002, _) => embedded(b, c),
        // Teredo, benchmarks, ORCHID; documentation.
        (0x2001, 0..0x200) | (0x2001, 0xdb8) => false,
        // Global unicast is 2000::/3; 3fff::/20 is documentation too.
        (0x3fff, 0..0x1000) => false,
        _ => (0x2000..0x4000).contains(&a),
    }
}

/// Whether an API is a stand-in on this machine, such as `castline sandbox` serves: its ids are never those of a real one.
/// `provider` is as in a ledger: its address, and perhaps the network after it.
pub(crate) fn is_stand_in(provider: &str) -> bool {
    let address = provider.split(' ').next().unwrap_or_default();
    match url::Url::parse(address).as_ref().ok().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_on_this_machine() {
        for here in [
            "https://localhost:4433/v1",
            "https://127.0.0.1/v1 on base-sepolia",
            "https://[::1]:1",
        ] {
            assert!(is_stand_in(here), "{here}");
        }
        for there in [
            "https://api.jarvisclaw.ai/v1",
            "https://localhost.evil.example",
            "sandbox",
            "test",
        ] {
            assert!(!is_stand_in(there), "{there}");
        }
    }

    use proptest::prelude::*;

    #[test]
    fn only_public_hosts_pass() {
        for url in [
            "https://localhost/a.png",
            "https://localhost./a.png",
            "https://x.localhost/a.png",
            "https://nas.local/a.png",
            "https://metadata.google.internal/a",
            "https://intranet/a",
            "https://127.0.0.1/a",
            "https://2130706433/a",
            "https://0x7f.1/a",
            "https://0.0.0.0/a",
            "https://10.1.2.3/a",
            "https://172.31.0.1/a",
            "https://192.168.0.1/a",
            "https://169.254.169.254/latest",
            "https://100.64.0.1/a",
            "https://198.18.0.1/a",
            "https://224.0.0.1/a",
            "https://255.255.255.255/a",
            "https://[::]/a",
            "https://[::1]/a",
            "https://[::ffff:10.0.0.1]/a",
            "https://[::ffff:169.254.169.254]/a",
            "https://[64:ff9b::10.0.0.1]/a",
            "https://[2002:a00:1::]/a",
            "https://[fe80::1]/a",
            "https://[fc00::1]/a",
            "https://[fd00:ec2::254]/latest",
            "https://[ff02::1]/a",
            "https://[2001:db8::1]/a",
        ] {
            assert!(literal(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in [
            "https://example.com/a.png",
            "https://93.184.215.14/a.png",
            "https://172.32.0.1/a",
            "https://[2606:2800:21f::1]/a",
            "https://[64:ff9b::93.184.215.14]/a",
        ] {
            assert_eq!(literal(&url.parse().unwrap()), Ok(()), "{url}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_as_public_as_what_it_embeds(ip: u32) {
            let ip = Ipv4Addr::from(ip);
            prop_assert_eq!(is_public(ip.to_ipv6_mapped().into()), is_public(ip.into()));
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_refused_when_it_is_resolved() {
        let resolver = PublicOnly {
            proxies: Arc::default(),
        };
        let error = resolver
            .resolve("localhost".parse().unwrap())
            .await
            .err()
            .unwrap();
        assert!(error.is::<PrivateHost>(), "{error}");
        let proxy = PublicOnly {
            proxies: Arc::new(HashSet::from(["localhost".to_owned()])),
        };
        assert!(
            proxy
                .resolve("localhost".parse().unwrap())
                .await
                .unwrap()
                .next()
                .is_some()
        );
    }
}
