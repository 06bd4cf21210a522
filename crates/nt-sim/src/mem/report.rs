//! Broken rules of memory, told with everything that is known of the memory involved.

use std::fmt::Write as _;

use super::Memory;
use super::caller::Caller;
use super::mdl::{MdlError, MdlLeak, MdlRule};
use super::pool::{BadRequest, BlockInfo, FreedInfo, PoolAddress, Violation};
use super::user::{Access, Denied, UserFault};
use crate::kernel::{kernel, strict};
use crate::verifier::Rule;

/// Adds a line per frame of a stack.
fn write_stack(text: &mut String, title: &str, caller: &Caller) {
    if caller.stack.is_empty() {
        return;
    }
    let _ = write!(text, "\n  {title} by thread {}:", caller.thread);
    for &address in caller.stack.iter() {
        let _ = write!(text, "\n    {}", super::caller::symbol(address));
    }
}

fn with_block(mut text: String, block: &BlockInfo) -> String {
    write_stack(&mut text, "allocated", &block.caller);
    text
}

fn with_freed(mut text: String, freed: &FreedInfo) -> String {
    write_stack(&mut text, "allocated", &freed.block.caller);
    write_stack(&mut text, "freed", &freed.freed_by);
    text
}

/// Stops the kernel for a broken rule of the pool.
pub(crate) fn pool_violation(violation: &Violation) -> ! {
    let words = violation.words();
    match violation {
        Violation::NotPool { address, inside } => {
            let words = match inside {
                Some(block) => with_block(words, block),
                None => words,
            };
            crate::bugcheck!(Rule::PoolFreeNotPool, 0x46, *address; "{words}")
        }
        Violation::DoubleFree { address, freed } => {
            let words = with_freed(words, freed);
            crate::bugcheck!(Rule::PoolDoubleFree, 0x7, *address, freed.block.tag.0, freed.block.size; "{words}")
        }
        Violation::WrongTag { block, given } => {
            let words = with_block(words, block);
            crate::bugcheck!(Rule::PoolWrongTag, 0xa, block.address, block.tag.0, given.0; "{words}")
        }
        Violation::Overrun { block, at } => {
            let words = with_block(words, block);
            crate::bugcheck!(Rule::PoolOverrun, block.address, *at, block.size, 0x24; "{words}")
        }
        Violation::Underrun { block, at } => {
            let words = with_block(words, block);
            crate::bugcheck!(Rule::PoolUnderrun, block.address, *at, block.size, 0x23; "{words}")
        }
        Violation::WriteAfterFree { freed, at } => {
            let words = with_freed(words, freed);
            crate::bugcheck!(Rule::PoolWriteAfterFree, freed.block.address, *at, freed.block.size, 0x25; "{words}")
        }
    }
}

/// Stops the kernel for arguments that are no request for pool.
pub(crate) fn bad_request(function: &str, request: BadRequest) -> ! {
    let (words, value) = match request {
        BadRequest::PoolType(value) => (
            format!("the pool type {value:#x} has bits that mean nothing"),
            value.into(),
        ),
        BadRequest::MustSucceed => (
            "the must-succeed pool does not exist any more".to_owned(),
            2,
        ),
        BadRequest::NotOnePool(flags) => (
            format!("the flags {flags:#x} do not name exactly one pool"),
            flags,
        ),
        BadRequest::UnknownFlag(flags) => (
            format!("the flags {flags:#x} have required bits that mean nothing"),
            flags,
        ),
    };
    crate::bugcheck!(Rule::PoolBadRequest, value; "{function}: {words}")
}

/// Stops the kernel for an access to a kernel address where nothing is, or that must not be written.
pub(crate) fn bad_access(address: usize, access: Access) -> ! {
    let verb = if access == Access::Write {
        "write"
    } else {
        "read"
    };
    let write = u64::from(access == Access::Write);
    match kernel().mem.pool.describe(address) {
        Some(PoolAddress::Freed(freed)) => {
            let at = address.wrapping_sub(freed.block.address) as isize;
            let words = with_freed(
                format!("{verb} at offset {at} of freed {}", freed.block),
                &freed,
            );
            crate::bugcheck!(Rule::PoolUseAfterFree, address, write, freed.block.tag.0; "{words}")
        }
        Some(PoolAddress::Behind(block)) => {
            let words = format!(
                "{verb} {} bytes behind the end of {block}",
                address - block.end()
            );
            crate::bugcheck!(Rule::PoolBeyondEnd, address, write, block.tag.0; "{}", with_block(words, &block))
        }
        Some(PoolAddress::Before(block) | PoolAddress::Live(block)) => {
            let words = with_block(format!("{verb} at {address:#x}, near {block}"), &block);
            crate::bugcheck!(Rule::InvalidAddress, address, write; "{words}")
        }
        None => {
            let what = match kernel().mem.va.find(address) {
                Some(info) if info.mapped.is_some() => {
                    format!("{:?} memory that is read-only", info.usage)
                }
                Some(info) => format!(
                    "a reserved range ({:?}) where nothing is mapped",
                    info.usage
                ),
                None if kernel().mem.va.contains(address) => {
                    "kernel memory that is not mapped (any more)".to_owned()
                }
                None => "no memory".to_owned(),
            };
            crate::bugcheck!(Rule::InvalidAddress, address, write; "{verb} at {address:#x}: {what}")
        }
    }
}

