//! The registry's system calls.

use std::sync::Arc;

use nt::sys::{
    NTSTATUS, OBJECT_ATTRIBUTES, STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL,
    STATUS_INVALID_PARAMETER, STATUS_NO_MORE_ENTRIES, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_PENDING, STATUS_SUCCESS, UNICODE_STRING,
};

use super::{Key, Notify, Value, key_of};
use crate::{
    exports, invoke,
    ke::dispatcher,
    kernel::kernel,
    ob::{self, Body, Kind, unicode_string},
};

fn new_handle(key: &Arc<Key>, access: u32, attributes: u32) -> usize {
    let object = kernel()
        .ob
        .create(Kind::Key, Ok(Body::new(64)), Arc::new(Arc::downgrade(key)));
    // Keys are found by path, not by name, so any number of objects may carry the same one.
    *object.name.lock() = Some(key.path.clone());
    ob::new_handle(object, access, attributes)
}

fn open(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    create: Option<*mut u32>,
) -> Result<(), NTSTATUS> {
    let attributes = ob::parse_object_attributes(attributes)?;
    let path = attributes.path.ok_or(STATUS_OBJECT_NAME_INVALID)?;
    let registry = &kernel().registry;
    let key = match create {
        None => registry.find(&path).ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?,
        Some(disposition) => {
            let (key, made) = registry.create(&path);
            if !disposition.is_null() {
                // SAFETY: the caller gives memory for the disposition.
                unsafe { disposition.write(if made { 1 } else { 2 }) };
            }
            key
        }
    };
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(new_handle(&key, access, attributes.attributes)) };
    Ok(())
}

