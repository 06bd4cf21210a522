//! What there is to watch at one moment, and what changed between two.

use std::collections::BTreeMap;
use std::time::Duration;

use xdp_abi::inventory::{Entries, EntryKind, Program, RuleHits, RxQueue};
use zerocopy::FromBytes;

use crate::session::{Listing, Traffic};
use crate::status::{entry, hook_name};
use crate::talkers::Talker;

/// A queue and the hook at it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    pub(super) interface: String,
    pub(super) hook: &'static str,
    pub(super) queue: u32,
}

/// A reason, and where the driver counts it.
type Loss = (&'static str, fn(&RxQueue) -> u64);

/// Why frames are lost, beside rules that drop them.
pub(super) const LOSSES: [Loss; 11] = [
    ("no room in the socket", |it| it.counters[1]),
    ("no such socket", |it| it.misdirected),
    ("not mapped", |it| it.generic_counters[0]),
    ("not linear", |it| it.generic_counters[1]),
    ("back: no memory", |it| it.generic_counters[2]),
    ("back: too many", |it| it.generic_counters[3]),
    ("back: bad header", |it| it.generic_counters[4]),
    ("back: too short", |it| it.forward_short),
    ("back: paused", |it| it.forward_paused),
    ("back: not sent", |it| it.forward_failed),
    ("bad descriptors", |it| it.counters[2]),
];

/// Frames of a queue by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    pub(super) passed: u64,
    pub(super) dropped: u64,
    pub(super) redirected: u64,
    pub(super) sent_back: u64,
    /// In the order of [`LOSSES`].
    pub(super) lost: [u64; LOSSES.len()],
}

/// A number that grows, since another time; one that is smaller has begun again.
const fn since(now: u64, before: u64) -> u64 {
    match now.checked_sub(before) {
        Some(difference) => difference,
        None => now,
    }
}

impl Frames {
    fn of(it: &RxQueue) -> Self {
        Self {
            passed: it.counters[4],
            dropped: it.counters[5],
            redirected: it.counters[6],
            sent_back: it.counters[7],
            lost: LOSSES.map(|(_, count)| count(it)),
        }
    }

    /// All that came: every frame has one verdict.
    pub(super) fn seen(&self) -> u64 {
        self.passed + self.dropped + self.redirected + self.sent_back
    }

    pub(super) fn all_lost(&self) -> u64 {
        self.lost.iter().sum()
    }

    fn since(&self, before: &Self) -> Self {
        let mut lost = self.lost;
        for (now, before) in lost.iter_mut().zip(before.lost) {
            *now = since(*now, before);
        }
        Self {
            passed: since(self.passed, before.passed),
            dropped: since(self.dropped, before.dropped),
            redirected: since(self.redirected, before.redirected),
            sent_back: since(self.sent_back, before.sent_back),
            lost,
        }
    }
}

/// A rule of a program at a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RuleKey {
    pub(super) interface: String,
    pub(super) queue: u32,
    pub(super) program: u64,
    /// From 1.
    pub(super) number: usize,
}

/// A rule in words, and its hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its name, or `rule 2`.
    pub(super) name: String,
    /// What it matches and does, if that is known.
    pub(super) text: String,
    pub(super) hits: u64,
}

/// What there is to watch at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Since the start.
    pub(super) at: Duration,
    pub(super) queues: BTreeMap<QueueKey, Frames>,
    pub(super) rules: BTreeMap<RuleKey, Rule>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) talkers: Vec<Talker>,
}

