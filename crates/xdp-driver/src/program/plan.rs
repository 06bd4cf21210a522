//! The rules of all programs on a queue, compiled to one list.

use nt::{Arc, Box, Result, Status, Vec};
use xdp_rules::{Classifier, OutOfMemory, RuleKey};

use super::rules::{ProgramRules, Target};
use crate::memory::{LivePorts, PoolStore};

/// What a queue's frames are inspected with.
pub(crate) struct Plan {
    rules: Classifier<LivePorts, Target, PoolStore>,
    programs: Vec<Member>,
}

/// A program and where its rules are in the list.
struct Member {
    program: u64,
    keys: Vec<RuleKey>,
}

const fn no_memory(_: OutOfMemory) -> Status {
    Status::INSUFFICIENT_RESOURCES
}

impl Plan {
    /// A plan without programs.
    pub(crate) fn new() -> Result<Box<Self>> {
        let (counter, _) = nt::processor::performance_counter();
        let plan = Self {
            rules: Classifier::new(PoolStore, counter.cast_unsigned(), usize::MAX),
            programs: Vec::new(crate::TAG),
        };
        Box::new(crate::TAG, plan)
    }

    /// Whether there is no program in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Appends a program; on failure the plan is as before.
    pub(crate) fn add(&mut self, program: &Arc<ProgramRules>) -> Result<()> {
        let keys = Vec::with_capacity(crate::TAG, program.len())?;
        self.programs.push(Member {
            program: program.id(),
            keys,
        })?;
        let added = self.add_rules(program);
        if added.is_err() {
            self.remove(program.id());
        }
        added
    }

    fn add_rules(&mut self, program: &ProgramRules) -> Result<()> {
        self.rules.reserve(program.len()).map_err(no_memory)?;
        for rule in program.iter() {
            let key = self
                .rules
                .push(rule.pattern.clone(), rule.target.clone())
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

    /// What the first rule that matches a frame does; a frame that no rule matches passes.
    #[inline]
    pub(crate) fn target(&self, frame: &xdp_packet::Frame<'_>) -> &Target {
        self.rules
            .classify(frame)
            .map_or(&Target::Pass, |hit| hit.value)
    }
}
