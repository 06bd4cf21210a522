//! Memory of objects that the kernel itself makes.

use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Zeroed memory at a fixed address, filled with a pattern when it goes away.
pub(crate) struct Body {
    address: usize,
    layout: Layout,
}

const FREED: u8 = 0xdf;

impl Body {
    /// Allocates `size` bytes, aligned as pool is.
    pub(crate) fn new(size: usize) -> Body {
        let layout = Layout::from_size_align(size.max(16), 16).expect("a sane object size");
        // SAFETY: the size is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        if pointer.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        Body {
            address: pointer as usize,
            layout,
        }
    }

    pub(crate) fn address(&self) -> usize {
        self.address
    }

    /// Bytes of it.
    pub(crate) fn size(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let pointer = self.address as *mut u8;
        // SAFETY: the allocation made in `new`, still owned.
        unsafe { pointer.write_bytes(FREED, self.layout.size()) };
        // SAFETY: as above; not used after this.
        unsafe { dealloc(pointer, self.layout) };
    }
}
