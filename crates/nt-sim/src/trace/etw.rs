//! ETW: providers register, events are kept for the lab to look at.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::sync::Mutex;
use nt::sys::{GUID, STATUS_INVALID_HANDLE, STATUS_SUCCESS};

use crate::{exports, invoke, kernel::kernel, mem::caller};

/// An event that a driver wrote.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) provider: [u8; 16],
    /// The 16 bytes of the `EVENT_DESCRIPTOR`.
    pub(crate) descriptor: [u8; 16],
    pub(crate) data: Vec<u8>,
}

struct Provider {
    guid: [u8; 16],
    callback: usize,
    context: usize,
    owner: u16,
}

/// Most events that are kept.
const KEPT: usize = 65_536;

/// Providers and events.
#[derive(Default)]
pub(crate) struct Etw {
    providers: Mutex<BTreeMap<u64, Arc<Provider>>>,
    events: Mutex<VecDeque<Event>>,
    enabled: Mutex<BTreeMap<[u8; 16], (u8, u64)>>,
    next: AtomicU64,
}

/// Providers that a driver registered and left, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let providers = kernel().trace.etw.providers.lock();
    providers
        .values()
        .filter(|p| p.owner == owner)
        .map(|p| crate::trace::guid_words(&p.guid))
        .collect()
}

impl Etw {
    /// Starts listening to a provider, which is told.
    pub(crate) fn enable(&self, guid: [u8; 16], level: u8, keywords: u64) {
        self.enabled.lock().insert(guid, (level, keywords));
        let providers: Vec<_> = self.providers.lock().values().cloned().collect();
        for provider in providers.iter().filter(|p| p.guid == guid) {
            tell(provider, level, keywords);
        }
    }

    /// Takes the events that were written since the last call.
    pub(crate) fn take_events(&self) -> Vec<Event> {
        self.events.lock().drain(..).collect()
    }

    fn listens(&self, provider: &Provider, level: u8, keyword: u64) -> bool {
        let enabled = self.enabled.lock();
        enabled.get(&provider.guid).is_some_and(|(max, keywords)| {
            level <= *max && (keyword == 0 || keyword & keywords != 0)
        })
    }
}

fn tell(provider: &Provider, level: u8, keywords: u64) {
    if provider.callback != 0 {
        let source = [0_u8; 16];
        invoke!(
            provider.callback,
            source.as_ptr(),
            1,
            level,
            keywords,
            0,
            0,
            provider.context
        );
    }
}

fn find(handle: u64) -> Option<Arc<Provider>> {
    kernel().trace.etw.providers.lock().get(&handle).cloned()
}

/// Level and keyword of an EVENT_DESCRIPTOR.
fn descriptor_of(address: *const u8) -> [u8; 16] {
    // SAFETY: the caller passes an EVENT_DESCRIPTOR, which is 16 bytes.
    unsafe { address.cast::<[u8; 16]>().read_unaligned() }
}

