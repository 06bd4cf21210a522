//! Frames that are classified together: every frame gets its own answer, in the order in which they were added.

use std::cell::Cell;
use std::net::Ipv4Addr;

use xdp_abi::Port;
use xdp_packet::{Depth, Frame, FrameBuilder, Packet};
use xdp_rules::oracle::{PortBits, Random};
use xdp_rules::{AddressPorts, Classifier, Heap, Masked, Pattern, PortSet, Tuple, walker};

type Rules<P> = Classifier<P, usize, Heap>;

fn udp4(from: u16, to: u16) -> Vec<u8> {
    let frame = FrameBuilder::new().ipv4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
    frame.udp(from, to).finish()
}

fn udp6(to: u16) -> Vec<u8> {
    let frame = FrameBuilder::new().ipv6(1.into_v6(), 2.into_v6());
    frame.udp(1, to).finish()
}

trait IntoV6 {
    fn into_v6(self) -> std::net::Ipv6Addr;
}

impl IntoV6 for u128 {
    fn into_v6(self) -> std::net::Ipv6Addr {
        std::net::Ipv6Addr::from_bits(self)
    }
}

fn compile<P: PortSet + Clone>(patterns: impl IntoIterator<Item = Pattern<P>>) -> Rules<P> {
    let mut rules = Rules::new(Heap, 1, usize::MAX);
    for (index, pattern) in patterns.into_iter().enumerate() {
        rules.push(pattern, index).expect("memory");
    }
    rules
}

fn tuples() -> Rules<&'static PortBits> {
    compile((0..200).map(|port| {
        Pattern::Ipv4UdpTuple(Tuple {
            source: Ipv4Addr::LOCALHOST,
            destination: Ipv4Addr::LOCALHOST,
            source_port: port,
            destination_port: 443,
        })
    }))
}

/// Adds frames by way of a batch, every third in two buffers, and returns which item was decided on with which rule.
fn in_a_batch<P: PortSet + Clone>(
    rules: &Rules<P>,
    frames: &[Vec<u8>],
) -> Vec<(usize, Option<usize>)> {
    let mut found = Vec::new();
    let mut decided = |item: Box<usize>, hit: Option<xdp_rules::Hit<'_, usize>>| {
        found.push((*item, hit.map(|hit| *hit.value)));
    };
    let mut batch = rules.batch().expect("the list gains from it");
    for (index, frame) in frames.iter().enumerate() {
        let item = Box::new(index);
        if index % 3 == 2 {
            let (head, tail) = frame.split_at(frame.len() / 2);
            batch.add_frame(item, &Frame::from_buffers(&[head, tail]), &mut decided);
        } else {
            batch.add(item, frame, &mut decided);
        }
    }
    batch.finish(&mut decided);
    found
}

fn one_by_one<P: PortSet + Clone>(
    rules: &Rules<P>,
    frames: &[Vec<u8>],
) -> Vec<(usize, Option<usize>)> {
    let hits = frames.iter().map(|frame| {
        let hit = rules.classify(&Frame::new(frame));
        hit.map(|hit| *hit.value)
    });
    hits.enumerate().collect()
}

#[test]
fn every_frame_is_decided_on_once_and_in_order() {
    let rules = tuples();
    for count in [0, 1, 2, 31, 32, 33, 64, 100] {
        let frames: Vec<_> = (0..count)
            .map(|nth| match nth % 5 {
                0 => udp6(443),
                1 => vec![0xFF; nth],
                _ => udp4((nth * 3) as u16, 443),
            })
            .collect();
        let found = in_a_batch(&rules, &frames);
        assert_eq!(found, one_by_one(&rules, &frames));
        assert!(count < 64 || found.iter().any(|(_, rule)| rule.is_some()));
    }
}

/// Sets at addresses, some of which have two.
fn addresses(sets: &[PortBits]) -> Rules<&PortBits> {
    for (nth, set) in (0u16..).zip(sets) {
        (0..400).for_each(|port| set.set(port, (port / 7 + nth).is_multiple_of(3)));
    }
    let at = |last, ports| {
        let address = Ipv4Addr::new(127, 0, 0, last);
        Pattern::Ipv4UdpPortSet(AddressPorts { address, ports })
    };
    compile([
        at(1, &sets[0]),
        at(2, &sets[0]),
        at(1, &sets[1]),
        at(3, &sets[2]),
    ])
}

