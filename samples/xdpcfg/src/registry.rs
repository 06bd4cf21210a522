//! The one call into Windows.

// UNSAFETY: Windows offers this as a function with pointers only.
#![expect(unsafe_code, reason = "calls SetupDiSetClassRegistryPropertyW")]

use std::io;
use std::ptr;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    SPCRP_SECURITY_SDS, SetupDiSetClassRegistryPropertyW,
};
use windows_sys::core::GUID;
use xdp_abi::Guid;

/// Sets the security descriptor that devices of a class get when they are created.
pub(crate) fn set_class_security(class: Guid, sddl: &str) -> io::Result<()> {
    let class = GUID::from_u128(class.to_u128());
    let text: Vec<u8> = sddl
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_ne_bytes)
        .collect();
    let bytes = u32::try_from(text.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the descriptor is too long"))?;
    // SAFETY: both pointers are to values that live until the call returns, the buffer is `bytes` long and ends with a NUL, no
    // machine name means this machine, and the last argument must be null.
    let done = unsafe {
        SetupDiSetClassRegistryPropertyW(
            &class,
            SPCRP_SECURITY_SDS,
            text.as_ptr(),
            bytes,
            ptr::null(),
            ptr::null(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