/// Stops the kernel for an access to user memory that breaks a rule.
pub(crate) fn user_rule(fault: UserFault) -> ! {
    let UserFault {
        address,
        access,
        why,
    } = fault;
    let verb = if access == Access::Write {
        "written"
    } else {
        "read"
    };
    let write = u64::from(access == Access::Write);
    match why {
        Denied::OtherProcess { owner, current } => {
            let current = match current {
                Some(id) => format!("process {}", id.0),
                None => "none".to_owned(),
            };
            crate::bugcheck!(
                Rule::UserWrongProcess, address, write, owner.0;
                "the user address {address:#x} of process {} was {verb}; the current process is {current}", owner.0
            )
        }
        Denied::NotProbed | Denied::NotAccessible => {
            crate::bugcheck!(
                Rule::UserNotProbed, address, write;
                "the user address {address:#x} was {verb} without having been probed in this system call"
            )
        }
    }
}

/// The rule that a broken rule of MDLs is.
fn mdl_rule(rule: MdlRule) -> Rule {
    match rule {
        MdlRule::FreedLocked => Rule::MdlFreedLocked,
        MdlRule::FreedMapped => Rule::MdlFreedMapped,
        MdlRule::LockedTwice => Rule::MdlLockedTwice,
        MdlRule::NotLocked => Rule::MdlNotLocked,
        MdlRule::MappedTwice => Rule::MdlMappedTwice,
        MdlRule::NotMapped => Rule::MdlNotMapped,
        MdlRule::PagesNotLocked => Rule::MdlPagesNotLocked,
        MdlRule::UserMappingLeft => Rule::MdlUserMappingLeft,
        MdlRule::WrongProcess => Rule::MdlWrongProcess,
        MdlRule::Malformed => Rule::MdlMalformed,
        MdlRule::ReservedMapping => Rule::MdlReservedMapping,
        MdlRule::BadAddress => Rule::MdlBadAddress,
    }
}

/// The result of an operation on an MDL: `None` when resources are used up. A broken rule stops the kernel, an exception
/// is raised into the driver.
pub(crate) fn mdl_result<T>(function: &str, mdl: usize, result: Result<T, MdlError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(MdlError::NoResources) => None,
        Err(MdlError::Raise(status)) => super::guest::raise(status, &[]),
        Err(MdlError::Rule(rule, words)) => {
            crate::bugcheck!(mdl_rule(rule), mdl; "{function}: {words}")
        }
    }
}

/// Where leaked blocks were allocated, a line for each place; nothing in fast mode.
pub(crate) fn leak_places(leak: &super::pool::Leak) -> String {
    let mut text = String::new();
    for (block, count) in &leak.examples {
        let _ = write!(text, "\n  {count} like {block}");
        write_stack(&mut text, "allocated", &block.caller);
    }
    text
}

fn mdl_leak_words(leaks: &[MdlLeak]) -> String {
    let mut text = String::new();
    for leak in leaks {
        let _ = write!(text, "\n  {:#x} is still {}", leak.address, leak.what);
        write_stack(&mut text, "done", &leak.caller);
    }
    text
}

impl Memory {
    /// Stops the kernel when an image that has unloaded left memory behind, or damaged any.
    pub(crate) fn check_unloaded(&self, owner: u16, image: &str) {
        if !strict() {
            return;
        }
        if let Err(violation) = self.pool.verify() {
            pool_violation(&violation);
        }
        let mdls = self.mdl_leaks(Some(owner));
        if let Some(first) = mdls.first() {
            crate::bugcheck!(
                Rule::MdlLeak, first.address, mdls.len();
                "{image} left {} things of MDLs behind:{}", mdls.len(), mdl_leak_words(&mdls)
            );
        }
        let leaks = self.pool.leaks(owner);
        if leaks.is_empty() {
            return;
        }
        let (blocks, bytes) = leaks
            .iter()
            .fold((0, 0), |(n, b), leak| (n + leak.blocks, b + leak.bytes));
        let mut text = String::new();
        for leak in &leaks {
            let _ = write!(
                text,
                "\n  tag '{}': {} blocks, {} bytes",
                leak.tag, leak.blocks, leak.bytes
            );
            text.push_str(&leak_places(leak));
        }
        crate::bugcheck!(Rule::PoolLeak, 0x62, leaks[0].tag.0, blocks, bytes; "{image} left {blocks} blocks of {bytes} bytes behind:{text}");
    }

    /// Ends the address space of a process; stops the kernel when drivers still hold on to it.
    pub(crate) fn end_process(&self, space: &super::user::AddressSpace) {
        let Err(left) = self.delete_space(space) else {
            return;
        };
        let rule = if left.iter().any(|left| left.what == "locked") {
            Rule::ProcessHasLockedPages
        } else {
            Rule::MdlUserMappingLeft
        };
        crate::bugcheck!(
            rule, left[0].address, left.len();
            "process {} ended, but drivers hold on to its memory:{}", space.id().0, mdl_leak_words(&left)
        );
    }
}
