//! Programs on the queues of an interface.

use core::sync::atomic::Ordering;

use nt::{Arc, Passive, Result, Status};

use super::{Control, Hook, Interface, Way};
use crate::program::{Hits, ProgramRules, Queues};
use crate::settings::Setting;

/// A program on queues of an interface.
pub(crate) struct Attachment {
    interface: Arc<Interface>,
    way: Way,
    queues: Queues,
    program: u64,
}

impl Attachment {
    /// Attaches a program to one queue or to all: to all that were asked for or to none.
    pub(crate) fn new(
        interface: &Arc<Interface>,
        way: Way,
        queues: Queues,
        program: &Arc<ProgramRules>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let hook = Hook {
            way,
            inspects: true,
        };
        let limit = Setting::GENERIC_RX_FWD_BUFFER_LIMIT;
        let limit = interface.services().settings.get(limit, passive);
        interface.forwarder.limit.store(limit, Ordering::Relaxed);
        let restart = {
            let mut control = interface.lock(passive)?;
            let range = queues.range(interface.queue_count());
            if range.is_empty() || range.end > interface.queue_count() {
                return Err(Status::INVALID_PARAMETER);
            }
            program.check_targets()?;
            for id in range.clone() {
                if let Err(status) = interface.attach(&mut control, way, id, program, passive) {
                    for id in range.start..id {
                        interface.detach(&mut control, way, id, program.id(), passive);
                    }
                    return Err(status);
                }
            }
            interface.begin_use(hook)
        };
        interface.wait_inserted(hook, restart, passive);
        Ok(Self {
            interface: interface.clone(),
            way,
            queues,
            program: program.id(),
        })
    }

    /// Detaches the program: on return no frame is inspected with its rules.
    pub(crate) fn detach(self, passive: Passive<'_>) {
        // An interface that was removed has detached all programs itself.
        let Ok(mut control) = self.interface.lock(passive) else {
            return;
        };
        for id in self.queues.range(self.interface.queue_count()) {
            self.interface
                .detach(&mut control, self.way, id, self.program, passive);
        }
        let hook = Hook {
            way: self.way,
            inspects: true,
        };
        self.interface.end_use(hook, passive);
    }

    /// What the program's rules have decided on, on each of its queues.
    pub(crate) fn each_hits(&self, passive: Passive<'_>, mut each: impl FnMut(u32, &Hits)) {
        let control = self.interface.control.read(passive);
        let queues = control.rx.get(self.way.index()).into_iter();
        let range = self.queues.range(self.interface.queue_count());
        for (id, on) in (0..).zip(queues.flat_map(|queues| queues.iter())) {
            let plan = on.standby.as_ref().filter(|_| range.contains(&id));
            if let Some(hits) = plan.and_then(|plan| plan.hits(self.program)) {
                each(id, hits);
            }
        }
    }
}

impl Interface {
    fn attach(
        &self,
        control: &mut Control,
        way: Way,
        id: u32,
        program: &Arc<ProgramRules>,
        passive: Passive<'_>,
    ) -> Result<()> {
        let (queue, on) = self.rx_parts(control, way, id)?;
        if queue.has_failed() {
            return Err(Status::DEVICE_DATA_ERROR);
        }
        self.publish_rx(queue, on, passive)?;
        let added = queue.add(&mut on.standby, program, passive);
        match added {
            Ok(()) => on.programs += 1,
            Err(_) => on.forget_if_unused(),
        }
        added
    }

    fn detach(&self, control: &mut Control, way: Way, id: u32, program: u64, passive: Passive<'_>) {
        if let Ok((queue, on)) = self.rx_parts(control, way, id) {
            queue.remove(&mut on.standby, program, passive);
            on.programs = on.programs.saturating_sub(1);
            on.forget_if_unused();
        }
    }
}
