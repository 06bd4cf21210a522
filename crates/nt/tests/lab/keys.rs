//! The registry.

use std::sync::atomic::Ordering;
use std::time::Duration;

use nt::registry::{Key, Watch};
use nt::string::UnicodeStr;
use nt::sync::Waited;
use nt::sys::imports::ntoskrnl;
use nt::sys::{
    HANDLE, KEY_ALL_ACCESS, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, REG_BINARY,
    REG_DWORD,
};
use nt::{Passive, Result, Status};

use crate::driver::TAG;
use crate::signal::Signal;

pub(crate) const KEY: &[u16] = nt::utf16!(r"\Registry\Machine\Software\Wrapped");
pub(crate) const CLASS_KEY: &[u16] = nt::utf16!(
    r"\Registry\Machine\System\CurrentControlSet\Control\Class\{12345678-9abc-def0-1122-334455667788}\Properties"
);

/// Makes a key; the wrappers only read.
pub(crate) fn create_key(path: &[u16]) -> Result<HANDLE> {
    let mut name = UnicodeStr::new(path)?.raw();
    let mut attributes = OBJECT_ATTRIBUTES::zeroed();
    attributes.Length = size_of::<OBJECT_ATTRIBUTES>() as u32;
    attributes.ObjectName = &mut name;
    attributes.Attributes = OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE;
    let (mut handle, mut disposition) = (std::ptr::null_mut(), 0);
    // SAFETY: all pointers are to locals.
    let status = unsafe {
        ntoskrnl::ZwCreateKey(
            &mut handle,
            KEY_ALL_ACCESS,
            &mut attributes,
            0,
            std::ptr::null_mut(),
            0,
            &mut disposition,
        )
    };
    Status(status).ok()?;
    Ok(handle)
}

pub(crate) fn set_value(key: HANDLE, name: &[u16], kind: u32, data: &[u8]) -> Result<()> {
    let mut name = UnicodeStr::new(name)?.raw();
    let bytes = data.as_ptr().cast_mut().cast();
    // SAFETY: an open key; the data is copied.
    Status(unsafe { ntoskrnl::ZwSetValueKey(key, &mut name, 0, kind, bytes, data.len() as u32) })
        .ok()
}

pub(crate) fn close(key: HANDLE) {
    // SAFETY: an open key, closed once.
    assert_eq!(unsafe { ntoskrnl::ZwClose(key) }, 0);
}

pub(crate) fn registry(passive: Passive<'_>) -> Result<usize> {
    let name = UnicodeStr::new(nt::utf16!("Number"))?;
    assert_eq!(
        Key::open(
            UnicodeStr::new(nt::utf16!(r"\Registry\Machine\Software\Nowhere"))?,
            passive
        )
        .err(),
        Some(Status::OBJECT_NAME_NOT_FOUND)
    );
    let raw = create_key(KEY)?;
    let key = Key::open(UnicodeStr::new(KEY)?, passive)?;
    assert_eq!(key.dword(name, passive), Err(Status::OBJECT_NAME_NOT_FOUND));
    set_value(
        raw,
        nt::utf16!("Number"),
        REG_DWORD,
        &1234_u32.to_le_bytes(),
    )?;
    let number = key.dword(name, passive)?;
    let long = [7; 1000];
    set_value(raw, nt::utf16!("Long"), REG_BINARY, &long)?;
    let value = key.value(UnicodeStr::new(nt::utf16!("Long"))?, TAG, passive)?;
    assert_eq!((value.kind(), value.data()), (REG_BINARY, &long[..]));
    // A value of another type, or of that type and another size, is not a number.
    assert_eq!(
        key.dword(UnicodeStr::new(nt::utf16!("Long"))?, passive),
        Err(Status::OBJECT_TYPE_MISMATCH)
    );
    for data in [&[1, 2][..], &[1, 2, 3, 4, 5]] {
        set_value(raw, nt::utf16!("Odd"), REG_DWORD, data)?;
        let odd = UnicodeStr::new(nt::utf16!("Odd"))?;
        assert_eq!(key.dword(odd, passive), Err(Status::OBJECT_TYPE_MISMATCH));
    }
    close(raw);
    Ok(number as usize)
}

pub(crate) fn watch(passive: Passive<'_>) -> Result<usize> {
    let raw = create_key(KEY)?;
    let signal = Signal::new()?;
    let watch = Watch::new(
        TAG,
        Key::open(UnicodeStr::new(KEY)?, passive)?,
        signal.clone(),
        passive,
    )?;
    for number in 0..3_u32 {
        set_value(raw, nt::utf16!("Watched"), REG_DWORD, &number.to_le_bytes())?;
        signal.next(passive)?;
    }
    drop(watch);
    let seen = signal.count.load(Ordering::Relaxed);
    set_value(raw, nt::utf16!("Watched"), REG_DWORD, &9_u32.to_le_bytes())?;
    close(raw);
    assert_eq!(
        signal.event.wait_for(Duration::from_millis(5), passive),
        Waited::TimedOut
    );
    assert_eq!(signal.count.load(Ordering::Relaxed), seen);
    Ok(3)
}
