//! Probing user memory, and the bounds of the address space.

use nt::sys::STATUS_DATATYPE_MISALIGNMENT;

use crate::export::Export;
use crate::kernel::kernel;
use crate::mem::guest;
use crate::mem::user::{self, Access};
use crate::mem::{PAGE_SIZE, USER_END};
use crate::{export_data, exports};

/// A page range at the end of the user half that nothing is ever mapped in.
const NO_ACCESS: usize = 0x1_0000;

#[unsafe(no_mangle)]
pub(crate) static MmUserProbeAddress: usize = USER_END - NO_ACCESS;
#[unsafe(no_mangle)]
pub(crate) static MmHighestUserAddress: usize = USER_END - NO_ACCESS - 1;
#[unsafe(no_mangle)]
pub(crate) static MmSystemRangeStart: usize = USER_END;

/// The variables that drivers compare addresses with.
pub(crate) static DATA: &[Export] = &[
    export_data!("ntoskrnl.exe", MmUserProbeAddress),
    export_data!("ntoskrnl.exe", MmHighestUserAddress),
    export_data!("ntoskrnl.exe", MmSystemRangeStart),
];

fn probe(address: usize, len: usize, alignment: u32, access: Access) {
    if len == 0 {
        return;
    }
    let alignment = alignment.max(1) as usize;
    if !address.is_multiple_of(alignment) {
        guest::raise(STATUS_DATATYPE_MISALIGNMENT, &[]);
    }
    if address
        .checked_add(len)
        .is_none_or(|end| end > MmUserProbeAddress)
    {
        guest::raise_access_violation(MmUserProbeAddress, access);
    }
    if access == Access::Write {
        // Writing to every page is how the real function finds out; so it faults where the pages are not there.
        let mem = &kernel().mem;
        let space = mem
            .spaces
            .of(address)
            .filter(|space| Some(space.id()) == user::current());
        let Some(space) = space else {
            guest::raise_access_violation(address, access)
        };
        if let Err(at) = space.check(address, len, Access::Write) {
            guest::raise_access_violation(at, access);
        }
    }
    user::note_probe(address, len, access == Access::Write);
}

/// What the exported functions do, without the frame that turns an exception over to a driver.
#[cfg(test)]
pub(super) fn probe_for_test(address: usize, len: usize, alignment: u32, write: bool) {
    probe(
        address,
        len,
        alignment,
        if write { Access::Write } else { Access::Read },
    );
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Raises unless the range is in the user half and aligned.
    #[irql(APC)] #[raises]
    fn ProbeForRead(address: usize, len: usize, alignment: u32) {
        probe(address, len, alignment, Access::Read);
    }

    /// Raises unless the range is in the user half, aligned, and can be written.
    #[irql(APC)] #[raises]
    fn ProbeForWrite(address: usize, len: usize, alignment: u32) {
        probe(address, len, alignment, Access::Write);
    }

    /// Keeps a user range from being freed or protected; null when it is not there.
    #[irql(APC)]
    fn MmSecureVirtualMemory(address: usize, len: usize, mode: u32) -> usize {
        secure(address, len, mode)
    }

    /// Keeps a user range from being freed or protected.
    #[irql(APC)]
    fn MmSecureVirtualMemoryEx(address: usize, len: usize, mode: u32, _flags: u32) -> usize {
        secure(address, len, mode)
    }

    /// Ends what MmSecureVirtualMemory began.
    #[irql(APC)]
    fn MmUnsecureVirtualMemory(handle: usize) {
        let address = handle & !1;
        if let Some(space) = kernel().mem.spaces.of(address) {
            // Whoever holds a handle holds the range, so it is there unless its process has ended.
            let _ = space.secure(address, 1, Access::Read, false);
        }
    }
}

/// The handle is the page's address with the lowest bit set, so that it is never null.
fn secure(address: usize, len: usize, mode: u32) -> usize {
    const PAGE_READWRITE: u32 = 4;
    let access = if mode == PAGE_READWRITE {
        Access::Write
    } else {
        Access::Read
    };
    let current = kernel()
        .mem
        .spaces
        .of(address)
        .filter(|space| Some(space.id()) == user::current());
    match current {
        Some(space) if len != 0 && space.secure(address, len, access, true).is_ok() => {
            (address & !(PAGE_SIZE - 1)) | 1
        }
        _ => 0,
    }
}
