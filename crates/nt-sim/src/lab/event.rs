//! One event for several requests, as programs use that wait for whichever ends first.

use std::sync::Arc;
use std::time::Duration;

use super::{Held, Lab, LabError, Pending};
use crate::io::request;

/// An event that requests set when they end; it stays set until it is reset.
#[derive(Clone)]
pub struct Event {
    lab: Held<'static, Lab>,
    event: Arc<request::Event>,
}

impl Lab {
    /// Makes an event that is not set.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn shared_event(self: &Arc<Self>) -> Result<Event, LabError> {
        Ok(Event {
            event: Arc::new(self.enter(request::Event::new)?),
            lab: Held::Shared(Arc::clone(self)),
        })
    }
}

impl Event {
    /// Waits until it is set; `false` when `timeout` passes first.
    ///
    /// # Errors
    /// When the kernel stops.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, LabError> {
        let timeout = timeout.map(|t| -((t.as_nanos() / 100) as i64));
        self.lab.enter(|| self.event.wait(timeout))
    }

    /// Sets it, as a program may do itself.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn set(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.event.set())
    }

    /// Resets it.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn reset(&self) -> Result<(), LabError> {
        self.lab.enter(|| self.event.reset())
    }
}

impl Pending<'_> {
    /// Sets the event when the request ends, at once if it has.
    ///
    /// # Errors
    /// When the kernel has stopped.
    pub fn notify(&self, event: &Event) -> Result<(), LabError> {
        self.lab
            .enter(|| self.pending.notify(Arc::clone(&event.event)))
    }
}
