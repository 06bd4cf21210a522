//! Memory that a driver passes to an exported function, touched under the rules that hold for the driver itself.
//!
//! UNSAFETY: an exported function gets addresses, and what they point at is the driver's to know. The functions here are
//! the one place that turns them into accesses: user addresses are redirected or raise, kernel addresses of the
//! simulated machine must be mapped, everything else (statics and stacks of linked drivers) is trusted as the
//! function's reference page says.

use super::user::{Access, Denied, UserFault};
use super::va::RangeInfo;
use super::{PAGE_SIZE, is_user, raw, report};
use crate::export::{Exit, Raise};
use crate::irql;
use crate::kernel::{kernel, strict};

/// Raises an exception into the driver that called the exported function, which must be a raising one.
pub(crate) fn raise(status: nt::sys::NTSTATUS, information: &[u64]) -> ! {
    let raise = Raise {
        code: status as u32,
        information: information.to_vec(),
    };
    std::panic::resume_unwind(Box::new(Exit::Raise(raise)))
}

/// Raises the access violation of an access.
pub(crate) fn raise_access_violation(address: usize, access: Access) -> ! {
    raise(
        nt::sys::STATUS_ACCESS_VIOLATION,
        &[u64::from(access == Access::Write), address as u64],
    )
}

/// Where the host reaches `[address, address + len)`, if the driver may touch it now. Breaking a rule stops the kernel;
/// user memory that is not there raises.
pub(crate) fn host(address: usize, len: usize, access: Access) -> usize {
    if len == 0 {
        return address;
    }
    if is_user(address) {
        return user_host(address, len, access);
    }
    if strict() {
        check_kernel(address, len, access);
    }
    address
}

fn user_host(address: usize, len: usize, access: Access) -> usize {
    if strict() && irql::current() >= irql::DISPATCH && address >= PAGE_SIZE {
        crate::bugcheck!(
            crate::verifier::Rule::UserAtDispatch, address, irql::current(), access == Access::Write;
            "the user address {address:#x} was touched at {}", irql::name(irql::current())
        );
    }
    match kernel().mem.spaces.resolve(address, len, access) {
        Ok(delta) => address + delta,
        Err(fault) => denied(fault),
    }
}

/// Ends an access to user memory that does not go through.
pub(crate) fn denied(fault: UserFault) -> ! {
    let UserFault {
        address,
        access,
        why,
    } = fault;
    if why == Denied::NotAccessible {
        raise_access_violation(address, access);
    }
    report::user_rule(fault)
}

fn check_kernel(address: usize, len: usize, access: Access) {
    let mem = &kernel().mem;
    if !mem.va.contains(address) {
        return;
    }
    let end = address.saturating_add(len);
    let mut at = address;
    while at < end {
        match mem.va.find(at) {
            Some(RangeInfo {
                mapped: Some((_, protection)),
                ..
            }) if access == Access::Read || protection.writable() => {}
            _ => report::bad_access(at, access),
        }
        at = (at & !(PAGE_SIZE - 1)) + PAGE_SIZE;
    }
}

/// Reads a value.
pub(crate) fn load<T: Copy>(from: *const T) -> T {
    raw::load(host(from as usize, size_of::<T>(), Access::Read))
}

/// Writes a value.
pub(crate) fn store<T: Copy>(to: *mut T, value: T) {
    raw::store(host(to as usize, size_of::<T>(), Access::Write), value);
}

/// Reads `count` values.
pub(crate) fn load_many<T: Copy>(from: *const T, count: usize) -> Vec<T> {
    let base = host(
        from as usize,
        count.saturating_mul(size_of::<T>()),
        Access::Read,
    );
    (0..count)
        .map(|index| raw::load(base + index * size_of::<T>()))
        .collect()
}

/// Writes values one after the other.
pub(crate) fn store_many<T: Copy>(to: *mut T, values: &[T]) {
    let base = host(to as usize, size_of_val(values), Access::Write);
    for (index, &value) in values.iter().enumerate() {
        raw::store(base + index * size_of::<T>(), value);
    }
}

/// The values of a zero-terminated list, without the zero.
pub(crate) fn load_terminated<T: Copy + Default + PartialEq>(from: *const T) -> Vec<T> {
    let mut values = Vec::new();
    loop {
        let value = load(from.wrapping_add(values.len()));
        if value == T::default() {
            return values;
        }
        values.push(value);
    }
}
