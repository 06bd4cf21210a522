//! Memory of a lab, seen from another Linux process.
//!
//! The machine's physical memory is one anonymous file. Who has that file and knows which parts of it are a range of a
//! simulated process ([`Process::stretches`](crate::Process::stretches)) can map them one behind the other, and then shares
//! the range with the driver as the process itself does.

use std::fs::File;
use std::io;

use super::PAGE_SIZE;
use super::os::{Protection, Reservation};

/// Neighbouring pages in the file of a machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where they start in the file, in bytes; a multiple of the page size.
    pub offset: u64,
    /// Bytes; a multiple of the page size.
    pub bytes: u64,
}

/// A range of a simulated process, mapped readable and writable until it is dropped.
#[derive(Debug)]
pub struct Window {
    reservation: Reservation,
}

impl Window {
    /// Maps stretches of a file one behind the other.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when they are none, or not pages of the file; otherwise what Linux says.
    pub fn open(file: &File, stretches: &[Stretch]) -> io::Result<Self> {
        let end = file.metadata()?.len();
        // A page behind the end of the file could be mapped, but not touched.
        let inside = |stretch: &Stretch| {
            let pages = |bytes: u64| bytes.is_multiple_of(PAGE_SIZE as u64);
            pages(stretch.offset)
                && pages(stretch.bytes)
                && stretch.bytes > 0
                && (stretch.offset.checked_add(stretch.bytes)).is_some_and(|last| last <= end)
        };
        let bytes = stretches
            .iter()
            .try_fold(0u64, |sum, stretch| sum.checked_add(stretch.bytes))
            .filter(|&bytes| bytes > 0 && stretches.iter().all(inside))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "these are no pages of the machine's memory",
                )
            })?;
        let reservation = Reservation::anywhere(bytes)?;
        let mut at = reservation.base();
        for stretch in stretches {
            let bytes = stretch.bytes as usize;
            reservation.map(at, bytes, file, stretch.offset, Protection::ReadWrite)?;
            at += bytes;
        }
        Ok(Self { reservation })
    }

    /// Where it starts in this process; on a page.
    pub fn as_ptr(&self) -> *mut u8 {
        self.reservation.base() as *mut u8
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.reservation.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::{os, raw};

    const PAGE: u64 = PAGE_SIZE as u64;

    #[test]
    fn scattered_pages_appear_one_behind_the_other() {
        let file = os::create_memory_file(8 * PAGE).unwrap();
        let last = Stretch {
            offset: 6 * PAGE,
            bytes: PAGE,
        };
        let first = Stretch {
            offset: PAGE,
            bytes: 2 * PAGE,
        };
        let window = Window::open(&file, &[last, first]).unwrap();
        assert_eq!(window.size(), 3 * PAGE_SIZE);
        let all = Stretch {
            offset: 0,
            bytes: 8 * PAGE,
        };
        let whole = Window::open(&file, &[all]).unwrap();
        let (part, whole) = (window.as_ptr() as usize, whole.as_ptr() as usize);
        raw::fill(part, 1, 1);
        raw::fill(part + PAGE_SIZE, 1, 2);
        assert_eq!(raw::bytes(whole + 6 * PAGE_SIZE, 1), [1]);
        assert_eq!(raw::bytes(whole + PAGE_SIZE, 1), [2]);
    }

    #[test]
    fn what_is_not_in_the_file_is_refused() {
        let file = os::create_memory_file(2 * PAGE).unwrap();
        let wrong: [&[(u64, u64)]; 7] = [
            &[],
            &[(0, 0)],
            &[(1, PAGE)],
            &[(0, 100)],
            &[(PAGE, 2 * PAGE)],
            &[(0, PAGE), (2 * PAGE, PAGE)],
            &[(u64::MAX - PAGE + 1, PAGE)],
        ];
        for stretches in wrong {
            let stretches: Vec<_> = stretches
                .iter()
                .map(|&(offset, bytes)| Stretch { offset, bytes })
                .collect();
            let error = Window::open(&file, &stretches).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{stretches:?}");
        }
    }
}
