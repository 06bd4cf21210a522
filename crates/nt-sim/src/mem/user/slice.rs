//! Slices of the user range: each process gets one, so that no two processes ever share a user address.
//!
//! A slice stays reserved for the rest of this Linux process once it was used, and goes to the back of the queue when
//! its process ends, so late accesses fault for as long as possible.

use std::collections::VecDeque;
use std::io;

use crate::sync::Mutex;

use crate::mem::os::Reservation;
use crate::mem::{USER_BASE, USER_END};

/// Bytes of a slice.
pub(super) const SLICE: usize = 1 << 36;

const COUNT: usize = (USER_END - USER_BASE) / SLICE;

static POOL: Mutex<Slices> = Mutex::new(Slices {
    fresh: 0,
    returned: VecDeque::new(),
});

struct Slices {
    fresh: usize,
    returned: VecDeque<Reservation>,
}

/// Reserved user addresses for one process.
#[derive(Debug)]
pub(super) struct Slice(Option<Reservation>);

impl Slice {
    /// Takes the slice that has been out of use the longest.
    pub(super) fn take() -> io::Result<Self> {
        let mut pool = POOL.lock();
        if pool.fresh < COUNT {
            let index = pool.fresh;
            let reservation = Reservation::at(USER_BASE + index * SLICE, SLICE)?;
            pool.fresh += 1;
            return Ok(Self(Some(reservation)));
        }
        match pool.returned.pop_front() {
            Some(reservation) => Ok(Self(Some(reservation))),
            None => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "all slices of the user range are in use",
            )),
        }
    }

    pub(super) fn get(&self) -> &Reservation {
        self.0.as_ref().expect("present until dropped")
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Some(reservation) = self.0.take()
            && reservation
                .unmap(reservation.base(), reservation.len())
                .is_ok()
        {
            POOL.lock().returned.push_back(reservation);
        }
    }
}
