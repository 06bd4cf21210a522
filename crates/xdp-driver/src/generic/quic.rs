//! QUIC connections whose packets the network card encrypts and decrypts.
//!
//! Each handle remembers its own, so that they can be taken off the card when it is closed. A request first claims the
//! connections it is about, then asks the card, then notes what the card has done.

use nt::ndis;
use nt::sync::PushLock;
use nt::sys::{NDIS_STATUS_PENDING, OID_TCP_TASK_IPSEC_OFFLOAD_V2_UPDATE_SA};
use nt::{Passive, Result, Status, Vec};
use xdp_abi::ObjectHeader;
use xdp_abi::quic::{
    QUIC_CONNECTION_REVISION_1, QuicAddressFamily, QuicCipherType, QuicConnection,
    QuicConnectionBits, QuicDecryptFailureAction, QuicDirection, QuicOperation,
    SIZEOF_QUIC_CONNECTION_REVISION_1,
};
use xdp_abi::rule::QUIC_MAX_CID_LENGTH;
use zerocopy::{FromBytes, IntoBytes};

use super::oid_status;
use crate::interface::Interface;

/// The request of a network card's driver that adds and removes connections; older headers do not have it.
const OID_QUIC_CONNECTION_ENCRYPTION: u32 = 0xfc01_0215;
/// What NDIS's structure is without: a program's starts with a header, and is the same behind it.
#[doc(alias = "NDIS_QUIC_CONNECTION")]
const HEADER: usize = size_of::<ObjectHeader>();
/// Bytes of NDIS's structure.
const ELEMENT: usize = size_of::<QuicConnection>() - HEADER;
/// Where its status is.
const STATUS: usize = core::mem::offset_of!(QuicConnection, status) - HEADER;
/// Connections that are removed with one request when a handle is closed.
const BATCH: usize = 10_000;
/// The last version of NDIS that has no request of its own for this; a request that nobody uses any more stands for it.
const LAST_WITHOUT: (u8, u8) = (6, 88);

/// What tells connections apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    direction: u32,
    family: u32,
    port: u16,
    id_len: u8,
    id: [u8; QUIC_MAX_CID_LENGTH],
}

/// What is the case with a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Added,
    /// A request is adding it.
    Adding,
    /// A request is removing it.
    Removing,
    /// It is not there any more.
    Gone,
}

struct Connection {
    key: Key,
    state: State,
    /// Not part of the key, but network cards may want it for removing.
    address: [u8; 16],
    /// The next one in the same slot of the index.
    next: u32,
}

/// An element of a request.
struct Item {
    key: Key,
    adds: bool,
    address: [u8; 16],
}

/// The connections of one handle.
pub(crate) struct QuicConnections {
    table: PushLock<Table>,
}

/// Connections, and an index by their keys.
struct Table {
    connections: Vec<Connection>,
    /// The first connection of each slot; a power of two, or none.
    heads: Vec<u32>,
}

/// The end of a slot.
const NONE: u32 = u32::MAX;

fn no_memory<T>(result: Result<T>) -> Result<T> {
    result.map_err(|_| Status::NO_MEMORY)
}

/// Takes the first element off a request.
fn split(request: &[u8]) -> Result<(QuicConnection, &[u8])> {
    let wrong = Status::INVALID_PARAMETER;
    let (header, _) = ObjectHeader::read_from_prefix(request).map_err(|_| wrong)?;
    let (element, rest) = request
        .split_at_checked(header.size as usize)
        .ok_or(wrong)?;
    if header.revision != QUIC_CONNECTION_REVISION_1 {
        return Err(wrong);
    }
    const _: () = assert!(SIZEOF_QUIC_CONNECTION_REVISION_1 == size_of::<QuicConnection>());
    let (connection, _) = QuicConnection::read_from_prefix(element).map_err(|_| wrong)?;
    let fits = connection.bits.cipher_type().0 <= QuicCipherType::AEAD_AES_128_CCM.0
        && connection.address_family.0 <= QuicAddressFamily::INET6.0
        && usize::from(connection.connection_id_length) <= QUIC_MAX_CID_LENGTH;
    if fits {
        Ok((connection, rest))
    } else {
        Err(wrong)
    }
}

impl Item {
    fn new(connection: &QuicConnection) -> Self {
        let mut key = Key {
            direction: connection.bits.direction().0,
            family: connection.address_family.0,
            port: connection.udp_port,
            id_len: connection.connection_id_length,
            id: [0; QUIC_MAX_CID_LENGTH],
        };
        let len = usize::from(key.id_len);
        if let (Some(to), Some(from)) = (key.id.get_mut(..len), connection.connection_id.get(..len))
        {
            to.copy_from_slice(from);
        }
        Self {
            key,
            adds: connection.bits.operation() == QuicOperation::ADD,
            address: connection.address,
        }
    }
}

