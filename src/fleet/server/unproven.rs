use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// So many connections may be at their handshake at once: as many as a fleet that comes back together needs at the speed
/// of the processors, and little memory.
const ALL: usize = 1024;
/// So many of them from one address (of IPv6, from one /64), so that one host cannot take the places of all others.
const OF_ONE: usize = 256;

/// The connections that have not proven yet who they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Unproven(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place among them, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    of: Unproven,
    address: IpAddr,
}

impl Unproven {
    /// A place for a connection from there, if there is one.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = network(address);
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = places.by_address.get(&address).copied().unwrap_or(0);
        if places.all >= ALL || of_one >= OF_ONE {
            return None;
        }
        places.all += 1;
        places.by_address.insert(address, of_one + 1);
        Some(Place { of: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.all -= 1;
        if let Some(count) = places.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                places.by_address.remove(&self.address);
            }
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_a_place_comes_back() {
        let unproven = Unproven::default();
        let one = "10.0.0.1".parse().unwrap();
        let mut held: Vec<_> = (0..OF_ONE).map(|_| unproven.enter(one).unwrap()).collect();
        assert!(unproven.enter(one).is_none());
        assert!(unproven.enter("::ffff:10.0.0.1".parse().unwrap()).is_none(), "the same address");
        assert!(unproven.enter("10.0.0.2".parse().unwrap()).is_some());
        held.pop();
        assert!(unproven.enter(one).is_some());
        drop(held);
        let places = unproven.0.lock().unwrap();
        assert_eq!((places.all, places.by_address.len()), (0, 0));
    }

    #[test]
    fn there_is_a_bound_for_all() {
        let unproven = Unproven::default();
        let address = |number: usize| {
            IpAddr::from([10, 0, u8::try_from(number / 250).unwrap(), u8::try_from(number % 250).unwrap()])
        };
        let held: Vec<_> = (0..ALL).map(|number| unproven.enter(address(number)).unwrap()).collect();
        assert!(unproven.enter("10.1.0.0".parse().unwrap()).is_none());
        drop(held);
        let six = |text: &str| network(text.parse().unwrap());
        assert_eq!(six("fd00:1:2:3::1"), six("fd00:1:2:3:ffff::2"));
        assert_ne!(six("fd00:1:2:3::1"), six("fd00:1:2:4::1"));
    }
}
