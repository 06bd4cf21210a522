//! Port sets that rules share: asked as long as there is a rule, let go with the last one.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use xdp_abi::Port;
use xdp_packet::{Frame, FrameBuilder};
use xdp_rules::oracle::{PortBits, Random};
use xdp_rules::{AddressPorts, Classifier, Heap, Pattern, PortSet, RuleKey};

/// A set that lives as long as a handle to it.
#[derive(Clone)]
struct Shared(Rc<PortBits>);

impl PortSet for Shared {
    fn contains(&self, port: Port) -> bool {
        self.0.contains(port)
    }

    fn identity(&self) -> u64 {
        self.0.identity()
    }
}

fn sets(count: usize) -> Vec<Rc<PortBits>> {
    (0..count).map(|_| Rc::default()).collect()
}

#[test]
fn a_set_is_let_go_with_its_last_rule() {
    let sets = sets(20);
    let mut random = Random::new(8);
    let mut rules = Classifier::<Shared, (), Heap>::new(Heap, 1, usize::MAX);
    let mut keys: Vec<(RuleKey, usize)> = Vec::new();
    let mut used = [0; 20];
    for round in 0..6000 {
        // Grows for a while, then shrinks to nothing.
        if round < 3000 && !random.one_in(3) || keys.is_empty() {
            let nth = random.below(sets.len());
            let ports = Shared(Rc::clone(&sets[nth]));
            let v4 = Ipv4Addr::from_bits(random.below(4) as u32);
            let v6 = Ipv6Addr::from_bits(random.below(4) as u128);
            let pattern = match random.below(5) {
                0 => Pattern::UdpPortSet(ports),
                1 => Pattern::Ipv4UdpPortSet(AddressPorts { address: v4, ports }),
                2 => Pattern::Ipv6UdpPortSet(AddressPorts { address: v6, ports }),
                3 => Pattern::Ipv4TcpPortSet(AddressPorts { address: v4, ports }),
                _ => Pattern::Ipv6TcpPortSet(AddressPorts { address: v6, ports }),
            };
            keys.push((rules.push(pattern, ()).expect("memory"), nth));
            used[nth] += 1;
        } else {
            let (key, nth) = keys.swap_remove(random.below(keys.len()));
            assert!(rules.remove(key).is_some());
            used[nth] -= 1;
        }
        for (set, &rules) in sets.iter().zip(&used) {
            let handles = Rc::strong_count(set) - 1;
            assert!(handles >= rules && (rules > 0 || handles == 0));
        }
    }
    assert!(rules.len() < 10);
}

#[test]
fn the_first_of_many_sets_decides_wherever_it_is() {
    for count in [1, 2, 7, 8, 9, 16, 17, 40] {
        let sets = sets(count);
        let mut rules = Classifier::<Shared, usize, Heap>::new(Heap, 1, usize::MAX);
        for (nth, set) in sets.iter().enumerate() {
            let pattern = Pattern::UdpPortSet(Shared(Rc::clone(set)));
            rules.push(pattern, nth).expect("memory");
        }
        let frame = FrameBuilder::new().ipv4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let frame = frame.udp(1, 53).finish();
        let found = |rules: &Classifier<Shared, usize, Heap>| {
            rules.classify(&Frame::new(&frame)).map(|hit| *hit.value)
        };
        assert_eq!(found(&rules), None);
        // Each set joins before those that have the port already.
        for (nth, set) in sets.iter().enumerate().rev() {
            set.set(53, true);
            assert_eq!(found(&rules), Some(nth), "of {count}");
        }
        for (nth, set) in sets.iter().enumerate() {
            assert_eq!(found(&rules), Some(nth), "of {count}");
            set.set(53, false);
        }
        assert_eq!(found(&rules), None);
    }
}