/// What happens to the next element about a connection of which this is the case; `None` when it is not known.
const fn judge(known: Option<State>, adds: bool) -> Result<State> {
    match (known, adds) {
        (None, true) => Ok(State::Adding),
        (Some(_), true) => Err(Status::DUPLICATE_OBJECTID),
        (None, false) => Err(Status::NOT_FOUND),
        (Some(State::Added), false) => Ok(State::Removing),
        (Some(_), false) => Err(Status::INVALID_DEVICE_STATE),
    }
}

impl Key {
    /// FNV-1a over all of the key.
    fn hash(&self) -> usize {
        let head = [self.direction as u8, self.family as u8, self.id_len];
        let bytes = head.iter().chain(&self.id);
        let start = 0xcbf2_9ce4_8422_2325 ^ u64::from(self.port);
        let hash = bytes.fold(start, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        (hash ^ hash >> 32) as usize
    }
}

impl Table {
    const fn new() -> Self {
        Self {
            connections: Vec::new(crate::TAG),
            heads: Vec::new(crate::TAG),
        }
    }

    fn slot(&self, key: &Key) -> usize {
        key.hash() & self.heads.len().wrapping_sub(1)
    }

    fn find(&mut self, key: &Key) -> Option<&mut Connection> {
        let mut at = *self.heads.get(self.slot(key))?;
        while self.connections.get(at as usize)?.key != *key {
            at = self.connections.get(at as usize)?.next;
        }
        self.connections.get_mut(at as usize)
    }

    /// Makes room for more connections.
    fn reserve(&mut self, more: usize) -> Result<()> {
        no_memory(self.connections.reserve(more))?;
        let all = self.connections.len().saturating_add(more);
        let slots = all.checked_next_power_of_two().ok_or(Status::NO_MEMORY)?;
        let missing = slots.saturating_sub(self.heads.len());
        if missing != 0 {
            no_memory(self.heads.reserve(missing))?;
            for _ in 0..missing {
                no_memory(self.heads.push(NONE))?;
            }
            self.index();
        }
        Ok(())
    }

    /// Makes the index anew.
    fn index(&mut self) {
        for head in &mut self.heads {
            *head = NONE;
        }
        let mask = self.heads.len().wrapping_sub(1);
        for (at, connection) in self.connections.iter_mut().enumerate() {
            if let Some(head) = self.heads.get_mut(connection.key.hash() & mask) {
                connection.next = core::mem::replace(head, at as u32);
            }
        }
    }

    /// Adds a connection that is not there, for which there is room.
    fn add(&mut self, item: &Item) {
        let (at, slot) = (self.connections.len() as u32, self.slot(&item.key));
        if let Some(head) = self.heads.get_mut(slot) {
            let connection = Connection {
                key: item.key,
                state: State::Adding,
                address: item.address,
                next: *head,
            };
            if self.connections.push(connection).is_ok() {
                *head = at;
            }
        }
    }

    /// Claims the connections of a request, all or none: what comes first in it decides.
    fn claim(&mut self, items: &[Item], read: Result<()>) -> Result<()> {
        self.reserve(items.iter().filter(|item| item.adds).count())?;
        let before = self.connections.len();
        let mut outcome = read;
        let mut claimed = 0;
        for item in items {
            let known = self.find(&item.key);
            match judge(known.as_ref().map(|known| known.state), item.adds) {
                Ok(State::Adding) => self.add(item),
                Ok(state) => {
                    if let Some(known) = known {
                        known.state = state;
                    }
                }
                Err(status) => {
                    outcome = Err(status);
                    break;
                }
            }
            claimed += 1;
        }
        if outcome.is_err() {
            for item in items.iter().take(claimed).filter(|item| !item.adds) {
                if let Some(known) = self.find(&item.key) {
                    known.state = State::Added;
                }
            }
            self.connections.truncate(before);
            self.index();
        }
        outcome
    }

    /// Notes what the network card has done; nothing when the request failed.
    fn settle(&mut self, items: &[Item], elements: Option<&[u8]>) {
        let (elements, _) = elements.unwrap_or_default().as_chunks::<ELEMENT>();
        let mut gone = false;
        for (at, item) in items.iter().enumerate() {
            let is_done = elements
                .get(at)
                .is_some_and(|element| status_of(element) == Status::SUCCESS);
            let Some(known) = self.find(&item.key) else {
                continue;
            };
            // What is left in one of the two other states goes below.
            let stays = is_done == item.adds;
            known.state = if stays { State::Added } else { State::Gone };
            gone |= !stays;
        }
        if gone {
            self.connections
                .retain(|connection| connection.state != State::Gone);
            self.index();
        }
    }
}

/// What the network card says of a connection.
fn status_of(element: &[u8; ELEMENT]) -> Status {
    let status = element.get(STATUS..).and_then(<[u8]>::first_chunk);
    status.map_or(Status::UNSUCCESSFUL, |status| {
        Status(i32::from_le_bytes(*status))
    })
}

impl QuicConnections {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self {
            table: PushLock::new(Table::new()),
        }
    }

