//! The driver as a whole.

use nt::io::{Create, Driver, DriverObject, DriverSlot};
use nt::notify::CallbackObject;
use nt::{Arc, Passive, Result, Tag, UnicodeStr};
use xdp_abi::open::DRIVER_START_CALLBACK_NAME;

use crate::control::{self, Devices, Object};
use crate::lwf::Lwf;

/// The running driver.
///
/// The filter is dropped first: that removes every interface, after which nothing in the network stack refers to the
/// objects behind the devices.
pub(crate) struct Xdp {
    lwf: Lwf,
    devices: Devices,
    start_callback: CallbackObject,
}

static RUNNING: DriverSlot<Xdp> = DriverSlot::new();

/// Characters of the longest name that [`with_name`] can hold.
const MAX_NAME: usize = 64;

/// Calls `body` with a name in UTF-16. Names are short ASCII constants.
pub(crate) fn with_name<R>(
    name: &str,
    body: impl FnOnce(UnicodeStr<'_>) -> Result<R>,
) -> Result<R> {
    let mut units = [0_u16; MAX_NAME];
    let mut len = 0;
    for (unit, byte) in units.iter_mut().zip(name.bytes()) {
        *unit = byte.into();
        len += 1;
    }
    let text = units.get(..len).ok_or(nt::Status::NAME_TOO_LONG)?;
    body(UnicodeStr::new(text)?)
}

impl Driver for Xdp {
    type File = Object;

    const TAG: Tag = crate::TAG;

    fn slot() -> &'static DriverSlot<Self> {
        &RUNNING
    }

    fn load(
        object: DriverObject,
        _registry_path: UnicodeStr<'_>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let start_callback = with_name(DRIVER_START_CALLBACK_NAME, |name| {
            CallbackObject::create(name, passive)
        })?;
        let devices = Devices::create(object, passive)?;
        let lwf = Lwf::register(object, passive)?;
        Ok(Self {
            lwf,
            devices,
            start_callback,
        })
    }

    fn started(&self, _passive: Passive<'_>) -> Result<()> {
        self.devices.publish();
        self.start_callback.notify();
        Ok(())
    }

    fn unload(self, passive: Passive<'_>) {
        self.lwf.deregister(passive);
        drop(self.devices);
    }

    fn create(&self, request: &Create<'_>, _passive: Passive<'_>) -> Result<Option<Arc<Object>>> {
        control::open(request)
    }
}
