//! The list of what there is.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::io::{Completion, Control};
use nt::{Passive, Result, Status};
use xdp_abi::inventory::{Header, InterfaceHandle, ListFlags, RuleHits, VERSION};
use xdp_abi::ioctl;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Object;
use super::devices::COMMON;
use crate::driver::Services;

/// A list that is being written, as far as there is room; it is counted to its end.
pub(crate) struct List<'a> {
    output: &'a mut [u8],
    size: usize,
    entries: u32,
}

impl List<'_> {
    /// Adds an entry.
    pub(crate) fn add<T: IntoBytes + Immutable>(&mut self, entry: &T) {
        self.put(self.size, entry.as_bytes());
        self.size += size_of::<T>();
        self.entries += 1;
    }

    /// Adds entries for the rules of a program on a queue.
    pub(crate) fn add_hits(
        &mut self,
        program: u64,
        if_index: u32,
        queue: u32,
        counts: &[AtomicU64],
    ) {
        let mut first_rule = 0;
        for counts in counts.chunks(RuleHits::MOST as usize) {
            let rules = counts.len() as u32;
            self.add(&RuleHits {
                header: RuleHits::header_for(rules),
                program,
                if_index,
                queue,
                first_rule,
                rules,
            });
            for count in counts {
                self.put(self.size, count.load(Ordering::Relaxed).as_bytes());
                self.size += size_of::<u64>();
            }
            first_rule += rules;
        }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        let room = self.output.get_mut(at..).unwrap_or_default();
        if let Some(room) = room.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    fn write_header(&mut self) {
        let header = Header {
            version: VERSION,
            header_size: size_of::<Header>() as u16,
            entries: self.entries,
            total_size: self.size as u64,
        };
        self.put(0, header.as_bytes());
    }
}

/// Serves a request on a handle with no object behind it.
pub(crate) fn control(
    services: &Services,
    mut request: Control,
    passive: Passive<'_>,
) -> Completion {
    if request.code() != ioctl::common::LIST || request.device_kind() != COMMON {
        return request.complete(Status::NOT_SUPPORTED, 0);
    }
    // What is asked for is an addition of later versions: less than all of it asks for nothing.
    let flags = ListFlags::read_from_prefix(request.input());
    let flags = flags.map_or(ListFlags(0), |(flags, _)| flags);
    let output = request.output();
    let room = output.len();
    if room != 0 && room < size_of::<Header>() {
        return request.complete(Status::BUFFER_TOO_SMALL, 0);
    }
    let mut list = List {
        output,
        size: size_of::<Header>(),
        entries: 0,
    };
    if let Err(status) = write(services, &mut list, flags, passive) {
        return request.complete(status, 0);
    }
    list.write_header();
    let size = list.size;
    let (status, size) = match room {
        // Nothing is copied to where there is no room: the count can say what is needed.
        0 => (Status::BUFFER_OVERFLOW, size),
        _ if size > room => (Status::BUFFER_OVERFLOW, size_of::<Header>()),
        _ => (Status::SUCCESS, size),
    };
    request.complete(status, size)
}

fn write(
    services: &Services,
    list: &mut List<'_>,
    flags: ListFlags,
    passive: Passive<'_>,
) -> Result<()> {
    for interface in services.interfaces.all(passive)?.iter() {
        interface.describe(list, passive);
    }
    let mut at = 0;
    while let Some(slot) = services.objects.get(at, passive) {
        at += 1;
        let Some(opened) = slot else {
            continue;
        };
        let (id, process) = (opened.id, opened.process);
        match &*opened.object {
            Object::Program(program) => {
                list.add(&program.describe(id, process, passive));
                if flags.0 & ListFlags::RULE_HITS.0 != 0 {
                    program.describe_hits(id, list, passive);
                }
            }
            Object::Socket(socket) => list.add(&socket.describe(id, process, passive)),
            Object::Map(map) => list.add(&map.describe(id, process)),
            Object::Interface(interface) => list.add(&InterfaceHandle {
                header: InterfaceHandle::HEADER,
                id,
                process,
                if_index: interface.if_index(),
                reserved: 0,
            }),
        }
    }
    Ok(())
}