    /// Adds and removes the connections of a request, and notes in it what has become of each.
    pub(crate) fn set(
        &self,
        interface: &Interface,
        request: &mut [u8],
        passive: Passive<'_>,
    ) -> Result<()> {
        drop(interface.active(passive)?);
        let mut items = Vec::new(crate::TAG);
        let mut elements = Vec::new(crate::TAG);
        let read = read(request, &mut items, &mut elements);
        self.table.write(passive).claim(&items, read)?;
        let asked = ask(interface, &mut elements, passive);
        let done = asked.is_ok().then_some(&*elements);
        self.table.write(passive).settle(&items, done);
        asked?;
        report(request, &elements);
        Ok(())
    }

    /// Takes what is left off the network card. Nobody uses the handle any more.
    pub(crate) fn close(&self, interface: &Interface, passive: Passive<'_>) {
        let table = core::mem::replace(&mut *self.table.write(passive), Table::new());
        let mut rest = &*table.connections;
        // Without memory for many they go one by one.
        let mut elements = Vec::new(crate::TAG);
        let room = rest.len().min(BATCH) * ELEMENT;
        let batch = elements.reserve(room).map_or(1, |()| BATCH);
        while let Some((first, others)) = rest.split_first() {
            if batch == 1 {
                // What the network card does not remove is its own to forget; with the adapter everything is gone.
                let _ = ask(interface, &mut removal(first), passive);
                rest = others;
                continue;
            }
            elements.clear();
            for connection in rest.iter().take(batch) {
                // There is room.
                let _ = elements.extend_from_slice(&removal(connection));
            }
            let _ = ask(interface, &mut elements, passive);
            rest = rest.get(batch..).unwrap_or_default();
        }
    }
}

/// Reads a request: its elements, and what NDIS is to be told. Stops at the first that makes no sense.
fn read(mut request: &[u8], items: &mut Vec<Item>, elements: &mut Vec<u8>) -> Result<()> {
    while !request.is_empty() {
        let (mut connection, rest) = split(request)?;
        connection.status = NDIS_STATUS_PENDING;
        no_memory(items.push(Item::new(&connection)))?;
        let element = connection.as_bytes().get(HEADER..).unwrap_or_default();
        no_memory(elements.extend_from_slice(element))?;
        request = rest;
    }
    Ok(())
}

/// The element that removes a connection.
fn removal(connection: &Connection) -> [u8; ELEMENT] {
    let key = &connection.key;
    let whole = QuicConnection {
        bits: QuicConnectionBits::new(
            QuicOperation::REMOVE,
            QuicDirection(key.direction),
            QuicDecryptFailureAction::DROP,
            false,
            QuicCipherType::AEAD_AES_128_GCM,
        ),
        address_family: QuicAddressFamily(key.family),
        udp_port: key.port,
        connection_id_length: key.id_len,
        connection_id: key.id,
        address: connection.address,
        status: NDIS_STATUS_PENDING,
        ..QuicConnection::default()
    };
    let mut element = [0; ELEMENT];
    if let Some(from) = whole.as_bytes().get(HEADER..) {
        element.copy_from_slice(from);
    }
    element
}

/// Asks the network card.
fn ask(interface: &Interface, elements: &mut [u8], passive: Passive<'_>) -> Result<()> {
    let _control = interface.active(passive)?;
    let filter = interface.filter();
    let oid = OID_QUIC_CONNECTION_ENCRYPTION;
    let mut answer = filter.direct_method(crate::TAG, oid, elements, passive);
    if answer == Err(Status::NOT_SUPPORTED) && ndis::version() <= LAST_WITHOUT {
        let oid = OID_TCP_TASK_IPSEC_OFFLOAD_V2_UPDATE_SA;
        answer = filter.direct_method(crate::TAG, oid, elements, passive);
    }
    match answer {
        Ok(len) if len == elements.len() => Ok(()),
        Ok(_) => Err(Status::DEVICE_DATA_ERROR),
        Err(status) => Err(oid_status(status)),
    }
}

/// Writes what has become of each connection into a request.
fn report(mut request: &mut [u8], elements: &[u8]) {
    let (elements, _) = elements.as_chunks::<ELEMENT>();
    for element in elements {
        let Ok((header, _)) = ObjectHeader::read_from_prefix(request) else {
            return;
        };
        let status = status_of(element);
        let Some((mine, rest)) =
            core::mem::take(&mut request).split_at_mut_checked(header.size as usize)
        else {
            return;
        };
        let at = HEADER + STATUS;
        if let Some(place) = mine.get_mut(at..at + 4) {
            place.copy_from_slice(&result_code(oid_status(status)).to_le_bytes());
        }
        request = rest;
    }
}

/// The `HRESULT` of a status, as programs see it.
#[doc(alias = "HRESULT_FROM_WIN32")]
fn result_code(status: Status) -> u32 {
    const FACILITY_WIN32: u32 = 7;
    match status.win32() {
        0 => 0,
        code => 1 << 31 | FACILITY_WIN32 << 16 | code & 0xffff,
    }
}
