//! Handles to interfaces, for their offloads.

use nt::io::{Completion, Control, Create};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::open::InterfaceOpen;
use zerocopy::FromBytes;

use super::FILE_CREATE;
use crate::driver::Services;
use crate::interface::Interface;

/// A handle to an interface.
pub(crate) struct InterfaceHandle {
    _interface: Arc<Interface>,
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
            _interface: interface,
        })
    }

    /// Serves a request.
    pub(crate) fn control(&self, request: Control, _passive: Passive<'_>) -> Completion {
        request.complete(Status::NOT_SUPPORTED, 0)
    }

    /// Takes back what was set through the handle.
    pub(crate) fn close(&self, _passive: Passive<'_>) {}
}
