//! The comparison: oracle, walker and classifier must name the same rule.

use super::hot::{self, Compiled};
use super::{PortBits, Random, Universe, matches};
use crate::pattern::Pattern;
use crate::store::Heap;
use crate::{RuleKey, walker};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use xdp_packet::{Depth, Frame, Packet, Scratch};

/// A run of random lists and frames, which can be stopped and continued.
#[derive(Debug)]
pub struct Equivalence {
    random: Random,
    /// Pairs of a list and a frame that were compared.
    pub pairs: u64,
    /// Those in which some rule matched.
    pub matched: u64,
    /// Lists that were built.
    pub lists: u64,
    /// Frames of the list in hand that are still to be classified together.
    waiting: Vec<Waiting>,
    /// How many frames are classified together.
    together: usize,
}

/// A frame that was classified alone.
#[derive(Debug)]
struct Waiting {
    bytes: Vec<u8>,
    /// Sizes of its buffers.
    sizes: Vec<usize>,
    expected: Option<RuleKey>,
}

impl Waiting {
    fn parts(&self) -> Vec<&[u8]> {
        let mut rest = self.bytes.as_slice();
        let cut = |size: &usize| rest.split_off(..*size).unwrap_or_default();
        self.sizes.iter().map(cut).collect()
    }
}

/// Two answers that differ.
#[derive(Clone, Debug)]
pub struct Mismatch(pub String);

type Rule<'a> = (Pattern<&'a PortBits>, RuleKey);

