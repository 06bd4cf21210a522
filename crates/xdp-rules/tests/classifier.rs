//! What callers of the classifier rely on, beside its answers.

use std::net::{Ipv4Addr, Ipv6Addr};

use xdp_abi::Port;
use xdp_packet::{Depth, Frame, FrameBuilder};
use xdp_rules::oracle::{PortBits, Random, Universe};
use xdp_rules::{
    AddressPorts, Classifier, Heap, HitCounters, NoPorts, OutOfMemory, Pattern, PortSet, RuleKey,
    Store,
};

type Plain = Classifier<NoPorts, u32, Heap>;

fn udp(port: u16) -> Vec<u8> {
    FrameBuilder::new()
        .ipv4([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
        .udp(40_000, port)
        .finish()
}

fn decides(rules: &Plain, frame: &[u8]) -> Option<u32> {
    rules.classify(&Frame::new(frame)).map(|hit| *hit.value)
}

#[test]
fn an_empty_list_decides_nothing() {
    let rules = Plain::new(Heap, 1, usize::MAX);
    assert!(rules.is_empty());
    assert_eq!(rules.depth(), None);
    assert_eq!(decides(&rules, &udp(53)), None);
}

#[test]
fn packets_are_parsed_only_as_deep_as_the_rules_look() {
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let all = rules.push(Pattern::All, 0).expect("memory");
    assert_eq!(rules.depth(), None);
    let protocol = rules.push(Pattern::IpNextHeader(17), 1).expect("memory");
    assert_eq!(rules.depth(), Some(Depth::Network));
    let port = rules.push(Pattern::UdpDst(53), 2).expect("memory");
    assert_eq!(rules.depth(), Some(Depth::Transport));
    for key in [port, protocol] {
        assert!(rules.remove(key).is_some());
    }
    assert_eq!(rules.depth(), None);
    assert!(rules.remove(all).is_some() && rules.is_empty());
    assert_eq!(decides(&rules, &udp(53)), None);
}

/// What matches all UDP or all TCP is not searched for: changes of it have to be noticed.
#[test]
fn rules_that_match_a_whole_protocol_come_and_go() {
    let tcp = |flags| {
        FrameBuilder::new()
            .ipv6(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
            .tcp(1, 2, flags)
            .finish()
    };
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let mut push = |pattern, value| rules.push(pattern, value).expect("memory");
    push(Pattern::IpNextHeader(1), 0);
    push(Pattern::UdpDst(53), 1);
    let udp17 = push(Pattern::IpNextHeader(17), 2);
    let again = push(Pattern::IpNextHeader(17), 3);
    let tcp6 = push(Pattern::IpNextHeader(6), 4);
    let all_udp = push(Pattern::Udp, 5);
    push(Pattern::UdpDst(443), 6);
    let asked = |rules: &Plain| {
        let frames = [udp(53), udp(443), tcp(0)];
        frames.map(|frame| decides(rules, &frame))
    };
    assert_eq!(asked(&rules), [Some(1), Some(2), Some(4)]);
    rules.remove(udp17);
    rules.remove(tcp6);
    assert_eq!(asked(&rules), [Some(1), Some(3), None]);
    rules.remove(again);
    assert_eq!(asked(&rules), [Some(1), Some(5), None]);
    rules.remove(all_udp);
    assert_eq!(asked(&rules), [Some(1), Some(6), None]);
}

#[test]
fn programs_are_one_list_and_leave_it_one_by_one() {
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let first: Vec<RuleKey> = [Pattern::UdpDst(53), Pattern::UdpDst(443)]
        .map(|pattern| rules.push(pattern, 1).expect("memory"))
        .into();
    let second: Vec<RuleKey> = [Pattern::UdpDst(443), Pattern::Udp]
        .map(|pattern| rules.push(pattern, 2).expect("memory"))
        .into();
    assert_eq!(decides(&rules, &udp(443)), Some(1));
    assert_eq!(decides(&rules, &udp(80)), Some(2));
    for key in first {
        assert!(rules.remove(key).is_some());
    }
    assert_eq!(decides(&rules, &udp(443)), Some(2));
    assert_eq!(decides(&rules, &udp(53)), Some(2));
    // A new program comes last, wherever there was room.
    rules.push(Pattern::Udp, 3).expect("memory");
    assert_eq!(decides(&rules, &udp(53)), Some(2));
    for key in second {
        assert!(rules.remove(key).is_some());
    }
    assert_eq!(decides(&rules, &udp(53)), Some(3));
}

#[test]
fn a_key_that_is_gone_removes_nothing() {
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let one = rules.push(Pattern::UdpDst(1), 1).expect("memory");
    let two = rules.push(Pattern::UdpDst(2), 2).expect("memory");
    assert!(rules.remove(one).is_some());
    assert!(rules.remove(one).is_none());
    assert!(rules.get(one).is_none());
    assert_eq!(rules.get(two).map(|(_, value)| *value), Some(2));
    assert_eq!(rules.len(), 1);
}

#[test]
fn order_survives_any_number_of_changes() {
    // Each change removes the oldest rule and adds one: the arena is squeezed again and again.
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let mut keys = std::collections::VecDeque::new();
    for value in 0..20_000u32 {
        keys.push_back(rules.push(Pattern::Udp, value).expect("memory"));
        if keys.len() > 37 {
            let oldest = keys.pop_front().expect("some");
            let (_, removed) = rules.remove(oldest).expect("there");
            assert_eq!(decides(&rules, &udp(9)), Some(removed + 1));
        }
    }
    assert!(rules.memory_bytes() < 32 * 1024, "{}", rules.memory_bytes());
}

/// Rules move to where removed ones were, a few at a time: lists of all kinds answer as they should in the middle of that, and do
/// not grow.
#[test]
fn holes_are_closed_while_rules_come_and_go() {
    let random = &mut Random::new(11);
    let world = Universe::new(random, 600);
    let mut rules = Classifier::<&PortBits, u32, Heap>::new(Heap, 1, usize::MAX);
    let mut list: Vec<(Pattern<&PortBits>, RuleKey)> = Vec::new();
    let mut most = 0;
    for round in 0..30_000 {
        if list.len() == 500 {
            let gone = if round % 3 == 0 { 0 } else { random.below(500) };
            let (_, key) = list.remove(gone);
            assert!(rules.remove(key).is_some());
        }
        let pattern = world.pattern(random);
        list.push((pattern, rules.push(pattern, round).expect("memory")));
        if round == 5_000 {
            most = rules.memory_bytes();
        }
        if round % 16 == 0 {
            let frame = world.frame(random);
            let mut scratch = xdp_packet::Scratch::new();
            let packet = xdp_packet::Packet::parse(&Frame::new(&frame), Depth::Upper, &mut scratch);
            let walked = xdp_rules::walker::walk(list.iter().map(|(pattern, _)| pattern), &packet);
            let expected = walked.map(|index| list[index].1);
            assert_eq!(
                rules.classify(&Frame::new(&frame)).map(|hit| hit.key),
                expected
            );
        }
    }
    let order: Vec<RuleKey> = rules.iter().map(|(key, ..)| key).collect();
    assert!(order.iter().eq(list.iter().map(|(_, key)| key)));
    // Some structures are as large as the most they ever held.
    assert!(rules.memory_bytes() < most + most / 4, "{most}");
}

#[test]
fn a_list_refuses_what_exceeds_its_limit_and_stays_as_it_was() {
    let mut random = Random::new(8);
    let world = Universe::new(&mut random, 400);
    let frames: Vec<Vec<u8>> = (0..200).map(|_| world.frame(&mut random)).collect();
    for limit in [0, 100, 3000, 20_000, 60_000, 200_000] {
        let mut rules = Classifier::<&PortBits, u32, Heap>::new(Heap, 3, limit);
        let mut twin = Classifier::<&PortBits, u32, Heap>::new(Heap, 3, usize::MAX);
        let mut refused = 0;
        for value in 0..3000 {
            let pattern = world.pattern(&mut random);
            match rules.push(pattern, value) {
                Ok(_) => {
                    twin.push(pattern, value).expect("no limit");
                }
                Err(OutOfMemory) => refused += 1,
            }
        }
        assert_eq!(rules.len(), twin.len());
        assert!(refused > 0, "{limit}");
        assert!(rules.memory_bytes() - size_of_val(&rules) <= limit);
        for frame in &frames {
            let frame = Frame::new(frame);
            let expected = twin.classify(&frame).map(|hit| *hit.value);
            assert_eq!(rules.classify(&frame).map(|hit| *hit.value), expected);
        }
    }
}

/// Memory whose every n-th growth fails.
#[derive(Clone, Default)]
struct Flaky(std::rc::Rc<std::cell::Cell<u32>>);

struct FlakyBuf<T>(Vec<T>, Flaky);

impl<T> std::ops::Deref for FlakyBuf<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> std::ops::DerefMut for FlakyBuf<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> xdp_rules::Buffer<T> for FlakyBuf<T> {
    fn try_reserve_exact(&mut self, additional: usize) -> Result<(), OutOfMemory> {
        let count = self.1.0.get() + 1;
        self.1.0.set(count);
        if count.is_multiple_of(3) {
            return Err(OutOfMemory);
        }
        self.0.reserve_exact(additional);
        Ok(())
    }

    fn try_push(&mut self, value: T) -> Result<(), OutOfMemory> {
        // What was not reserved is not there.
        assert!(self.0.len() < self.0.capacity());
        self.0.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn capacity(&self) -> usize {
        self.0.capacity()
    }
}

impl Store for Flaky {
    type Buf<T> = FlakyBuf<T>;

    fn buffer<T>(&self) -> FlakyBuf<T> {
        FlakyBuf(Vec::new(), self.clone())
    }
}

#[test]
fn growth_that_fails_anywhere_changes_no_answer() {
    let mut random = Random::new(77);
    let world = Universe::new(&mut random, 300);
    let frames: Vec<Vec<u8>> = (0..120).map(|_| world.frame(&mut random)).collect();
    let mut rules = Classifier::<&PortBits, u32, Flaky>::new(Flaky::default(), 3, usize::MAX);
    let mut twin = Classifier::<&PortBits, u32, Heap>::new(Heap, 3, usize::MAX);
    let mut keys = Vec::new();
    let mut refused = 0;
    for value in 0..4000 {
        let pattern = world.pattern(&mut random);
        match rules.push(pattern, value) {
            Ok(key) => keys.push((key, twin.push(pattern, value).expect("memory"))),
            Err(OutOfMemory) => refused += 1,
        }
        if random.one_in(3) && !keys.is_empty() {
            let (key, other) = keys.swap_remove(random.below(keys.len()));
            let removed = rules.remove(key).map(|(_, value)| value);
            assert_eq!(removed, twin.remove(other).map(|(_, value)| value));
            assert!(removed.is_some());
        }
        if value % 100 == 0 {
            for frame in &frames {
                let frame = Frame::new(frame);
                let expected = twin.classify(&frame).map(|hit| *hit.value);
                assert_eq!(rules.classify(&frame).map(|hit| *hit.value), expected);
            }
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn hits_are_counted_for_each_rule() {
    let mut rules = Plain::new(Heap, 1, usize::MAX);
    let mut counters = HitCounters::new(&Heap);
    let dns = rules.push(Pattern::UdpDst(53), 1).expect("memory");
    let rest = rules.push(Pattern::All, 2).expect("memory");
    counters.start(dns).expect("memory");
    counters.start(rest).expect("memory");
    for port in [53, 53, 80, 53] {
        let frame = udp(port);
        let hit = rules.classify(&Frame::new(&frame)).expect("all match");
        counters.record(hit.key);
    }
    assert_eq!((counters.get(dns), counters.get(rest)), (3, 1));
    // A rule that takes over the number of another starts at zero.
    rules.remove(dns).expect("there");
    let new = rules.push(Pattern::Udp, 3).expect("memory");
    counters.start(new).expect("memory");
    assert_eq!((new.index(), counters.get(new)), (dns.index(), 0));
}

#[test]
fn port_sets_stay_live() {
    let set = PortBits::default();
    let mut rules = Classifier::<&PortBits, u32, Heap>::new(Heap, 1, usize::MAX);
    rules.push(Pattern::UdpPortSet(&set), 1).expect("memory");
    let frame = udp(4433);
    assert!(rules.classify(&Frame::new(&frame)).is_none());
    set.set(4433, true);
    assert!(rules.classify(&Frame::new(&frame)).is_some());
    set.set(4433, false);
    assert!(rules.classify(&Frame::new(&frame)).is_none());
}

/// A set that is only told apart from others.
#[derive(Clone)]
struct Named(u64);

impl PortSet for Named {
    fn contains(&self, _: Port) -> bool {
        self.0 & 1 != 0
    }

    fn identity(&self) -> u64 {
        self.0
    }
}

#[test]
fn rules_with_sets_and_addresses_of_their_own_take_at_most_200_bytes_each() {
    let mut rules = Classifier::<Named, u32, Heap>::new(Heap, 1, usize::MAX);
    rules.reserve(10_000).expect("memory");
    for number in 0..10_000u32 {
        let at = AddressPorts {
            address: Ipv6Addr::from_bits(u128::from(number) << 40),
            ports: Named(number.into()),
        };
        let pattern = Pattern::Ipv6UdpPortSet(at);
        rules.push(pattern, number).expect("memory");
    }
    let each = rules.memory_bytes() / rules.len();
    assert!(each <= 200, "{each} bytes for each rule");
}

#[test]
fn sets_of_one_address_take_the_place_of_the_first_one() {
    let address = Ipv4Addr::new(10, 0, 0, 1);
    let sets: Vec<PortBits> = (0..3).map(|_| PortBits::default()).collect();
    sets.iter().for_each(|set| set.set(53, true));
    let mut rules = Classifier::<&PortBits, u32, Heap>::new(Heap, 1, usize::MAX);
    let keys: Vec<RuleKey> = [0, 1, 2, 0, 1, 0]
        .iter()
        .map(|&set| {
            let ports = &sets[set];
            let pattern = Pattern::Ipv4UdpPortSet(AddressPorts { address, ports });
            rules.push(pattern, 0).expect("memory")
        })
        .collect();
    let frame = FrameBuilder::new()
        .ipv4(Ipv4Addr::LOCALHOST, address)
        .udp(1, 53)
        .finish();
    // The set of the first rule moves behind the others, is taken, comes first again, and goes for good.
    for (remove, first) in [(0, 1), (1, 2), (3, 2), (2, 4), (4, 5)] {
        assert!(rules.remove(keys[remove]).is_some());
        let hit = rules.classify(&Frame::new(&frame)).expect("a set holds it");
        assert_eq!(hit.key, keys[first]);
    }
    assert!(rules.remove(keys[5]).is_some());
    assert_eq!(rules.classify(&Frame::new(&frame)), None);
}
