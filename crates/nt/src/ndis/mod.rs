//! NDIS: net buffer lists and lightweight filters.

mod buffer;
mod chain;
mod filter;
mod handlers;
mod lent;
mod net_buffer;
mod oid;
mod packet;
mod packet_queue;
mod pool;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

pub use self::buffer::Nbl;
pub use self::chain::{NblChain, NblIter, NblQueue, NblRef};
pub use self::filter::{
    Attach, Datapath, Filter, FilterConfig, FilterDriver, FilterModule, FilterRegistration, Flags,
    Receive, Restart, StatusView,
};
pub use self::net_buffer::{Extent, NetBuffer, NetBuffers, Segments};
pub use self::oid::{OidRequest, OidView};
pub use self::packet::{Packet, PacketPool};
pub use self::packet_queue::{PacketQueue, PacketRef, Run};

use crate::status::Status;
use crate::sys::imports::ndis;
use crate::sys::{NDIS_STATUS, NDIS_STATUS_SUCCESS, NTSTATUS};

/// The NDIS version that runs, major and minor.
#[doc(alias = "NdisGetVersion")]
#[must_use]
pub fn version() -> (u8, u8) {
    // SAFETY: callable at any level.
    let [minor, _, major, _] = unsafe { ndis::NdisGetVersion() }.to_le_bytes();
    (major, minor)
}

/// NDIS statuses are NT statuses; a few codes are of NDIS alone.
const fn status(status: NDIS_STATUS) -> Status {
    Status(status as NTSTATUS)
}

/// What a callback returns for a result.
fn returned(result: &crate::Result<()>) -> NDIS_STATUS {
    match result {
        Ok(()) => NDIS_STATUS_SUCCESS,
        Err(status) => status.0,
    }
}
