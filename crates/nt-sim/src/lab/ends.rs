//! The two ends of a virtual NIC, as a test sees them.

use std::{collections::VecDeque, marker::PhantomData, sync::Arc, time::Duration};

use super::{Lab, LabError, nic::check_lawless};
use crate::{
    ndis::{datapath, layer::OidKind, oid},
    nic::{self, Counters, Frame, Giving, Layout, Misdeed},
};

/// How long a test waits for a frame before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wire end of a NIC.
pub struct Wire<'nic> {
    pub(super) lab: &'nic Lab,
    pub(super) nic: &'nic Arc<nic::Nic>,
    pub(super) _side: PhantomData<()>,
}

impl Wire<'_> {
    /// Puts a frame on the wire; returns when it has been indicated to the drivers above.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), LabError> {
        self.send_all([frame.into()])
    }

    /// Puts frames on the wire; returns when they have been indicated.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.inject(frames, true))
    }

    /// Puts frames on the wire and does not wait.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn post(&self, frames: impl IntoIterator<Item = Frame>) -> Result<(), LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.inject(frames, false))
    }

    /// Indicates `total` frames, taken in turn from `frames`, as fast as they go, on the calling
    /// thread. For benchmarks and load.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn blast(&self, frames: &[Frame], total: u64) -> Result<u64, LabError> {
        if frames.is_empty() {
            return Ok(0);
        }
        self.lab.enter(|| self.nic.replay(frames, total))
    }

    /// Indicates a frame as no NIC may, also while the NIC is paused.
    ///
    /// # Errors
    /// When the NIC is not [lawless](crate::NicBuilder::lawless), or the kernel stops.
    pub fn misbehave(&self, frame: impl Into<Frame>, misdeed: Misdeed) -> Result<(), LabError> {
        check_lawless(self.nic)?;
        let frame = frame.into();
        self.lab.enter(|| self.nic.misbehave(&frame, misdeed))
    }

    /// The next frame that was sent out, if there is one.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn try_receive(&self) -> Result<Option<Frame>, LabError> {
        self.lab.enter(|| self.nic.wire.take())
    }

    /// All frames that were sent out since the last call, in their order.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn take_all(&self) -> Result<VecDeque<Frame>, LabError> {
        self.lab.enter(|| self.nic.wire.take_all())
    }

    /// Waits for the next frame that is sent out.
    ///
    /// # Errors
    /// When none comes within five seconds, or the kernel stops.
    pub fn receive(&self) -> Result<Frame, LabError> {
        wait(self.lab, &self.nic.name, "wire", &self.nic.wire)
    }

    /// What this end has seen.
    pub fn counters(&self) -> Counters {
        self.nic.wire.counters()
    }

    /// Only counts frames from now on, for load.
    pub fn count_only(&self) {
        self.nic.wire.set_collect(false);
    }

    /// Keeps sends uncompleted until [`Wire::release`].
    pub fn hold(&self) {
        self.nic.wire.set_giving(Giving::Held);
    }

    /// Completes sends one by one and out of order.
    pub fn shuffle(&self) {
        self.nic.wire.set_giving(Giving::Shuffled);
    }

    /// The sends that are held, byte by byte as they lie in memory now: what a card that is slow would read.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn held(&self) -> Result<Vec<Vec<u8>>, LabError> {
        self.lab.enter(|| self.nic.held_sends())
    }

    /// Completes what was held, and holds no more.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn release(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.release(&self.nic.wire))
    }

    /// Status with which sends are completed from now on.
    pub fn complete_sends_with(&self, status: i32) {
        self.nic
            .send_status
            .store(status, std::sync::atomic::Ordering::Relaxed);
    }

    /// Changes how received frames lie in memory.
    pub fn set_layout(&self, layout: Layout) {
        self.nic.rx.set_layout(layout);
    }
}

/// The stack end of a NIC.
pub struct Stack<'nic> {
    pub(super) lab: &'nic Lab,
    pub(super) nic: &'nic Arc<nic::Nic>,
    pub(super) _side: PhantomData<()>,
}

