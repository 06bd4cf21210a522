//! Counted UTF-16 strings.

use core::marker::PhantomData;

use crate::pool::{Tag, Vec};
use crate::status::{Result, Status};
use crate::sys::UNICODE_STRING;

/// Encodes ASCII text as UTF-16 at compile time: `utf16!(r"\Device\xdp")`.
#[macro_export]
macro_rules! utf16 {
    ($text:expr) => {{
        const TEXT: &str = $text;
        const UNITS: [u16; TEXT.len()] = $crate::string::encode(TEXT);
        &UNITS
    }};
}

/// The text of [`utf16!`].
#[doc(hidden)]
#[must_use]
pub const fn encode<const N: usize>(text: &str) -> [u16; N] {
    let bytes = text.as_bytes();
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        assert!(bytes[index].is_ascii(), "utf16! takes ASCII text");
        units[index] = bytes[index] as u16;
        index += 1;
    }
    units
}

/// A `UNICODE_STRING` for the duration of a call, borrowing its text.
#[derive(Clone, Copy)]
pub struct UnicodeStr<'a> {
    raw: UNICODE_STRING,
    text: PhantomData<&'a [u16]>,
}

impl<'a> UnicodeStr<'a> {
    /// Borrows UTF-16 text.
    ///
    /// # Errors
    ///
    /// [`Status::NAME_TOO_LONG`] when its bytes cannot be counted in 16 bits.
    pub fn new(text: &'a [u16]) -> Result<Self> {
        let bytes = u16::try_from(size_of_val(text)).map_err(|_| Status::NAME_TOO_LONG)?;
        let raw = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: text.as_ptr().cast_mut(),
        };
        Ok(Self {
            raw,
            text: PhantomData,
        })
    }

    /// Borrows a string that the kernel passed.
    ///
    /// # Safety
    ///
    /// `raw` is null or points to a valid string that stays unchanged for `'a`.
    #[must_use]
    pub unsafe fn from_raw(raw: *const UNICODE_STRING) -> Self {
        // SAFETY: the caller's promise.
        let raw = unsafe { raw.as_ref() }
            .copied()
            .unwrap_or(UNICODE_STRING::zeroed());
        Self {
            raw,
            text: PhantomData,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_slice(&self) -> &'a [u16] {
        if self.raw.Buffer.is_null() {
            return &[];
        }
        // SAFETY: the constructors' promise: `Length` bytes of text at `Buffer`.
        unsafe { core::slice::from_raw_parts(self.raw.Buffer, usize::from(self.raw.Length) / 2) }
    }

    /// The counted string, for functions that take it by value or by pointer and do not write to it.
    #[must_use]
    pub const fn raw(&self) -> UNICODE_STRING {
        self.raw
    }

    /// Copies the text into the pool.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn to_vec(&self, tag: Tag) -> Result<Vec<u16>> {
        Vec::from_slice(tag, self.as_slice())
    }

    /// Whether two strings are equal, the case of ASCII letters ignored.
    #[must_use]
    pub fn eq_ignore_ascii_case(&self, other: &[u16]) -> bool {
        let fold =
            |unit: &u16| u8::try_from(*unit).map_or(*unit, |byte| byte.to_ascii_lowercase().into());
        self.as_slice().iter().map(fold).eq(other.iter().map(fold))
    }
}
