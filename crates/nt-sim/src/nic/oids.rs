//! OID requests that the virtual NIC answers.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::sync::Mutex;
use nt::sys::*;

use super::{Nic, rss::Rss};
use crate::ndis::{
    header,
    layer::OidKind,
    lifecycle, oid, pnp,
    raw::{bytes, copy, get, put},
};

/// `OID_802_3_PERMANENT_ADDRESS`, not in the declared constants.
const OID_802_3_PERMANENT_ADDRESS: u32 = 0x0101_0101;
const OID_802_3_CURRENT_ADDRESS: u32 = 0x0101_0102;
const OID_802_3_MULTICAST_LIST: u32 = 0x0101_0103;
const OID_802_3_MAXIMUM_LIST_SIZE: u32 = 0x0101_0104;

/// Requests that the NIC answers.
pub(crate) const SUPPORTED: &[u32] = &[
    OID_GEN_SUPPORTED_LIST,
    OID_GEN_HARDWARE_STATUS,
    OID_GEN_MEDIA_SUPPORTED,
    OID_GEN_MEDIA_IN_USE,
    OID_GEN_PHYSICAL_MEDIUM,
    OID_GEN_MAXIMUM_LOOKAHEAD,
    OID_GEN_CURRENT_LOOKAHEAD,
    OID_GEN_MAXIMUM_FRAME_SIZE,
    OID_GEN_MAXIMUM_TOTAL_SIZE,
    OID_GEN_LINK_SPEED,
    OID_GEN_LINK_STATE,
    OID_GEN_LINK_PARAMETERS,
    OID_GEN_MEDIA_CONNECT_STATUS,
    OID_GEN_TRANSMIT_BUFFER_SPACE,
    OID_GEN_RECEIVE_BUFFER_SPACE,
    OID_GEN_TRANSMIT_BLOCK_SIZE,
    OID_GEN_RECEIVE_BLOCK_SIZE,
    OID_GEN_VENDOR_ID,
    OID_GEN_VENDOR_DESCRIPTION,
    OID_GEN_VENDOR_DRIVER_VERSION,
    OID_GEN_DRIVER_VERSION,
    OID_GEN_CURRENT_PACKET_FILTER,
    OID_GEN_MAC_OPTIONS,
    OID_GEN_XMIT_OK,
    OID_GEN_RCV_OK,
    OID_GEN_STATISTICS,
    OID_GEN_INTERRUPT_MODERATION,
    OID_GEN_RECEIVE_SCALE_CAPABILITIES,
    OID_GEN_RECEIVE_SCALE_PARAMETERS,
    OID_TCP_OFFLOAD_CURRENT_CONFIG,
    OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
    OID_TCP_OFFLOAD_PARAMETERS,
    OID_OFFLOAD_ENCAPSULATION,
    OID_802_3_PERMANENT_ADDRESS,
    OID_802_3_CURRENT_ADDRESS,
    OID_802_3_MULTICAST_LIST,
    OID_802_3_MAXIMUM_LIST_SIZE,
];

/// A request that reached the NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenOid {
    /// The OID.
    pub oid: u32,
    /// Whether it was a set (or method), not a query.
    pub set: bool,
    /// Whether it came on the direct path.
    pub direct: bool,
    /// What was set.
    pub data: Vec<u8>,
}

type Answer = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, i32> + Send + Sync>;

/// What requests have set, and what was asked.
#[derive(Default)]
pub(crate) struct Settings {
    packet_filter: AtomicU32,
    lookahead: AtomicU32,
    multicast: Mutex<Vec<u8>>,
    offload: Mutex<Option<NDIS_OFFLOAD>>,
    seen: Mutex<Vec<SeenOid>>,
    /// Answers that a test supplies, by OID.
    answers: Mutex<std::collections::HashMap<u32, Answer>>,
    /// OIDs that the NIC leaves pending until they are cancelled or released.
    holding: Mutex<Vec<u32>>,
    /// Requests for these, by address.
    held: Mutex<Vec<(usize, OidKind)>>,
    /// How many bytes of answers are said to have been written or needed, where that is not the truth.
    claims: Mutex<std::collections::HashMap<u32, u32>>,
}

