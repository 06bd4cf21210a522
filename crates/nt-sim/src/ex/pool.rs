//! The pool functions that drivers call.

use nt::sys::STATUS_INSUFFICIENT_RESOURCES;

use crate::exports;
use crate::irql;
use crate::kernel::{kernel, strict};
use crate::mem::caller::{self, Tag};
use crate::mem::guest;
use crate::mem::pool::{BadRequest, Request};
use crate::mem::report;
use crate::verifier::Rule;

/// Allocates for a driver: rules, injected failures, then the pool.
pub(crate) fn allocate(function: &'static str, request: Result<Request, BadRequest>) -> *mut u8 {
    let mem = &kernel().mem;
    let request = match request {
        Ok(request) => request,
        Err(bad) if strict() => report::bad_request(function, bad),
        Err(_) => return std::ptr::null_mut(),
    };
    if strict() {
        check(function, &request);
    }
    let caller = caller::capture();
    let block = if mem.faults.should_fail(function, &caller) {
        None
    } else {
        mem.pool
            .alloc(&mem.phys, &mem.va, &request, &caller)
            .unwrap_or_else(|violation| report::pool_violation(&violation))
    };
    match block {
        Some(address) => address as *mut u8,
        None if request.raise => guest::raise(STATUS_INSUFFICIENT_RESOURCES, &[]),
        None => std::ptr::null_mut(),
    }
}

fn check(function: &str, request: &Request) {
    let Request {
        size, tag, kind, ..
    } = *request;
    if size == 0 {
        crate::bugcheck!(Rule::PoolZeroBytes, 0, irql::current(), tag.0; "{function} was asked for zero bytes with tag '{tag}'");
    }
    if tag.0 == 0 {
        crate::bugcheck!(Rule::PoolBadRequest, 0x9b, size; "{function} was given no tag for {size} bytes");
    }
    check_paged(function, kind.paged);
}

fn check_paged(function: &str, paged: bool) {
    let level = irql::current();
    if paged && level > irql::APC {
        crate::bugcheck!(
            Rule::PoolPagedIrql, 1, level;
            "{function} was called for paged pool at {}", irql::name(level)
        );
    }
}

/// Frees for a driver. Without a tag, any will do.
pub(crate) fn free(function: &'static str, block: *mut u8, tag: Option<Tag>) {
    let mem = &kernel().mem;
    let address = block as usize;
    if strict()
        && let Some(info) = mem.pool.block(address)
    {
        check_paged(function, info.kind.paged);
        let active = kernel()
            .verifier
            .objects
            .lock()
            .first_in(address..info.end())
            .map(|(at, o)| (at, o.kind));
        if let Some((at, kind)) = active {
            crate::bugcheck!(
                Rule::ActiveObjectFreed, at, address, info.size;
                "{function}: offset {} of {info} holds a {kind} that is in use", at - address
            );
        }
        if let Some((mdl, what)) = mem.mdls.in_use_within(address, info.end()) {
            crate::bugcheck!(
                Rule::ActiveObjectFreed, mdl, address, info.size;
                "{function}: offset {} of {info} holds an MDL that is {what}", mdl - address
            );
        }
    }
    let caller = caller::capture();
    if let Err(violation) = mem.pool.free(&mem.phys, &mem.va, address, tag, &caller) {
        report::pool_violation(&violation);
    }
}

/// A tag given to a free function; zero means any.
fn free_tag(tag: u32) -> Option<Tag> {
    (tag != 0).then_some(Tag(tag))
}

/// The tag of allocations by functions that take none.
const NO_TAG: u32 = Tag::new(b"None").0;

/// Makes failure raise, as the quota functions do unless told otherwise.
fn quota(pool_type: u32, size: usize, tag: u32) -> Result<Request, BadRequest> {
    const FAIL_INSTEAD_OF_RAISE: u32 = 8;
    let request = Request::from_pool_type(pool_type, size, tag)?;
    Ok(Request {
        raise: pool_type & FAIL_INSTEAD_OF_RAISE == 0,
        ..request
    })
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Allocates a block.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePoolWithTag(pool_type: u32, bytes: usize, tag: u32) -> *mut u8 {
        allocate("ExAllocatePoolWithTag", Request::from_pool_type(pool_type, bytes, tag))
    }

    /// Allocates a block; the priority says how hard to try, which makes no difference here.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePoolWithTagPriority(pool_type: u32, bytes: usize, tag: u32, _priority: u32) -> *mut u8 {
        allocate("ExAllocatePoolWithTagPriority", Request::from_pool_type(pool_type, bytes, tag))
    }

    /// Allocates a block without a tag of its own.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePool(pool_type: u32, bytes: usize) -> *mut u8 {
        allocate("ExAllocatePool", Request::from_pool_type(pool_type, bytes, NO_TAG))
    }

    /// Allocates a block charged to the current process.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePoolWithQuotaTag(pool_type: u32, bytes: usize, tag: u32) -> *mut u8 {
        allocate("ExAllocatePoolWithQuotaTag", quota(pool_type, bytes, tag))
    }

    /// Allocates a block without a tag of its own, charged to the current process.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePoolWithQuota(pool_type: u32, bytes: usize) -> *mut u8 {
        allocate("ExAllocatePoolWithQuota", quota(pool_type, bytes, NO_TAG))
    }

    /// Allocates a block, zeroed unless asked otherwise (since Windows 10 2004).
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePool2(flags: u64, bytes: usize, tag: u32) -> *mut u8 {
        allocate("ExAllocatePool2", Request::from_flags(flags, bytes, tag))
    }

    /// Allocates a block with further parameters, all of which are hints.
    #[irql(DISPATCH)] #[raises]
    fn ExAllocatePool3(flags: u64, bytes: usize, tag: u32, _parameters: *const u8, _count: u32) -> *mut u8 {
        allocate("ExAllocatePool3", Request::from_flags(flags, bytes, tag))
    }

    /// Frees a block whose tag is given, or zero.
    #[irql(DISPATCH)]
    fn ExFreePoolWithTag(block: *mut u8, tag: u32) {
        free("ExFreePoolWithTag", block, free_tag(tag));
    }

    /// Frees a block.
    #[irql(DISPATCH)]
    fn ExFreePool(block: *mut u8) {
        free("ExFreePool", block, None);
    }

    /// Frees a block whose tag is given, or zero.
    #[irql(DISPATCH)]
    fn ExFreePool2(block: *mut u8, tag: u32, _parameters: *const u8, _count: u32) {
        free("ExFreePool2", block, free_tag(tag));
    }
}
