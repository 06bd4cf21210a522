//! Handles to interfaces, for their offloads.

use nt::io::{Completion, Control, Create};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::ioctl::interface as ioctl;
use xdp_abi::open::InterfaceOpen;
use zerocopy::{FromBytes, IntoBytes};

use super::FILE_CREATE;
use crate::driver::Services;
use crate::generic::QuicConnections;
use crate::interface::Interface;

/// A handle to an interface.
pub(crate) struct InterfaceHandle {
    interface: Arc<Interface>,
    /// Tells handles to the interface apart.
    id: u64,
    connections: QuicConnections,
}

impl InterfaceHandle {
    /// Serves the open of an interface.
    pub(crate) fn open(
        services: &Services,
        request: &Create<'_>,
        parameters: &[u8],
        passive: Passive<'_>,
    ) -> Result<Self> {
        let (open, _) =
            InterfaceOpen::read_from_prefix(parameters).map_err(|_| Status::INVALID_PARAMETER)?;
        if request.disposition() != FILE_CREATE {
            return Err(Status::INVALID_PARAMETER);
        }
        let interface = services.interfaces.by_index(open.if_index, passive)?;
        Ok(Self {
            id: interface.rss.owner(),
            interface,
            connections: QuicConnections::new(),
        })
    }

    /// The interface's index.
    pub(super) fn if_index(&self) -> u32 {
        self.interface.index()
    }

    /// Serves a request.
    pub(crate) fn control(&self, mut request: Control, passive: Passive<'_>) -> Completion {
        match request.code() {
            ioctl::RSS_GET_CAPABILITIES => {
                let capabilities = self.interface.rss_capabilities(passive);
                let answer = capabilities.as_ref().map(IntoBytes::as_bytes);
                reply(request, answer.map_err(|status| *status))
            }
            ioctl::RSS_GET => {
                let configuration = self.interface.rss_configuration(passive);
                let answer = configuration.as_ref().map(|answer| &**answer);
                reply(request, answer.map_err(|status| *status))
            }
            ioctl::RSS_SET => {
                let set = self.interface.set_rss(self.id, request.input(), passive);
                request.complete(Status::of(&set), 0)
            }
            ioctl::QEO_SET => {
                let len = request.input_len();
                if len == 0 || len != request.output_len() {
                    return request.complete(Status::INVALID_PARAMETER, 0);
                }
                // Input and output are the same memory.
                let set = self
                    .connections
                    .set(&self.interface, request.output(), passive);
                let information = if set.is_ok() { len } else { 0 };
                request.complete(Status::of(&set), information)
            }
            _ => request.complete(Status::NOT_SUPPORTED, 0),
        }
    }

    /// Takes back what was set through the handle.
    pub(crate) fn close(&self, passive: Passive<'_>) {
        self.connections.close(&self.interface, passive);
        self.interface.end_rss(self.id, passive);
    }
}

/// Answers with bytes, or says how many there are.
fn reply(mut request: Control, answer: Result<&[u8]>) -> Completion {
    let answer = match answer {
        Ok(answer) => answer,
        Err(status) => return request.complete(status, 0),
    };
    if request.output_len() == 0 {
        return request.complete(Status::BUFFER_OVERFLOW, answer.len());
    }
    match request.output().get_mut(..answer.len()) {
        Some(room) => {
            room.copy_from_slice(answer);
            request.complete(Status::SUCCESS, answer.len())
        }
        None => request.complete(Status::BUFFER_TOO_SMALL, 0),
    }
}