/// Checksum in both directions for IPv4 and IPv6, LSOv2: what the NIC says it can do.
pub(crate) fn offload() -> NDIS_OFFLOAD {
    let mut o = NDIS_OFFLOAD::zeroed();
    o.Header = header(NDIS_OBJECT_TYPE_OFFLOAD, 3, 0x9c);
    // NDIS_ENCAPSULATION_IEEE_802_3.
    let ethernet = 2;
    // Each field of two bits: NDIS_OFFLOAD_SUPPORTED.
    let v4 = 0b01_01_01_01_01;
    let v6 = 0b01_01_01_01;
    o.Checksum.IPv4Transmit.Encapsulation = ethernet;
    o.Checksum.IPv4Transmit.Bits = NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Transmit_Bits(v4);
    o.Checksum.IPv4Receive.Encapsulation = ethernet;
    o.Checksum.IPv4Receive.Bits = NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv4Receive_Bits(v4);
    o.Checksum.IPv6Transmit.Encapsulation = ethernet;
    o.Checksum.IPv6Transmit.Bits = NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Transmit_Bits(v6);
    o.Checksum.IPv6Receive.Encapsulation = ethernet;
    o.Checksum.IPv6Receive.Bits = NDIS_TCP_IP_CHECKSUM_OFFLOAD_IPv6Receive_Bits(v6);
    o.LsoV2.IPv4.Encapsulation = ethernet;
    o.LsoV2.IPv4.MaxOffLoadSize = 64_000;
    o.LsoV2.IPv4.MinSegmentCount = 2;
    o.LsoV2.IPv6.Encapsulation = ethernet;
    o.LsoV2.IPv6.MaxOffLoadSize = 64_000;
    o.LsoV2.IPv6.MinSegmentCount = 2;
    o.LsoV2.IPv6.Bits = NDIS_TCP_LARGE_SEND_OFFLOAD_V2_IPv6_Bits(0b01_01);
    o
}

fn raw<T: Copy>(value: T) -> Vec<u8> {
    bytes((&raw const value).cast(), size_of::<T>()).to_vec()
}

impl Nic {
    /// Handles a request that reached the miniport.
    pub(crate) fn handle_oid(&self, request: *mut NDIS_OID_REQUEST, path: OidKind) -> i32 {
        let kind = get!(request => RequestType);
        if kind == NdisRequestQueryInformation || kind == NdisRequestQueryStatistics {
            self.query(request)
        } else if kind == NdisRequestSetInformation {
            self.set(request)
        } else if kind == NdisRequestMethod {
            self.method(request, path == OidKind::Direct)
        } else {
            NDIS_STATUS_NOT_SUPPORTED
        }
    }

    fn query(&self, request: *mut NDIS_OID_REQUEST) -> i32 {
        let status = self.query_truly(request);
        let oid = get!(request => DATA.QUERY_INFORMATION.Oid);
        if let Some(&claim) = self.oids.claims.lock().get(&oid) {
            put!(request => [DATA.QUERY_INFORMATION.BytesNeeded] claim);
            put!(request => [DATA.QUERY_INFORMATION.BytesWritten] claim);
        }
        status
    }

    fn query_truly(&self, request: *mut NDIS_OID_REQUEST) -> i32 {
        let q = get!(request => DATA.QUERY_INFORMATION);
        self.note(q.Oid, false, false, &[]);
        let answer = match self.answer(q.Oid, &[]) {
            Ok(answer) => answer,
            Err(status) => return status,
        };
        put!(request => [DATA.QUERY_INFORMATION.BytesNeeded] answer.len() as u32);
        if (q.InformationBufferLength as usize) < answer.len() {
            put!(request => [DATA.QUERY_INFORMATION.BytesWritten] 0);
            return NDIS_STATUS_BUFFER_TOO_SHORT;
        }
        copy(q.InformationBuffer.cast(), answer.as_ptr(), answer.len());
        put!(request => [DATA.QUERY_INFORMATION.BytesWritten] answer.len() as u32);
        NDIS_STATUS_SUCCESS
    }

