//! The driver: a filter that lets no frame of one EtherType out, and a device to name that EtherType.
//!
//! It is an ordinary driver over the `nt` crate. Built for a Windows target it would be a driver file; here it is linked
//! into the program, and its imports are the functions of the simulated kernel.

use std::sync::atomic::{AtomicU32, Ordering};

use nt::{
    Arc, Passive, Result, Status, Tag, UnicodeStr,
    io::{
        Completion, Control, Create, Device, DeviceConfig, Driver, DriverObject, DriverSlot, entry,
    },
    ndis::{
        Attach, Filter, FilterConfig, FilterDriver, FilterModule, FilterRegistration, Flags, Nbl,
        NblChain, NblQueue,
    },
    sys::{
        DRIVER_OBJECT, FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, GUID,
        NDIS_STATUS_REQUEST_ABORTED, NTSTATUS, UNICODE_STRING,
    },
};

const TAG: Tag = Tag::new(b"Door");

/// Forbids the EtherType in the input (two bytes, as on the wire).
pub(crate) const FORBID: u32 = code(0x800);
/// Answers how many frames were turned away (four bytes, little-endian).
pub(crate) const COUNT: u32 = code(0x801);

/// `CTL_CODE(FILE_DEVICE_NETWORK, function, METHOD_BUFFERED, FILE_WRITE_ACCESS)`.
const fn code(function: u32) -> u32 {
    FILE_DEVICE_NETWORK << 16 | 2 << 14 | function << 2
}

/// What the device and the filter share.
struct Orders {
    /// The EtherType that is forbidden; 0 for none, which is no EtherType.
    forbidden: AtomicU32,
    refused: AtomicU32,
}

/// The running driver. The filter goes first: its modules use the orders.
struct Doorman {
    filter: FilterRegistration<Attacher>,
    device: Device,
    orders: Arc<Orders>,
}

static RUNNING: DriverSlot<Doorman> = DriverSlot::new();

impl Driver for Doorman {
    type File = Orders;

    const TAG: Tag = TAG;

    fn slot() -> &'static DriverSlot<Self> {
        &RUNNING
    }

    fn load(object: DriverObject, _: UnicodeStr<'_>, passive: Passive<'_>) -> Result<Self> {
        let orders = Arc::new(
            TAG,
            Orders {
                forbidden: AtomicU32::new(0),
                refused: AtomicU32::new(0),
            },
        )?;
        let device = DeviceConfig {
            name: nt::utf16!("\\Device\\doorman"),
            device_type: FILE_DEVICE_NETWORK,
            characteristics: FILE_DEVICE_SECURE_OPEN,
            class: GUID {
                Data1: 0x3c64_12c1,
                Data2: 0x51ef,
                Data3: 0x4b0f,
                Data4: [0x91, 0x2a, 0x66, 0x1d, 0x04, 0x6e, 0x3f, 0x57],
            },
            // The system and administrators, nobody else.
            sddl: "D:P(A;;GA;;;SY)(A;;GA;;;BA)",
            kind: 0,
            tag: TAG,
        };
        let filter = FilterConfig {
            friendly_name: nt::utf16!("Doorman"),
            unique_name: nt::utf16!("{87b7ed1c-21a3-4ac8-8d3c-1b1f5a4a1d2e}"),
            service_name: nt::utf16!("doorman"),
            versions: &[(6, 60)],
            driver_version: (1, 0),
            flags: 0,
        };
        let attacher = Attacher {
            orders: orders.clone(),
        };
        Ok(Self {
            device: Device::create(object, &device, passive)?,
            filter: FilterRegistration::new(object, &filter, Arc::new(TAG, attacher)?, passive)?,
            orders,
        })
    }

    fn unload(self, _: Passive<'_>) {
        drop(self.filter);
        drop(self.device);
    }

    fn create(&self, _: &Create<'_>, _: Passive<'_>) -> Result<Option<Arc<Orders>>> {
        Ok(Some(self.orders.clone()))
    }

    fn control(&self, orders: &Arc<Orders>, mut request: Control, _: Passive<'_>) -> Completion {
        match request.code() {
            FORBID => match *request.input() {
                [high, low] => {
                    let forbidden = u16::from_be_bytes([high, low]);
                    orders.forbidden.store(forbidden.into(), Ordering::Relaxed);
                    request.complete(Status::SUCCESS, 0)
                }
                _ => request.complete(Status::INVALID_PARAMETER, 0),
            },
            COUNT => {
                let count = orders.refused.load(Ordering::Relaxed).to_le_bytes();
                let Some(room) = request.output().get_mut(..count.len()) else {
                    return request.complete(Status::BUFFER_TOO_SMALL, 0);
                };
                room.copy_from_slice(&count);
                request.complete(Status::SUCCESS, count.len())
            }
            _ => request.complete(Status::INVALID_DEVICE_REQUEST, 0),
        }
    }
}

/// What attaches to adapters.
struct Attacher {
    orders: Arc<Orders>,
}

impl FilterDriver for Attacher {
    type Module = Door;

    fn attach(&self, _: &Attach<'_>, filter: Filter, _: Passive<'_>) -> Result<Door> {
        Ok(Door {
            filter,
            orders: self.orders.clone(),
        })
    }
}

/// The filter on one adapter.
struct Door {
    filter: Filter,
    orders: Arc<Orders>,
}

impl Door {
    fn is_forbidden(&self, list: &Nbl) -> bool {
        let forbidden = self.orders.forbidden.load(Ordering::Relaxed);
        list.buffers().any(|frame| {
            // The header may be cut anywhere.
            let mut kind = [0; 2];
            frame.read(12, &mut kind) == kind.len()
                && u32::from(u16::from_be_bytes(kind)) == forbidden
        })
    }
}

impl FilterModule for Door {
    const TAG: Tag = TAG;

    fn filter(&self) -> Filter {
        self.filter
    }

    fn send(&self, chain: NblChain, port: u32, flags: Flags) {
        let (mut pass, mut refuse) = (NblQueue::new(), NblQueue::new());
        for mut list in chain {
            if self.is_forbidden(&list) {
                list.set_status(Status(NDIS_STATUS_REQUEST_ABORTED));
                refuse.push_back(list);
            } else {
                pass.push_back(list);
            }
        }
        self.orders
            .refused
            .fetch_add(refuse.len(), Ordering::Relaxed);
        self.filter.send(pass.into_chain(), port, flags);
        self.filter
            .send_complete(refuse.into_chain(), flags.level_only());
    }
}

nt::kernel_fn! {
    /// `DriverEntry`.
    ///
    /// # Safety
    ///
    /// Called by the kernel, once, at PASSIVE_LEVEL.
    pub(crate) unsafe fn driver_entry(driver: *mut DRIVER_OBJECT, path: *mut UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the kernel's own arguments.
        unsafe { entry::<Doorman>(driver, path) }
    }
}
