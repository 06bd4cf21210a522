//! The rules of all programs on a queue, compiled to one list.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::{Arc, Box, Result, Status, Vec};
use xdp_rules::{Classifier, OutOfMemory, RuleKey};

use super::rules::{ProgramRules, Target};
use crate::memory::{LivePorts, PoolStore};

/// Frames whose rules are looked for together.
pub(crate) type Batch<'a, I> = xdp_rules::Batch<'a, LivePorts, Rule, PoolStore, I>;

/// What a queue's frames are inspected with.
pub(crate) struct Plan {
    rules: Classifier<LivePorts, Rule, PoolStore>,
    programs: Vec<Member>,
}

/// A rule in the list.
pub(crate) struct Rule {
    pub(crate) target: Target,
    hits: Arc<Hits>,
    at: u32,
}

impl Rule {
    /// Counts frames that the rule has decided on.
    pub(crate) fn count(&self, frames: u32) {
        if let Some(counter) = self.hits.counts.get(self.at as usize) {
            counter.fetch_add(frames.into(), Ordering::Relaxed);
        }
    }
}

/// How many frames each rule of a program has decided on, on one queue. Both copies of a queue's plan count here.
pub(crate) struct Hits {
    counts: Vec<AtomicU64>,
}

impl Hits {
    /// For the rules of a program.
    pub(crate) fn new(program: &ProgramRules) -> Result<Arc<Self>> {
        let mut counts = Vec::with_capacity(crate::TAG, program.len())?;
        for _ in 0..program.len() {
            counts.push(AtomicU64::new(0))?;
        }
        Arc::new(crate::TAG, Self { counts })
    }

    /// In the order of the rules.
    pub(crate) fn counts(&self) -> &[AtomicU64] {
        &self.counts
    }
}

/// A program and where its rules are in the list.
struct Member {
    program: u64,
    keys: Vec<RuleKey>,
    hits: Arc<Hits>,
}

const fn no_memory(_: OutOfMemory) -> Status {
    Status::INSUFFICIENT_RESOURCES
}

impl Plan {
    /// A plan without programs.
    pub(crate) fn new() -> Result<Box<Self>> {
        let (counter, _) = nt::processor::performance_counter();
        // Made where it stays: it would take much of a kernel stack.
        let room = Box::uninit(crate::TAG)?;
        Ok(room.write(Self {
            rules: Classifier::new(PoolStore, counter.cast_unsigned(), usize::MAX),
            programs: Vec::new(crate::TAG),
        }))
    }

    /// Whether there is no program in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Appends a program; on failure the plan is as before.
    pub(crate) fn add(&mut self, program: &Arc<ProgramRules>, hits: &Arc<Hits>) -> Result<()> {
        let keys = Vec::with_capacity(crate::TAG, program.len())?;
        self.programs.push(Member {
            program: program.id(),
            keys,
            hits: hits.clone(),
        })?;
        let added = self.add_rules(program, hits);
        if added.is_err() {
            self.remove(program.id());
        }
        added
    }

    fn add_rules(&mut self, program: &ProgramRules, hits: &Arc<Hits>) -> Result<()> {
        self.rules.reserve(program.len()).map_err(no_memory)?;
        for (at, rule) in (0..).zip(program.iter()) {
            let counted = Rule {
                target: rule.target.clone(),
                hits: hits.clone(),
                at,
            };
            let key = self
                .rules
                .push(rule.pattern.clone(), counted)
                .map_err(no_memory)?;
            if let Some(member) = self.programs.last_mut() {
                member.keys.push(key)?;
            }
        }
        Ok(())
    }

    /// Removes a program, if it is there.
    pub(crate) fn remove(&mut self, program: u64) {
        let at = self
            .programs
            .iter()
            .position(|member| member.program == program);
        if let Some(member) = at.and_then(|at| self.programs.swap_remove(at)) {
            for key in &member.keys {
                drop(self.rules.remove(*key));
            }
        }
    }

    /// What a program's rules have decided on, if it is there.
    pub(crate) fn hits(&self, program: u64) -> Option<&Arc<Hits>> {
        let found = self.programs.iter().find(|m| m.program == program);
        found.map(|member| &member.hits)
    }

    /// The first rule that matches a frame; a frame that no rule matches passes.
    #[inline]
    pub(crate) fn rule(&self, frame: &xdp_packet::Frame<'_>) -> Option<&Rule> {
        self.rules.classify(frame).map(|hit| hit.value)
    }

    /// What finds the rules of many frames sooner than [`Plan::rule`], where there is something to gain.
    #[inline]
    pub(crate) fn batch<I>(&self) -> Option<Batch<'_, I>> {
        self.rules.batch()
    }
}
