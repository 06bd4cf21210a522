//! Which image an address belongs to. Read by signal handlers: no locks, no allocation.

use std::{
    ops::Deref,
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

use super::{error::PeError, image::Image};

/// Most images at a time, unloaded ones of the same lab included.
const SLOTS: usize = 256;

static TABLE: [AtomicPtr<Image>; SLOTS] = [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS];
/// Slots in use are below this one.
static USED: AtomicUsize = AtomicUsize::new(0);

/// Owner of a registered image. Dropping it takes the image out of the table and unmaps it: only
/// when none of its code runs any more.
pub(crate) struct Loaded {
    image: ptr::NonNull<Image>,
    slot: usize,
}

// SAFETY: `Image` is `Sync` and this owns it like a box.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Deref for Loaded {
    type Target = Image;

    fn deref(&self) -> &Image {
        // SAFETY: made from a box in `register`, freed only in `drop`.
        unsafe { self.image.as_ref() }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        TABLE[self.slot].store(ptr::null_mut(), Ordering::Release);
        // SAFETY: made from a box in `register`; nothing finds it in the table any more, and who
        // drops it answers for no code of it running.
        drop(unsafe { Box::from_raw(self.image.as_ptr()) });
    }
}

/// Enters an image into the table.
pub(super) fn register(image: Image) -> Result<Loaded, PeError> {
    let raw = Box::into_raw(Box::new(image));
    for (slot, entry) in TABLE.iter().enumerate() {
        let free =
            entry.compare_exchange(ptr::null_mut(), raw, Ordering::AcqRel, Ordering::Relaxed);
        if free.is_ok() {
            USED.fetch_max(slot + 1, Ordering::AcqRel);
            let image = ptr::NonNull::new(raw).expect("boxes are not null");
            return Ok(Loaded { image, slot });
        }
    }
    // SAFETY: made from a box above and not entered anywhere.
    drop(unsafe { Box::from_raw(raw) });
    Err(PeError::TooManyImages(SLOTS))
}

/// The image, loaded or unloaded, that `address` lies in.
///
/// The reference is valid until the image's [`Loaded`] is dropped, which is when its lab ends:
/// callers run inside a lab and do not keep it.
pub(crate) fn find(address: usize) -> Option<&'static Image> {
    TABLE[..USED.load(Ordering::Acquire)]
        .iter()
        .filter_map(|entry| {
            // SAFETY: null, or a registered image, which lives as said above.
            unsafe { entry.load(Ordering::Acquire).as_ref() }
        })
        .find(|image| image.contains(address))
}
