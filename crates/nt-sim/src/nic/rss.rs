//! Receive-side scaling: which queue a frame goes to.

use nt::sys::{
    NDIS_HASH_IPV4, NDIS_HASH_IPV6, NDIS_HASH_TCP_IPV4, NDIS_HASH_TCP_IPV6, NDIS_HASH_UDP_IPV4,
    NDIS_HASH_UDP_IPV6, NDIS_OBJECT_TYPE_RSS_CAPABILITIES, NDIS_OBJECT_TYPE_RSS_PARAMETERS,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NDIS_RECEIVE_SCALE_PARAMETERS,
    NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC, NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4,
    NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6, NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4,
    NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6, NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS,
    NDIS_RSS_PARAM_FLAG_DISABLE_RSS, NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED,
    NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED, NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED, PROCESSOR_NUMBER,
};

use super::toeplitz::{DEFAULT_KEY, Toeplitz};

/// `NdisHashFunctionToeplitz`.
pub(crate) const TOEPLITZ: u32 = 1;
/// Entries of the indirection table that the NIC has room for.
pub(crate) const MAX_TABLE: usize = 128;

/// Hash types that the NIC can do.
pub(crate) const HASH_TYPES: u32 = NDIS_HASH_IPV4
    | NDIS_HASH_TCP_IPV4
    | NDIS_HASH_UDP_IPV4
    | NDIS_HASH_IPV6
    | NDIS_HASH_TCP_IPV6
    | NDIS_HASH_UDP_IPV6;

/// Settings of receive-side scaling.
pub(crate) struct Rss {
    queues: u32,
    cpus: u32,
    /// Types in use; 0 while it is off.
    hash_types: u32,
    key: Vec<u8>,
    toeplitz: Toeplitz,
    /// Processor of each entry.
    table: Vec<PROCESSOR_NUMBER>,
    /// Queue of each entry.
    queue_of: Vec<u32>,
    /// Processor of each queue.
    processor_of: Vec<u32>,
}

/// Where a frame goes, and what the hash was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) queue: u32,
    pub(crate) hash: u32,
    pub(crate) hash_info: u32,
}

/// Why parameters are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

fn same(a: PROCESSOR_NUMBER, b: PROCESSOR_NUMBER) -> bool {
    a.Group == b.Group && a.Number == b.Number
}

impl Rss {
    pub(crate) fn new(queues: u32, cpus: u32) -> Rss {
        Rss {
            queues,
            cpus,
            hash_types: 0,
            key: DEFAULT_KEY.to_vec(),
            toeplitz: Toeplitz::new(&DEFAULT_KEY),
            table: Vec::new(),
            queue_of: Vec::new(),
            processor_of: (0..queues).map(|q| q % cpus).collect(),
        }
    }

    pub(crate) fn capabilities(queues: u32) -> NDIS_RECEIVE_SCALE_CAPABILITIES {
        NDIS_RECEIVE_SCALE_CAPABILITIES {
            Header: crate::ndis::header(NDIS_OBJECT_TYPE_RSS_CAPABILITIES, 2, 0x12),
            CapabilitiesFlags: NDIS_RSS_CAPS_MESSAGE_SIGNALED_INTERRUPTS
                | NDIS_RSS_CAPS_CLASSIFICATION_AT_DPC
                | NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV4
                | NDIS_RSS_CAPS_HASH_TYPE_TCP_IPV6
                | NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV4
                | NDIS_RSS_CAPS_HASH_TYPE_UDP_IPV6
                | TOEPLITZ,
            NumberOfInterruptMessages: queues,
            NumberOfReceiveQueues: queues,
            NumberOfIndirectionTableEntries: MAX_TABLE as u16,
        }
    }

    /// Processor that serves a queue.
    pub(crate) fn processor(&self, queue: u32) -> u32 {
        self.processor_of.get(queue as usize).copied().unwrap_or(0)
    }

    /// Queue and hash of a frame.
    #[inline]
    pub(crate) fn classify(&self, frame: &[u8]) -> Class {
        let none = Class {
            queue: 0,
            hash: 0,
            hash_info: 0,
        };
        if self.hash_types == 0 || self.queue_of.is_empty() {
            return none;
        }
        let Some((hash, kind)) = self.hash(frame) else {
            return none;
        };
        Class {
            queue: self.queue_of[hash as usize & (self.queue_of.len() - 1)],
            hash,
            hash_info: kind | TOEPLITZ,
        }
    }

