//! `cargo xtask bench rules`: the classifier beside the plain walker and the maps that a user could pick for one kind of list.
//!
//! Everybody starts from the bytes of a frame. Each list is met by one frame again and again (`hot`) and by many different
//! ones that decide at rules from all over the list (`stream`).

mod change;
mod lists;
mod peers;
mod targets;

use std::hint::black_box;
use std::time::Instant;

use xdp_packet::{Depth, Frame, Packet};
use xdp_rules::oracle::{PortBits, Random};
use xdp_rules::{Classifier, Heap, Pattern, walker};

use super::measure::{Bench, Case, Contender};
use lists::{Frames, Rule, frame_for};
use peers::{HandTable, Hashbrown, Trie};

/// The measured classifier.
type Compiled<'a> = Classifier<&'a PortBits, u32, Heap>;

/// Different frames in a stream.
const STREAM: usize = 4096;
/// Few enough of them that they, and what decides about them, lie in a second-level cache.
const FEW: usize = 512;
/// Frames for each iteration that is timed.
const BATCH: usize = 64;
/// A port that all sets hold.
const PORT: u16 = 4433;

/// Ports that only the last of the sets holds.
const APART: u16 = 1000;

/// One of them: far enough from the others that few are in one cache line of a set.
const fn apart(nth: u16) -> u16 {
    10_000 + nth % APART * 37
}

/// Runs the cases.
pub(super) fn run(bench: &Bench) -> anyhow::Result<Vec<Case>> {
    let random = &mut Random::new(2026);
    let sets: Vec<PortBits> = (0..64).map(|_| PortBits::default()).collect();
    for set in &sets {
        set.set(PORT, true);
    }
    let mut lists: Vec<(&str, Vec<Rule<'_>>)> = vec![
        ("1 match-all", vec![Pattern::All]),
        ("1 UDP port", vec![Pattern::UdpDst(443)]),
        ("1 IPv4 5-tuple", lists::tuples4(1, random)),
        ("100 IPv4 5-tuples", lists::tuples4(100, random)),
        ("10,000 IPv4 5-tuples", lists::tuples4(10_000, random)),
        ("100,000 IPv4 5-tuples", lists::tuples4(100_000, random)),
        ("10,000 IPv6 5-tuples", lists::tuples6(10_000, random)),
        (
            "10,000 IPv4 prefixes",
            lists::prefixes4(10_000, None, random),
        ),
        (
            "10,000 IPv4 prefixes below one /8",
            lists::prefixes4(10_000, Some((10 << 24, 8)), random),
        ),
        ("10,000 IPv6 prefixes", lists::prefixes6(10_000, random)),
        ("1 port set", vec![Pattern::UdpPortSet(&sets[0])]),
        (
            "10,000 rules with one port set",
            vec![Pattern::UdpPortSet(&sets[0]); 10_000],
        ),
        (
            "10,000 addresses with port sets",
            lists::address_sets(10_000, &sets, random),
        ),
    ];
    // Only the last of these holds the port: each set has to be asked.
    for set in &sets[..63] {
        set.set(PORT + 1, false);
    }
    sets[63].set(PORT + 1, true);
    (0..APART).for_each(|nth| sets[63].set(apart(nth), true));
    lists.extend([
        (
            "64 live port sets without address, ports in turn",
            sets.iter().map(Pattern::UdpPortSet).collect(),
        ),
        (
            "64 live port sets without address, the last one holds",
            sets.iter().map(Pattern::UdpPortSet).collect(),
        ),
        ("10,000 QUIC source IDs", lists::cids(10_000, true, random)),
        (
            "10,000 QUIC destination IDs",
            lists::cids(10_000, false, random),
        ),
        (
            "10,000 IPv4 destinations under 32 masks",
            lists::masks4(10_000, 32, random),
        ),
        (
            "10,000 rules of all 23 kinds",
            lists::mixed(10_000, &sets[..8], random),
        ),
    ]);
    let mut cases = Vec::new();
    // Copies, so that it does not matter which other memory one of them gets in the way of.
    let hot = frame_for(&Pattern::UdpDst(443), PORT, random);
    let hot = Frames::new(16, || hot.clone());
    for (name, rules) in &lists {
        let port = if name.starts_with("64") {
            PORT + 1
        } else {
            PORT
        };
        for (kind, count) in [("hot", 1), ("stream", STREAM)] {
            let name = format!("{name}, {kind}");
            if !bench.wants(&name) {
                continue;
            }
            // A single rule decides about any number of frames; a list is met all over.
            let mut next = 0;
            let frames = Frames::new(count, || {
                next += 1;
                let port = if name.contains("ports in turn") {
                    apart(next)
                } else {
                    port
                };
                let index = if count == 1 {
                    rules.len() / 2
                } else {
                    random.below(rules.len())
                };
                frame_for(&rules[index], port, random)
            });
            cases.extend(find(bench, &name, rules, &frames, &hot)?.map(targets::judge));
        }
    }
    cases.extend(change::run(bench, &lists)?);
    Ok(cases)
}

