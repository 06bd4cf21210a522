//! Drivers, their devices, and the requests that come to them.

mod device;
mod driver;
mod ea;
mod irp;
mod request;
mod slot;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

pub use self::device::{Device, DeviceConfig};
pub use self::driver::{Driver, DriverObject, DriverSlot, entry};
pub use self::ea::{Ea, Eas};
pub use self::irp::{Completion, Irp};
pub use self::request::{Control, Create, FastControl};
pub use self::slot::{Cancelled, IrpSlot};
