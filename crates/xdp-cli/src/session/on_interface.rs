//! The driver as a place for rules.

use xdp::rulefile::RuleFile;
use xdp::{Mode, Program, Targets};

use super::hits;
use crate::error::Failure;

/// An interface and the programs on its queues.
pub(crate) struct OnInterface {
    interface: xdp::Interface,
    /// None for all.
    queues: Option<Vec<u32>>,
    mode: Mode,
    programs: Vec<Program>,
}

impl OnInterface {
    /// An interface without programs; rules will be on these queues of it, or on all.
    pub(crate) const fn new(
        interface: xdp::Interface,
        queues: Option<Vec<u32>>,
        mode: Mode,
    ) -> Self {
        Self {
            interface,
            queues,
            mode,
            programs: Vec::new(),
        }
    }

    fn attach(&self, rules: &RuleFile) -> Result<Vec<Program>, Failure> {
        let on = |queue: Option<u32>| -> Result<Program, Failure> {
            let builder = Program::builder(&self.interface).mode(self.mode);
            let builder = builder.rule_file(rules, &Targets::new())?;
            Ok(match queue {
                None => builder.all_queues(),
                Some(queue) => builder.queue(queue),
            }
            .attach()?)
        };
        match &self.queues {
            None => Ok(vec![on(None)?]),
            Some(queues) => queues.iter().map(|queue| on(Some(*queue))).collect(),
        }
    }
}

impl super::Interface for OnInterface {
    fn name(&self) -> &str {
        self.interface.name()
    }

    fn index(&self) -> u32 {
        self.interface.index()
    }

    fn inventory(&self) -> Result<Vec<u8>, Failure> {
        Ok(self
            .interface
            .system()
            .inventory_with_hits()?
            .raw()
            .to_vec())
    }

    fn replace(&mut self, rules: &RuleFile) -> Result<(), Failure> {
        for (number, entry) in (1..).zip(rules.entries()) {
            if let Some(target) = entry.target() {
                let what = format!("rule {number} redirects to {target}");
                return Err(Failure::new(what)
                    .because("a session has no sockets and maps of its own")
                    .hint("leave the rule away"));
            }
        }
        let next = match rules.entries() {
            [] => Vec::new(),
            _ => self.attach(rules)?,
        };
        // From here on both decide; now the old ones go.
        drop(std::mem::replace(&mut self.programs, next));
        Ok(())
    }

    fn hits(&self) -> Result<Option<Vec<u64>>, Failure> {
        let inventory = self.interface.system().inventory_with_hits()?;
        let process = self.interface.system().process_id();
        let mut ours: Vec<u64> = inventory
            .programs
            .iter()
            .filter(|program| program.if_index == self.interface.index())
            .filter(|program| program.process == process)
            .map(|program| program.id)
            .collect();
        // Numbers grow: the last ones are those that are there now.
        ours.sort_unstable();
        let newest = ours.len().saturating_sub(self.programs.len());
        Ok(hits::of(
            inventory.raw(),
            ours.get(newest..).unwrap_or_default(),
        ))
    }
}
