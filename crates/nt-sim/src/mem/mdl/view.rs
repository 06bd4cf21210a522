//! The fields of an MDL, by address.

use std::mem::offset_of;

use nt::sys::MDL;

use crate::mem::phys::Pfn;
use crate::mem::{PAGE_SIZE, raw};

/// Bytes in front of the array of frame numbers.
pub(crate) const HEADER: usize = size_of::<MDL>();

/// The number of pages that a buffer touches.
pub(crate) fn spanned_pages(address: usize, len: usize) -> usize {
    (address % PAGE_SIZE)
        .saturating_add(len)
        .div_ceil(PAGE_SIZE)
}

/// An MDL in memory that drivers read and write as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MdlView(pub(crate) usize);

impl MdlView {
    pub(crate) fn header(self) -> MDL {
        raw::load(self.0)
    }

    pub(crate) fn set_header(self, header: MDL) {
        raw::store(self.0, header);
    }

    pub(crate) fn flags(self) -> i16 {
        raw::load(self.0 + offset_of!(MDL, MdlFlags))
    }

    pub(crate) fn has(self, flags: i16) -> bool {
        self.flags() & flags != 0
    }

    pub(crate) fn change_flags(self, clear: i16, set: i16) {
        raw::store(
            self.0 + offset_of!(MDL, MdlFlags),
            self.flags() & !clear | set,
        );
    }

    pub(crate) fn set_mapped(self, address: usize) {
        raw::store(self.0 + offset_of!(MDL, MappedSystemVa), address);
    }

    pub(crate) fn mapped(self) -> usize {
        raw::load(self.0 + offset_of!(MDL, MappedSystemVa))
    }

    /// The address that the MDL describes (`MmGetMdlVirtualAddress`).
    pub(crate) fn address(self) -> usize {
        let header = self.header();
        (header.StartVa as usize).wrapping_add(header.ByteOffset as usize)
    }

    pub(crate) fn len(self) -> usize {
        raw::load::<u32>(self.0 + offset_of!(MDL, ByteCount)) as usize
    }

    pub(crate) fn offset(self) -> usize {
        raw::load::<u32>(self.0 + offset_of!(MDL, ByteOffset)) as usize
    }

    /// The number of pages described.
    pub(crate) fn pages(self) -> usize {
        spanned_pages(self.offset(), self.len())
    }

    pub(crate) fn pfns(self) -> Vec<Pfn> {
        (0..self.pages())
            .map(|index| raw::load(self.0 + HEADER + index * 8))
            .collect()
    }

    pub(crate) fn set_pfns(self, pfns: &[Pfn]) {
        for (index, &pfn) in pfns.iter().enumerate() {
            raw::store(self.0 + HEADER + index * 8, pfn);
        }
    }
}
