//! Named devices with a security descriptor.

use core::ptr::{self, NonNull};

use super::driver::DriverObject;
use crate::handle::KernelHandle;
use crate::irql::Passive;
use crate::pool::{Tag, Vec};
use crate::registry::Key;
use crate::security::SecurityDescriptor;
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, GUID, KernelMode, OBJ_KERNEL_HANDLE, REG_BINARY,
    WRITE_DAC,
};

/// `DACL_SECURITY_INFORMATION`: the part of a descriptor that is set.
const DACL_SECURITY_INFORMATION: u32 = 4;

/// What a device is made of.
#[derive(Clone, Copy, Debug)]
pub struct DeviceConfig<'a> {
    /// Its name in the object namespace.
    pub name: &'a [u16],
    /// `FILE_DEVICE_NETWORK`, ...
    pub device_type: u32,
    /// `FILE_DEVICE_SECURE_OPEN`, ...
    pub characteristics: u32,
    /// The class under which an administrator can override the descriptor.
    pub class: GUID,
    /// The descriptor unless it is overridden.
    pub sddl: &'a str,
    /// A number by which the driver tells its devices apart.
    pub kind: u32,
    /// The tag of what is allocated meanwhile.
    pub tag: Tag,
}

/// A named device of this driver, deleted when dropped.
#[doc(alias = "DEVICE_OBJECT")]
#[derive(Debug)]
pub struct Device {
    object: NonNull<DEVICE_OBJECT>,
}

// SAFETY: the object is only published, pointed to and deleted.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

struct Extension {
    kind: u32,
}

/// The kind given to a device.
///
/// # Safety
///
/// `device` was made by [`Device::create`].
pub(super) unsafe fn kind_of(device: *mut DEVICE_OBJECT) -> u32 {
    // SAFETY: the caller's device.
    let extension: *mut Extension = unsafe { (*device).DeviceExtension }.cast();
    // SAFETY: written by `create` before anybody could open the device.
    unsafe { (*extension).kind }
}

impl Device {
    /// Makes a device. Nobody can open it before [`Device::publish`] or the end of the driver's start, and by then its
    /// descriptor is in force: the one stored for the device's class, or else the given one.
    ///
    /// # Errors
    ///
    /// The status of what failed; nothing is left behind.
    #[doc(alias = "IoCreateDeviceSecure")]
    pub fn create(
        driver: DriverObject,
        config: &DeviceConfig<'_>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let security = match stored_security(config, passive) {
            Ok(security) => security,
            Err(Status::OBJECT_NAME_NOT_FOUND | Status::OBJECT_PATH_NOT_FOUND) => {
                SecurityDescriptor::parse(config.tag, config.sddl)?
            }
            Err(status) => return Err(status),
        };
        let mut name = UnicodeStr::new(config.name)?.raw();
        let mut object = ptr::null_mut();
        // SAFETY: the driver object is this driver's; the other pointers are to locals.
        let status = unsafe {
            ntoskrnl::IoCreateDevice(
                driver.as_ptr(),
                size_of::<Extension>() as u32,
                &mut name,
                config.device_type,
                config.characteristics,
                0,
                &mut object,
            )
        };
        Status(status).ok()?;
        let device = Self {
            object: NonNull::new(object).ok_or(Status::UNSUCCESSFUL)?,
        };
        // SAFETY: a new device.
        let extension: *mut Extension = unsafe { (*object).DeviceExtension }.cast();
        // SAFETY: the extension has that size, and nobody else has the device yet.
        unsafe { extension.write(Extension { kind: config.kind }) };
        device.set_security(&security)?;
        Ok(device)
    }

    fn set_security(&self, security: &SecurityDescriptor) -> Result<()> {
        let object = self.object.as_ptr().cast();
        let mode = KernelMode as i8;
        let mut handle = ptr::null_mut();
        // SAFETY: the device exists; a kernel-mode open needs neither type nor access state.
        let status = unsafe {
            ntoskrnl::ObOpenObjectByPointer(
                object,
                OBJ_KERNEL_HANDLE,
                ptr::null_mut(),
                WRITE_DAC,
                ptr::null_mut(),
                mode,
                &mut handle,
            )
        };
        Status(status).ok()?;
        // SAFETY: a new kernel handle.
        let handle = unsafe { KernelHandle::new(handle) };
        let descriptor = security.as_bytes().as_ptr().cast_mut().cast();
        // SAFETY: a self-relative descriptor, which is copied.
        Status(unsafe {
            ntoskrnl::ZwSetSecurityObject(handle.raw(), DACL_SECURITY_INFORMATION, descriptor)
        })
        .ok()
    }

    /// Lets the device be opened before the driver's start has ended.
    pub fn publish(&self) {
        let object = self.object.as_ptr();
        // SAFETY: the device exists; until published, its flags are this driver's.
        unsafe { (*object).Flags &= !DO_DEVICE_INITIALIZING };
    }

    /// The object, for functions that take one; valid until the value is dropped.
    #[must_use]
    pub const fn as_ptr(&self) -> *mut DEVICE_OBJECT {
        self.object.as_ptr()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: made by `create`, deleted once.
        unsafe { ntoskrnl::IoDeleteDevice(self.object.as_ptr()) }
    }
}

/// The descriptor that an administrator stored for the device's class.
fn stored_security(config: &DeviceConfig<'_>, passive: Passive<'_>) -> Result<SecurityDescriptor> {
    let mut path = Vec::with_capacity(config.tag, 160)?;
    path.extend_from_slice(crate::utf16!(
        r"\Registry\Machine\System\CurrentControlSet\Control\Class\"
    ))?;
    push_guid(&mut path, &config.class)?;
    path.extend_from_slice(crate::utf16!(r"\Properties"))?;
    let key = Key::open(UnicodeStr::new(&path)?, passive)?;
    let value = key.value(
        UnicodeStr::new(crate::utf16!("Security"))?,
        config.tag,
        passive,
    )?;
    if value.kind() != REG_BINARY {
        return Err(Status::INVALID_SECURITY_DESCR);
    }
    SecurityDescriptor::from_bytes(config.tag, value.data())
}

/// Appends `{28f93d3f-4c0a-4a7c-8ff1-96b24e19b856}`.
fn push_guid(text: &mut Vec<u16>, guid: &GUID) -> Result<()> {
    let (group, node) = guid
        .Data4
        .split_first_chunk::<2>()
        .ok_or(Status::INVALID_PARAMETER)?;
    let groups: [&[u8]; 5] = [
        &guid.Data1.to_be_bytes(),
        &guid.Data2.to_be_bytes(),
        &guid.Data3.to_be_bytes(),
        group,
        node,
    ];
    text.push(b'{'.into())?;
    for (index, group) in groups.iter().enumerate() {
        if index != 0 {
            text.push(b'-'.into())?;
        }
        push_hex(text, group)?;
    }
    text.push(b'}'.into())
}

fn push_hex(text: &mut Vec<u16>, bytes: &[u8]) -> Result<()> {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            let digit = if nibble < 10 {
                b'0' + nibble
            } else {
                b'a' + nibble - 10
            };
            text.push(digit.into())?;
        }
    }
    Ok(())
}
