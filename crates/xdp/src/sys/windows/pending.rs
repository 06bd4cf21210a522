// UNSAFETY: calls functions of Windows that write to memory after they have returned.
#![expect(unsafe_code, reason = "functions of Windows are foreign")]

//! Requests that nobody waits for in the call.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::api::{self, IoStatusBlock};
use super::object::{Handle, event};
use crate::error::Fault;
use crate::status::NtStatus;
use crate::sys::{Answer, Pending, Signal};

/// How long to wait at a time for an event that is not the request's own: others may reset it.
const SLICE: Duration = Duration::from_millis(10);

/// An event that several requests set.
struct Event(Handle);

pub(super) fn signal() -> Result<Arc<dyn Signal>, Fault> {
    Ok(Arc::new(Event(event()?)))
}

/// Waits for an event; `false` when `timeout` passes first.
fn wait_for(event: usize, timeout: Option<Duration>) -> Result<bool, Fault> {
    let ticks = timeout.map(|timeout| {
        let ticks = timeout.as_nanos().div_ceil(100);
        -i64::try_from(ticks).unwrap_or(i64::MAX)
    });
    let pointer = ticks.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: whoever calls keeps the event open; the time lives until the call returns.
    let status = unsafe { api::NtWaitForSingleObject(event, 0, pointer) };
    match NtStatus(status) {
        NtStatus::TIMEOUT => Ok(false),
        status if status.is_success() => Ok(true),
        status => Err(Fault::Status(status)),
    }
}

impl Signal for Event {
    fn reset(&self) -> Result<(), Fault> {
        // SAFETY: the event is open.
        match NtStatus(unsafe { api::NtClearEvent(self.0.0) }) {
            NtStatus::SUCCESS => Ok(()),
            status => Err(Fault::Status(status)),
        }
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<(), Fault> {
        wait_for(self.0.0, timeout).map(drop)
    }

    fn handle(&self) -> usize {
        self.0.0
    }
}

/// What a request sets when it ends.
enum Raised {
    Own(Handle),
    Shared(Arc<dyn Signal>),
}

impl Raised {
    fn handle(&self) -> usize {
        match self {
            Self::Own(event) => event.0,
            Self::Shared(signal) => signal.handle(),
        }
    }
}

/// A request under way. It stays where it is until the kernel has written to it for the last time.
struct Submitted {
    raised: Raised,
    block: UnsafeCell<IoStatusBlock>,
    file: Arc<Handle>,
    input: Box<[u8]>,
}

// SAFETY: the block is read as memory that the kernel may write to, and its information only when the status says that the
// request has ended.
unsafe impl Send for Submitted {}
// SAFETY: as above.
unsafe impl Sync for Submitted {}

pub(super) fn submit(
    file: &Arc<Handle>,
    code: u32,
    input: &[u8],
    signal: Option<&Arc<dyn Signal>>,
) -> Result<Arc<dyn Pending>, Fault> {
    let raised = match signal {
        Some(signal) => Raised::Shared(Arc::clone(signal)),
        None => Raised::Own(event()?),
    };
    let under_way = IoStatusBlock {
        status: NtStatus::PENDING.0 as usize,
        information: 0,
    };
    let request = Arc::new(Submitted {
        raised,
        block: UnsafeCell::new(under_way),
        file: Arc::clone(file),
        input: input.into(),
    });
    // SAFETY: the input and the block live in `request`, whose drop waits for the end of the request.
    let status = unsafe {
        api::NtDeviceIoControlFile(
            file.0,
            request.raised.handle(),
            0,
            0,
            request.block.get(),
            code,
            request.input.as_ptr().cast(),
            request.input.len() as u32,
            ptr::null_mut(),
            0,
        )
    };
    let status = NtStatus(status);
    if status.is_success() {
        return Ok(request);
    }
    // With an error at once there is no request: nobody writes the block, and nobody would end a wait for it.
    let refused = IoStatusBlock {
        status: status.0 as usize,
        information: 0,
    };
    // SAFETY: as was said, the block is this function's alone.
    unsafe { request.block.get().write(refused) };
    Err(Fault::Status(status))
}

impl Submitted {
    fn ended(&self) -> Option<Answer> {
        // SAFETY: the block lives as long as `self`; that the kernel may write to it meanwhile is what volatile says.
        let status = unsafe { (&raw const (*self.block.get()).status).read_volatile() };
        let status = NtStatus(status as u32);
        if status == NtStatus::PENDING {
            return None;
        }
        // The status is written last.
        fence(Ordering::Acquire);
        // SAFETY: the request has ended, so nobody writes to the block any more.
        let block = unsafe { self.block.get().read_volatile() };
        Some(Answer {
            status,
            information: block.information,
        })
    }
}

impl Pending for Submitted {
    fn answer(&self) -> Result<Option<Answer>, Fault> {
        Ok(self.ended())
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Option<Answer>, Fault> {
        let mut left = timeout;
        loop {
            if let Some(answer) = self.ended() {
                return Ok(Some(answer));
            }
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            let slice = match (&self.raised, left) {
                (Raised::Own(_), left) => left,
                (Raised::Shared(_), left) => Some(left.map_or(SLICE, |left| left.min(SLICE))),
            };
            wait_for(self.raised.handle(), slice)?;
            left = left.map(|left| left.saturating_sub(slice.unwrap_or_default()));
        }
    }

    fn cancel(&self) {
        let mut answer = IoStatusBlock::default();
        // SAFETY: the file is open; the block names the request, and need not be one that is still under way.
        let _ = unsafe { api::NtCancelIoFileEx(self.file.0, self.block.get(), &mut answer) };
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        self.cancel();
        // The kernel writes to the block until then.
        while !matches!(self.wait(None), Ok(Some(_))) {
            std::thread::yield_now();
        }
    }
}
