//! What a NIC that breaks the rules of NDIS does, for tests of the drivers above it.

use std::sync::Arc;

use nt::sys::{NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL, NDIS_RECEIVE_FLAGS_RESOURCES};

use super::{Nic, buffers::put_info, frame::Frame};
use crate::{
    irql,
    ndis::{
        datapath,
        raw::{get, put},
    },
    verifier::Rule,
};

/// What is wrong with a list that a NIC indicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// Nothing: it comes at the wrong time.
    None,
    /// The frame claims to be this many bytes longer than its memory.
    Overlong(u32),
    /// The frame starts behind the end of its memory.
    OffsetBeyondMemory,
    /// The frame has no memory.
    NoMemory,
    /// The MDLs of the frame go round in a circle, without bytes in them.
    EndlessMemory,
    /// There is no frame in the list.
    NoBuffer,
    /// There are two frames in the list; both are whole.
    SecondBuffer,
    /// The call says that there are this many lists.
    WrongCount(u32),
}

/// The rules that a NIC has broken.
#[derive(Default)]
pub(crate) struct Record {
    /// Whether it may break any.
    pub(crate) allowed: bool,
    rules: crate::sync::Mutex<Vec<Rule>>,
}

impl Record {
    pub(crate) fn new(allowed: bool) -> Record {
        Record {
            allowed,
            ..Record::default()
        }
    }

    /// Notes a broken rule, if breaking some is allowed.
    pub(crate) fn note(&self, rule: Rule) -> bool {
        if self.allowed {
            self.rules.lock().push(rule);
        }
        self.allowed
    }

    /// The rules that were broken since the last look.
    pub(crate) fn take(&self) -> Vec<Rule> {
        std::mem::take(&mut *self.rules.lock())
    }
}

impl Nic {
    /// Indicates a frame as no NIC may, whatever state it is in.
    pub(crate) fn misbehave(self: &Arc<Nic>, frame: &Frame, misdeed: Misdeed) {
        let Some(nbl) = self.rx.make_wrong(frame, misdeed) else {
            return self.wire.note_dropped(1);
        };
        put_info(nbl, &frame.info);
        put!(nbl => [SourceHandle] self.miniport().handle());
        self.wire.note_sent(1, frame.len() as u64);
        let count = match misdeed {
            Misdeed::WrongCount(count) => count,
            _ => 1,
        };
        let lent = self.rx.resources();
        let mut flags = NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL;
        if lent {
            flags |= NDIS_RECEIVE_FLAGS_RESOURCES;
        }
        irql::at_dispatch(|| {
            datapath::receive(
                self.miniport(),
                nbl,
                0,
                count,
                flags,
                "NdisMIndicateReceiveNetBufferLists",
            );
        });
        if lent {
            debug_assert!(get!(nbl => Next).is_null());
            self.rx.recycle(nbl);
        }
    }
}
