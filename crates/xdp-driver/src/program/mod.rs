//! Programs: lists of rules on the queues of an interface.

mod plan;
mod rules;

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use nt::io::Create;
use nt::memory::{Mode, Requestor};
use nt::sync::PushLock;
use nt::{Arc, Passive, Result, Status};
use xdp_abi::inventory;
use xdp_abi::program::{CreateProgramFlags, ProgramOpen};
use zerocopy::FromBytes;

pub(crate) use self::plan::{Hits, Plan, Rule};
pub(crate) use self::rules::{ProgramRules, Target, socket_of};
use crate::control::{FILE_CREATE, List};
use crate::driver::Services;
use crate::holders::Holder;
use crate::interface::{Attachment, Hook, ModeWish};

/// Which queues a program is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Queues {
    /// One.
    One(u32),
    /// All that the interface has.
    All,
}

impl Queues {
    /// Their numbers, on an interface with `count` queues.
    pub(crate) const fn range(self, count: u32) -> Range<u32> {
        match self {
            Self::One(id) => id..id.saturating_add(1),
            Self::All => 0..count,
        }
    }
}

/// A program that is attached.
pub(crate) struct Program {
    services: Arc<Services>,
    if_index: u32,
    hook: Hook,
    queues: Queues,
    rules: u32,
    attachment: PushLock<Option<Attachment>>,
}

/// Numbers programs.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

const KNOWN_FLAGS: u32 =
    CreateProgramFlags::GENERIC.0 | CreateProgramFlags::NATIVE.0 | CreateProgramFlags::ALL_QUEUES.0;

impl Program {
    /// Serves the open of a program.
    pub(crate) fn open(
        services: &Arc<Services>,
        request: &Create<'_>,
        parameters: &[u8],
        passive: Passive<'_>,
    ) -> Result<Arc<Self>> {
        let (open, _) =
            ProgramOpen::read_from_prefix(parameters).map_err(|_| Status::INVALID_PARAMETER)?;
        if request.disposition() != FILE_CREATE {
            return Err(Status::INVALID_PARAMETER);
        }
        let has = |flag: CreateProgramFlags| open.flags.0 & flag.0 != 0;
        let wish = match (
            has(CreateProgramFlags::GENERIC),
            has(CreateProgramFlags::NATIVE),
        ) {
            (true, true) => return Err(Status::INVALID_PARAMETER),
            (true, false) => ModeWish::Generic,
            (false, true) => ModeWish::Native,
            (false, false) => ModeWish::Any,
        };
        if open.flags.0 & !KNOWN_FLAGS != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let (interface, hook) =
            services
                .interfaces
                .find(open.if_index, open.hook_id, wish, passive)?;
        let requestor = request.requestor();
        let rules = Self::capture(&open, requestor, passive)?;
        let Hook {
            way,
            inspects: true,
        } = hook
        else {
            return Err(Status::NOT_SUPPORTED);
        };
        let queues = if has(CreateProgramFlags::ALL_QUEUES) {
            Queues::All
        } else {
            Queues::One(open.queue_id)
        };
        let program = Arc::new(
            crate::TAG,
            Self {
                services: services.clone(),
                if_index: open.if_index,
                hook,
                queues,
                rules: open.rule_count,
                attachment: PushLock::new(None),
            },
        )?;
        if rules.lock_pages() && requestor.mode() == Mode::User {
            let holder = Holder::Program(program.clone());
            services.holders.add(holder, passive)?;
        }
        match Attachment::new(&interface, way, queues, &rules, passive) {
            Ok(attachment) => *program.attachment.write(passive) = Some(attachment),
            Err(status) => {
                services.holders.remove(&*program, passive);
                return Err(status);
            }
        }
        Ok(program)
    }

    fn capture(
        open: &ProgramOpen,
        requestor: Requestor,
        passive: Passive<'_>,
    ) -> Result<Arc<ProgramRules>> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let rules = ProgramRules::capture(id, open.rules.0, open.rule_count, requestor, passive)?;
        Arc::new(crate::TAG, rules)
    }

    /// Describes the program.
    pub(crate) fn describe(
        &self,
        id: u64,
        process: u64,
        passive: Passive<'_>,
    ) -> inventory::Program {
        inventory::Program {
            header: inventory::Program::HEADER,
            id,
            process,
            if_index: self.if_index,
            queue: match self.queues {
                Queues::One(id) => id,
                Queues::All => inventory::NO_QUEUE,
            },
            hook: self.hook.id(),
            rules: self.rules,
            is_attached: self.attachment.read(passive).is_some().into(),
            reserved: 0,
        }
    }

    /// Lists how many frames each rule has decided on.
    pub(crate) fn describe_hits(&self, id: u64, list: &mut List<'_>, passive: Passive<'_>) {
        if let Some(attachment) = &*self.attachment.read(passive) {
            attachment.each_hits(passive, |queue, hits| {
                list.add_hits(id, self.if_index, queue, hits.counts());
            });
        }
    }

    /// Detaches the program; on return no frame is inspected with its rules.
    pub(crate) fn close(&self, passive: Passive<'_>) {
        self.detach(passive);
        self.services.holders.remove(self, passive);
    }

    /// Detaches the program from all queues, and unlocks what pages its rules have locked; its handle stays.
    pub(crate) fn detach(&self, passive: Passive<'_>) {
        // Who finds the attachment gone has to know that it is: it goes with the lock held.
        let mut attachment = self.attachment.write(passive);
        if let Some(attachment) = attachment.take() {
            attachment.detach(passive);
        }
    }
}
