//! Reading and writing memory that belongs to whoever made a request.

use core::ffi::c_void;

use crate::seh;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{KPROCESSOR_MODE, KernelMode, UserMode};

/// Where a request comes from.
#[doc(alias = "KPROCESSOR_MODE")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Kernel code: its pointers are trusted.
    Kernel,
    /// A program: its pointers are probed, and may fault at any time.
    User,
}

impl Mode {
    pub(crate) const fn from_raw(mode: KPROCESSOR_MODE) -> Self {
        if mode as i32 == KernelMode {
            Self::Kernel
        } else {
            Self::User
        }
    }

    pub(crate) const fn raw(self) -> KPROCESSOR_MODE {
        match self {
            Self::Kernel => KernelMode as KPROCESSOR_MODE,
            Self::User => UserMode as KPROCESSOR_MODE,
        }
    }
}

/// Who made the request that is being served, in whose address space this thread runs.
#[derive(Clone, Copy, Debug)]
pub struct Requestor {
    mode: Mode,
}

impl Requestor {
    pub(crate) const fn new(mode: Mode) -> Self {
        Self { mode }
    }

    /// The requestor's mode.
    #[must_use]
    pub const fn mode(self) -> Mode {
        self.mode
    }

    /// Names memory of the requestor; nothing is checked until it is used.
    ///
    /// The addresses of a kernel requestor are trusted: it could write there itself.
    #[must_use]
    pub const fn slice(self, address: u64, len: usize) -> UserSlice {
        UserSlice {
            address,
            len,
            mode: self.mode,
        }
    }
}

/// Memory of a requestor: an address and a length, to be copied from or to, never borrowed.
#[derive(Clone, Copy, Debug)]
pub struct UserSlice {
    address: u64,
    len: usize,
    mode: Mode,
}

struct Copy {
    from: *const u8,
    to: *mut u8,
    len: usize,
    mode: Mode,
}

impl UserSlice {
    /// The address, as the requestor gave it.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// The length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mode of the requestor.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    fn at(&self, offset: usize, len: usize) -> Result<*mut u8> {
        let end = offset.checked_add(len).ok_or(Status::INVALID_PARAMETER)?;
        if end > self.len {
            return Err(Status::BUFFER_TOO_SMALL);
        }
        let address = usize::try_from(self.address).map_err(|_| Status::ACCESS_VIOLATION)?;
        let start = address
            .checked_add(offset)
            .ok_or(Status::ACCESS_VIOLATION)?;
        Ok(core::ptr::with_exposed_provenance_mut(start))
    }

    /// Copies bytes in; PASSIVE_LEVEL or APC_LEVEL.
    ///
    /// # Errors
    ///
    /// [`Status::BUFFER_TOO_SMALL`] outside of the slice, or what the access raised.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<()> {
        let from = self.at(offset, to.len())?;
        let mut copy = Copy {
            from,
            to: to.as_mut_ptr(),
            len: to.len(),
            mode: self.mode,
        };
        // SAFETY: the function takes a `Copy` and holds nothing.
        unsafe { seh::guarded(copy_in, &mut copy) }
    }

    /// Copies bytes out; PASSIVE_LEVEL or APC_LEVEL.
    ///
    /// # Errors
    ///
    /// [`Status::BUFFER_TOO_SMALL`] outside of the slice, or what the access raised.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<()> {
        let to = self.at(offset, from.len())?;
        let mut copy = Copy {
            from: from.as_ptr(),
            to,
            len: from.len(),
            mode: self.mode,
        };
        // SAFETY: the function takes a `Copy` and holds nothing.
        unsafe { seh::guarded(copy_out, &mut copy) }
    }
}

kernel_fn! {
    unsafe fn copy_in(context: *mut c_void) {
        // SAFETY: `UserSlice::read` passes a `Copy`.
        let copy = unsafe { &*context.cast::<Copy>() };
        if copy.mode == Mode::User {
            // SAFETY: any address may be probed; what it raises is caught.
            unsafe { ntoskrnl::ProbeForRead(copy.from.cast_mut().cast(), copy.len, 1) };
        }
        // SAFETY: `to` is a borrowed slice; a fault of `from` is caught.
        unsafe { copy_bytes(copy.from, copy.to, copy.len) };
    }

    unsafe fn copy_out(context: *mut c_void) {
        // SAFETY: `UserSlice::write` passes a `Copy`.
        let copy = unsafe { &*context.cast::<Copy>() };
        if copy.mode == Mode::User {
            // SAFETY: any address may be probed; what it raises is caught.
            unsafe { ntoskrnl::ProbeForWrite(copy.to.cast(), copy.len, 1) };
        }
        // SAFETY: `from` is a borrowed slice; a fault of `to` is caught.
        unsafe { copy_bytes(copy.from, copy.to, copy.len) };
    }
}

/// Copies bytes in a way that the compiler knows nothing about: the other side may change them meanwhile, and may
/// fault.
///
/// # Safety
///
/// The kernel's side is valid for `len` bytes; the other side may fault only where that is caught.
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise; the direction flag is clear by the calling convention.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    for index in 0..len {
        // SAFETY: the caller's promise.
        let source = unsafe { from.add(index) };
        // SAFETY: the caller's promise.
        let byte = unsafe { source.read_volatile() };
        // SAFETY: the caller's promise.
        let target = unsafe { to.add(index) };
        // SAFETY: the caller's promise.
        unsafe { target.write_volatile(byte) };
    }
}
