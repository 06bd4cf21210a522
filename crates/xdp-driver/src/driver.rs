//! The driver as a whole.

use nt::io::{Completion, Control, Create, Driver, DriverObject, DriverSlot, FastControl};
use nt::notify::CallbackObject;
use nt::{Arc, Passive, Result, Status, Tag, UnicodeStr};
use xdp_abi::open::DRIVER_START_CALLBACK_NAME;

use crate::control::{self, Devices, Object, Objects};
use crate::counters::CounterSets;
use crate::generic::Lwf;
use crate::holders::Holders;
use crate::interface::Interfaces;
use crate::settings::Settings;
use crate::trace::Trace;

/// The running driver.
///
/// The filter is dropped first: that removes every interface, after which nothing in the network stack refers to the
/// objects behind the devices.
pub(crate) struct Xdp {
    lwf: Lwf,
    services: Arc<Services>,
    start_callback: CallbackObject,
}

/// What the parts of the driver share.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) interfaces: Interfaces,
    pub(crate) counters: CounterSets,
    pub(crate) devices: Devices,
    pub(crate) holders: Holders,
    pub(crate) objects: Objects,
    pub(crate) trace: Trace,
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

    const FAST_IO: bool = true;
    const WATCHES_PROCESSES: bool = true;
    const TAG: Tag = crate::TAG;

    fn slot() -> &'static DriverSlot<Self> {
        &RUNNING
    }

    fn load(
        object: DriverObject,
        registry_path: UnicodeStr<'_>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let settings = Settings::new(registry_path)?;
        let start_callback = with_name(DRIVER_START_CALLBACK_NAME, |name| {
            CallbackObject::create(name, passive)
        })?;
        let services = Services {
            settings,
            interfaces: Interfaces::new(),
            counters: CounterSets::register(passive)?,
            devices: Devices::create(object, passive)?,
            holders: Holders::new(),
            objects: Objects::new(),
            trace: Trace::register(passive)?,
        };
        let services = Arc::new(crate::TAG, services)?;
        let lwf = Lwf::register(object, services.clone(), passive)?;
        Ok(Self {
            lwf,
            services,
            start_callback,
        })
    }

    fn started(&self, _passive: Passive<'_>) -> Result<()> {
        self.services.devices.publish();
        self.start_callback.notify();
        Ok(())
    }

    fn unload(self, passive: Passive<'_>) {
        self.lwf.deregister(passive);
        drop(self.services);
    }

    fn create(&self, request: &Create<'_>, passive: Passive<'_>) -> Result<Option<Arc<Object>>> {
        control::open(&self.services, request, passive)
    }

    fn cleanup(&self, file: &Arc<Object>, _passive: Passive<'_>) {
        file.cleanup();
    }

    fn close(&self, file: Arc<Object>, passive: Passive<'_>) {
        file.close(passive);
        self.services.objects.remove(&file, passive);
    }

    fn process_ended(&self, id: usize, passive: Passive<'_>) {
        self.services.holders.process_ended(id, passive);
    }

    fn control(&self, file: &Arc<Object>, request: Control, passive: Passive<'_>) -> Completion {
        file.control(request, passive)
    }

    fn control_device(&self, request: Control, passive: Passive<'_>) -> Completion {
        control::control(&self.services, request, passive)
    }

    fn fast_control(
        &self,
        file: &Arc<Object>,
        request: &FastControl<'_>,
        passive: Passive<'_>,
    ) -> Option<(Status, usize)> {
        file.fast_control(request, passive)
    }
}