impl Sample {
    /// Reads the driver's list. Rules get the names that `rules` has for them.
    pub(super) fn read(
        list: &[u8],
        names: &BTreeMap<u32, String>,
        rules: &Listing,
        only: Option<u32>,
    ) -> Self {
        let mut sample = Self::default();
        let is_meant = |index: u32| only.is_none_or(|only| only == index);
        let name = |index: u32| {
            let known = names.get(&index).cloned();
            known.unwrap_or_else(|| format!("interface {index}"))
        };
        let entries = || Entries::new(list).into_iter().flatten();
        let programs: BTreeMap<u64, Program> = entries()
            .filter(|(kind, _)| *kind == EntryKind::PROGRAM)
            .filter_map(|(_, bytes)| Program::read_from_prefix(bytes).ok())
            .map(|(program, _)| (program.id, program))
            .collect();
        for (kind, bytes) in entries() {
            if kind == EntryKind::RX_QUEUE {
                let it: RxQueue = entry(bytes);
                if is_meant(it.if_index) {
                    let key = QueueKey {
                        interface: name(it.if_index),
                        hook: hook_name(it.hook),
                        queue: it.queue,
                    };
                    sample.queues.insert(key, Frames::of(&it));
                }
            }
            if kind == EntryKind::RULE_HITS
                && let Some((it, hits)) = RuleHits::read(bytes)
                && is_meant(it.if_index)
            {
                let interface = name(it.if_index);
                let rule_count = programs
                    .get(&it.program)
                    .map(|program| program.rules as usize);
                // Whoever holds the rules knows them by name; other programs have as many rules by accident only.
                let known = rules.interfaces.iter().find(|known| {
                    known.interface == interface && Some(known.rules.len()) == rule_count
                });
                for (number, hits) in (it.first_rule as usize + 1..).zip(hits) {
                    let info = known.and_then(|known| known.rules.get(number - 1));
                    let key = RuleKey {
                        interface: interface.clone(),
                        queue: it.queue,
                        program: it.program,
                        number,
                    };
                    let rule = Rule {
                        name: info
                            .and_then(|info| info.name.clone())
                            .unwrap_or_else(|| format!("rule {number}")),
                        text: info.map_or_else(String::new, |info| {
                            format!("{} {}", info.condition, info.action)
                        }),
                        hits,
                    };
                    sample.rules.insert(key, rule);
                }
            }
        }
        sample
    }

    /// What changed since another sample; what was not there then began at zero.
    pub(super) fn since(&self, before: &Self) -> Change {
        let queues = self.queues.iter().map(|(key, frames)| {
            let then = before.queues.get(key).copied().unwrap_or_default();
            (key.clone(), frames.since(&then))
        });
        let rules = self.rules.iter().map(|(key, rule)| {
            let then = before.rules.get(key).map_or(0, |rule| rule.hits);
            (key.clone(), since(rule.hits, then))
        });
        let traffic = self.traffic.iter().map(|now| {
            let then = before
                .traffic
                .iter()
                .find(|then| then.interface == now.interface);
            let then = then.cloned().unwrap_or_default();
            Traffic {
                interface: now.interface.clone(),
                received: since(now.received, then.received),
                received_bytes: since(now.received_bytes, then.received_bytes),
                sent: since(now.sent, then.sent),
                sent_bytes: since(now.sent_bytes, then.sent_bytes),
            }
        });
        let talkers = self.talkers.iter().map(|now| {
            let then = before.talkers.iter().find(|then| then.pair == now.pair);
            let (frames, bytes) = then.map_or((0, 0), |then| (then.frames, then.bytes));
            Talker {
                pair: now.pair.clone(),
                frames: since(now.frames, frames),
                bytes: since(now.bytes, bytes),
            }
        });
        Change {
            seconds: self.at.saturating_sub(before.at).as_secs_f64().max(1e-3),
            queues: queues.collect(),
            rules: rules.collect(),
            traffic: traffic.collect(),
            talkers: talkers.collect(),
        }
    }
}

/// What changed between two samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    pub(super) seconds: f64,
    pub(super) queues: BTreeMap<QueueKey, Frames>,
    pub(super) rules: BTreeMap<RuleKey, u64>,
    pub(super) traffic: Vec<Traffic>,
    pub(super) talkers: Vec<Talker>,
}

impl Change {
    /// A number of what changed, as a rate.
    pub(super) fn per_second(&self, number: u64) -> f64 {
        number as f64 / self.seconds
    }
}