    fn hash(&self, frame: &[u8]) -> Option<(u32, u32)> {
        let mut at = 12;
        let mut ether_type = frame.get(at..at + 2)?;
        while ether_type == [0x81, 0x00] || ether_type == [0x88, 0xa8] {
            at += 4;
            ether_type = frame.get(at..at + 2)?;
        }
        let ip = frame.get(at + 2..)?;
        let on = |kind: u32| self.hash_types & kind != 0;
        let (addresses, protocol, transport, plain, tcp, udp) = match ether_type {
            [0x08, 0x00] => {
                let header = usize::from(ip.first()? & 15) * 4;
                let fragmented = (ip.get(6)? & 0x3f) != 0 || *ip.get(7)? != 0;
                let protocol = if fragmented { 0 } else { *ip.get(9)? };
                (
                    ip.get(12..20)?,
                    protocol,
                    ip.get(header..),
                    NDIS_HASH_IPV4,
                    NDIS_HASH_TCP_IPV4,
                    NDIS_HASH_UDP_IPV4,
                )
            }
            [0x86, 0xdd] => (
                ip.get(8..40)?,
                *ip.get(6)?,
                ip.get(40..),
                NDIS_HASH_IPV6,
                NDIS_HASH_TCP_IPV6,
                NDIS_HASH_UDP_IPV6,
            ),
            _ => return None,
        };
        let kind = match protocol {
            6 if on(tcp) => tcp,
            17 if on(udp) => udp,
            _ => 0,
        };
        if kind != 0
            && let Some(ports) = transport.and_then(|t| t.get(..4))
        {
            return Some((self.toeplitz.hash(&[addresses, ports]), kind));
        }
        on(plain).then(|| (self.toeplitz.hash(&[addresses]), plain))
    }

    /// Applies parameters, which are followed by their tables in `bytes`.
    pub(crate) fn set(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        let mut p = NDIS_RECEIVE_SCALE_PARAMETERS::zeroed();
        if bytes.len() < 0x1c {
            return Err(Invalid);
        }
        let len = bytes.len().min(size_of::<NDIS_RECEIVE_SCALE_PARAMETERS>());
        crate::ndis::raw::copy((&raw mut p).cast(), bytes.as_ptr(), len);
        if p.Header.Type != NDIS_OBJECT_TYPE_RSS_PARAMETERS || p.Header.Revision < 2 {
            return Err(Invalid);
        }
        let flags = u32::from(p.Flags);
        if flags & NDIS_RSS_PARAM_FLAG_DISABLE_RSS != 0
            || (flags & NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED == 0 && p.HashInformation == 0)
        {
            self.hash_types = 0;
            self.table.clear();
            self.queue_of.clear();
            return Ok(());
        }
        let part = |offset: u32, len: usize| {
            let start = offset as usize;
            bytes.get(start..start.checked_add(len)?)
        };
        let mut hash_types = self.hash_types;
        if flags & NDIS_RSS_PARAM_FLAG_HASH_INFO_UNCHANGED == 0 {
            if p.HashInformation & 0xff != TOEPLITZ {
                return Err(Invalid);
            }
            hash_types = p.HashInformation & HASH_TYPES;
        }
        let mut key = None;
        if flags & NDIS_RSS_PARAM_FLAG_HASH_KEY_UNCHANGED == 0 {
            let len = usize::from(p.HashSecretKeySize);
            if len == 0 || len > 40 {
                return Err(Invalid);
            }
            key = Some(part(p.HashSecretKeyOffset, len).ok_or(Invalid)?.to_vec());
        }
        if flags & NDIS_RSS_PARAM_FLAG_ITABLE_UNCHANGED == 0 {
            let len = usize::from(p.IndirectionTableSize);
            let table = part(p.IndirectionTableOffset, len).ok_or(Invalid)?;
            let entries: Vec<PROCESSOR_NUMBER> = table
                .as_chunks::<4>()
                .0
                .iter()
                .map(|e| PROCESSOR_NUMBER {
                    Group: u16::from_le_bytes([e[0], e[1]]),
                    Number: e[2],
                    Reserved: 0,
                })
                .collect();
            if !entries.len().is_power_of_two() || entries.len() > MAX_TABLE {
                return Err(Invalid);
            }
            if entries
                .iter()
                .any(|e| e.Group != 0 || u32::from(e.Number) >= self.cpus)
            {
                return Err(Invalid);
            }
            self.map(entries);
        }
        if let Some(key) = key {
            self.toeplitz = Toeplitz::new(&key);
            self.key = key;
        }
        self.hash_types = hash_types;
        Ok(())
    }

    /// Gives each distinct processor of the table a queue, in order of appearance.
    fn map(&mut self, table: Vec<PROCESSOR_NUMBER>) {
        let mut distinct: Vec<PROCESSOR_NUMBER> = Vec::new();
        self.queue_of = table
            .iter()
            .map(|&p| {
                let index = distinct
                    .iter()
                    .position(|&d| same(d, p))
                    .unwrap_or_else(|| {
                        distinct.push(p);
                        distinct.len() - 1
                    });
                index as u32 % self.queues
            })
            .collect();
        for (queue, p) in distinct.iter().enumerate().take(self.queues as usize) {
            self.processor_of[queue] = p.Number.into();
        }
        self.table = table;
    }

