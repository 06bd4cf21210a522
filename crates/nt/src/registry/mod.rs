//! Registry keys and values.

mod watch;

use core::ptr;

pub use self::watch::{Changed, Watch};

use crate::handle::{KernelHandle, attributes};
use crate::irql::Passive;
use crate::pool::{Tag, Vec};
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    KEY_READ, KEY_VALUE_PARTIAL_INFORMATION, KeyValuePartialInformation, REG_DWORD,
    STATUS_BUFFER_OVERFLOW,
};

/// The bytes before a value's data.
const HEADER: usize = core::mem::offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data);

/// An open registry key.
#[derive(Debug)]
pub struct Key {
    handle: KernelHandle,
}

/// A value of a key.
#[derive(Debug)]
pub struct Value {
    bytes: Vec<u8>,
}

impl Value {
    fn word(&self, offset: usize) -> u32 {
        let word = self
            .bytes
            .get(offset..offset + 4)
            .and_then(|bytes| bytes.first_chunk());
        word.copied().map_or(0, u32::from_le_bytes)
    }

    /// The value's type: `REG_DWORD`, ...
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.word(core::mem::offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Type))
    }

    /// The value's data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

impl Key {
    /// Opens a key for reading, by its full path (`\Registry\Machine\...`).
    ///
    /// # Errors
    ///
    /// The status of `ZwOpenKey`; [`Status::OBJECT_NAME_NOT_FOUND`] when there is no such key.
    pub fn open(path: UnicodeStr<'_>, _passive: Passive<'_>) -> Result<Self> {
        let mut path = path.raw();
        let mut attributes = attributes(&mut path);
        let mut handle = ptr::null_mut();
        // SAFETY: all pointers are to locals.
        Status(unsafe { ntoskrnl::ZwOpenKey(&mut handle, KEY_READ, &mut attributes) }).ok()?;
        // SAFETY: a new kernel handle.
        let handle = unsafe { KernelHandle::new(handle) };
        Ok(Self { handle })
    }

    fn query(&self, name: UnicodeStr<'_>, buffer: &mut [u8]) -> (Status, u32) {
        let mut name = name.raw();
        let mut needed = 0;
        let len = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let class = KeyValuePartialInformation;
        let to = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has `len` bytes; the other pointers are to locals.
        let status = unsafe {
            ntoskrnl::ZwQueryValueKey(self.handle.raw(), &mut name, class, to, len, &mut needed)
        };
        (Status(status), needed)
    }

    /// Reads a value of any type and size.
    ///
    /// # Errors
    ///
    /// [`Status::OBJECT_NAME_NOT_FOUND`], [`Status::INSUFFICIENT_RESOURCES`], or another status of `ZwQueryValueKey`.
    pub fn value(&self, name: UnicodeStr<'_>, tag: Tag, _passive: Passive<'_>) -> Result<Value> {
        let mut room = HEADER + 64;
        // The value may grow between two calls, but not for ever.
        for _ in 0..8 {
            let mut bytes = Vec::with_capacity(tag, room)?;
            for _ in 0..room {
                bytes.push(0)?;
            }
            let (status, needed) = self.query(name, &mut bytes);
            if status == Status(STATUS_BUFFER_OVERFLOW) || status == Status::BUFFER_TOO_SMALL {
                room = (needed as usize).max(room);
                continue;
            }
            status.ok()?;
            bytes.truncate(needed as usize);
            return Ok(Value { bytes });
        }
        Err(Status::RETRY)
    }

    /// Reads a `REG_DWORD`.
    ///
    /// # Errors
    ///
    /// [`Status::OBJECT_NAME_NOT_FOUND`]; [`Status::OBJECT_TYPE_MISMATCH`] when the value is something else.
    pub fn dword(&self, name: UnicodeStr<'_>, _passive: Passive<'_>) -> Result<u32> {
        let mut bytes = [0; HEADER + 4];
        let (status, needed) = self.query(name, &mut bytes);
        if status == Status(STATUS_BUFFER_OVERFLOW) || status == Status::BUFFER_TOO_SMALL {
            return Err(Status::OBJECT_TYPE_MISMATCH);
        }
        status.ok()?;
        let word = |offset| {
            bytes
                .get(offset..offset + 4)
                .and_then(|word| word.first_chunk::<4>())
        };
        let kind = word(core::mem::offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Type));
        match (kind, word(HEADER)) {
            (Some(kind), Some(data))
                if u32::from_le_bytes(*kind) == REG_DWORD && needed as usize == bytes.len() =>
            {
                Ok(u32::from_le_bytes(*data))
            }
            _ => Err(Status::OBJECT_TYPE_MISMATCH),
        }
    }
}
