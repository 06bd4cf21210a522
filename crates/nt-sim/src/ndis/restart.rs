//! The attributes that are handed up a stack when it restarts.

use nt::sys::{
    NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES, NDIS_RECEIVE_SCALE_CAPABILITIES,
    NDIS_RESTART_ATTRIBUTES, NDIS_RESTART_GENERAL_ATTRIBUTES, OID_GEN_MINIPORT_RESTART_ATTRIBUTES,
};

use super::{
    adapter::General,
    header, memory,
    raw::{at, get, put},
};

const SIZE: usize = 0x10 + size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>();

/// A list of restart attributes: NDIS's general ones first, then what drivers add.
pub(crate) struct Attributes {
    list: *mut NDIS_RESTART_ATTRIBUTES,
    _rss: Box<Option<NDIS_RECEIVE_SCALE_CAPABILITIES>>,
    _oids: Vec<u32>,
}

impl Attributes {
    pub(crate) fn new(general: &General) -> Attributes {
        let mut rss = Box::new(general.rss);
        let mut oids = general.oids.clone();
        let list = memory::allocate_as_driver_would(SIZE).cast::<NDIS_RESTART_ATTRIBUTES>();
        assert!(!list.is_null(), "the host is out of memory");
        put!(list => [Oid] OID_GEN_MINIPORT_RESTART_ATTRIBUTES);
        put!(list => [DataLength] size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>() as u32);
        let mut g = NDIS_RESTART_GENERAL_ATTRIBUTES::zeroed();
        g.Header = header(NDIS_OBJECT_TYPE_RESTART_GENERAL_ATTRIBUTES, 2, 0x58);
        g.MtuSize = general.mtu;
        g.MaxXmitLinkSpeed = general.max_xmit_speed;
        g.MaxRcvLinkSpeed = general.max_rcv_speed;
        g.LookaheadSize = general.lookahead;
        g.MacOptions = general.mac_options;
        g.SupportedPacketFilters = general.packet_filters;
        g.MaxMulticastListSize = general.max_multicast;
        g.RecvScaleCapabilities = rss
            .as_mut()
            .as_mut()
            .map_or(std::ptr::null_mut(), |r| &raw mut *r);
        g.AccessType = general.access;
        g.ConnectionType = general.connection;
        g.SupportedStatistics = general.statistics;
        g.DataBackFillSize = general.data_backfill;
        g.ContextBackFillSize = general.context_backfill;
        g.SupportedOidList = oids.as_mut_ptr().cast();
        g.SupportedOidListLength = (oids.len() * 4) as u32;
        g.MaxLookaheadSizeAccessed = nt::sys::NDIS_MAX_LOOKAHEAD_SIZE_ACCESSED_UNDEFINED;
        super::raw::store(Self::data(list), g);
        Attributes {
            list,
            _rss: rss,
            _oids: oids,
        }
    }

    fn data(list: *mut NDIS_RESTART_ATTRIBUTES) -> *mut NDIS_RESTART_GENERAL_ATTRIBUTES {
        at(list, 0x10)
    }

    /// Head of the list, for drivers.
    pub(crate) fn first(&self) -> *mut NDIS_RESTART_ATTRIBUTES {
        self.list
    }

    /// The MTU after every filter so far had a look.
    pub(crate) fn mtu(&self) -> u32 {
        get!(Self::data(self.list) => MtuSize)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        let mut next = self.list;
        while !next.is_null() {
            let entry = next;
            next = get!(entry => Next);
            memory::free_for_driver(entry.cast());
        }
    }
}