#[test]
fn every_frame_asks_the_sets_of_its_address() {
    let sets: Vec<PortBits> = (0..3).map(|_| PortBits::default()).collect();
    let rules = addresses(&sets);
    for count in [1, 31, 32, 33, 300] {
        let frames: Vec<_> = (0..count)
            .map(|nth| match nth % 5 {
                0 => udp6(443),
                1 => vec![0xFF; nth % 64],
                _ => udp4(443, nth as u16),
            })
            .collect();
        let found = in_a_batch(&rules, &frames);
        assert_eq!(found, one_by_one(&rules, &frames));
        let one_of = |value| found.iter().any(|(_, rule)| *rule == value);
        assert!(count < 300 || one_of(Some(0)) && one_of(Some(2)) && one_of(None));
    }
}

#[test]
fn a_frame_in_pieces_does_not_take_the_answer_of_the_one_before() {
    let rules = tuples();
    // The third is split and no UDP at all; the second has a rule.
    let frames = [udp4(900, 443), udp4(7, 443), vec![0; 80], udp4(8, 443)];
    let found = in_a_batch(&rules, &frames);
    assert_eq!(found, [(0, None), (1, Some(7)), (2, None), (3, Some(8))]);
}

/// A set that counts how often it is asked.
struct Counted<'a>(&'a PortBits, Cell<u32>);

impl PortSet for Counted<'_> {
    fn contains(&self, port: Port) -> bool {
        self.1.set(self.1.get() + 1);
        self.0.contains(port)
    }

    fn identity(&self) -> u64 {
        self.0.identity()
    }
}

#[test]
fn a_port_set_is_asked_once_for_each_port_of_a_batch() {
    let bits: Vec<PortBits> = (0..3).map(|_| PortBits::default()).collect();
    let sets: Vec<_> = bits
        .iter()
        .map(|bits| Counted(bits, Cell::new(0)))
        .collect();
    bits[1].set(53, true);
    bits[2].set(80, true);
    let rules = compile(sets.iter().map(Pattern::UdpPortSet));
    // Ports that are alike in their lower bits, of both IP versions.
    let ports = [53u16, 53 + 64, 80, 53, 80 + 128, 53];
    let frames: Vec<_> = ports
        .iter()
        .flat_map(|&port| [udp4(1, port), udp6(port), udp4(2, port)])
        .take(16)
        .collect();
    let mut hits = Vec::new();
    let whole = frames.iter().map(|frame| Frame::new(frame));
    rules.classify_many(whole, |hit| hits.push(hit.map(|hit| *hit.value)));
    let expected: Vec<_> = one_by_one_of(&bits, &frames);
    assert_eq!(hits, expected);
    let asked: Vec<u32> = sets.iter().map(|set| set.1.get()).collect();
    // What shares a place among the ports seen is asked anew when it comes back.
    assert!(asked.iter().all(|&count| count <= 6), "{asked:?}");

    // The next batch sees a change.
    bits[0].set(53, true);
    let mut first = None;
    rules.classify_many([Frame::new(&frames[0])], |hit| {
        first = hit.map(|hit| *hit.value)
    });
    assert_eq!(first, Some(0));
}

/// What a walk along the sets finds.
fn one_by_one_of(bits: &[PortBits], frames: &[Vec<u8>]) -> Vec<Option<usize>> {
    let port = |frame: &[u8]| {
        let at = if frame[12] == 8 { 36 } else { 56 };
        Port::new(u16::from_be_bytes([frame[at], frame[at + 1]]))
    };
    let holding = |frame: &Vec<u8>| bits.iter().position(|set| set.contains(port(frame)));
    frames.iter().map(holding).collect()
}

