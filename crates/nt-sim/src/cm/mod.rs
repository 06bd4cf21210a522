//! The registry: an in-memory hive.

mod exports;
mod rtl;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use crate::sync::Mutex;
use nt::sys::{NTSTATUS, STATUS_OBJECT_NAME_NOT_FOUND};

use crate::{
    export::Export,
    io::work_item,
    kernel::kernel,
    ob::{Kind, Object},
};

/// Value types.
pub(crate) const REG_SZ: u32 = 1;
pub(crate) const REG_EXPAND_SZ: u32 = 2;
pub(crate) const REG_BINARY: u32 = 3;
pub(crate) const REG_DWORD: u32 = 4;
pub(crate) const REG_MULTI_SZ: u32 = 7;

/// A value: its type and bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) data: Vec<u8>,
}

/// A registry key.
pub(crate) struct Key {
    /// Full path as first written.
    pub(crate) path: String,
    pub(crate) values: Mutex<BTreeMap<String, Value>>,
    notify: Mutex<Vec<Notify>>,
}

impl Key {
    /// The value with this name.
    pub(crate) fn value(&self, name: &str) -> Option<Value> {
        self.values.lock().get(&name.to_lowercase()).cloned()
    }
}

/// Somebody who wants to hear of a change.
struct Notify {
    /// The key handle's object: closing it ends the notification.
    object: usize,
    subtree: bool,
    then: Box<dyn FnOnce(NTSTATUS) + Send>,
}

/// The registry.
#[derive(Default)]
pub(crate) struct Registry {
    /// Keys by folded path.
    keys: Mutex<BTreeMap<String, Arc<Key>>>,
}

/// Well-known keys of a fresh system.
const FRESH: &[&str] = &[
    "\\Registry\\Machine\\System\\CurrentControlSet\\Services",
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class",
    "\\Registry\\Machine\\Software",
    "\\Registry\\User",
];

fn fold(path: &str) -> String {
    path.to_lowercase().replace(
        "\\registry\\machine\\system\\controlset001",
        "\\registry\\machine\\system\\currentcontrolset",
    )
}

impl Registry {
    /// Makes the well-known keys.
    pub(crate) fn make_fresh(&self) {
        for path in FRESH {
            self.create(path);
        }
    }

    pub(crate) fn find(&self, path: &str) -> Option<Arc<Key>> {
        self.keys.lock().get(&fold(path)).cloned()
    }

    /// Finds a key, making it and its parents if need be; says whether it was made.
    pub(crate) fn create(&self, path: &str) -> (Arc<Key>, bool) {
        let path = path.trim_end_matches('\\');
        if let Some(found) = self.find(path) {
            return (found, false);
        }
        if let Some(at) = path.rfind('\\')
            && at > 0
        {
            self.create(&path[..at]);
        }
        let key = Arc::new(Key {
            path: path.to_owned(),
            values: Mutex::new(BTreeMap::new()),
            notify: Mutex::new(Vec::new()),
        });
        self.keys.lock().insert(fold(path), Arc::clone(&key));
        self.changed(path, false);
        (key, true)
    }

    /// Removes a key without subkeys.
    pub(crate) fn delete(&self, path: &str) -> Result<(), NTSTATUS> {
        const CANNOT_DELETE: i32 = 0xC000_0121_u32 as i32;
        if !self.subkeys(path).is_empty() {
            return Err(CANNOT_DELETE);
        }
        self.keys
            .lock()
            .remove(&fold(path))
            .ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        self.changed(path, false);
        Ok(())
    }

    /// Names of the direct subkeys.
    pub(crate) fn subkeys(&self, path: &str) -> Vec<String> {
        let prefix = format!("{}\\", fold(path));
        let keys = self.keys.lock();
        keys.range(prefix.clone()..)
            .take_while(|(folded, _)| folded.starts_with(&prefix))
            .filter(|(folded, _)| !folded[prefix.len()..].contains('\\'))
            .filter_map(|(_, key)| key.path.rsplit('\\').next().map(str::to_owned))
            .collect()
    }

    /// Sets a value and tells who waits for changes.
    pub(crate) fn set(&self, key: &Key, name: &str, kind: u32, data: Vec<u8>) {
        let value = Value {
            name: name.to_owned(),
            kind,
            data,
        };
        key.values.lock().insert(name.to_lowercase(), value);
        self.changed(&key.path, true);
    }

    /// Removes a value.
    pub(crate) fn remove(&self, key: &Key, name: &str) -> Result<(), NTSTATUS> {
        let removed = key.values.lock().remove(&name.to_lowercase());
        removed.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        self.changed(&key.path, true);
        Ok(())
    }

    /// Asks to be told of the next change.
    fn watch(&self, key: &Key, notify: Notify) {
        key.notify.lock().push(notify);
    }

    /// Tells the watchers of a key (its own values or subkeys changed), and those above it that
    /// watch the whole subtree.
    fn changed(&self, path: &str, own_values: bool) {
        let mut fired = Vec::new();
        let folded = fold(path);
        for (at, key) in self.keys.lock().iter() {
            let itself = own_values && *at == folded;
            let parent = folded.rfind('\\').is_some_and(|p| folded[..p] == **at);
            let above = folded.starts_with(&format!("{at}\\"));
            let mut list = key.notify.lock();
            let (hit, keep) = std::mem::take(&mut *list)
                .into_iter()
                .partition(|n| itself || (parent && !own_values) || (above && n.subtree));
            *list = keep;
            let hit: Vec<Notify> = hit;
            fired.extend(hit);
        }
        for notify in fired {
            work_item::queue_internal(move || (notify.then)(0));
        }
    }

    fn cancel(&self, object: usize) {
        const NOTIFY_CLEANUP: i32 = 0x10B;
        let keys: Vec<_> = self.keys.lock().values().cloned().collect();
        for key in keys {
            let gone: Vec<Notify> = {
                let mut list = key.notify.lock();
                let (gone, keep) = std::mem::take(&mut *list)
                    .into_iter()
                    .partition(|n| n.object == object);
                *list = keep;
                gone
            };
            for notify in gone {
                work_item::queue_internal(move || (notify.then)(NOTIFY_CLEANUP));
            }
        }
    }

    /// Drops every watcher without calling it: the system stops.
    pub(crate) fn forget_watchers(&self) {
        for key in self.keys.lock().values() {
            key.notify.lock().clear();
        }
    }
}

/// The last handle to a key went: its notifications end.
pub(crate) fn key_handle_closed(object: &Arc<Object>) {
    kernel().registry.cancel(object.address);
}

/// The key behind a handle.
fn key_of(handle: usize, access: u32) -> Result<(Arc<Object>, Arc<Key>), NTSTATUS> {
    let found = crate::ob::table_of(handle).lookup(handle, Some(Kind::Key), access, false)?;
    let key = found
        .object
        .data::<Weak<Key>>()
        .and_then(|weak| weak.upgrade())
        .ok_or(0xC000_017C_u32 as i32)?;
    Ok((found.object, key))
}

/// What the registry exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![exports::EXPORTS, rtl::EXPORTS]
}