/// Compiles a list.
fn compile<'a>(rules: &[Rule<'a>]) -> anyhow::Result<Compiled<'a>> {
    let mut compiled = Compiled::new(Heap, 0x5EED, usize::MAX);
    compiled.reserve(rules.len())?;
    for (index, rule) in rules.iter().enumerate() {
        compiled.push(*rule, index as u32)?;
    }
    Ok(compiled)
}

/// Measures finding the rule for frames; `hot` has the yardstick's frame.
fn find(
    bench: &Bench,
    name: &str,
    rules: &[Rule<'_>],
    frames: &Frames,
    hot: &Frames,
) -> anyhow::Result<Option<Case>> {
    let compiled = compile(rules)?;
    let (hashbrown, hand, trie) = (
        Hashbrown::new(rules),
        HandTable::new(rules),
        Trie::new(rules),
    );
    let compiled = &compiled;
    verify(name, compiled, rules, frames)?;
    let many = |frames: &[&[u8]; BATCH]| {
        let mut values = [0; BATCH];
        let mut places = values.iter_mut();
        compiled.classify_many(frames.iter().map(|bytes| Frame::new(bytes)), |hit| {
            if let Some(place) = places.next() {
                *place = hit.map_or(u32::MAX, |hit| *hit.value);
            }
        });
        values
    };
    let mut contenders = vec![
        over_many("classifier", frames, frames.len(), many),
        over("classifier, frame by frame", frames, |bytes| {
            let hit = compiled.classify(&Frame::new(bytes));
            hit.map_or(u32::MAX, |hit| *hit.value)
        }),
        targets::yardstick(hot),
        over("parsing alone", frames, |bytes| {
            let packet = Packet::parse_slice(bytes, Depth::Transport);
            u32::from(packet.facts().0)
        }),
        over("walker", frames, |bytes| {
            let packet = Packet::parse_slice(bytes, Depth::Upper);
            walker::walk(rules, &packet).map_or(u32::MAX, |index| index as u32)
        }),
    ];
    if frames.len() > FEW {
        // Beside the whole stream: what does not lie in the caches near the processor makes the difference.
        let name = format!("classifier, {FEW} of the frames");
        contenders.push(over_many(&name, frames, FEW, many));
    }
    match rules.first() {
        Some(Pattern::Ipv4UdpTuple(_)) => {
            contenders.push(over("hashbrown and foldhash", frames, |bytes| {
                let packet = Packet::parse_slice(bytes, Depth::Transport);
                hashbrown.find(&packet).unwrap_or(u32::MAX)
            }));
            contenders.push(over("hand-made table", frames, |bytes| {
                let packet = Packet::parse_slice(bytes, Depth::Transport);
                hand.find(&packet).unwrap_or(u32::MAX)
            }));
        }
        Some(Pattern::Ipv4DstMask(masked))
            if masked.mask.to_bits().leading_ones() == masked.mask.to_bits().count_ones() =>
        {
            contenders.push(over("prefix-trie", frames, |bytes| {
                let packet = Packet::parse_slice(bytes, Depth::Network);
                trie.find(&packet).unwrap_or(u32::MAX)
            }));
        }
        Some(Pattern::Ipv6DstMask(_)) => {
            contenders.push(over("prefix-trie", frames, |bytes| {
                let packet = Packet::parse_slice(bytes, Depth::Network);
                trie.find(&packet).unwrap_or(u32::MAX)
            }));
        }
        _ => {}
    }
    let case = bench.case(name, contenders)?;
    let memory = compiled.memory_bytes() as f64;
    Ok(case.map(|case| {
        case.note("memory of the classifier, bytes", memory)
            .note("memory per rule, bytes", memory / rules.len() as f64)
    }))
}

/// A contender that decides about the frames in turn.
///
/// Each slice begins with a pass over all frames that is not timed: what is measured is a classifier in use, not what the
/// contender before left in the caches.
fn over<'a>(name: &str, frames: &'a Frames, decide: impl Fn(&[u8]) -> u32 + 'a) -> Contender<'a> {
    let (mut next, count_of_frames) = (0, frames.len());
    let frames = frames.slices();
    let mut batches = move |count: u64| {
        for _ in 0..count {
            for _ in 0..BATCH {
                black_box(decide(black_box(frames[next])));
                next += 1;
                if next == count_of_frames {
                    next = 0;
                }
            }
        }
    };
    Contender::timed(name, BATCH as u64, move |iterations| {
        batches(iterations.min((count_of_frames / BATCH) as u64));
        let start = Instant::now();
        batches(iterations);
        start.elapsed()
    })
}

/// A contender that decides about the first `count` frames by the batch, as a driver does that is handed chains of them.
fn over_many<'a>(
    name: &str,
    frames: &'a Frames,
    count: usize,
    decide: impl Fn(&[&[u8]; BATCH]) -> [u32; BATCH] + 'a,
) -> Contender<'a> {
    let count = count.next_multiple_of(BATCH);
    let frames: Vec<&[u8]> = frames.slices().into_iter().cycle().take(count).collect();
    let mut next = 0;
    let mut batches = move |count: u64| {
        let batches = frames.as_chunks::<BATCH>().0;
        for _ in 0..count {
            black_box(decide(black_box(&batches[next])));
            next += 1;
            if next == batches.len() {
                next = 0;
            }
        }
    };
    Contender::timed(name, BATCH as u64, move |iterations| {
        batches(iterations.min((count / BATCH) as u64));
        let start = Instant::now();
        batches(iterations);
        start.elapsed()
    })
}

/// Checks that what will be measured is right.
fn verify(
    name: &str,
    compiled: &Compiled<'_>,
    rules: &[Rule<'_>],
    frames: &Frames,
) -> anyhow::Result<()> {
    let slices = frames.slices();
    let many: Vec<Frame<'_>> = slices.iter().map(|bytes| Frame::new(bytes)).collect();
    let mut hits = Vec::new();
    compiled.classify_many(many, |hit| hits.push(hit.map(|hit| *hit.value)));
    let step = (frames.len() / 256).max(1);
    for (index, bytes) in slices.into_iter().enumerate().step_by(step) {
        let packet = Packet::parse_slice(bytes, Depth::Upper);
        let expected = walker::walk(rules, &packet).map(|index| index as u32);
        let found = compiled.classify(&Frame::new(bytes)).map(|hit| *hit.value);
        let among_many = hits[index];
        anyhow::ensure!(
            expected == found && among_many == expected && expected.is_some(),
            "{name}: frame {index} is decided by rule {expected:?}, not {found:?} or {among_many:?}"
        );
    }
    Ok(())
}
