//! A network adapter: identity, attributes, and the stack of layers on it.

use std::{
    collections::BTreeMap,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crate::sync::{Mutex, RwLock};
use nt::sys::{
    GUID, MediaConnectStateConnected, NDIS_MEDIUM, NDIS_OFFLOAD, NDIS_PHYSICAL_MEDIUM,
    NDIS_RECEIVE_SCALE_CAPABILITIES, NET_IF_MEDIA_CONNECT_STATE, NdisMedium802_3,
    NdisPhysicalMedium802_3,
};

use super::{
    layer::{Layer, Part},
    oid::MiniportRequests,
    raw::Text,
    signal::SleepLock,
};

/// `IF_TYPE_ETHERNET_CSMACD`.
const IF_TYPE_ETHERNET: u64 = 6;

/// Registry key of the class of network adapters.
const CLASS: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\{4d36e972-e325-11ce-bfc1-08002be10318}";

/// What the miniport says about itself and its link.
#[derive(Clone)]
pub(crate) struct General {
    pub(crate) media_type: NDIS_MEDIUM,
    pub(crate) physical_medium: NDIS_PHYSICAL_MEDIUM,
    pub(crate) mtu: u32,
    pub(crate) max_xmit_speed: u64,
    pub(crate) max_rcv_speed: u64,
    pub(crate) xmit_speed: u64,
    pub(crate) rcv_speed: u64,
    pub(crate) connect: NET_IF_MEDIA_CONNECT_STATE,
    pub(crate) duplex: i32,
    pub(crate) lookahead: u32,
    pub(crate) mac_options: u32,
    pub(crate) packet_filters: u32,
    pub(crate) max_multicast: u32,
    pub(crate) mac: Vec<u8>,
    pub(crate) permanent_mac: Vec<u8>,
    pub(crate) rss: Option<NDIS_RECEIVE_SCALE_CAPABILITIES>,
    pub(crate) access: i32,
    pub(crate) connection: i32,
    pub(crate) connector_present: bool,
    pub(crate) statistics: u32,
    pub(crate) data_backfill: u32,
    pub(crate) context_backfill: u32,
    pub(crate) oids: Vec<u32>,
    pub(crate) offload: Option<NDIS_OFFLOAD>,
}

impl Default for General {
    fn default() -> Self {
        General {
            media_type: NdisMedium802_3,
            physical_medium: NdisPhysicalMedium802_3,
            mtu: 1500,
            max_xmit_speed: 10_000_000_000,
            max_rcv_speed: 10_000_000_000,
            xmit_speed: 10_000_000_000,
            rcv_speed: 10_000_000_000,
            connect: MediaConnectStateConnected,
            duplex: nt::sys::MediaDuplexStateFull,
            lookahead: 1514,
            mac_options: nt::sys::NDIS_MAC_OPTION_NO_LOOPBACK,
            packet_filters: nt::sys::NDIS_PACKET_TYPE_DIRECTED
                | nt::sys::NDIS_PACKET_TYPE_MULTICAST
                | nt::sys::NDIS_PACKET_TYPE_ALL_MULTICAST
                | nt::sys::NDIS_PACKET_TYPE_BROADCAST
                | nt::sys::NDIS_PACKET_TYPE_PROMISCUOUS,
            max_multicast: 32,
            mac: Vec::new(),
            permanent_mac: Vec::new(),
            rss: None,
            access: nt::sys::NET_IF_ACCESS_BROADCAST,
            connection: nt::sys::NET_IF_CONNECTION_DEDICATED,
            connector_present: true,
            statistics: 0,
            data_backfill: 0,
            context_backfill: 0,
            oids: Vec::new(),
            offload: None,
        }
    }
}

/// A network adapter. Lives as long as the kernel.
pub(crate) struct Adapter {
    pub(crate) name: String,
    pub(crate) if_index: u32,
    pub(crate) luid: u64,
    pub(crate) guid: GUID,
    /// `\DEVICE\{...}`.
    pub(crate) device_name: Text,
    /// The friendly name.
    pub(crate) instance_name: Text,
    pub(crate) general: Mutex<General>,
    pub(crate) miniport: OnceLock<&'static Layer>,
    /// Bottom to top.
    pub(crate) filters: RwLock<Vec<&'static Layer>>,
    pub(crate) bindings: RwLock<Vec<&'static Layer>>,
    pub(crate) one_binding: AtomicBool,
    /// Held while the stack is paused, restarted or changed.
    pub(crate) change: SleepLock,
    /// Whether the stack is meant to run.
    pub(crate) running: AtomicBool,
    pub(crate) removed: AtomicBool,
    pub(crate) requests: MiniportRequests,
    /// Restarts of the whole stack so far.
    pub(crate) restarts: AtomicU32,
    /// MTU as the filters left it.
    pub(crate) upper_mtu: AtomicU32,
    /// Filters restart without attributes, so they do not learn the MTU.
    pub(crate) hides_attributes: AtomicBool,
    /// Ports beside the default one, and whether they are active.
    pub(crate) ports: Mutex<BTreeMap<u32, bool>>,
}

/// The adapter's GUID, derived from its index so that runs are alike.
fn guid_of(index: u32) -> GUID {
    GUID {
        Data1: 0x6e74_0000 | index,
        Data2: 0x5349,
        Data3: 0x4d31,
        Data4: [0x80, 0, 0, 0, 0, 0, (index >> 8) as u8, index as u8],
    }
}

/// `{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}`.
pub(crate) fn guid_text(guid: &GUID) -> String {
    let d = guid.Data4;
    format!(
        "{{{:08X}-{:04X}-{:04X}-{:02X}{:02X}-{:02X}{:02X}{:02X}{:02X}{:02X}{:02X}}}",
        guid.Data1, guid.Data2, guid.Data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]
    )
}