impl Stack<'_> {
    /// Sends a frame down.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send(&self, frame: impl Into<Frame>) -> Result<(), LabError> {
        self.send_all([frame.into()]).map(|_| ())
    }

    /// Sends frames down; returns how many the stack below took.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send_all(&self, frames: impl IntoIterator<Item = Frame>) -> Result<u64, LabError> {
        let frames = frames.into_iter().collect();
        self.lab.enter(|| self.nic.send(frames))
    }

    /// Sends lists down, each of the frames that it has: what a stack does with the segments of one connection. What
    /// travels beside the bytes of a list's first frame is the list's. Returns how many frames the stack below took.
    ///
    /// # Errors
    /// When a list has no frame, or the kernel stops.
    pub fn send_lists(&self, lists: &[Vec<Frame>]) -> Result<u64, LabError> {
        if lists.iter().any(Vec::is_empty) {
            return Err(LabError::Invalid("a list without a frame".into()));
        }
        self.lab.enter(|| self.nic.send_lists(lists))
    }

    /// Sends `total` frames down, taken in turn from `frames`, as fast as they go, on the calling thread; returns how many
    /// the stack below took. For benchmarks and load.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn blast(&self, frames: &[Frame], total: u64) -> Result<u64, LabError> {
        if frames.is_empty() {
            return Ok(0);
        }
        self.lab.enter(|| self.nic.pour(frames, total))
    }

    /// The next frame that came up, if there is one.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn try_receive(&self) -> Result<Option<Frame>, LabError> {
        self.lab.enter(|| self.nic.stack.take())
    }

    /// All frames that came up since the last call, in their order.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn take_all(&self) -> Result<VecDeque<Frame>, LabError> {
        self.lab.enter(|| self.nic.stack.take_all())
    }

    /// Waits for the next frame that comes up.
    ///
    /// # Errors
    /// When none comes within five seconds, or the kernel stops.
    pub fn receive(&self) -> Result<Frame, LabError> {
        wait(self.lab, &self.nic.name, "stack", &self.nic.stack)
    }

    /// What this end has seen.
    pub fn counters(&self) -> Counters {
        self.nic.stack.counters()
    }

    /// Sends that came back with a failure status.
    pub fn failed_sends(&self) -> u64 {
        self.nic
            .stack_failed
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Sends that have not been completed.
    pub fn pending_sends(&self) -> u64 {
        self.nic
            .tx
            .outstanding
            .load(std::sync::atomic::Ordering::SeqCst)
            .max(0) as u64
    }

    /// Sends the next `frames` frames that come up down again, each from within its indication: as a stack that routes.
    pub fn route(&self, frames: u64) {
        self.nic
            .routed
            .store(frames, std::sync::atomic::Ordering::Relaxed);
    }

    /// Only counts frames from now on, for load.
    pub fn count_only(&self) {
        self.nic.stack.set_collect(false);
    }

    /// Keeps receives until [`Stack::release`].
    pub fn hold(&self) {
        self.nic.stack.set_giving(Giving::Held);
    }

    /// Returns receives one by one and out of order.
    pub fn shuffle(&self) {
        self.nic.stack.set_giving(Giving::Shuffled);
    }

    /// Returns what was held, and holds no more.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn release(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.nic.release(&self.nic.stack))
    }

    /// Status codes indicated to the stack since the last call.
    pub fn take_statuses(&self) -> Vec<i32> {
        std::mem::take(&mut *self.nic.statuses.lock())
    }

    /// Network events that reached the stack since the last call.
    pub fn take_events(&self) -> Vec<i32> {
        std::mem::take(&mut *self.nic.events.lock())
    }

    /// Queries an OID from above the filters; the error is the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab.enter(|| self.nic.query_oid(oid, OidKind::Regular))
    }

    /// As [`Stack::query`], on the direct path.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query_direct(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab.enter(|| self.nic.query_oid(oid, OidKind::Direct))
    }

    /// As [`Stack::query`], on the synchronous path.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query_synchronous(&self, oid: u32) -> Result<Result<Vec<u8>, i32>, LabError> {
        self.lab
            .enter(|| self.nic.query_oid(oid, OidKind::Synchronous))
    }

    /// Sets an OID from above the filters; returns the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set(&self, oid: u32, data: &[u8]) -> Result<i32, LabError> {
        let mut data = data.to_vec();
        self.lab.enter(|| self.nic.set_oid(oid, &mut data))
    }

    /// As [`Stack::set`], with the request made at DISPATCH_LEVEL.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_at_dispatch(&self, oid: u32, data: &[u8]) -> Result<i32, LabError> {
        let (mut data, level) = (data.to_vec(), nt::sys::DISPATCH_LEVEL);
        self.lab
            .enter(|| self.nic.set_oid_at(oid, &mut data, level as nt::sys::KIRQL))
    }

    /// As [`Stack::query`] on the regular or the direct path, by a request that [`Stack::cancel_requests`] can cancel;
    /// returns its status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn query_as(&self, oid: u32, direct: bool, id: usize) -> Result<i32, LabError> {
        self.lab
            .enter(|| self.nic.query_oid_as(oid, path(direct), id))
    }

    /// Cancels requests of a path that have this identifier.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn cancel_requests(&self, direct: bool, id: usize) -> Result<(), LabError> {
        let binding = self.nic.binding();
        self.lab
            .enter(|| oid::cancel(binding, id as *mut _, path(direct)))
    }

    /// Sends a frame down that [`Stack::cancel_sends`] can cancel.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn send_as(&self, frame: impl Into<Frame>, id: usize) -> Result<(), LabError> {
        let frame = frame.into();
        self.lab.enter(|| self.nic.send_as(&frame, id))
    }

    /// Cancels the sends that have this identifier.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn cancel_sends(&self, id: usize) -> Result<(), LabError> {
        let binding = self.nic.binding();
        self.lab
            .enter(|| datapath::cancel_send(binding, id as *mut _))
    }

    /// Spreads receives over the queues of these processors, as the protocol stack does when it moves
    /// RSS; none turns RSS off. Returns the status.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn set_rss(&self, processors: &[u32]) -> Result<i32, LabError> {
        let parameters = nic::rss::parameters_for(processors, nic::rss::MAX_TABLE);
        self.set(nt::sys::OID_GEN_RECEIVE_SCALE_PARAMETERS, &parameters)
    }

    /// Whether the stack end runs.
    pub fn is_up(&self) -> bool {
        self.nic.is_up()
    }

    /// Changes how frames that are sent lie in memory.
    pub fn set_layout(&self, layout: Layout) {
        self.nic.tx.set_layout(layout);
    }
}

fn path(direct: bool) -> OidKind {
    if direct {
        OidKind::Direct
    } else {
        OidKind::Regular
    }
}

fn wait(lab: &Lab, name: &str, side: &str, end: &nic::End) -> Result<Frame, LabError> {
    let timeout = (PATIENCE.as_nanos() / 100) as i64;
    lab.enter(|| end.wait(timeout))?.ok_or_else(|| {
        LabError::Invalid(format!(
            "no frame reached the {side} end of {name} within {} s",
            PATIENCE.as_secs()
        ))
    })
}
