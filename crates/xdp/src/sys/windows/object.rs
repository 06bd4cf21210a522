// UNSAFETY: calls functions of Windows, and vouches for memory staying mapped.
#![expect(
    unsafe_code,
    reason = "functions of Windows are foreign, and the driver maps memory by address"
)]

//! Handles, requests and memory.

use std::ffi::c_void;
use std::os::windows::io::AsRawHandle;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use xdp_abi::open::{EA_NAME_OFFSET, FileFullEaInformation, OPEN_PACKET_NAME};
use xdp_abi::xsk::NotifyIn;
use zerocopy::IntoBytes;

use super::api::{self, IoStatusBlock};
use super::pending;
use crate::error::{Fault, Kind};
use crate::memory::{Mapped, Memory};
use crate::status::NtStatus;
use crate::sys::{Access, Answer, Object, PeerProcess, Pending, Signal};

/// A handle that is closed when it is dropped.
pub(super) struct Handle(pub(super) usize);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody else closes it. There is nothing to be done about a failure.
        let _ = unsafe { api::NtClose(self.0) };
    }
}

/// An open handle of the driver.
struct FileObject {
    handle: Arc<Handle>,
}

/// The extended attribute with a value, as `NtCreateFile` takes it.
fn attribute(value: &[u8]) -> Result<Vec<u64>, Fault> {
    let too_long = |_| Fault::of(Kind::InvalidArgument, "the parameters are too long");
    let header = FileFullEaInformation {
        ea_name_length: OPEN_PACKET_NAME.len() as u8,
        ea_value_length: u16::try_from(value.len()).map_err(too_long)?,
        ..FileFullEaInformation::default()
    };
    let mut bytes = header.as_bytes()[..EA_NAME_OFFSET].to_vec();
    bytes.extend(OPEN_PACKET_NAME.as_bytes());
    bytes.push(0);
    bytes.extend(value);
    // Aligned, as Windows demands.
    bytes.resize(bytes.len().next_multiple_of(size_of::<u64>()), 0);
    let (words, _) = bytes.as_chunks();
    Ok(words.iter().map(|word| u64::from_ne_bytes(*word)).collect())
}

pub(super) fn open(
    device: &str,
    access: Access,
    value: Option<&[u8]>,
) -> Result<Arc<dyn Object>, Fault> {
    let path: Vec<u16> = device.encode_utf16().collect();
    let bytes = (path.len() * size_of::<u16>()) as u16;
    let name = api::UnicodeString {
        length: bytes,
        maximum_length: bytes,
        buffer: path.as_ptr(),
    };
    let attributes = api::ObjectAttributes {
        length: size_of::<api::ObjectAttributes>() as u32,
        root_directory: 0,
        object_name: &name,
        attributes: api::OBJ_CASE_INSENSITIVE,
        security_descriptor: ptr::null(),
        security_quality_of_service: ptr::null(),
    };
    let ea = value.map(attribute).transpose()?.unwrap_or_default();
    let (disposition, ea_pointer) = if ea.is_empty() {
        (api::FILE_OPEN, ptr::null())
    } else {
        (api::FILE_CREATE, ea.as_ptr().cast::<c_void>())
    };
    let access = match access {
        Access::Read => api::GENERIC_READ | api::SYNCHRONIZE,
        Access::Full => api::GENERIC_READ | api::GENERIC_WRITE | api::SYNCHRONIZE,
    };
    let mut handle = 0;
    let mut block = IoStatusBlock::default();
    // SAFETY: everything that is pointed to lives until the call returns, and has the length that is said.
    let status = unsafe {
        api::NtCreateFile(
            &mut handle,
            access,
            &attributes,
            &mut block,
            ptr::null(),
            0,
            api::FILE_SHARE_READ_WRITE,
            disposition,
            // The handle is asynchronous, so that one thread may poke while another waits.
            0,
            ea_pointer,
            size_of_val(ea.as_slice()) as u32,
        )
    };
    match NtStatus(status) {
        status if status.is_success() => Ok(Arc::new(FileObject {
            handle: Arc::new(Handle(handle)),
        })),
        status => Err(Fault::Status(status)),
    }
}

