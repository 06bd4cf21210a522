//! What programs open: the devices, and the open packet that says which object is wanted.

mod devices;
mod interface;
mod inventory;
mod objects;
mod open;

use nt::memory::{Mode, UserSlice};
use nt::{Result, Status};

pub(crate) use self::devices::Devices;
pub(crate) use self::inventory::{List, control};
pub(crate) use self::objects::Objects;
pub(crate) use self::open::{Object, open};

/// The disposition of opens that make an object.
pub(crate) const FILE_CREATE: u32 = 2;

/// Captures a value from the memory of a caller. Programs have to align it, as the kernel's probes demand.
pub(crate) fn read_user(from: &UserSlice, align: usize, to: &mut [u8]) -> Result<()> {
    if from.mode() == Mode::User && !(from.address() as usize).is_multiple_of(align) {
        return Err(Status::DATATYPE_MISALIGNMENT);
    }
    from.read(0, to)
}
