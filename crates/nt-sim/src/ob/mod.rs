//! The object manager: objects, references, names and handles.
//!
//! Drivers see an object as the address of its body. What the manager itself knows about it is kept
//! here, by that address.

mod body;
mod directory;
mod events;
mod exports;
mod handles;
pub(crate) mod sddl;
pub(crate) mod security;
mod subject;

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use crate::sync::Mutex;

pub(crate) use self::{
    body::Body,
    directory::{parse_object_attributes, unicode_string},
    exports::{fill_types, new_handle},
    handles::{Handle, HandleTable, KERNEL_HANDLE},
};
use crate::{export::Export, kernel::kernel, verifier::Rule};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Callback,
    Device,
    Directory,
    Driver,
    Event,
    File,
    Key,
    Process,
    SymbolicLink,
    Thread,
}

impl Kind {
    /// Every kind, in the order of the type markers.
    const ALL: [Kind; 10] = [
        Kind::Callback,
        Kind::Device,
        Kind::Directory,
        Kind::Driver,
        Kind::Event,
        Kind::File,
        Kind::Key,
        Kind::Process,
        Kind::SymbolicLink,
        Kind::Thread,
    ];

    /// Address that drivers know as the `POBJECT_TYPE` of this kind.
    pub(crate) fn marker(self) -> usize {
        static MARKERS: [[u8; 16]; Kind::ALL.len()] = [[0; 16]; Kind::ALL.len()];
        let index = Kind::ALL.iter().position(|&k| k == self).unwrap_or(0);
        MARKERS[index].as_ptr() as usize
    }
}

/// An object.
pub(crate) struct Object {
    pub(crate) kind: Kind,
    /// Address of the body, which is what drivers hold.
    pub(crate) address: usize,
    pub(crate) name: Mutex<Option<String>>,
    pub(crate) security: Mutex<Option<security::Descriptor>>,
    /// What the owner of the kind keeps with the object.
    pub(crate) data: Arc<dyn Any + Send + Sync>,
    /// References, handles included.
    references: AtomicI64,
    handles: AtomicI64,
    _body: Option<Body>,
}

impl Object {
    /// The owner's data, if it is of type `T`.
    pub(crate) fn data<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.data).downcast().ok()
    }
}

/// The object manager's state.
pub(crate) struct Ob {
    by_address: Mutex<BTreeMap<usize, Arc<Object>>>,
    names: Mutex<BTreeMap<String, Arc<Object>>>,
    /// Handles that belong to the system, valid in every process.
    pub(crate) kernel_handles: HandleTable,
    subjects: subject::Subjects,
    /// Objects that system threads are to delete.
    deferred: AtomicUsize,
}

impl Ob {
    pub(crate) fn new() -> Ob {
        Ob {
            by_address: Mutex::new(BTreeMap::new()),
            names: Mutex::new(BTreeMap::new()),
            kernel_handles: HandleTable::new(),
            subjects: subject::Subjects::default(),
            deferred: AtomicUsize::new(0),
        }
    }

    /// Makes an object with one reference, whose body is `body`, or memory of somebody else at
    /// `address`.
    pub(crate) fn create(
        &self,
        kind: Kind,
        body: Result<Body, usize>,
        data: Arc<dyn Any + Send + Sync>,
    ) -> Arc<Object> {
        let (address, body) = match body {
            Ok(body) => (body.address(), Some(body)),
            Err(address) => (address, None),
        };
        let object = Arc::new(Object {
            kind,
            address,
            name: Mutex::new(None),
            security: Mutex::new(None),
            data,
            references: AtomicI64::new(1),
            handles: AtomicI64::new(0),
            _body: body,
        });
        self.by_address.lock().insert(address, Arc::clone(&object));
        object
    }

    /// The object whose body is at `address`.
    pub(crate) fn find(&self, address: usize) -> Option<Arc<Object>> {
        self.by_address.lock().get(&address).cloned()
    }

    /// The object at `address`, which a driver says is one.
    pub(crate) fn expect(&self, address: usize, doing: &str) -> Arc<Object> {
        self.find(address).unwrap_or_else(|| {
            crate::bugcheck!(Rule::BadObject, address;
                "{doing} with {address:#x}, which is no object (or no longer one)")
        })
    }

    /// Adds a reference.
    pub(crate) fn reference(&self, object: &Object) -> i64 {
        object.references.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Drops a reference; the object goes with the last one.
    pub(crate) fn dereference(&self, object: &Arc<Object>) -> i64 {
        let left = object.references.fetch_sub(1, Ordering::AcqRel) - 1;
        // Each handle keeps a reference of its own.
        let handles = object.handles.load(Ordering::Acquire);
        if left < handles {
            crate::bugcheck!(Rule::ReferenceUnderflow, object.address, left, handles;
                "the {:?} object at {:#x}, which {handles} handles are open to, was dereferenced more often than \
                 referenced",
                object.kind, object.address);
        }
        if left == 0 {
            self.delete_when_possible(object);
        }
        left
    }

    /// Deletes an object now, or, where a driver has to be told and must not be at this level, on a system thread.
    fn delete_when_possible(&self, object: &Arc<Object>) {
        if object.kind != Kind::File || crate::irql::current() == crate::irql::PASSIVE {
            return self.delete(object);
        }
        self.deferred.fetch_add(1, Ordering::AcqRel);
        let object = Arc::clone(object);
        crate::io::work_item::queue_internal(move || {
            let ob = &kernel().ob;
            ob.delete(&object);
            ob.deferred.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// Waits until objects whose last reference went at a high level are deleted.
    pub(crate) fn settle(&self) {
        crate::sched::spin_until(|| self.deferred.load(Ordering::Acquire) == 0);
    }

    fn delete(&self, object: &Arc<Object>) {
        if let Some(name) = object.name.lock().take() {
            self.names.lock().remove(&name);
        }
        if object.kind == Kind::File {
            crate::io::file::last_reference_gone(object);
        }
        if object.kind == Kind::Process {
            kernel().ps.forget(object);
        }
        self.by_address.lock().remove(&object.address);
    }
}

/// The handle table that a handle value belongs to, for the current thread.
pub(crate) fn table_of(handle: usize) -> TableRef {
    if handle & KERNEL_HANDLE == KERNEL_HANDLE {
        TableRef::Kernel
    } else {
        TableRef::Process(crate::ps::current_process())
    }
}

/// A handle table, borrowed from its owner.
pub(crate) enum TableRef {
    Kernel,
    Process(Arc<crate::ps::Process>),
}

impl std::ops::Deref for TableRef {
    type Target = HandleTable;

    fn deref(&self) -> &HandleTable {
        match self {
            TableRef::Kernel => &kernel().ob.kernel_handles,
            TableRef::Process(process) => &process.handles,
        }
    }
}

/// What the object manager exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![
        events::EXPORTS,
        exports::EXPORTS,
        exports::DATA,
        security::EXPORTS,
        subject::EXPORTS,
    ]
}