fn write(handle: u64, descriptor: *const u8, count: u32, data: *const u8) -> i32 {
    let etw = &kernel().trace.etw;
    let Some(provider) = find(handle) else {
        return STATUS_INVALID_HANDLE;
    };
    let descriptor = descriptor_of(descriptor);
    let keyword = u64::from_le_bytes(descriptor[8..].try_into().unwrap_or_default());
    if !etw.listens(&provider, descriptor[4], keyword) {
        return STATUS_SUCCESS;
    }
    let mut bytes = Vec::new();
    for index in 0..count as usize {
        // An EVENT_DATA_DESCRIPTOR: address, size, reserved.
        // SAFETY: the caller passes `count` descriptors of 16 bytes.
        let entry = unsafe {
            data.wrapping_add(index * 16)
                .cast::<[u64; 2]>()
                .read_unaligned()
        };
        let size = entry[1] as u32 as usize;
        if size > 0 {
            // SAFETY: a descriptor names `size` bytes.
            let part = unsafe { std::slice::from_raw_parts(entry[0] as *const u8, size) };
            bytes.extend_from_slice(part);
        }
    }
    let mut events = etw.events.lock();
    if events.len() == KEPT {
        events.pop_front();
    }
    events.push_back(Event {
        provider: provider.guid,
        descriptor,
        data: bytes,
    });
    STATUS_SUCCESS
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Registers a provider.
    #[irql(PASSIVE)]
    fn EtwRegister(provider: *const GUID, callback: usize, context: usize, out: *mut u64) -> i32 {
        if crate::verifier::fault("EtwRegister") {
            return nt::sys::STATUS_NO_MEMORY;
        }
        // SAFETY: the caller passes a GUID.
        let guid = unsafe { provider.cast::<[u8; 16]>().read_unaligned() };
        let etw = &kernel().trace.etw;
        let handle = etw.next.fetch_add(1, Ordering::Relaxed) + 1;
        let provider = Arc::new(Provider { guid, callback, context, owner: caller::owner() });
        etw.providers.lock().insert(handle, Arc::clone(&provider));
        // SAFETY: the caller gives memory for the handle.
        unsafe { out.write(handle) };
        let enabled = etw.enabled.lock().get(&guid).copied();
        if let Some((level, keywords)) = enabled {
            tell(&provider, level, keywords);
        }
        STATUS_SUCCESS
    }

    /// Undoes EtwRegister.
    #[irql(PASSIVE)]
    fn EtwUnregister(handle: u64) -> i32 {
        match kernel().trace.etw.providers.lock().remove(&handle) {
            Some(_) => STATUS_SUCCESS,
            None => STATUS_INVALID_HANDLE,
        }
    }

    /// Attaches traits to a provider; they are not looked at.
    #[irql(PASSIVE)]
    fn EtwSetInformation(handle: u64, class: i32, information: *const u8, length: u32) -> i32 {
        let _ = (class, information, length);
        if find(handle).is_some() { STATUS_SUCCESS } else { STATUS_INVALID_HANDLE }
    }

    /// Whether somebody listens to an event.
    #[irql(ANY)]
    fn EtwEventEnabled(handle: u64, descriptor: *const u8) -> u8 {
        let descriptor = descriptor_of(descriptor);
        let keyword = u64::from_le_bytes(descriptor[8..].try_into().unwrap_or_default());
        u8::from(find(handle).is_some_and(|p| kernel().trace.etw.listens(&p, descriptor[4], keyword)))
    }

    /// Whether somebody listens to a level and keyword.
    #[irql(ANY)]
    fn EtwProviderEnabled(handle: u64, level: u8, keyword: u64) -> u8 {
        u8::from(find(handle).is_some_and(|p| kernel().trace.etw.listens(&p, level, keyword)))
    }

    /// Writes an event.
    #[irql(ANY)]
    fn EtwWrite(handle: u64, descriptor: *const u8, activity: *const GUID, count: u32, data: *const u8) -> i32 {
        let _ = activity;
        write(handle, descriptor, count, data)
    }

    /// Writes an event that belongs to a related activity.
    #[irql(ANY)]
    fn EtwWriteTransfer(handle: u64, descriptor: *const u8, activity: *const GUID, related: *const GUID, count: u32, data: *const u8) -> i32 {
        let _ = (activity, related);
        write(handle, descriptor, count, data)
    }

    /// Makes or swaps activity identifiers: 3 makes one.
    #[irql(ANY)]
    fn EtwActivityIdControl(control: u32, activity: *mut GUID) -> i32 {
        if control == 3 {
            static NEXT: AtomicU64 = AtomicU64::new(1);
            let mut bytes = [0_u8; 16];
            bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
            // SAFETY: the caller gives memory for a GUID.
            unsafe { activity.cast::<[u8; 16]>().write_unaligned(bytes) };
            return STATUS_SUCCESS;
        }
        nt::sys::STATUS_NOT_SUPPORTED
    }
}
