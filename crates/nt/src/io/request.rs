//! What dispatch routines are called with.

use core::marker::PhantomData;
use core::slice;

use super::device::kind_of;
use super::ea::{Ea, Eas};
use super::irp::{Completion, Irp};
use crate::memory::{Mode, Requestor, UserSlice};
use crate::status::Status;

/// A request to open a device.
#[derive(Debug)]
pub struct Create<'a> {
    irp: &'a Irp,
}

impl<'a> Create<'a> {
    pub(super) const fn new(irp: &'a Irp) -> Self {
        Self { irp }
    }

    /// The kind that was given to the device when it was made.
    #[must_use]
    pub fn device_kind(&self) -> u32 {
        // SAFETY: requests come for devices of `Device::create`.
        unsafe { kind_of(self.irp.device()) }
    }

    /// Who opens the device.
    #[must_use]
    pub fn requestor(&self) -> Requestor {
        self.irp.requestor()
    }

    /// Whether a 32-bit program opens the device.
    #[must_use]
    pub fn is_32bit_process(&self) -> bool {
        self.irp.is_32bit_process()
    }

    fn options(&self) -> (u32, u32) {
        // SAFETY: the union's member for a create request.
        let create = unsafe { self.irp.stack().Parameters.Create };
        (create.Options, create.EaLength)
    }

    /// What to do if the object exists: `FILE_CREATE`, `FILE_OPEN`, ...
    #[must_use]
    pub fn disposition(&self) -> u32 {
        self.options().0 >> 24
    }

    /// The buffer of extended attributes, when there is one.
    #[must_use]
    pub fn ea_buffer(&self) -> Option<&'a [u8]> {
        let buffer = self.irp.system_buffer();
        let len = self.options().1 as usize;
        if buffer.is_null() || len == 0 {
            return None;
        }
        // SAFETY: the I/O manager's own copy of the attributes, there until the request completes.
        Some(unsafe { slice::from_raw_parts(buffer, len) })
    }

    /// The first extended attribute, when there is a buffer and it holds one.
    #[must_use]
    pub fn first_ea(&self) -> Option<Ea<'a>> {
        Ea::first(self.ea_buffer()?)
    }

    /// All extended attributes.
    #[must_use]
    pub fn eas(&self) -> Eas<'a> {
        Eas::new(self.ea_buffer().unwrap_or_default())
    }
}

/// A device control request.
#[derive(Debug)]
#[must_use]
pub struct Control {
    irp: Irp,
}

impl Control {
    pub(super) const fn new(irp: Irp) -> Self {
        Self { irp }
    }

    /// The kind that was given to the device when it was made.
    #[must_use]
    pub fn device_kind(&self) -> u32 {
        // SAFETY: requests come for devices of `Device::create`.
        unsafe { kind_of(self.irp.device()) }
    }

    fn parameters(&self) -> crate::sys::IO_STACK_LOCATION_Parameters_DeviceIoControl {
        // SAFETY: the union's member for a device control request.
        unsafe { self.irp.stack().Parameters.DeviceIoControl }
    }

    /// The control code.
    #[must_use]
    pub fn code(&self) -> u32 {
        self.parameters().IoControlCode
    }

    /// The length of the input.
    #[must_use]
    pub fn input_len(&self) -> usize {
        self.parameters().InputBufferLength as usize
    }

    /// The room for output.
    #[must_use]
    pub fn output_len(&self) -> usize {
        self.parameters().OutputBufferLength as usize
    }

    /// Who made the request; use only in the thread that dispatched it.
    #[must_use]
    pub fn requestor(&self) -> Requestor {
        self.irp.requestor()
    }

    /// Whether the code says that the I/O manager copies input and output.
    fn is_buffered(&self) -> bool {
        self.code() & 3 == crate::sys::METHOD_BUFFERED
    }

    /// The input of a buffered request (input and output share one buffer: read before writing).
    #[must_use]
    pub fn input(&self) -> &[u8] {
        self.buffer(self.input_len())
    }

    fn buffer(&self, len: usize) -> &[u8] {
        let buffer = self.irp.system_buffer();
        if !self.is_buffered() || buffer.is_null() {
            return &[];
        }
        // SAFETY: the I/O manager's buffer has the larger of both lengths.
        unsafe { slice::from_raw_parts(buffer, len) }
    }

    /// The room for the output of a buffered request.
    #[must_use]
    pub fn output(&mut self) -> &mut [u8] {
        let buffer = self.irp.system_buffer();
        if !self.is_buffered() || buffer.is_null() {
            return &mut [];
        }
        // SAFETY: the I/O manager's buffer has the larger of both lengths, and is borrowed through the request.
        unsafe { slice::from_raw_parts_mut(buffer, self.output_len()) }
    }

    /// The input of a request of `METHOD_NEITHER`: the requestor's own memory.
    #[must_use]
    pub fn user_input(&self) -> UserSlice {
        self.requestor().slice(
            self.parameters().Type3InputBuffer.addr() as u64,
            self.input_len(),
        )
    }

    /// The output of a request of `METHOD_NEITHER`: the requestor's own memory.
    #[must_use]
    pub fn user_output(&self) -> UserSlice {
        // SAFETY: the request is owned.
        let address = unsafe { (*self.irp.as_ptr()).UserBuffer };
        self.requestor()
            .slice(address.addr() as u64, self.output_len())
    }

    /// Completes the request; for a buffered one, `information` bytes of the output are copied to the requestor. Without room
    /// for output nothing is copied, and the number may say how much there would be.
    pub fn complete(self, status: Status, information: usize) -> Completion {
        if !self.is_buffered() {
            return self.irp.complete(status, information);
        }
        let room = self.output_len();
        if room != 0 {
            return self.irp.complete(status, information.min(room));
        }
        // The I/O manager copies as many bytes as the number says whenever there is an address to copy to, be there room or
        // not: bytes behind the end of the input, and to an address that no room has it probe.
        self.irp.keep_output();
        self.irp.complete(status, information)
    }

    /// The request's address, which tells it from others in traces.
    #[must_use]
    pub fn address(&self) -> usize {
        self.irp.address()
    }

    /// The request itself, to be parked in an [`super::IrpSlot`].
    pub fn into_irp(self) -> Irp {
        self.irp
    }
}

/// A device control request that came without a packet.
#[derive(Clone, Copy, Debug)]
pub struct FastControl<'a> {
    code: u32,
    input: UserSlice,
    output: UserSlice,
    request: PhantomData<&'a ()>,
}

impl FastControl<'_> {
    pub(super) fn new(
        code: u32,
        input: (*mut u8, u32),
        output: (*mut u8, u32),
        mode: Mode,
    ) -> Self {
        let requestor = Requestor::new(mode);
        let slice =
            |(address, len): (*mut u8, u32)| requestor.slice(address.addr() as u64, len as usize);
        Self {
            code,
            input: slice(input),
            output: slice(output),
            request: PhantomData,
        }
    }

    /// The control code.
    #[must_use]
    pub const fn code(&self) -> u32 {
        self.code
    }

    /// Who made the request.
    #[must_use]
    pub const fn requestor(&self) -> Requestor {
        Requestor::new(self.input.mode())
    }

    /// The input: the requestor's own memory, whatever the method of the code.
    #[must_use]
    pub const fn input(&self) -> UserSlice {
        self.input
    }

    /// The output: the requestor's own memory, whatever the method of the code.
    #[must_use]
    pub const fn output(&self) -> UserSlice {
        self.output
    }
}
