//! A bugcheck, told to a person.

use std::fmt;

use super::Rule;
use crate::{irql, sched};

/// Why the kernel stopped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BugCheck {
    /// The rule that was broken.
    pub rule: Rule,
    /// Stop code parameters.
    pub parameters: [u64; 4],
    /// What happened, in words.
    pub details: String,
    /// Name of the kernel thread it happened on.
    pub thread: String,
    /// Virtual processor and IRQL at the time.
    pub processor: u32,
    /// IRQL at the time.
    pub irql: u8,
    /// Driver functions on the stack, innermost first.
    pub stack: Vec<String>,
}

impl BugCheck {
    pub(super) fn new(rule: Rule, parameters: [u64; 4], details: String) -> BugCheck {
        let thread = sched::try_current();
        BugCheck {
            rule,
            parameters,
            details,
            thread: thread.map_or_else(|| "none".to_owned(), |t| t.name.clone()),
            processor: thread.map_or(0, |t| t.processor()),
            irql: thread.map_or(0, |t| t.irql()),
            stack: crate::symbols::driver_stack(),
        }
    }

    /// The stop code.
    pub fn stop_code(&self) -> u32 {
        self.rule.stop_code()
    }
}

impl fmt::Display for BugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p1, p2, p3, p4] = self.parameters;
        writeln!(
            f,
            "*** STOP: {:#010x} {} ({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})",
            self.rule.stop_code(),
            self.rule.stop_name()
        )?;
        writeln!(f, "rule    {}: {}", self.rule.id(), self.rule.sentence())?;
        writeln!(f, "what    {}", self.details)?;
        writeln!(
            f,
            "where   thread \"{}\", processor {}, {}",
            self.thread,
            self.processor,
            irql::name(self.irql)
        )?;
        for (i, frame) in self.stack.iter().enumerate() {
            writeln!(f, "{}{frame}", if i == 0 { "stack   " } else { "        " })?;
        }
        Ok(())
    }
}
