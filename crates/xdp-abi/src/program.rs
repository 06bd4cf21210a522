//! Opening a program object.

use crate::hook::HookId;
use crate::macros::open_flags;
use crate::object::ClientPtr;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

open_flags! {
    /// How a program attaches.
    #[doc(alias = "XDP_CREATE_PROGRAM_FLAGS")]
    pub struct CreateProgramFlags: u32 {
        /// Only in generic mode.
        GENERIC = 1, "XDP_CREATE_PROGRAM_FLAG_GENERIC";
        /// Only in native mode.
        NATIVE = 2, "XDP_CREATE_PROGRAM_FLAG_NATIVE";
        /// To every queue; the queue id is ignored.
        ALL_QUEUES = 4, "XDP_CREATE_PROGRAM_FLAG_ALL_QUEUES";
    }
}

/// Parameters that follow the open packet of a program.
#[doc(alias = "XDP_PROGRAM_OPEN")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ProgramOpen {
    /// Interface.
    pub if_index: u32,
    /// Hook to inspect.
    pub hook_id: HookId,
    /// Queue, unless all are asked for.
    pub queue_id: u32,
    /// How to attach.
    pub flags: CreateProgramFlags,
    /// Rules in the array.
    pub rule_count: u32,
    /// Padding.
    pub padding: u32,
    /// Address of the first [`Rule`](crate::Rule).
    pub rules: ClientPtr,
}
