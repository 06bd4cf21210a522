//! The five devices.

use nt::handle::Directory;
use nt::io::{Device, DeviceConfig, DriverObject};
use nt::sys::{FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, GUID};
use nt::{Passive, Result};
use xdp_abi::open::{
    DEVICE_CLASS_GUID, DEVICE_DIRECTORY_NAME, DEVICE_NAME, INTERFACE_DEVICE_CLASS_GUID,
    INTERFACE_DEVICE_NAME, MAP_DEVICE_CLASS_GUID, MAP_DEVICE_NAME, ObjectType,
    PROGRAM_DEVICE_CLASS_GUID, PROGRAM_DEVICE_NAME, XSK_DEVICE_CLASS_GUID, XSK_DEVICE_NAME,
};

use xdp_abi::Guid;

use crate::driver::with_name;

/// LocalSystem and Administrators have full access, nobody else has any.
const DEFAULT_SDDL: &str = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";

/// The kind of the device that opens every type of object. The others have their object type as their kind.
pub(super) const COMMON: u32 = u32::MAX;

/// The devices that programs open, and the directory of all but the first.
pub(crate) struct Devices {
    common: Device,
    program: Device,
    xsk: Device,
    interface: Device,
    map: Device,
    /// Dropped last: the devices' names are in it.
    _directory: Directory,
}

fn guid(guid: Guid) -> GUID {
    GUID {
        Data1: guid.data1,
        Data2: guid.data2,
        Data3: guid.data3,
        Data4: guid.data4,
    }
}

fn create(
    driver: DriverObject,
    name: &str,
    class: Guid,
    kind: u32,
    passive: Passive<'_>,
) -> Result<Device> {
    with_name(name, |name| {
        let config = DeviceConfig {
            name: name.as_slice(),
            device_type: FILE_DEVICE_NETWORK,
            characteristics: FILE_DEVICE_SECURE_OPEN,
            class: guid(class),
            sddl: DEFAULT_SDDL,
            kind,
            tag: crate::TAG,
        };
        Device::create(driver, &config, passive)
    })
}

impl Devices {
    /// Makes the devices; they cannot be opened before [`Devices::publish`].
    pub(crate) fn create(driver: DriverObject, passive: Passive<'_>) -> Result<Self> {
        let common = create(driver, DEVICE_NAME, DEVICE_CLASS_GUID, COMMON, passive)?;
        let directory = with_name(DEVICE_DIRECTORY_NAME, |name| {
            Directory::create(name, passive)
        })?;
        let typed = |name, class, kind: ObjectType| create(driver, name, class, kind.0, passive);
        Ok(Self {
            common,
            program: typed(
                PROGRAM_DEVICE_NAME,
                PROGRAM_DEVICE_CLASS_GUID,
                ObjectType::PROGRAM,
            )?,
            xsk: typed(XSK_DEVICE_NAME, XSK_DEVICE_CLASS_GUID, ObjectType::XSK)?,
            interface: typed(
                INTERFACE_DEVICE_NAME,
                INTERFACE_DEVICE_CLASS_GUID,
                ObjectType::INTERFACE,
            )?,
            map: typed(MAP_DEVICE_NAME, MAP_DEVICE_CLASS_GUID, ObjectType::MAP)?,
            _directory: directory,
        })
    }

    /// The device on whose behalf the driver's own work is done.
    pub(crate) const fn common(&self) -> &Device {
        &self.common
    }

    /// Lets programs open the devices.
    pub(crate) fn publish(&self) {
        for device in [
            &self.common,
            &self.program,
            &self.xsk,
            &self.interface,
            &self.map,
        ] {
            device.publish();
        }
    }
}