/// Copies an information structure out as the query functions do: `fixed` bytes or nothing.
fn give(bytes: &[u8], fixed: usize, out: *mut u8, length: u32, needed: *mut u32) -> NTSTATUS {
    // SAFETY: the caller gives memory for the length.
    unsafe { needed.write(bytes.len() as u32) };
    let room = length as usize;
    if room < fixed {
        return STATUS_BUFFER_TOO_SMALL;
    }
    let take = bytes.len().min(room);
    // SAFETY: the caller gives `length` bytes.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), out, take) };
    if take < bytes.len() {
        return STATUS_BUFFER_OVERFLOW;
    }
    STATUS_SUCCESS
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Bytes of a KEY_VALUE_*_INFORMATION and how many of them must fit.
fn value_information(value: &Value, class: i32) -> Option<(Vec<u8>, usize)> {
    let name = wide(&value.name);
    let word = |n: usize| (n as u32).to_le_bytes();
    let mut bytes = Vec::new();
    bytes.extend([0; 4]);
    bytes.extend(value.kind.to_le_bytes());
    match class {
        0 => {
            bytes.extend(word(name.len()));
            bytes.extend(name);
            Some((bytes, 12))
        }
        1 => {
            let offset = (20 + name.len()).next_multiple_of(4);
            bytes.extend(word(offset));
            bytes.extend(word(value.data.len()));
            bytes.extend(word(name.len()));
            bytes.extend(name);
            bytes.resize(offset, 0);
            bytes.extend(&value.data);
            Some((bytes, 20))
        }
        2 => {
            bytes.extend(word(value.data.len()));
            bytes.extend(&value.data);
            Some((bytes, 12))
        }
        _ => None,
    }
}

fn query_value(
    handle: usize,
    name: Option<String>,
    class: i32,
    out: (*mut u8, u32, *mut u32),
) -> Result<NTSTATUS, NTSTATUS> {
    let (_, key) = key_of(handle, 0)?;
    let name = name.unwrap_or_default().to_lowercase();
    let value = key.values.lock().get(&name).cloned();
    let value = value.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
    let (bytes, fixed) = value_information(&value, class).ok_or(STATUS_INVALID_PARAMETER)?;
    Ok(give(&bytes, fixed, out.0, out.1, out.2))
}

fn either(result: Result<NTSTATUS, NTSTATUS>) -> NTSTATUS {
    result.unwrap_or_else(|status| status)
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Opens a key.
    #[irql(PASSIVE)]
    fn ZwOpenKey(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES) -> i32 {
        if crate::verifier::fault("ZwOpenKey") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        open(out, access, attributes, None).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Opens a key with options.
    #[irql(PASSIVE)]
    fn ZwOpenKeyEx(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, options: u32) -> i32 {
        let _ = options;
        if crate::verifier::fault("ZwOpenKey") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        open(out, access, attributes, None).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Opens a key, making it if need be.
    #[irql(PASSIVE)]
    fn ZwCreateKey(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, title: u32, class: *const UNICODE_STRING, options: u32, disposition: *mut u32) -> i32 {
        let _ = (title, class, options);
        if crate::verifier::fault("ZwCreateKey") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        open(out, access, attributes, Some(disposition)).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Reads a value.
    #[irql(PASSIVE)]
    fn ZwQueryValueKey(key: usize, name: *const UNICODE_STRING, class: i32, out: *mut u8, length: u32, needed: *mut u32) -> i32 {
        either(query_value(key, unicode_string(name), class, (out, length, needed)))
    }

    /// Writes a value.
    #[irql(PASSIVE)]
    fn ZwSetValueKey(key: usize, name: *const UNICODE_STRING, title: u32, kind: u32, data: *const u8, size: u32) -> i32 {
        let _ = title;
        either(key_of(key, 0).map(|(_, key)| {
            let data = if size == 0 { Vec::new() } else {
                // SAFETY: the caller passes `size` bytes.
                unsafe { std::slice::from_raw_parts(data, size as usize) }.to_vec()
            };
            kernel().registry.set(&key, &unicode_string(name).unwrap_or_default(), kind, data);
            STATUS_SUCCESS
        }))
    }

    /// Removes a value.
    #[irql(PASSIVE)]
    fn ZwDeleteValueKey(key: usize, name: *const UNICODE_STRING) -> i32 {
        either(key_of(key, 0).and_then(|(_, key)| {
            kernel().registry.remove(&key, &unicode_string(name).unwrap_or_default())?;
            Ok(STATUS_SUCCESS)
        }))
    }

    /// Removes a key without subkeys.
    #[irql(PASSIVE)]
    fn ZwDeleteKey(key: usize) -> i32 {
        either(key_of(key, 0).and_then(|(_, key)| {
            kernel().registry.delete(&key.path)?;
            Ok(STATUS_SUCCESS)
        }))
    }

    /// Names the n-th subkey.
    #[irql(PASSIVE)]
    fn ZwEnumerateKey(key: usize, index: u32, class: i32, out: *mut u8, length: u32, needed: *mut u32) -> i32 {
        either(key_of(key, 0).and_then(|(_, key)| {
            let names = kernel().registry.subkeys(&key.path);
            let name = wide(names.get(index as usize).ok_or(STATUS_NO_MORE_ENTRIES)?);
            if class != 0 {
                return Err(STATUS_INVALID_PARAMETER);
            }
            let mut bytes = vec![0; 12];
            bytes.extend((name.len() as u32).to_le_bytes());
            bytes.extend(name);
            Ok(give(&bytes, 16, out, length, needed))
        }))
    }

    /// Reads the n-th value.
    #[irql(PASSIVE)]
    fn ZwEnumerateValueKey(key: usize, index: u32, class: i32, out: *mut u8, length: u32, needed: *mut u32) -> i32 {
        either(key_of(key, 0).and_then(|(_, key)| {
            let value = key.values.lock().values().nth(index as usize).cloned();
            let value = value.ok_or(STATUS_NO_MORE_ENTRIES)?;
            let (bytes, fixed) = value_information(&value, class).ok_or(STATUS_INVALID_PARAMETER)?;
            Ok(give(&bytes, fixed, out, length, needed))
        }))
    }

    /// Describes a key: class 2 counts its subkeys and values.
    #[irql(PASSIVE)]
    fn ZwQueryKey(key: usize, class: i32, out: *mut u8, length: u32, needed: *mut u32) -> i32 {
        either(key_of(key, 0).and_then(|(_, key)| {
            let subkeys = kernel().registry.subkeys(&key.path);
            let values = key.values.lock().clone();
            match class {
                2 => {
                    let longest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0) as u32;
                    let words = [
                        0, 0, 0, u32::MAX, 0,
                        subkeys.len() as u32,
                        longest(&mut subkeys.iter().map(|s| wide(s).len())),
                        0,
                        values.len() as u32,
                        longest(&mut values.values().map(|v| wide(&v.name).len())),
                        longest(&mut values.values().map(|v| v.data.len())),
                    ];
                    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                    Ok(give(&bytes, bytes.len(), out, length, needed))
                }
                3 => {
                    let name = wide(&key.path);
                    let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
                    bytes.extend(name);
                    Ok(give(&bytes, 4, out, length, needed))
                }
                _ => Err(STATUS_INVALID_PARAMETER),
            }
        }))
    }

    /// Writes a key to disk: there is no disk.
    #[irql(PASSIVE)]
    fn ZwFlushKey(key: usize) -> i32 {
        key_of(key, 0).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Asks to be told of changes: synchronously, by an event, or by a work item (`routine` is then
    /// a WORK_QUEUE_ITEM and `context` the queue, as kernel callers pass them).
    #[irql(PASSIVE)]
    fn ZwNotifyChangeKey(key: usize, event: usize, routine: usize, context: usize, block: *mut nt::sys::IO_STATUS_BLOCK, filter: u32, subtree: u8, buffer: *mut u8, size: u32, asynchronous: u8) -> i32 {
        let _ = (context, filter, buffer, size);
        let (object, found) = match key_of(key, 0) {
            Ok(found) => found,
            Err(status) => return status,
        };
        let waiter = Body::new(24);
        dispatcher::initialize(waiter.address(), dispatcher::kind::NOTIFICATION_EVENT, 24, 0);
        let waiter = Arc::new(waiter);
        let signal = Arc::clone(&waiter);
        let block = block as usize;
        let event_object = match event {
            0 => None,
            event => match ob::table_of(event).lookup(event, Some(Kind::Event), 0, false) {
                Ok(found) => Some(found.object),
                Err(status) => return status,
            },
        };
        let then = Box::new(move |status: NTSTATUS| {
            if asynchronous != 0 && block != 0 {
                // SAFETY: the caller keeps the block until the notification has come.
                unsafe { (*(block as *mut nt::sys::IO_STATUS_BLOCK)).Status = status };
            }
            if let Some(event) = event_object {
                dispatcher::update(event.address, |_| 1);
            }
            if asynchronous != 0 && routine != 0 {
                let item = routine as *const nt::sys::WORK_QUEUE_ITEM;
                // SAFETY: kernel callers pass a work queue item here, and keep it.
                let item = unsafe { item.read() };
                let call = item.WorkerRoutine.map_or(0, |f| f as *const () as usize);
                invoke!(call, item.Parameter);
            }
            dispatcher::update(signal.address(), |_| 1);
        });
        kernel().registry.watch(&found, Notify { object: object.address, subtree: subtree != 0, then });
        if asynchronous != 0 {
            return STATUS_PENDING;
        }
        dispatcher::wait(&[waiter.address()], false, None);
        STATUS_SUCCESS
    }
}