/// A handle that somebody else made for this process.
pub(super) fn adopt(value: u64) -> Result<Arc<dyn Object>, Fault> {
    let handle = value as usize;
    let mut basic = [0_u64; api::OBJECT_BASIC_INFORMATION_BYTES / size_of::<u64>()];
    // SAFETY: there is room for as many bytes as is said.
    let status = unsafe {
        api::NtQueryObject(
            handle,
            api::OBJECT_BASIC_INFORMATION,
            basic.as_mut_ptr().cast(),
            size_of_val(&basic) as u32,
            ptr::null_mut(),
        )
    };
    match NtStatus(status) {
        NtStatus::SUCCESS => Ok(Arc::new(FileObject {
            handle: Arc::new(Handle(handle)),
        })),
        status => Err(Fault::Status(status)),
    }
}

/// An event that is not set.
pub(super) fn event() -> Result<Handle, Fault> {
    let mut handle = 0;
    // SAFETY: the result is written to a variable.
    let status = unsafe {
        api::NtCreateEvent(
            &mut handle,
            api::EVENT_ALL_ACCESS,
            ptr::null(),
            api::NOTIFICATION_EVENT,
            0,
        )
    };
    match NtStatus(status) {
        NtStatus::SUCCESS => Ok(Handle(handle)),
        status => Err(Fault::Status(status)),
    }
}

/// A request with all that the kernel writes to when it ends.
struct Request {
    event: Handle,
    block: IoStatusBlock,
}

impl Request {
    /// Sends a request and waits for its end, which makes it safe to lend it buffers.
    fn run(handle: &Handle, code: u32, input: &[u8], output: &mut [u8]) -> Result<Answer, Fault> {
        let mut request = Self {
            event: event()?,
            block: IoStatusBlock::default(),
        };
        let block = &raw mut request.block;
        // SAFETY: the buffers and the block live until the request has ended, for which is waited below.
        let status = unsafe {
            api::NtDeviceIoControlFile(
                handle.0,
                request.event.0,
                0,
                0,
                block,
                code,
                input.as_ptr().cast(),
                input.len() as u32,
                output.as_mut_ptr().cast(),
                output.len() as u32,
            )
        };
        let status = NtStatus(status);
        if status == NtStatus::PENDING {
            // SAFETY: the event is open; the wait has no end but that of the request, and cannot fail then.
            let _ = unsafe { api::NtWaitForSingleObject(request.event.0, 0, ptr::null()) };
        } else if (status.0 >> 30) == 3 {
            // With an error at once the block is not written.
            return Ok(Answer {
                status,
                information: 0,
            });
        }
        // SAFETY: the request has ended; the kernel wrote the block, which the compiler does not know.
        let block = unsafe { block.read_volatile() };
        Ok(Answer {
            status: NtStatus(block.status as u32),
            information: block.information,
        })
    }
}

impl Object for FileObject {
    fn handle(&self) -> u64 {
        self.handle.0 as u64
    }

    fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Answer, Fault> {
        Request::run(&self.handle, code, input, output)
    }

    fn notify(&self, input: [u8; size_of::<NotifyIn>()]) -> Result<Answer, Fault> {
        // Answered by fast I/O, in the call: no event is needed.
        let mut block = IoStatusBlock::default();
        let pointer = &raw mut block;
        // SAFETY: the driver answers this request in the call, so nothing is used when it has returned.
        let status = unsafe {
            api::NtDeviceIoControlFile(
                self.handle.0,
                0,
                0,
                0,
                pointer,
                xdp_abi::ioctl::xsk::NOTIFY,
                input.as_ptr().cast(),
                input.len() as u32,
                ptr::null_mut(),
                0,
            )
        };
        // SAFETY: as above; the kernel wrote the block.
        let block = unsafe { pointer.read_volatile() };
        Ok(Answer {
            status: NtStatus(status),
            information: block.information,
        })
    }

