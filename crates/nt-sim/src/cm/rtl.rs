//! The registry's run-time library: reads and writes by path.

use nt::sys::{NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS};

use crate::{exports, kernel::kernel, ob::Handle};

/// Text of a zero-terminated string.
fn terminated(text: *const u16) -> String {
    let mut units = Vec::new();
    let mut at = text;
    loop {
        // SAFETY: the caller passes a zero-terminated string, and this stops at its end.
        let unit = unsafe { at.read() };
        if unit == 0 {
            return String::from_utf16_lossy(&units);
        }
        units.push(unit);
        // SAFETY: as above.
        at = unsafe { at.add(1) };
    }
}

/// Path that a RTL_REGISTRY_* base and a relative path mean.
fn path_of(base: u32, path: *const u16) -> Result<String, NTSTATUS> {
    const HANDLE: u32 = 0x4000_0000;
    const OPTIONAL: u32 = 0x8000_0000;
    if base & HANDLE != 0 {
        let handle = path as usize;
        let Handle { object, .. } = crate::ob::table_of(handle).lookup(handle, None, 0, false)?;
        let name = object.name.lock().clone();
        return name.ok_or(STATUS_OBJECT_NAME_NOT_FOUND);
    }
    let relative = terminated(path);
    let root = match base & !OPTIONAL {
        0 => return Ok(relative),
        1 => "\\Registry\\Machine\\System\\CurrentControlSet\\Services",
        2 => "\\Registry\\Machine\\System\\CurrentControlSet\\Control",
        3 => "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion",
        4 => "\\Registry\\Machine\\Hardware\\DeviceMap",
        5 => "\\Registry\\User\\.Default",
        _ => return Err(STATUS_INVALID_PARAMETER),
    };
    Ok(format!("{root}\\{relative}"))
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Whether a key exists.
    #[irql(PASSIVE)]
    fn RtlCheckRegistryKey(base: u32, path: *const u16) -> i32 {
        match path_of(base, path) {
            Ok(path) if kernel().registry.find(&path).is_some() => STATUS_SUCCESS,
            Ok(_) => STATUS_OBJECT_NAME_NOT_FOUND,
            Err(status) => status,
        }
    }

    /// Makes a key.
    #[irql(PASSIVE)]
    fn RtlCreateRegistryKey(base: u32, path: *const u16) -> i32 {
        match path_of(base, path) {
            Ok(path) => {
                kernel().registry.create(&path);
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Writes a value.
    #[irql(PASSIVE)]
    fn RtlWriteRegistryValue(base: u32, path: *const u16, name: *const u16, kind: u32, data: *const u8, size: u32) -> i32 {
        match path_of(base, path) {
            Ok(path) => {
                let (key, _) = kernel().registry.create(&path);
                // SAFETY: the caller passes `size` bytes.
                let data = unsafe { std::slice::from_raw_parts(data, size as usize) };
                kernel().registry.set(&key, &terminated(name), kind, data.to_vec());
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Removes a value.
    #[irql(PASSIVE)]
    fn RtlDeleteRegistryValue(base: u32, path: *const u16, name: *const u16) -> i32 {
        let found = path_of(base, path).and_then(|path| kernel().registry.find(&path).ok_or(STATUS_OBJECT_NAME_NOT_FOUND));
        match found.and_then(|key| kernel().registry.remove(&key, &terminated(name))) {
            Ok(()) => STATUS_SUCCESS,
            Err(status) => status,
        }
    }
}
