//! Extended attributes.

use crate::sys::FILE_FULL_EA_INFORMATION;

/// The bytes before an attribute's name.
const HEADER: usize = core::mem::offset_of!(FILE_FULL_EA_INFORMATION, EaName);

/// One extended attribute, as it lies in the buffer: nothing in it is aligned.
#[doc(alias = "FILE_FULL_EA_INFORMATION")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ea<'a> {
    /// Distance to the next attribute; 0 for the last.
    pub next_entry_offset: u32,
    /// `FILE_NEED_EA` or 0.
    pub flags: u8,
    /// The name, without its terminating zero.
    pub name: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

impl<'a> Ea<'a> {
    /// Reads the attribute at the start of a buffer; `None` when it does not lie within.
    #[must_use]
    pub fn first(buffer: &'a [u8]) -> Option<Self> {
        let next_entry_offset = u32::from_le_bytes(*buffer.first_chunk()?);
        let flags = *buffer.get(4)?;
        let name_len = usize::from(*buffer.get(5)?);
        let value_len = usize::from(u16::from_le_bytes(*buffer.get(6..)?.first_chunk()?));
        let name = buffer.get(HEADER..HEADER + name_len)?;
        let value_start = HEADER + name_len + 1;
        let value = buffer.get(value_start..value_start + value_len)?;
        Some(Self {
            next_entry_offset,
            flags,
            name,
            value,
        })
    }
}

/// The attributes of a buffer, up to the first that is malformed.
#[derive(Clone, Debug)]
pub struct Eas<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Eas<'a> {
    /// Walks a buffer.
    #[must_use]
    pub const fn new(buffer: &'a [u8]) -> Self {
        Self { rest: Some(buffer) }
    }
}

impl<'a> Iterator for Eas<'a> {
    type Item = Ea<'a>;

    fn next(&mut self) -> Option<Ea<'a>> {
        let buffer = self.rest.take()?;
        let ea = Ea::first(buffer)?;
        // An offset of zero ends the list; any other moves forward, so the walk ends.
        if ea.next_entry_offset != 0 {
            self.rest = buffer.get(ea.next_entry_offset as usize..);
        }
        Some(ea)
    }
}
