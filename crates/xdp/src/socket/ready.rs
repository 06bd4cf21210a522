//! Waiting for a socket in async code.

use std::sync::Arc;

use xdp_abi::ioctl::xsk::NOTIFY_ASYNC;
use xdp_abi::xsk::{INFINITE, NotifyIn, NotifyResultFlags};
use zerocopy::IntoBytes;

use super::{Interest, Ready, Socket, Waiting};
use crate::error::{Call, Error, Fault, Kind};
use crate::status::NtStatus;
use crate::sys::Pending;

/// A wait that is given up when nobody waits for it any more.
struct Wait(Arc<dyn Pending>);

impl Drop for Wait {
    fn drop(&mut self) {
        // Nothing when it has ended.
        self.0.cancel();
    }
}

impl Socket<'_> {
    /// As [`Socket::wait`] without a deadline, in a task of a tokio runtime; a thread for blocking work waits meanwhile.
    ///
    /// May be dropped at any time, as by `select!` or a timeout: nothing is lost then.
    ///
    /// # Errors
    ///
    /// As [`Socket::wait`]; [`Kind::Failed`] when the runtime ends.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[doc(alias = "XskNotifyAsync")]
    pub async fn ready(&mut self, interest: Interest) -> Result<Ready, Error> {
        loop {
            self.end_wait()?;
            let ready = self.prepare_wait(interest)?;
            if !ready.is_empty() {
                return Ok(ready);
            }
            let input = NotifyIn {
                flags: interest.0,
                wait_timeout_milliseconds: INFINITE,
            };
            let pending = self
                .object()
                .submit(NOTIFY_ASYNC, input.as_bytes(), None)
                .map_err(|fault| self.error(Call::Wait, fault))?;
            let wait = Wait(Arc::clone(&pending));
            self.waiting = Some(Waiting {
                pending: Arc::clone(&pending),
                interest,
                signal: None,
            });
            let waited = tokio::task::spawn_blocking(move || pending.wait(None)).await;
            drop(wait);
            self.waiting = None;
            let answer = match waited {
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) => continue,
                Ok(Err(fault)) => return Err(self.error(Call::Wait, fault)),
                Err(_) => {
                    let cause = "the runtime ended";
                    return Err(self.error(Call::Wait, Fault::of(Kind::Failed, cause)));
                }
            };
            match answer.status {
                NtStatus::SUCCESS => {
                    let ready = answer.information as u32;
                    let ready = Ready(NotifyResultFlags::from_bits_retain(ready));
                    if !ready.is_empty() {
                        return Ok(ready);
                    }
                }
                status => return Err(self.error(Call::Wait, Fault::Status(status))),
            }
        }
    }
}
