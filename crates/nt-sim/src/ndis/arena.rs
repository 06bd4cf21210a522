//! Objects that drivers know by handle.

use std::{collections::BTreeMap, sync::Arc};

use crate::sync::Mutex;

use crate::{kernel::strict, verifier::Rule};

/// Every object of one type: the handle is its address. Retired objects stay allocated until the
/// kernel ends, so that a stale handle is recognised and never leads to freed memory.
pub(crate) struct Arena<T> {
    what: &'static str,
    objects: Mutex<BTreeMap<usize, Entry<T>>>,
}

struct Entry<T> {
    object: Arc<T>,
    live: bool,
}

impl<T: Send + Sync> Arena<T> {
    pub(crate) fn new(what: &'static str) -> Arena<T> {
        Arena {
            what,
            objects: Mutex::new(BTreeMap::new()),
        }
    }

    /// Adds an object.
    pub(crate) fn insert(&self, object: T) -> &'static T {
        let object = Arc::new(object);
        let address = Arc::as_ptr(&object);
        self.objects
            .lock()
            .insert(address as usize, Entry { object, live: true });
        Self::of(address)
    }

    fn of(address: *const T) -> &'static T {
        // SAFETY: the arena keeps the object until the kernel, and everything that runs in it, has
        // ended.
        unsafe { &*address }
    }

    /// The object that `handle` names; stops the kernel when there is none.
    #[inline]
    pub(crate) fn get(&self, handle: *const std::ffi::c_void, function: &str) -> &'static T {
        if strict() {
            self.check(handle as usize, function);
        }
        Self::of(handle.cast())
    }

    #[cold]
    fn check(&self, handle: usize, function: &str) {
        let live = self.objects.lock().get(&handle).map(|e| e.live);
        match live {
            Some(true) => {}
            Some(false) => crate::bugcheck!(Rule::NdisStaleHandle, handle;
                "{function} was given {handle:#x}, {} that is gone", self.what),
            None => crate::bugcheck!(Rule::NdisBadHandle, handle;
                "{function} was given {handle:#x}, which is not {}", self.what),
        }
    }

    /// Whether `handle` names a live object.
    pub(crate) fn contains(&self, handle: *const std::ffi::c_void) -> bool {
        self.objects
            .lock()
            .get(&(handle as usize))
            .is_some_and(|e| e.live)
    }

    /// The live object at `handle`, if it is one.
    pub(crate) fn find(&self, handle: *const std::ffi::c_void) -> Option<&'static T> {
        self.contains(handle).then(|| Self::of(handle.cast()))
    }

    /// The object that `handle` names or named.
    pub(crate) fn recall(&self, handle: *const std::ffi::c_void) -> Option<&'static T> {
        let known = self.objects.lock().contains_key(&(handle as usize));
        known.then(|| Self::of(handle.cast()))
    }

    /// Makes the handle stale.
    pub(crate) fn retire(&self, object: &T) {
        if let Some(entry) = self
            .objects
            .lock()
            .get_mut(&(std::ptr::from_ref(object) as usize))
        {
            entry.live = false;
        }
    }

    /// Every live object.
    pub(crate) fn live(&self) -> Vec<&'static T> {
        self.objects
            .lock()
            .values()
            .filter(|e| e.live)
            .map(|e| Self::of(Arc::as_ptr(&e.object)))
            .collect()
    }
}