    fn submit(
        &self,
        code: u32,
        input: &[u8],
        signal: Option<&Arc<dyn Signal>>,
    ) -> Result<Arc<dyn Pending>, Fault> {
        pending::submit(&self.handle, code, input, signal)
    }

    fn duplicate(&self, peer: &PeerProcess) -> Result<u64, Fault> {
        let PeerProcess::Windows(process) = peer;
        let mut duplicate = 0;
        // SAFETY: both handles are open while they are borrowed; the result is written to a variable.
        let status = unsafe {
            api::NtDuplicateObject(
                api::CURRENT_PROCESS,
                self.handle.0,
                process.as_raw_handle().expose_provenance(),
                &mut duplicate,
                0,
                0,
                api::DUPLICATE_SAME_ACCESS,
            )
        };
        match NtStatus(status) {
            NtStatus::SUCCESS => Ok(duplicate as u64),
            status => Err(Fault::Status(status)),
        }
    }

    fn mapped(self: Arc<Self>, address: u64, bytes: usize) -> Result<Memory, Fault> {
        let pointer = NonNull::new(ptr::with_exposed_provenance_mut(address as usize));
        let pointer =
            pointer.ok_or_else(|| Fault::of(Kind::Failed, "the driver mapped nothing"))?;
        Ok(Memory::new(Arc::new(MappedByDriver {
            pointer,
            size: bytes,
            _object: self,
        })))
    }
}

/// Memory that the driver mapped for an object.
struct MappedByDriver {
    pointer: NonNull<u8>,
    size: usize,
    /// It is unmapped when the handle is closed.
    _object: Arc<FileObject>,
}

// SAFETY: it is an address that is used as `Mapped` says, on any thread.
unsafe impl Send for MappedByDriver {}
// SAFETY: as above.
unsafe impl Sync for MappedByDriver {}

// SAFETY: the driver maps the memory until the handle of the object is closed, which `_object` keeps open.
unsafe impl Mapped for MappedByDriver {
    fn pointer(&self) -> NonNull<u8> {
        self.pointer
    }

    fn address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }

    fn size(&self) -> usize {
        self.size
    }
}

/// Pages of this process.
struct Pages {
    pointer: NonNull<u8>,
    size: usize,
}

// SAFETY: it is an address that is used as `Mapped` says, on any thread.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

// SAFETY: the pages stay until `drop` frees them.
unsafe impl Mapped for Pages {
    fn pointer(&self) -> NonNull<u8> {
        self.pointer
    }

    fn address(&self) -> u64 {
        self.pointer.as_ptr().expose_provenance() as u64
    }

    fn size(&self) -> usize {
        self.size
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let mut base = self.pointer.as_ptr().cast::<c_void>();
        let mut size = 0;
        // SAFETY: the pages were allocated as one, and nobody refers to them any more. A driver that has locked them keeps them.
        let _ = unsafe {
            api::NtFreeVirtualMemory(api::CURRENT_PROCESS, &mut base, &mut size, api::MEM_RELEASE)
        };
    }
}

pub(super) fn allocate(bytes: usize) -> Result<Memory, Fault> {
    let mut base = ptr::null_mut();
    let mut size = bytes.max(1);
    // SAFETY: the result is written to variables.
    let status = unsafe {
        api::NtAllocateVirtualMemory(
            api::CURRENT_PROCESS,
            &mut base,
            0,
            &mut size,
            api::MEM_COMMIT_RESERVE,
            api::PAGE_READWRITE,
        )
    };
    match (NtStatus(status), NonNull::new(base.cast())) {
        (NtStatus::SUCCESS, Some(pointer)) => Ok(Memory::new(Arc::new(Pages { pointer, size }))),
        (status, _) => Err(Fault::Status(status)),
    }
}
