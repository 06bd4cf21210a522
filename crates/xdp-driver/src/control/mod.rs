//! What programs open: the devices, and the open packet that says which object is wanted.

mod devices;
mod open;

pub(crate) use self::devices::Devices;
pub(crate) use self::open::{Object, open};
