//! Names into addresses, but for those at which a machine's own metadata service listens: whoever can change what a name
//! means must not have our credentials taken there.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// A name that means nothing but link-local addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} is an address of this link alone, where no API is")]
pub struct LinkLocal(pub(super) String);

/// Resolves as the system does, without link-local addresses.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(reachable(name, found)?.into_iter()) as Addrs)
        })
    }
}

/// Of what a name means, the addresses that may be asked.
fn reachable(name: String, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, LinkLocal> {
    let allowed: Vec<_> = found.iter().copied().filter(|address| !is_link_local(address.ip())).collect();
    if allowed.is_empty() && !found.is_empty() { Err(LinkLocal(name)) } else { Ok(allowed) }
}

/// Whether an address is one of this link alone, as 169.254.169.254 is, in whatever form.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[..6] == [0xfd00, 0xec2, 0, 0, 0, 0]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_means_a_metadata_service_is_not_asked() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let reach = |texts: &[&str]| reachable("api.example".to_owned(), addresses(texts));
        let refused = reach(&["169.254.169.254:443", "[fe80::1]:443"]).unwrap_err().to_string();
        assert!(refused.starts_with("api.example is an address of this link alone"), "{refused}");
        assert_eq!(reach(&["169.254.169.254:443", "192.0.2.1:443"]), Ok(addresses(&["192.0.2.1:443"])));
        assert_eq!(reach(&[]), Ok(vec![]));
    }

    #[test]
    fn the_addresses_of_metadata_services_are_known_in_every_form() {
        for text in ["169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254"] {
            assert!(is_link_local(text.parse().unwrap()), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "fd00::1"] {
            assert!(!is_link_local(text.parse().unwrap()), "{text}");
        }
    }
}