impl Equivalence {
    /// Starts a run.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            pairs: 0,
            matched: 0,
            lists: 0,
            waiting: Vec::new(),
            together: 1,
        }
    }

    /// Builds one list, edits it a few times, and compares it on many frames each time.
    ///
    /// # Errors
    ///
    /// The answers differ.
    pub fn step(&mut self) -> Result<(), Mismatch> {
        self.lists = self.lists.wrapping_add(1);
        let random = &mut self.random;
        let count = match random.below(64) {
            0 => 300usize.saturating_add(random.below(1500)),
            1..8 => random.below(200),
            8..20 => 1,
            _ => random.below(30),
        };
        let size = 2usize.saturating_add(random.below(count.saturating_add(8)));
        let world = Universe::new(random, size);
        let kinds: Vec<usize> = (0..random.below(5)).map(|_| random.below(23)).collect();
        let mut compiled = Compiled::new(Heap, random.word(), usize::MAX);
        let mut rules: Vec<Rule<'_>> = Vec::new();
        self.append(&world, &kinds, count, &mut compiled, &mut rules)?;
        self.compare_frames(&world, &compiled, &rules)?;
        for _ in 0..self.random.below(4) {
            self.shrink(&mut compiled, &mut rules)?;
            self.compare_frames(&world, &compiled, &rules)?;
            let more = self.random.below(count.saturating_add(4));
            self.append(&world, &kinds, more, &mut compiled, &mut rules)?;
            self.flip(&world);
            self.compare_frames(&world, &compiled, &rules)?;
        }
        Ok(())
    }

    /// Compares one list of `count` rules, edited once, on `change`, and on frames that rules match and of which `change` flips
    /// bits. Little enough for a fuzzer, which wants to try many.
    ///
    /// # Errors
    ///
    /// The answers differ.
    pub fn step_small(&mut self, count: usize, change: &[u8]) -> Result<(), Mismatch> {
        self.lists = self.lists.wrapping_add(1);
        self.together = self.random.below(8).saturating_add(1);
        let world = Universe::new(&mut self.random, count);
        let kinds: Vec<usize> = (0..self.random.below(5))
            .map(|_| self.random.below(23))
            .collect();
        let mut compiled = Compiled::new(Heap, self.random.word(), usize::MAX);
        let mut rules: Vec<Rule<'_>> = Vec::new();
        self.append(&world, &kinds, count, &mut compiled, &mut rules)?;
        for round in 0..2 {
            let mut frames = alloc::vec![change.to_vec()];
            for _ in 0..2 {
                let mut frame = world.frame(&mut self.random);
                frame
                    .iter_mut()
                    .zip(change)
                    .for_each(|(byte, flip)| *byte ^= flip);
                frames.push(frame);
            }
            for frame in &frames {
                self.compare(&compiled, &rules, frame, &[frame])?;
                for _ in 0..3 {
                    let (head, tail) =
                        frame.split_at(self.random.below(frame.len().saturating_add(1)));
                    self.compare(&compiled, &rules, frame, &[head, tail])?;
                    self.compare(&compiled, &rules, head, &[head])?;
                }
            }
            self.compare_waiting(&compiled, &rules)?;
            if round == 0 {
                self.shrink(&mut compiled, &mut rules)?;
                self.flip(&world);
            }
        }
        Ok(())
    }

    fn append<'a>(
        &mut self,
        world: &'a Universe,
        kinds: &[usize],
        count: usize,
        compiled: &mut Compiled<'a>,
        rules: &mut Vec<Rule<'a>>,
    ) -> Result<(), Mismatch> {
        for _ in 0..count {
            let pattern = if kinds.is_empty() || self.random.one_in(32) {
                world.pattern(&mut self.random)
            } else {
                let kind = self.random.pick(kinds);
                world.pattern_of(kind, &mut self.random)
            };
            let key = compiled
                .push(pattern, self.random.word() as u32)
                .map_err(|error| Mismatch(format!("{error}")))?;
            rules.push((pattern, key));
        }
        Ok(())
    }

    fn shrink(
        &mut self,
        compiled: &mut Compiled<'_>,
        rules: &mut Vec<Rule<'_>>,
    ) -> Result<(), Mismatch> {
        let mut index = 0;
        let keep = self.random.below(4);
        while let Some(&(pattern, key)) = rules.get(index) {
            if self.random.below(4) < keep {
                index = index.saturating_add(1);
                continue;
            }
            rules.remove(index);
            match compiled.remove(key) {
                Some((removed, _)) if removed.match_type() == pattern.match_type() => {}
                other => {
                    let other = other.map(|(pattern, _)| pattern);
                    return Err(Mismatch(format!("removed {other:?} for {pattern:?}")));
                }
            }
        }
        if compiled.len() != rules.len() {
            let (len, expected) = (compiled.len(), rules.len());
            return Err(Mismatch(format!("{len} rules left of {expected}")));
        }
        Ok(())
    }

    /// Changes port sets while they are in use.
    fn flip(&mut self, world: &Universe) {
        for set in &world.sets {
            set.set(443, self.random.one_in(2));
            set.set(53, self.random.one_in(2));
        }
    }

    fn compare_frames(
        &mut self,
        world: &Universe,
        compiled: &Compiled<'_>,
        rules: &[Rule<'_>],
    ) -> Result<(), Mismatch> {
        self.together = self.random.below(40).saturating_add(1);
        for _ in 0..8 {
            let frame = world.frame(&mut self.random);
            // Whole, then split everywhere or at random, then truncated everywhere or at random.
            self.compare(compiled, rules, &frame, &[&frame])?;
            if self.random.one_in(12) {
                self.compare_everywhere(compiled, rules, &frame)?;
            }
            for _ in 0..4 {
                let len = self.random.below(frame.len().saturating_add(1));
                let cut = frame.get(..len).unwrap_or(&frame);
                let parts = self.split(cut);
                self.compare(compiled, rules, cut, &parts)?;
            }
        }
        self.compare_waiting(compiled, rules)
    }

    /// Compares what is found for the waiting frames when all of them are looked at together.
    fn compare_waiting(
        &mut self,
        compiled: &Compiled<'_>,
        rules: &[Rule<'_>],
    ) -> Result<(), Mismatch> {
        let waiting = core::mem::take(&mut self.waiting);
        let parts: Vec<Vec<&[u8]>> = waiting.iter().map(Waiting::parts).collect();
        let frames: Vec<Frame<'_>> = parts.iter().map(|p| Frame::from_buffers(p)).collect();
        let mut hits = alloc::vec![None; frames.len()];
        hot::classify_many(compiled, &frames, &mut hits);
        for (index, (waiting, hit)) in waiting.iter().zip(&hits).enumerate() {
            let found = hit.map(|hit| hit.key);
            if found != waiting.expected {
                let named =
                    |key: Option<RuleKey>| rules.iter().find(|(_, other)| Some(*other) == key);
                return Err(Mismatch(format!(
                    "frame {index} of {} together, {:02x?} in parts of {:?}\nexpected {:?}\nclassified {:?}",
                    frames.len(),
                    waiting.bytes,
                    waiting.sizes,
                    named(waiting.expected),
                    named(found),
                )));
            }
        }
        Ok(())
    }

    /// Splits and truncates a frame at every byte.
    fn compare_everywhere(
        &mut self,
        compiled: &Compiled<'_>,
        rules: &[Rule<'_>],
        frame: &[u8],
    ) -> Result<(), Mismatch> {
        for at in 0..=frame.len() {
            let (head, tail) = frame.split_at(at);
            self.compare(compiled, rules, frame, &[head, tail])?;
            self.compare(compiled, rules, head, &[head])?;
        }
        Ok(())
    }

    fn split<'f>(&mut self, mut frame: &'f [u8]) -> Vec<&'f [u8]> {
        let mut parts = Vec::new();
        while !frame.is_empty() && parts.len() < 40 {
            let most = self.random.pick(&[1, 3, 20, 64]);
            let at = self.random.below(most).min(frame.len());
            let (part, rest) = frame.split_at(at);
            parts.push(part);
            frame = rest;
        }
        parts.push(frame);
        parts
    }

    fn compare(
        &mut self,
        compiled: &Compiled<'_>,
        rules: &[Rule<'_>],
        bytes: &[u8],
        parts: &[&[u8]],
    ) -> Result<(), Mismatch> {
        let expected = rules
            .iter()
            .find(|(pattern, _)| matches(pattern, bytes))
            .map(|(_, key)| *key);
        let frame = Frame::from_buffers(parts);
        let mut scratch = Scratch::new();
        let packet = Packet::parse(&frame, Depth::Upper, &mut scratch);
        let walked = walker::walk(rules.iter().map(|(pattern, _)| pattern), &packet)
            .and_then(|index| rules.get(index))
            .map(|(_, key)| *key);
        let found = compiled.find(&packet).map(|hit| hit.key);
        let classified = compiled.classify(&frame).map(|hit| hit.key);
        self.pairs = self.pairs.wrapping_add(1);
        self.matched = self.matched.wrapping_add(u64::from(expected.is_some()));
        if [walked, found, classified] == [expected; 3] {
            self.waiting.push(Waiting {
                bytes: bytes.to_vec(),
                sizes: parts.iter().map(|part| part.len()).collect(),
                expected,
            });
            if self.waiting.len() == self.together {
                self.compare_waiting(compiled, rules)?;
            }
            return Ok(());
        }
        let named = |key: Option<RuleKey>| rules.iter().find(|(_, other)| Some(*other) == key);
        let sizes: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        Err(Mismatch(format!(
            "frame {bytes:02x?} in parts of {sizes:?}\nexpected {:?}\nwalked {:?}\nfound {:?}\nclassified {:?}",
            named(expected),
            named(walked),
            named(found),
            named(classified),
        )))
    }
}