    /// The parameters in use, as a query returns them.
    pub(crate) fn get(&self) -> Vec<u8> {
        let table_size = self.table.len() * 4;
        let base = size_of::<NDIS_RECEIVE_SCALE_PARAMETERS>();
        let mut p = NDIS_RECEIVE_SCALE_PARAMETERS::zeroed();
        p.Header = crate::ndis::header(NDIS_OBJECT_TYPE_RSS_PARAMETERS, 2, 0x28);
        p.HashInformation = if self.hash_types == 0 {
            0
        } else {
            self.hash_types | TOEPLITZ
        };
        if self.hash_types == 0 {
            p.Flags = NDIS_RSS_PARAM_FLAG_DISABLE_RSS as u16;
        }
        p.IndirectionTableSize = table_size as u16;
        p.IndirectionTableOffset = base as u32;
        p.HashSecretKeySize = self.key.len() as u16;
        p.HashSecretKeyOffset = (base + table_size) as u32;
        let mut out = crate::ndis::raw::bytes((&raw const p).cast(), base).to_vec();
        for entry in &self.table {
            out.extend_from_slice(&entry.Group.to_le_bytes());
            out.extend_from_slice(&[entry.Number, 0]);
        }
        out.extend_from_slice(&self.key);
        out
    }
}

/// Parameters that spread `entries` table entries over the first `processors` processors.
pub(crate) fn parameters(processors: u32, entries: usize) -> Vec<u8> {
    let all: Vec<u32> = (0..processors).collect();
    parameters_for(&all, entries)
}

/// Parameters that spread `entries` table entries over these processors in turn.
pub(crate) fn parameters_for(processors: &[u32], entries: usize) -> Vec<u8> {
    let cpus = processors.iter().max().map_or(1, |p| p + 1);
    let mut rss = Rss::new(processors.len().max(1) as u32, cpus);
    rss.hash_types = if processors.is_empty() { 0 } else { HASH_TYPES };
    rss.map(
        processors
            .iter()
            .cycle()
            .take(entries)
            .map(|&processor| PROCESSOR_NUMBER {
                Group: 0,
                Number: processor as u8,
                Reserved: 0,
            })
            .collect(),
    );
    rss.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(last: u8, port: u16) -> Vec<u8> {
        let mut frame = vec![0; 42];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        frame[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, last]);
        frame[34..36].copy_from_slice(&port.to_be_bytes());
        frame
    }

    #[test]
    fn without_parameters_everything_goes_to_queue_0() {
        let rss = Rss::new(4, 4);
        assert_eq!(
            rss.classify(&udp(1, 5)),
            Class {
                queue: 0,
                hash: 0,
                hash_info: 0
            }
        );
    }

    #[test]
    fn parameters_spread_flows_and_read_back() {
        let mut rss = Rss::new(4, 4);
        rss.set(&parameters(4, 128)).unwrap();
        let mut seen = [0; 4];
        for port in 0..400 {
            let class = rss.classify(&udp(7, port));
            assert_eq!(class.hash_info, NDIS_HASH_UDP_IPV4 | TOEPLITZ);
            assert_eq!(class.queue, class.hash % 128 % 4);
            seen[class.queue as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 50), "{seen:?}");
        let mut copy = Rss::new(4, 4);
        copy.set(&rss.get()).unwrap();
        assert_eq!(copy.get(), rss.get());
        // An address hash when there are no ports to use; nothing when there is no IP.
        assert_eq!(rss.classify(&[0; 60]).hash, 0);
        let mut fragment = udp(7, 1);
        fragment[20] = 0x20;
        assert_eq!(rss.classify(&fragment).hash_info, NDIS_HASH_IPV4 | TOEPLITZ);
    }

    #[test]
    fn queues_follow_the_order_of_first_appearance() {
        let mut rss = Rss::new(2, 4);
        let mut wanted = parameters(1, 2);
        let base = size_of::<NDIS_RECEIVE_SCALE_PARAMETERS>();
        wanted[base + 2] = 3;
        wanted[base + 6] = 1;
        rss.set(&wanted).unwrap();
        assert_eq!((rss.processor(0), rss.processor(1)), (3, 1));
    }

    #[test]
    fn bad_parameters_are_refused_and_change_nothing() {
        let mut rss = Rss::new(4, 4);
        rss.set(&parameters(4, 128)).unwrap();
        let before = rss.get();
        let good = parameters(2, 64);
        assert_eq!(rss.set(&good[..0x1b]), Err(Invalid));
        assert_eq!(
            rss.set(&good[..good.len() - 1]),
            Err(Invalid),
            "key cut off"
        );
        let mut bad = good.clone();
        bad[1] = 1;
        assert_eq!(rss.set(&bad), Err(Invalid), "revision 1");
        let mut bad = good.clone();
        bad[8] = 2;
        assert_eq!(rss.set(&bad), Err(Invalid), "unknown hash function");
        let base = size_of::<NDIS_RECEIVE_SCALE_PARAMETERS>();
        let mut bad = good.clone();
        bad[base + 2] = 4;
        assert_eq!(rss.set(&bad), Err(Invalid), "no such processor");
        let mut bad = good;
        bad[0x0c] = 12;
        assert_eq!(rss.set(&bad), Err(Invalid), "not a power of two");
        assert_eq!(rss.get(), before);
    }
}
