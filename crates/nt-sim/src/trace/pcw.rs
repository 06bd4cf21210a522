//! Performance counters: counter sets, their instances, and collection.

use std::collections::BTreeMap;

use crate::sync::Mutex;
use nt::sys::{STATUS_INVALID_PARAMETER, STATUS_SUCCESS, UNICODE_STRING};

use crate::{
    exports, invoke,
    kernel::kernel,
    mem::caller,
    ob::{Body, unicode_string},
};

/// Counter sets and instances.
#[derive(Default)]
pub(crate) struct Pcw {
    sets: Mutex<BTreeMap<usize, Set>>,
    instances: Mutex<BTreeMap<usize, Instance>>,
    collected: Mutex<Vec<(String, Vec<Vec<u8>>)>>,
}

struct Set {
    _body: Body,
    name: String,
    callback: usize,
    context: usize,
    owner: u16,
}

struct Instance {
    _body: Body,
    set: usize,
    name: String,
    /// Address and size of each block of counters.
    data: Vec<(usize, usize)>,
    owner: u16,
}

/// Counter sets and instances that a driver left, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let pcw = &kernel().trace.pcw;
    let mut left = Vec::new();
    for set in pcw.sets.lock().values().filter(|s| s.owner == owner) {
        left.push(format!("the set \"{}\"", set.name));
    }
    let instances = pcw.instances.lock();
    for instance in instances.values().filter(|i| i.owner == owner) {
        left.push(format!("the instance \"{}\"", instance.name));
    }
    left
}

fn blocks(count: u32, data: *const u8) -> Vec<(usize, usize)> {
    (0..count as usize)
        .map(|index| {
            // A PCW_DATA: pointer and size.
            // SAFETY: the caller passes `count` of them.
            let entry = unsafe {
                data.wrapping_add(index * 16)
                    .cast::<[u64; 2]>()
                    .read_unaligned()
            };
            (entry[0] as usize, entry[1] as u32 as usize)
        })
        .collect()
}

fn read(blocks: &[(usize, usize)]) -> Vec<Vec<u8>> {
    blocks
        .iter()
        .map(|&(address, size)| {
            // SAFETY: an instance's blocks stay valid until it is closed.
            unsafe { std::slice::from_raw_parts(address as *const u8, size) }.to_vec()
        })
        .collect()
}

impl Pcw {
    /// Collects the instances of the counter set `name`: of each its name and blocks.
    pub(crate) fn collect(&self, name: &str) -> Vec<(String, Vec<Vec<u8>>)> {
        let set = {
            let sets = self.sets.lock();
            let found = sets.iter().find(|(_, s)| s.name == name);
            found.map(|(address, s)| (*address, s.callback, s.context))
        };
        let Some((set, callback, context)) = set else {
            return Vec::new();
        };
        let mut result: Vec<_> = {
            let instances = self.instances.lock();
            let of_set = instances.values().filter(|i| i.set == set);
            of_set.map(|i| (i.name.clone(), read(&i.data))).collect()
        };
        if callback != 0 {
            // PCW_CALLBACK_INFORMATION for a collection: buffer handle, counters, no name.
            let information = [1_u64, u64::MAX, 0, 0, 0, 0];
            invoke!(callback, 3, information.as_ptr(), context);
            result.append(&mut self.collected.lock());
        }
        result
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Registers a counter set.
    #[irql(APC)]
    fn PcwRegister(out: *mut usize, information: *const u64) -> i32 {
        if crate::verifier::fault("PcwRegister") {
            return nt::sys::STATUS_NO_MEMORY;
        }
        // PCW_REGISTRATION_INFORMATION: version and counter count, name, counters, callback, context.
        // SAFETY: the caller passes the structure, whose words 1, 4 and 5 (after two 32-bit fields
        // and the array pointers) are these.
        let words: [u64; 6] = unsafe { information.cast::<[u64; 6]>().read_unaligned() };
        let Some(name) = unicode_string(words[1] as *const UNICODE_STRING) else {
            return STATUS_INVALID_PARAMETER;
        };
        let body = Body::new(64);
        let address = body.address();
        let set = Set { _body: body, name, callback: words[4] as usize, context: words[5] as usize, owner: caller::owner() };
        kernel().trace.pcw.sets.lock().insert(address, set);
        // SAFETY: the caller gives memory for the handle.
        unsafe { out.write(address) };
        STATUS_SUCCESS
    }

    /// Undoes PcwRegister.
    #[irql(APC)]
    fn PcwUnregister(set: usize) {
        if kernel().trace.pcw.sets.lock().remove(&set).is_none() {
            crate::bugcheck!(crate::verifier::Rule::BadObject, set; "PcwUnregister with {set:#x}, which is no counter set");
        }
    }

    /// Adds an instance whose counters are read at each collection.
    #[irql(APC)]
    fn PcwCreateInstance(out: *mut usize, set: usize, name: *const UNICODE_STRING, count: u32, data: *const u8) -> i32 {
        if crate::verifier::fault("PcwCreateInstance") {
            return nt::sys::STATUS_NO_MEMORY;
        }
        let body = Body::new(64);
        let address = body.address();
        let instance = Instance { _body: body, set, name: unicode_string(name).unwrap_or_default(), data: blocks(count, data), owner: caller::owner() };
        kernel().trace.pcw.instances.lock().insert(address, instance);
        // SAFETY: the caller gives memory for the handle.
        unsafe { out.write(address) };
        STATUS_SUCCESS
    }

    /// Removes an instance.
    #[irql(APC)]
    fn PcwCloseInstance(instance: usize) {
        if kernel().trace.pcw.instances.lock().remove(&instance).is_none() {
            crate::bugcheck!(crate::verifier::Rule::BadObject, instance; "PcwCloseInstance with {instance:#x}, which is no instance");
        }
    }

    /// Gives an instance's counters during a collection.
    #[irql(APC)]
    fn PcwAddInstance(buffer: usize, name: *const UNICODE_STRING, id: u32, count: u32, data: *const u8) -> i32 {
        let _ = (buffer, id);
        let values = read(&blocks(count, data));
        kernel().trace.pcw.collected.lock().push((unicode_string(name).unwrap_or_default(), values));
        STATUS_SUCCESS
    }
}