    /// Whether it is a method request that a test answers.
    pub(crate) fn knows_method(&self, request: *mut NDIS_OID_REQUEST) -> bool {
        get!(request => RequestType) == NdisRequestMethod
            && self.oids.answers.lock().contains_key(&oid::oid_of(request))
    }

    fn method(&self, request: *mut NDIS_OID_REQUEST, direct: bool) -> i32 {
        let status = self.method_truly(request, direct);
        let oid = get!(request => DATA.METHOD_INFORMATION.Oid);
        if let Some(&claim) = self.oids.claims.lock().get(&oid) {
            put!(request => [DATA.METHOD_INFORMATION.BytesNeeded] claim);
            put!(request => [DATA.METHOD_INFORMATION.BytesRead] claim);
            put!(request => [DATA.METHOD_INFORMATION.BytesWritten] claim);
        }
        status
    }

    fn method_truly(&self, request: *mut NDIS_OID_REQUEST, direct: bool) -> i32 {
        let m = get!(request => DATA.METHOD_INFORMATION);
        let input = bytes(m.InformationBuffer.cast(), m.InputBufferLength as usize).to_vec();
        self.note(m.Oid, true, direct, &input);
        let answer = self.oids.answers.lock().get(&m.Oid).map(|f| f(&input));
        match answer {
            None => NDIS_STATUS_NOT_SUPPORTED,
            Some(Err(status)) => status,
            Some(Ok(answer)) if (m.OutputBufferLength as usize) < answer.len() => {
                put!(request => [DATA.METHOD_INFORMATION.BytesNeeded] answer.len() as u32);
                NDIS_STATUS_BUFFER_TOO_SHORT
            }
            Some(Ok(answer)) => {
                copy(m.InformationBuffer.cast(), answer.as_ptr(), answer.len());
                put!(request => [DATA.METHOD_INFORMATION.BytesRead] m.InputBufferLength);
                put!(request => [DATA.METHOD_INFORMATION.BytesWritten] answer.len() as u32);
                NDIS_STATUS_SUCCESS
            }
        }
    }

