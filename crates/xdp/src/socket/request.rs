//! Requests to a socket that is being opened.

use xdp_abi::ClientPtr;
use xdp_abi::ioctl::xsk as ioctl;
use xdp_abi::sockopt::{SetSockoptIn, Sockopt};
use zerocopy::{Immutable, IntoBytes};

use crate::error::{Call, Error, Fault};
use crate::interface::Interface;
use crate::sys::Object;

/// Requests to one socket.
pub(super) struct Setter<'a> {
    pub(super) interface: &'a Interface,
    pub(super) object: &'a dyn Object,
    pub(super) name: &'a str,
}

impl Setter<'_> {
    pub(super) fn request(&self, call: Call, code: u32, input: &[u8]) -> Result<(), Error> {
        let answer = self.object.control(code, input, &mut []);
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(Fault::Status(answer.status).during(call, self.name)),
            Err(fault) => Err(fault.during(call, self.name)),
        }
    }

    /// Sets an option, whose value lies in memory that the request refers to.
    pub(super) fn set<T: IntoBytes + Immutable>(
        &self,
        call: Call,
        option: Sockopt,
        value: &T,
    ) -> Result<(), Error> {
        let memory = self
            .interface
            .backend()
            .allocate(size_of::<T>())
            .map_err(|fault| fault.during(call, self.name))?;
        memory.write(0, value.as_bytes());
        let set = SetSockoptIn {
            option,
            input_buffer_length: size_of::<T>() as u32,
            input_buffer: ClientPtr(memory.address()),
        };
        self.request(call, ioctl::SET_SOCKOPT, set.as_bytes())
    }
}
