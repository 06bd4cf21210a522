//! Which back end a connection goes to, and what its frames look like on the way there and back.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use xdp_packet::checksum;

/// Connections at a time: each has a source port of its own towards the back ends.
const CONNECTIONS: u16 = 32_768;
const FIRST_PORT: u16 = 32_768;
/// A connection that was silent for so long may be forgotten.
const IDLE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) mac: [u8; 6],
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) back_ends: Vec<BackEnd>,
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct BackEnd {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: [u8; 6],
}

/// Where frames of a client come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Client {
    mac: [u8; 6],
    address: [u8; 4],
    port: u16,
}

#[derive(Clone, Copy)]
struct Connection {
    client: Client,
    back_end: usize,
    last_frame: Instant,
}

pub(crate) struct Balancer {
    service: Service,
    by_client: HashMap<Client, u16>,
    /// By source port towards the back end, less [`FIRST_PORT`].
    by_port: Vec<Option<Connection>>,
    next: u16,
    counts: Vec<u64>,
}

impl Balancer {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            counts: vec![0; service.back_ends.len()],
            by_client: HashMap::new(),
            by_port: vec![None; CONNECTIONS.into()],
            next: 0,
            service,
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Back ends and how many connections each was given.
    pub(crate) fn connections(&self) -> impl Iterator<Item = (Ipv4Addr, u64)> {
        let addresses = self
            .service
            .back_ends
            .iter()
            .map(|back_end| back_end.address);
        addresses.zip(self.counts.iter().copied())
    }

    /// Rewrites a frame of the service for its next stop; `false` if it is none of ours.
    pub(crate) fn translate(&mut self, frame: &mut [u8], now: Instant) -> bool {
        let Some(header) = frame.get(..54) else {
            return false;
        };
        let whole = u16::from_be_bytes([header[20], header[21]]) & 0x3FFF == 0;
        let is_tcp = header[12..15] == [8, 0, 0x45] && header[23] == 6 && whole;
        if !is_tcp || header[30..34] != self.service.address.octets() {
            return false;
        }
        let from = Client {
            mac: [6, 7, 8, 9, 10, 11].map(|at| header[at]),
            address: [26, 27, 28, 29].map(|at| header[at]),
            port: u16::from_be_bytes([header[34], header[35]]),
        };
        let to_port = u16::from_be_bytes([header[36], header[37]]);
        // A reset or the first segment says so in the flags.
        let (is_first, is_reset) = (header[47] & 0x12 == 0x02, header[47] & 0x04 != 0);
        let (to_mac, to_address, source, target) = if to_port == self.service.port {
            let Some(slot) = self.slot_of(from, is_first, now) else {
                return false;
            };
            let Some(connection) = &mut self.by_port[usize::from(slot)] else {
                return false;
            };
            connection.last_frame = now;
            let back_end = self.service.back_ends[connection.back_end];
            if is_reset {
                self.by_client.remove(&from);
            }
            (
                back_end.mac,
                back_end.address.octets(),
                FIRST_PORT + slot,
                self.service.port,
            )
        } else {
            let slot = usize::from(to_port.wrapping_sub(FIRST_PORT));
            let Some(Some(connection)) = self.by_port.get_mut(slot) else {
                return false;
            };
            let back_end = self.service.back_ends[connection.back_end];
            if from.address != back_end.address.octets() || from.port != self.service.port {
                return false;
            }
            connection.last_frame = now;
            let client = connection.client;
            (client.mac, client.address, self.service.port, client.port)
        };
        frame[..6].copy_from_slice(&to_mac);
        frame[6..12].copy_from_slice(&self.service.mac);
        rewrite(frame, 26, self.service.address.octets(), &[24, 50]);
        rewrite(frame, 30, to_address, &[24, 50]);
        let [s0, s1] = source.to_be_bytes();
        let [t0, t1] = target.to_be_bytes();
        rewrite(frame, 34, [s0, s1, t0, t1], &[50]);
        true
    }

    /// The slot of a client's connection; a first segment opens one.
    fn slot_of(&mut self, client: Client, is_first: bool, now: Instant) -> Option<u16> {
        if let Some(slot) = self.by_client.get(&client) {
            return Some(*slot);
        }
        if !is_first {
            return None;
        }
        let slot = self.free_slot(now)?;
        let back_end = pick(&self.service.back_ends, &client)?;
        self.counts[back_end] += 1;
        self.by_client.insert(client, slot);
        self.by_port[usize::from(slot)] = Some(Connection {
            client,
            back_end,
            last_frame: now,
        });
        Some(slot)
    }

    /// The next slot that is empty or whose connection has been silent; a look at a few keeps the cost bounded.
    fn free_slot(&mut self, now: Instant) -> Option<u16> {
        for _ in 0..64 {
            let slot = self.next;
            self.next = (self.next + 1) % CONNECTIONS;
            match self.by_port[usize::from(slot)] {
                None => return Some(slot),
                Some(old) if now.duration_since(old.last_frame) > IDLE => {
                    if self.by_client.get(&old.client) == Some(&slot) {
                        self.by_client.remove(&old.client);
                    }
                    return Some(slot);
                }
                Some(_) => {}
            }
        }
        None
    }
}

/// Rendezvous hashing: the back end that, together with the client, hashes highest.
fn pick(back_ends: &[BackEnd], client: &Client) -> Option<usize> {
    let weight = |back_end: &BackEnd| {
        let mut hasher = DefaultHasher::new();
        (back_end.address, client.address, client.port).hash(&mut hasher);
        hasher.finish()
    };
    (0..back_ends.len()).max_by_key(|index| weight(&back_ends[*index]))
}

/// Replaces four bytes and corrects the checksums that cover them.
fn rewrite(frame: &mut [u8], at: usize, new: [u8; 4], checksums: &[usize]) {
    let Some(field) = frame
        .get_mut(at..at + 4)
        .and_then(|bytes| bytes.first_chunk_mut::<4>())
    else {
        return;
    };
    let old = std::mem::replace(field, new);
    for sum_at in checksums {
        if let Some(sum) = frame
            .get_mut(*sum_at..)
            .and_then(|bytes| bytes.first_chunk_mut::<2>())
        {
            *sum = checksum::update_bytes(u16::from_be_bytes(*sum), &old, &new).to_be_bytes();
        }
    }
}

#[cfg(test)]
mod tests;