    fn answer(&self, oid: u32, input: &[u8]) -> Result<Vec<u8>, i32> {
        if let Some(answer) = self.oids.answers.lock().get(&oid) {
            return answer(input);
        }
        let general = self.adapter().general.lock().clone();
        let wire = self.wire.counters();
        Ok(match oid {
            OID_GEN_SUPPORTED_LIST => SUPPORTED.iter().flat_map(|o| o.to_le_bytes()).collect(),
            OID_GEN_HARDWARE_STATUS => raw(0_u32),
            OID_GEN_MEDIA_SUPPORTED | OID_GEN_MEDIA_IN_USE => raw(general.media_type),
            OID_GEN_PHYSICAL_MEDIUM | OID_GEN_PHYSICAL_MEDIUM_EX => raw(general.physical_medium),
            OID_GEN_MAXIMUM_LOOKAHEAD => raw(general.lookahead),
            OID_GEN_CURRENT_LOOKAHEAD => raw(self.oids.lookahead.load(Ordering::Relaxed)),
            OID_GEN_MAXIMUM_FRAME_SIZE => raw(general.mtu),
            OID_GEN_MAXIMUM_TOTAL_SIZE
            | OID_GEN_TRANSMIT_BLOCK_SIZE
            | OID_GEN_RECEIVE_BLOCK_SIZE => raw(general.mtu + 14),
            OID_GEN_TRANSMIT_BUFFER_SPACE | OID_GEN_RECEIVE_BUFFER_SPACE => {
                raw((general.mtu + 14) * 256)
            }
            OID_GEN_LINK_SPEED => raw((general.xmit_speed / 100) as u32),
            OID_GEN_LINK_STATE => raw(self.link_state()),
            OID_GEN_MEDIA_CONNECT_STATUS => {
                raw(u32::from(general.connect != MediaConnectStateConnected))
            }
            OID_GEN_VENDOR_ID => raw(0x00ff_ffff_u32),
            OID_GEN_VENDOR_DESCRIPTION => b"nt-sim virtual NIC\0".to_vec(),
            OID_GEN_VENDOR_DRIVER_VERSION => raw(0x1_0000_u32),
            OID_GEN_DRIVER_VERSION => raw(0x0600_u16),
            OID_GEN_CURRENT_PACKET_FILTER => raw(self.oids.packet_filter.load(Ordering::Relaxed)),
            OID_GEN_MAC_OPTIONS => raw(general.mac_options),
            OID_GEN_XMIT_OK => raw(wire.received),
            OID_GEN_RCV_OK => raw(wire.sent - wire.dropped),
            OID_GEN_STATISTICS => raw(self.statistics()),
            OID_GEN_INTERRUPT_MODERATION => {
                let mut p = NDIS_INTERRUPT_MODERATION_PARAMETERS::zeroed();
                p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0xc);
                p.InterruptModeration = NdisInterruptModerationNotSupported;
                raw(p)
            }
            OID_GEN_RECEIVE_SCALE_CAPABILITIES if self.queues.len() > 1 => {
                raw(Rss::capabilities(self.queues.len() as u32))
            }
            OID_GEN_RECEIVE_SCALE_PARAMETERS if self.queues.len() > 1 => self.rss.read().get(),
            OID_TCP_OFFLOAD_CURRENT_CONFIG => {
                let current = *self.oids.offload.lock();
                raw(current.unwrap_or_else(offload))[..0x9c].to_vec()
            }
            OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES => raw(offload())[..0x9c].to_vec(),
            OID_802_3_PERMANENT_ADDRESS => general.permanent_mac,
            OID_802_3_CURRENT_ADDRESS => general.mac,
            OID_802_3_MULTICAST_LIST => self.oids.multicast.lock().clone(),
            OID_802_3_MAXIMUM_LIST_SIZE => raw(general.max_multicast),
            _ => return Err(NDIS_STATUS_NOT_SUPPORTED),
        })
    }

    fn set(&self, request: *mut NDIS_OID_REQUEST) -> i32 {
        let s = get!(request => DATA.SET_INFORMATION);
        let data = bytes(
            s.InformationBuffer.cast(),
            s.InformationBufferLength as usize,
        );
        self.note(s.Oid, true, false, data);
        let result = self.apply(s.Oid, data);
        match result {
            Ok(()) => {
                put!(request => [DATA.SET_INFORMATION.BytesRead] data.len() as u32);
                NDIS_STATUS_SUCCESS
            }
            Err((status, needed)) => {
                put!(request => [DATA.SET_INFORMATION.BytesNeeded] needed);
                status
            }
        }
    }

    fn apply(&self, oid: u32, data: &[u8]) -> Result<(), (i32, u32)> {
        let answer = self.oids.answers.lock().get(&oid).map(|f| f(data));
        if let Some(answer) = answer {
            return answer.map(|_| ()).map_err(|status| (status, 0));
        }
        let word = || {
            data.first_chunk::<4>()
                .map(|b| u32::from_le_bytes(*b))
                .ok_or((NDIS_STATUS_INVALID_LENGTH, 4))
        };
        match oid {
            OID_GEN_CURRENT_PACKET_FILTER => {
                let filter = word()?;
                if filter & !self.adapter().general.lock().packet_filters != 0 {
                    return Err((NDIS_STATUS_NOT_SUPPORTED, 0));
                }
                self.oids.packet_filter.store(filter, Ordering::Relaxed);
            }
            OID_GEN_CURRENT_LOOKAHEAD => self.oids.lookahead.store(word()?, Ordering::Relaxed),
            OID_802_3_MULTICAST_LIST => {
                if !data.len().is_multiple_of(6) {
                    return Err((NDIS_STATUS_INVALID_LENGTH, 6));
                }
                *self.oids.multicast.lock() = data.to_vec();
            }
            OID_GEN_RECEIVE_SCALE_PARAMETERS if self.queues.len() > 1 => {
                self.rss
                    .write()
                    .set(data)
                    .map_err(|_| (NDIS_STATUS_INVALID_PARAMETER, 0))?;
            }
            OID_GEN_LINK_PARAMETERS | OID_GEN_INTERRUPT_MODERATION | OID_OFFLOAD_ENCAPSULATION => {}
            OID_TCP_OFFLOAD_PARAMETERS => self.set_offload(data)?,
            _ => return Err((NDIS_STATUS_NOT_SUPPORTED, 0)),
        }
        Ok(())
    }

    /// Turns offloads on and off and indicates the result.
    fn set_offload(&self, data: &[u8]) -> Result<(), (i32, u32)> {
        if data.len() < 0x14 {
            return Err((NDIS_STATUS_INVALID_LENGTH, 0x14));
        }
        let mut p = NDIS_OFFLOAD_PARAMETERS::zeroed();
        copy(
            (&raw mut p).cast(),
            data.as_ptr(),
            data.len().min(size_of::<NDIS_OFFLOAD_PARAMETERS>()),
        );
        let mut o = self.oids.offload.lock().unwrap_or_else(offload);
        let (mut tx4, mut rx4) = (
            o.Checksum.IPv4Transmit.Bits.0,
            o.Checksum.IPv4Receive.Bits.0,
        );
        let (mut tx6, mut rx6) = (
            o.Checksum.IPv6Transmit.Bits.0,
            o.Checksum.IPv6Receive.Bits.0,
        );
        checksum(p.IPv4Checksum, 8, &mut tx4, &mut rx4);
        checksum(p.TCPIPv4Checksum, 4, &mut tx4, &mut rx4);
        checksum(p.UDPIPv4Checksum, 6, &mut tx4, &mut rx4);
        checksum(p.TCPIPv6Checksum, 4, &mut tx6, &mut rx6);
        checksum(p.UDPIPv6Checksum, 6, &mut tx6, &mut rx6);
        o.Checksum.IPv4Transmit.Bits.0 = tx4;
        o.Checksum.IPv4Receive.Bits.0 = rx4;
        o.Checksum.IPv6Transmit.Bits.0 = tx6;
        o.Checksum.IPv6Receive.Bits.0 = rx6;
        for (setting, max) in [
            (p.LsoV2IPv4, &mut o.LsoV2.IPv4.MaxOffLoadSize),
            (p.LsoV2IPv6, &mut o.LsoV2.IPv6.MaxOffLoadSize),
        ] {
            match u32::from(setting) {
                NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED => *max = 0,
                NDIS_OFFLOAD_PARAMETERS_LSOV2_ENABLED => *max = 64_000,
                _ => {}
            }
        }
        *self.oids.offload.lock() = Some(o);
        self.adapter().general.lock().offload = Some(o);
        self.indicate_status(NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, &raw(o)[..0x9c]);
        Ok(())
    }

    fn statistics(&self) -> NDIS_STATISTICS_INFO {
        let wire = self.wire.counters();
        let mut s = NDIS_STATISTICS_INFO::zeroed();
        s.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x98);
        s.SupportedStatistics =
            NDIS_STATISTICS_FLAGS_VALID_BYTES_RCV | NDIS_STATISTICS_FLAGS_VALID_BYTES_XMIT;
        s.ifHCInOctets = wire.sent_bytes;
        s.ifHCOutOctets = wire.received_bytes;
        s.ifInDiscards = wire.dropped;
        s
    }

    fn link_state(&self) -> NDIS_LINK_STATE {
        let general = self.adapter().general.lock();
        let mut s = NDIS_LINK_STATE::zeroed();
        s.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x28);
        s.MediaConnectState = general.connect;
        s.MediaDuplexState = general.duplex;
        s.XmitLinkSpeed = general.xmit_speed;
        s.RcvLinkSpeed = general.rcv_speed;
        s
    }

    /// Indicates a status from the miniport.
    pub(crate) fn indicate_status(&self, code: i32, data: &[u8]) {
        let mut data = data.to_vec();
        let layer = self.miniport();
        let mut s = NDIS_STATUS_INDICATION::zeroed();
        s.Header = header(NDIS_OBJECT_TYPE_STATUS_INDICATION, 1, 0x70);
        s.SourceHandle = layer.handle();
        s.StatusCode = code;
        s.StatusBuffer = data.as_mut_ptr().cast();
        s.StatusBufferSize = data.len() as u32;
        pnp::indicate_status(layer, &raw mut s);
    }

    /// Connects or disconnects the link, and says so.
    pub(crate) fn set_link(&self, up: bool) {
        self.adapter().general.lock().connect = if up {
            MediaConnectStateConnected
        } else {
            MediaConnectStateDisconnected
        };
        self.indicate_status(NDIS_STATUS_LINK_STATE, &raw(self.link_state()));
    }

    /// Changes the MTU. Filters that cannot take that are detached and attached again.
    pub(crate) fn set_mtu(&self, mtu: u32) {
        let adapter = self.adapter();
        lifecycle::change_mtu(adapter, mtu);
    }

    /// Keeps a request for tests to see.
    fn note(&self, oid: u32, set: bool, direct: bool, data: &[u8]) {
        self.oids.seen.lock().push(SeenOid {
            oid,
            set,
            direct,
            data: data.to_vec(),
        });
    }

    pub(crate) fn note_oid(&self, oid: u32, kind: OidKind) {
        self.note(oid, false, kind == OidKind::Direct, &[]);
    }

    /// The requests that reached the NIC since the last call.
    pub(crate) fn take_seen(&self) -> Vec<SeenOid> {
        std::mem::take(&mut *self.oids.seen.lock())
    }

    /// Lets a function answer an OID.
    pub(crate) fn set_answer(&self, oid: u32, answer: Answer) {
        self.oids.answers.lock().insert(oid, answer);
    }

    /// Leaves requests for an OID pending from now on.
    pub(crate) fn hold_oid(&self, oid: u32) {
        self.oids.holding.lock().push(oid);
    }

    /// Takes a request that is to be left pending.
    pub(crate) fn holds_oid(&self, request: *mut NDIS_OID_REQUEST, kind: OidKind) -> bool {
        let oid = oid::oid_of(request);
        let holds = self.oids.holding.lock().contains(&oid);
        if holds {
            self.note_oid(oid, kind);
            self.oids.held.lock().push((request as usize, kind));
        }
        holds
    }

    /// Completes the requests of this path that are held and have this identifier, as cancelled.
    pub(crate) fn cancel_held_oids(&self, id: *mut std::ffi::c_void, path: OidKind) {
        let mut cancelled = Vec::new();
        self.oids.held.lock().retain(|&(request, kind)| {
            let hit = kind == path && get!(request as *const NDIS_OID_REQUEST => RequestId) == id;
            if hit {
                cancelled.push(request as *mut NDIS_OID_REQUEST);
            }
            !hit
        });
        let function = match path {
            OidKind::Regular => "NdisMOidRequestComplete",
            _ => "NdisMDirectOidRequestComplete",
        };
        for request in cancelled {
            let status = NDIS_STATUS_REQUEST_ABORTED;
            oid::complete(self.miniport(), request, status, path, function);
        }
    }

    /// As [`Nic::query_oid`], by a request that can be cancelled by its identifier.
    pub(crate) fn query_oid_as(&self, oid: u32, kind: OidKind, id: usize) -> i32 {
        let mut data = [0_u8; 64];
        let mut request = new_request(NdisRequestQueryInformation);
        request.RequestId = id as *mut _;
        request.DATA = NDIS_OID_REQUEST_DATA {
            QUERY_INFORMATION: NDIS_OID_REQUEST_DATA_QUERY_INFORMATION {
                Oid: oid,
                InformationBuffer: data.as_mut_ptr().cast(),
                InformationBufferLength: data.len() as u32,
                BytesWritten: 0,
                BytesNeeded: 0,
            },
        };
        oid::request(self.binding(), &mut request, kind)
    }

    /// Has the answers to an OID claim a length that is not theirs.
    pub(crate) fn claim(&self, oid: u32, bytes: u32) {
        self.oids.claims.lock().insert(oid, bytes);
    }

    /// Indicates a status that claims to have bytes with it, and has none.
    pub(crate) fn indicate_empty_status(&self, code: i32, claimed: u32) {
        let layer = self.miniport();
        let mut s = NDIS_STATUS_INDICATION::zeroed();
        s.Header = header(NDIS_OBJECT_TYPE_STATUS_INDICATION, 1, 0x70);
        s.SourceHandle = layer.handle();
        s.StatusCode = code;
        s.StatusBufferSize = claimed;
        pnp::indicate_status(layer, &raw mut s);
    }

    /// A set request from the stack end; its status.
    pub(crate) fn set_oid(&self, oid: u32, data: &mut [u8]) -> i32 {
        self.set_oid_at(oid, data, crate::irql::current())
    }

    /// As [`Nic::set_oid`], made at a level.
    pub(crate) fn set_oid_at(&self, oid: u32, data: &mut [u8], level: nt::sys::KIRQL) -> i32 {
        let mut request = new_request(NdisRequestSetInformation);
        request.DATA = NDIS_OID_REQUEST_DATA {
            SET_INFORMATION: NDIS_OID_REQUEST_DATA_SET_INFORMATION {
                Oid: oid,
                InformationBuffer: data.as_mut_ptr().cast(),
                InformationBufferLength: data.len() as u32,
                BytesRead: 0,
                BytesNeeded: 0,
            },
        };
        oid::request_at(self.binding(), &mut request, OidKind::Regular, level)
    }

    /// A query from the stack end: what came back, or the status.
    pub(crate) fn query_oid(&self, oid: u32, kind: OidKind) -> Result<Vec<u8>, i32> {
        let mut data = vec![0_u8; 4096];
        let mut request = new_request(NdisRequestQueryInformation);
        request.DATA = NDIS_OID_REQUEST_DATA {
            QUERY_INFORMATION: NDIS_OID_REQUEST_DATA_QUERY_INFORMATION {
                Oid: oid,
                InformationBuffer: data.as_mut_ptr().cast(),
                InformationBufferLength: data.len() as u32,
                BytesWritten: 0,
                BytesNeeded: 0,
            },
        };
        let status = oid::request(self.binding(), &mut request, kind);
        if status != NDIS_STATUS_SUCCESS {
            return Err(status);
        }
        let request = &raw const request;
        data.truncate(get!(request => DATA.QUERY_INFORMATION.BytesWritten) as usize);
        Ok(data)
    }
}

/// Applies one setting of NDIS_OFFLOAD_PARAMETERS to the field of two bits at `shift`.
fn checksum(setting: u8, shift: u32, tx: &mut u32, rx: &mut u32) {
    let (tx_on, rx_on) = match u32::from(setting) {
        NDIS_OFFLOAD_PARAMETERS_TX_RX_DISABLED => (0, 0),
        NDIS_OFFLOAD_PARAMETERS_TX_ENABLED_RX_DISABLED => (1, 0),
        NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED => (0, 1),
        NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED => (1, 1),
        _ => return,
    };
    *tx = *tx & !(3 << shift) | tx_on << shift;
    *rx = *rx & !(3 << shift) | rx_on << shift;
}

fn new_request(kind: NDIS_REQUEST_TYPE) -> Box<NDIS_OID_REQUEST> {
    let mut request = Box::new(NDIS_OID_REQUEST::zeroed());
    request.Header = header(NDIS_OBJECT_TYPE_OID_REQUEST, 2, 0xf8);
    request.RequestType = kind;
    request
}
