//! Things of the lab that are borrowed by tests and shared by programs.

use std::{ops::Deref, sync::Arc};

use parking_lot::{Condvar, Mutex};

/// Something that is borrowed, or kept alive together with others.
pub(crate) enum Held<'a, T> {
    /// Somebody else keeps it.
    Borrowed(&'a T),
    /// This keeps it, too.
    Shared(Arc<T>),
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match self {
            Held::Borrowed(borrowed) => borrowed,
            Held::Shared(shared) => shared,
        }
    }
}

impl<T> Clone for Held<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Held::Borrowed(borrowed) => Held::Borrowed(borrowed),
            Held::Shared(shared) => Held::Shared(Arc::clone(shared)),
        }
    }
}

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREED: Condvar = Condvar::new();

/// The right to be the only lab of this process. Unlike the guard of a lock it may end on another thread.
pub(super) struct Alone(());

impl Alone {
    /// Waits until no other lab is there.
    pub(super) fn wait() -> Alone {
        let mut taken = TAKEN.lock();
        FREED.wait_while(&mut taken, |taken| *taken);
        *taken = true;
        Alone(())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        *TAKEN.lock() = false;
        FREED.notify_one();
    }
}