/// The LUID of the interface with this LUID index.
pub(crate) fn luid_of(if_type: u64, index: u64) -> u64 {
    (if_type << 48) | ((index & 0xff_ffff) << 24)
}

impl Adapter {
    pub(crate) fn new(name: &str, if_index: u32, general: General) -> Adapter {
        let guid = guid_of(if_index);
        let text = guid_text(&guid);
        Adapter {
            name: name.to_owned(),
            if_index,
            luid: luid_of(IF_TYPE_ETHERNET, 0x8000 + u64::from(if_index)),
            guid,
            device_name: Text::new(&format!("\\DEVICE\\{text}")),
            instance_name: Text::new(name),
            general: Mutex::new(general),
            miniport: OnceLock::new(),
            filters: RwLock::new(Vec::new()),
            bindings: RwLock::new(Vec::new()),
            one_binding: AtomicBool::new(true),
            change: SleepLock::new(),
            running: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            requests: MiniportRequests::default(),
            restarts: AtomicU32::new(0),
            upper_mtu: AtomicU32::new(0),
            hides_attributes: AtomicBool::new(false),
            ports: Mutex::default(),
        }
    }

    /// Key of the adapter's settings: its instance of the class of network adapters.
    pub(crate) fn registry_key(&self) -> String {
        format!("{CLASS}\\{:04}", self.if_index)
    }

    pub(crate) fn miniport(&self) -> &'static Layer {
        self.miniport.get().expect("set when the adapter is made")
    }

    /// Every layer, bottom to top.
    pub(crate) fn layers(&self) -> Vec<&'static Layer> {
        let mut all = vec![self.miniport()];
        all.extend(self.filters.read().iter());
        all.extend(self.bindings.read().iter());
        all
    }

    /// The layers below `layer`, nearest first.
    pub(crate) fn below(&self, layer: &Layer) -> Vec<&'static Layer> {
        let mut below: Vec<&'static Layer> = match layer.part {
            Part::Miniport(_) => return Vec::new(),
            Part::Filter(_) => self
                .filters
                .read()
                .iter()
                .copied()
                .take_while(|f| !f.is(layer))
                .collect(),
            Part::Binding(_) => self.filters.read().clone(),
        };
        below.reverse();
        below.push(self.miniport());
        below
    }

    /// The filters above `layer`, nearest first.
    pub(crate) fn filters_above(&self, layer: &Layer) -> Vec<&'static Layer> {
        let filters = self.filters.read();
        match layer.part {
            Part::Miniport(_) => filters.clone(),
            Part::Filter(_) => filters
                .iter()
                .copied()
                .skip_while(|f| !f.is(layer))
                .skip(1)
                .collect(),
            Part::Binding(_) => Vec::new(),
        }
    }

    /// Works out who comes next from each layer. The stack is paused.
    pub(crate) fn update_routes(&self) {
        let bindings = self.bindings.read();
        self.one_binding
            .store(bindings.len() <= 1, Ordering::Relaxed);
        let top = bindings.last().copied();
        drop(bindings);
        let null = std::ptr::null_mut::<Layer>();
        let pointer = |layer: Option<&'static Layer>| {
            layer.map_or(null, |l| std::ptr::from_ref(l).cast_mut())
        };
        for layer in self.layers() {
            let above = self.filters_above(layer);
            let below = self.below(layer);
            let first_above =
                |hook: fn(&Layer) -> bool| pointer(above.iter().copied().find(|l| hook(l)).or(top));
            let first_below =
                |hook: fn(&Layer) -> bool| pointer(below.iter().copied().find(|l| hook(l)));
            let route = &layer.route;
            if !matches!(layer.part, Part::Binding(_)) {
                let receive = first_above(|l| l.hooks.receive.load(Ordering::Relaxed) != 0);
                let complete = first_above(|l| l.hooks.send_complete.load(Ordering::Relaxed) != 0);
                route.receive_up.store(receive, Ordering::Release);
                route.complete_up.store(complete, Ordering::Release);
            }
            let send = first_below(|l| {
                matches!(l.part, Part::Miniport(_)) || l.hooks.send.load(Ordering::Relaxed) != 0
            });
            let returned = first_below(|l| {
                matches!(l.part, Part::Miniport(_)) || l.hooks.returned.load(Ordering::Relaxed) != 0
            });
            route.send_down.store(send, Ordering::Release);
            route.return_down.store(returned, Ordering::Release);
        }
    }
}

impl Adapter {
    /// NDIS itself keeps the link state that a miniport indicates.
    pub(crate) fn note_status(&self, indication: *const nt::sys::NDIS_STATUS_INDICATION) {
        let (code, len) = (
            super::raw::get!(indication => StatusCode),
            super::raw::get!(indication => StatusBufferSize) as usize,
        );
        if code == nt::sys::NDIS_STATUS_LINK_STATE && len >= size_of::<nt::sys::NDIS_LINK_STATE>() {
            let state: nt::sys::NDIS_LINK_STATE =
                super::raw::load(super::raw::get!(indication => StatusBuffer).cast());
            let mut general = self.general.lock();
            general.connect = state.MediaConnectState;
            general.duplex = state.MediaDuplexState;
            general.xmit_speed = state.XmitLinkSpeed;
            general.rcv_speed = state.RcvLinkSpeed;
        }
    }
}