#[test]
fn a_change_is_seen_soon_in_a_long_chain_too() {
    let bits: Vec<PortBits> = (0..2).map(|_| PortBits::default()).collect();
    let rules = compile(bits.iter().map(Pattern::UdpPortSet));
    let frame = udp4(1, 53);
    let frames = (0..300).map(|nth| {
        bits[1].set(53, nth >= 100);
        bits[0].set(53, nth >= 200);
        Frame::new(&frame)
    });
    let mut hits = Vec::new();
    rules.classify_many(frames, |hit| hits.push(hit.map(|hit| *hit.value)));
    assert!(hits[..100].iter().all(Option::is_none));
    assert!(hits[164..200].iter().all(|hit| *hit == Some(1)));
    assert!(hits[264..].iter().all(|hit| *hit == Some(0)));
}

/// One of a few addresses; one of them is what an unused place of a table has.
fn address(random: &mut Random) -> Ipv4Addr {
    Ipv4Addr::from_bits(random.below(100) as u32)
}

/// Changes a list of one kind of rules again and again. Whichever way frames are decided on, they get what a walk along the
/// list says.
fn every_way_agrees(seed: u64, rule: impl Fn(&mut Random) -> Pattern<&'static PortBits>) {
    let random = &mut Random::new(seed);
    let mut rules = Rules::new(Heap, random.word(), usize::MAX);
    let mut keys = Vec::new();
    let (mut decided, mut missed, mut batches) = (0, 0, 0);
    for step in 0..3000 {
        // More and more, then fewer and fewer.
        let grows = random.below(3) > usize::from(step / 500 % 2 == 1);
        if grows || keys.is_empty() {
            keys.push(rules.push(rule(random), step).expect("memory"));
        } else {
            let key = keys.swap_remove(random.below(keys.len()));
            assert!(rules.remove(key).is_some());
        }
        if step % 8 != 0 {
            continue;
        }
        let frames: Vec<_> = (0..random.below(40))
            .map(|_| {
                let frame = FrameBuilder::new().ipv4(Ipv4Addr::LOCALHOST, address(random));
                frame.udp(1, random.below(8) as u16).finish()
            })
            .collect();
        let patterns: Vec<_> = rules.iter().map(|(_, pattern, _)| *pattern).collect();
        let values: Vec<_> = rules.iter().map(|(_, _, value)| *value).collect();
        let walked: Vec<_> = frames
            .iter()
            .map(|frame| {
                let packet = Packet::parse_slice(frame, Depth::Upper);
                walker::walk(&patterns, &packet).map(|index| values[index])
            })
            .collect();
        let mut many = Vec::new();
        let whole = frames.iter().map(|frame| Frame::new(frame));
        rules.classify_many(whole, |hit| many.push(hit.map(|hit| *hit.value)));
        assert_eq!(many, walked);
        let numbered = walked.iter().copied().enumerate();
        assert_eq!(
            one_by_one(&rules, &frames),
            numbered.clone().collect::<Vec<_>>()
        );
        if rules.batch::<()>().is_some() {
            assert_eq!(in_a_batch(&rules, &frames), numbered.collect::<Vec<_>>());
            batches += 1;
        }
        decided += walked.iter().flatten().count();
        missed += walked.iter().filter(|rule| rule.is_none()).count();
    }
    assert!(decided > 500 && missed > 500, "{decided}, {missed}");
    assert!(batches > 300, "{batches}");
}

#[test]
fn every_way_agrees_on_port_sets() {
    let sets: &[PortBits] = (0..3)
        .map(|_| PortBits::default())
        .collect::<Vec<_>>()
        .leak();
    for (nth, set) in sets.iter().enumerate() {
        (0..8).for_each(|port| set.set(port, port as usize % 4 == nth));
    }
    every_way_agrees(1, |random| {
        Pattern::Ipv4UdpPortSet(AddressPorts {
            address: address(random),
            ports: random.pick(&[&sets[0], &sets[1], &sets[2]]),
        })
    });
}

#[test]
fn every_way_agrees_on_flows() {
    every_way_agrees(2, |random| {
        Pattern::Ipv4UdpTuple(Tuple {
            source: Ipv4Addr::LOCALHOST,
            destination: address(random),
            source_port: 1,
            destination_port: random.below(4) as u16,
        })
    });
}

#[test]
fn every_way_agrees_on_prefixes() {
    every_way_agrees(3, |random| {
        let mask = u32::MAX << random.below(5);
        Pattern::Ipv4DstMask(Masked {
            mask: mask.into(),
            address: (address(random).to_bits() & mask).into(),
        })
    });
}
