//! Copying from and to memory that somebody else may write at the same time.

use core::ptr;

/// The longest copy that is written out in place; the others are the kernel's to make.
const SHORT: usize = 128;

/// Copies bytes, one side of which others may write meanwhile: then any mixture of old and new is copied.
///
/// # Safety
///
/// Both sides are valid for `len` bytes and do not overlap, and one side is this thread's alone.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { copy_bytes(from, to, len) };
    // For all that the compiler knows both sides change here: it neither reads the shared side again in place of the
    // copy, nor takes what it knows of the private side for what is in the shared one.
    // SAFETY: does nothing.
    unsafe {
        core::arch::asm!(
            "/* {} {} */",
            in(reg) from,
            in(reg) to,
            options(nostack, preserves_flags)
        );
    }
}

/// Copies bytes, short ones without a call: most frames are short, and the call costs more than the copy.
///
/// # Safety
///
/// Both sides are valid for `len` bytes and do not overlap.
#[inline]
pub(crate) unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    /// Copies the first and the last `N` bytes, which may be partly the same.
    ///
    /// # Safety
    ///
    /// As for [`copy_bytes`], and there are at least `N` bytes.
    #[inline]
    unsafe fn ends<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
        let end = len - N;
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(from, to, N) };
        // SAFETY: as above; the last bytes.
        unsafe { ptr::copy_nonoverlapping(from.wrapping_add(end), to.wrapping_add(end), N) };
    }
    match len {
        0 => {}
        // SAFETY: the caller's promise.
        1 => unsafe { ptr::copy_nonoverlapping(from, to, 1) },
        // SAFETY: as above.
        2..=4 => unsafe { ends::<2>(from, to, len) },
        // SAFETY: as above.
        5..=8 => unsafe { ends::<4>(from, to, len) },
        // SAFETY: as above.
        9..=16 => unsafe { ends::<8>(from, to, len) },
        // SAFETY: as above.
        17..=32 => unsafe { ends::<16>(from, to, len) },
        // SAFETY: as above.
        33..=64 => unsafe { ends::<32>(from, to, len) },
        // SAFETY: as above.
        65..=SHORT => unsafe { ends::<64>(from, to, len) },
        // SAFETY: as above.
        _ => unsafe { ptr::copy_nonoverlapping(from, to, len) },
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{SHORT, copy_bytes};

    #[test]
    fn every_length_is_copied_and_nothing_beside_it() {
        let from: std::vec::Vec<u8> = (0..=255).cycle().skip(1).take(2 * SHORT).collect();
        for len in 0..=SHORT + 3 {
            let mut to = std::vec![0xee; SHORT + 16];
            // SAFETY: both are longer.
            unsafe {
                copy_bytes(
                    from.as_ptr().wrapping_add(3),
                    to.as_mut_ptr().wrapping_add(5),
                    len,
                )
            };
            assert_eq!(to[5..5 + len], from[3..3 + len]);
            assert!(
                to[..5]
                    .iter()
                    .chain(&to[5 + len..])
                    .all(|byte| *byte == 0xee)
            );
        }
    }
}
