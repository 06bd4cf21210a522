//! Loaded miniport drivers.

use std::{ffi::c_void, sync::atomic::Ordering};

use nt::sys::*;

use super::{
    adapter::Adapter,
    filter::{address, complete_change},
    header,
    layer::{Bottom, Layer, OidKind, Part, State, awaited, callback},
    lifecycle::{begin, finish},
    nbl::Nbl,
    raw::{bytes, copy, load, store},
    restart::Attributes,
    version,
};
use crate::{
    exports,
    kernel::{kernel, strict},
    verifier::Rule,
};

/// A registered miniport driver; its address is the driver handle.
pub(crate) struct MiniportDriver {
    characteristics: NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
    context: usize,
    /// Address of the driver object; 0 for none.
    pub(crate) driver_object: usize,
    /// Key of the driver's service.
    pub(crate) registry_path: String,
    /// Order of registration.
    pub(crate) order: u64,
}

// SAFETY: the functions in the characteristics are called from any thread, as the driver's contract
// with NDIS says; nothing else in it is a pointer.
unsafe impl Send for MiniportDriver {}
// SAFETY: as above.
unsafe impl Sync for MiniportDriver {}

impl MiniportDriver {
    fn handle(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }
}

/// The miniport of an adapter that a driver runs.
pub(crate) struct Driven(pub(crate) &'static MiniportDriver);

impl Driven {
    fn call(&self, layer: &Layer, name: &'static str, function: usize, arguments: &[u64]) -> i32 {
        if function == 0 {
            return NDIS_STATUS_NOT_SUPPORTED;
        }
        let mut all = vec![layer.context()];
        all.extend_from_slice(arguments);
        callback(name, function, &all) as i32
    }
}

impl Bottom for Driven {
    fn send(&self, layer: &'static Layer, chain: Nbl, port: u32, flags: u32) {
        let f = address!(self.0.characteristics.SendNetBufferListsHandler);
        self.call(
            layer,
            "MiniportSendNetBufferLists",
            f,
            &[chain as u64, port.into(), flags.into()],
        );
    }

    fn returned(&self, layer: &'static Layer, chain: Nbl, flags: u32) {
        let f = address!(self.0.characteristics.ReturnNetBufferListsHandler);
        self.call(
            layer,
            "MiniportReturnNetBufferLists",
            f,
            &[chain as u64, flags.into()],
        );
    }

    fn cancel_send(&self, layer: &'static Layer, id: *mut c_void) {
        let f = address!(self.0.characteristics.CancelSendHandler);
        self.call(layer, "MiniportCancelSend", f, &[id as u64]);
    }

    fn pause(&self, layer: &'static Layer, reason: u32) {
        let mut p = NDIS_MINIPORT_PAUSE_PARAMETERS::zeroed();
        p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0xc);
        p.PauseReason = reason;
        begin(layer, State::Pausing, awaited::PAUSE);
        let f = address!(self.0.characteristics.PauseHandler);
        let status = self.call(layer, "MiniportPause", f, &[(&raw mut p) as u64]);
        finish(layer, awaited::PAUSE, status, "MiniportPause");
    }

    fn restart(&self, layer: &'static Layer) -> i32 {
        let attributes = Attributes::new(&layer.adapter.general.lock());
        let mut p = NDIS_MINIPORT_RESTART_PARAMETERS::zeroed();
        p.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, 0x14);
        p.RestartAttributes = attributes.first();
        begin(layer, State::Restarting, awaited::RESTART);
        let f = address!(self.0.characteristics.RestartHandler);
        let status = self.call(layer, "MiniportRestart", f, &[(&raw mut p) as u64]);
        finish(layer, awaited::RESTART, status, "MiniportRestart")
    }

    fn oid(&self, layer: &'static Layer, request: *mut NDIS_OID_REQUEST, kind: OidKind) -> i32 {
        let c = &self.0.characteristics;
        let (name, f) = match kind {
            OidKind::Regular => ("MiniportOidRequest", address!(c.OidRequestHandler)),
            OidKind::Direct => (
                "MiniportDirectOidRequest",
                address!(c.DirectOidRequestHandler),
            ),
            OidKind::Synchronous => (
                "MiniportSynchronousOidRequest",
                address!(c.SynchronousOidRequestHandler),
            ),
        };
        self.call(layer, name, f, &[request as u64])
    }

    fn cancel_oid(&self, layer: &'static Layer, id: *mut c_void, kind: OidKind) {
        let c = &self.0.characteristics;
        let f = match kind {
            OidKind::Direct => address!(c.CancelDirectOidRequestHandler),
            _ => address!(c.CancelOidRequestHandler),
        };
        self.call(layer, "MiniportCancelOidRequest", f, &[id as u64]);
    }

    fn pnp_event(&self, layer: &'static Layer, event: *mut NET_DEVICE_PNP_EVENT) {
        let f = address!(self.0.characteristics.DevicePnPEventNotifyHandler);
        self.call(layer, "MiniportDevicePnPEventNotify", f, &[event as u64]);
    }

    fn start(&self, layer: &'static Layer) -> i32 {
        let adapter = layer.adapter;
        let mut p = NDIS_MINIPORT_INIT_PARAMETERS::zeroed();
        p.Header = header(NDIS_OBJECT_TYPE_MINIPORT_INIT_PARAMETERS, 1, 0x40);
        p.IfIndex = adapter.if_index;
        p.NetLuid = NET_LUID_LH {
            Value: adapter.luid,
        };
        layer.set_state(State::Attaching);
        let status = callback(
            "MiniportInitializeEx",
            address!(self.0.characteristics.InitializeHandlerEx),
            &[
                layer.handle() as u64,
                self.0.context as u64,
                (&raw mut p) as u64,
            ],
        ) as i32;
        let ok = status == NDIS_STATUS_SUCCESS;
        layer.set_state(if ok { State::Paused } else { State::Detached });
        if !ok {
            super::port::check_none(layer);
            super::check_owner_left_nothing(layer.handle() as usize, &layer.name());
        }
        status
    }

    fn halt(&self, layer: &'static Layer) {
        let f = address!(self.0.characteristics.HaltHandlerEx);
        self.call(layer, "MiniportHaltEx", f, &[NdisHaltDeviceDisabled as u64]);
        super::port::check_none(layer);
        super::check_owner_left_nothing(layer.handle() as usize, &layer.name());
    }

    fn driver(&self) -> usize {
        self.0.handle() as usize
    }

    fn is_builtin(&self) -> bool {
        false
    }
}

/// Optional handlers of a miniport driver.
pub(crate) fn set_optional(handle: *mut c_void, handlers: *const NDIS_OBJECT_HEADER) -> i32 {
    let _ = (handle, handlers);
    NDIS_STATUS_NOT_SUPPORTED
}

fn register(
    driver_object: usize,
    registry_path: String,
    context: usize,
    given: *const NDIS_MINIPORT_DRIVER_CHARACTERISTICS,
) -> Result<*mut c_void, i32> {
    let h: NDIS_OBJECT_HEADER = load(given.cast());
    let size: usize = match (h.Type, h.Revision) {
        (NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 1) => 0x88,
        (NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 2) => 0x98,
        (NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 3) => 0xa0,
        _ => return Err(NDIS_STATUS_BAD_VERSION),
    };
    if usize::from(h.Size) < size {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let mut c = NDIS_MINIPORT_DRIVER_CHARACTERISTICS::zeroed();
    copy((&raw mut c).cast(), given.cast(), size);
    if !version::supports(c.MajorNdisVersion, c.MinorNdisVersion) {
        return Err(NDIS_STATUS_BAD_VERSION);
    }
    let mandatory = [
        address!(c.InitializeHandlerEx),
        address!(c.HaltHandlerEx),
        address!(c.PauseHandler),
        address!(c.RestartHandler),
        address!(c.OidRequestHandler),
        address!(c.SendNetBufferListsHandler),
        address!(c.ReturnNetBufferListsHandler),
        address!(c.CancelSendHandler),
    ];
    if mandatory.contains(&0) {
        return Err(NDIS_STATUS_BAD_CHARACTERISTICS);
    }
    let ndis = &kernel().ndis;
    let driver = MiniportDriver {
        characteristics: c,
        context,
        driver_object,
        registry_path,
        order: ndis.next_number(),
    };
    Ok(ndis.miniport_drivers.insert(driver).handle())
}

pub(crate) fn miniport(handle: *mut c_void, function: &'static str) -> &'static Layer {
    let layer = kernel().ndis.layers.get(handle, function);
    if strict() && !matches!(layer.part, Part::Miniport(_)) {
        crate::bugcheck!(Rule::NdisBadHandle, handle; "{function} needs a miniport adapter handle");
    }
    layer
}

fn set_general(adapter: &Adapter, g: &NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES) {
    let mut general = adapter.general.lock();
    let mac_len = usize::from(g.MacAddressLength).min(32);
    general.media_type = g.MediaType;
    general.physical_medium = g.PhysicalMediumType;
    general.mtu = g.MtuSize;
    general.max_xmit_speed = g.MaxXmitLinkSpeed;
    general.xmit_speed = g.XmitLinkSpeed;
    general.max_rcv_speed = g.MaxRcvLinkSpeed;
    general.rcv_speed = g.RcvLinkSpeed;
    general.connect = g.MediaConnectState;
    general.duplex = g.MediaDuplexState;
    general.lookahead = g.LookaheadSize;
    general.mac_options = g.MacOptions;
    general.packet_filters = g.SupportedPacketFilters;
    general.max_multicast = g.MaxMulticastListSize;
    general.mac = g.CurrentMacAddress[..mac_len].to_vec();
    general.permanent_mac = g.PermanentMacAddress[..mac_len].to_vec();
    general.rss = (!g.RecvScaleCapabilities.is_null()).then(|| load(g.RecvScaleCapabilities));
    general.access = g.AccessType;
    general.connection = g.ConnectionType;
    general.connector_present = g.IfConnectorPresent != 0;
    general.statistics = g.SupportedStatistics;
    general.data_backfill = g.DataBackFillSize;
    general.context_backfill = g.ContextBackFillSize;
    let list = bytes(g.SupportedOidList.cast(), g.SupportedOidListLength as usize);
    general.oids = list
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| u32::from_le_bytes(*b))
        .collect();
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Registers a miniport driver.
    #[irql(PASSIVE)]
    fn NdisMRegisterMiniportDriver(
        driver_object: *mut c_void, registry_path: *const UNICODE_STRING, context: *mut c_void,
        characteristics: *const NDIS_MINIPORT_DRIVER_CHARACTERISTICS, handle: *mut *mut c_void,
    ) -> i32 {
        store(handle, std::ptr::null_mut());
        let path = crate::ob::unicode_string(registry_path).unwrap_or_default();
        let driver = match register(driver_object as usize, path, context as usize, characteristics) {
            Ok(driver) => driver,
            Err(status) => return status,
        };
        store(handle, driver);
        let options = address!(load(characteristics).SetOptionsHandler);
        if options == 0 {
            return NDIS_STATUS_SUCCESS;
        }
        let status = callback("MiniportSetOptions", options, &[driver as u64, context as u64]) as i32;
        if status != NDIS_STATUS_SUCCESS {
            let ndis = &kernel().ndis;
            ndis.miniport_drivers.retire(ndis.miniport_drivers.get(driver, "MiniportSetOptions"));
            store(handle, std::ptr::null_mut());
        }
        status
    }

    /// Halts every adapter of a miniport driver and forgets it.
    #[irql(PASSIVE)]
    fn NdisMDeregisterMiniportDriver(handle: *mut c_void) {
        let ndis = &kernel().ndis;
        let driver = ndis.miniport_drivers.get(handle, "NdisMDeregisterMiniportDriver");
        for adapter in ndis.adapters() {
            if let Part::Miniport(bottom) = &adapter.miniport().part
                && bottom.driver() == handle as usize
            {
                super::remove_adapter(adapter);
            }
        }
        super::check_owner_left_nothing(handle as usize, "a miniport driver");
        ndis.miniport_drivers.retire(driver);
    }

    /// Tells NDIS about an adapter.
    #[irql(PASSIVE)]
    fn NdisMSetMiniportAttributes(handle: *mut c_void, attributes: *const NDIS_OBJECT_HEADER) -> i32 {
        let layer = miniport(handle, "NdisMSetMiniportAttributes");
        match load(attributes).Type {
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES => {
                let a: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES = load(attributes.cast());
                layer.context.store(a.MiniportAdapterContext as usize, Ordering::Release);
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES => set_general(layer.adapter, &load(attributes.cast())),
            NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES => {
                let a: NDIS_MINIPORT_ADAPTER_OFFLOAD_ATTRIBUTES = load(attributes.cast());
                layer.adapter.general.lock().offload =
                    (!a.DefaultOffloadConfiguration.is_null()).then(|| load_offload(a.DefaultOffloadConfiguration));
            }
            NDIS_OBJECT_TYPE_MINIPORT_ADD_DEVICE_REGISTRATION_ATTRIBUTES
            | NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_HARDWARE_ASSIST_ATTRIBUTES => {}
            _ => return NDIS_STATUS_NOT_SUPPORTED,
        }
        NDIS_STATUS_SUCCESS
    }

    /// Completes a pause that MiniportPause left pending.
    #[irql(DISPATCH)]
    fn NdisMPauseComplete(handle: *mut c_void) {
        let layer = miniport(handle, "NdisMPauseComplete");
        complete_change(layer, awaited::PAUSE, NDIS_STATUS_SUCCESS, "NdisMPauseComplete");
    }

    /// Completes a restart that MiniportRestart left pending.
    #[irql(DISPATCH)]
    fn NdisMRestartComplete(handle: *mut c_void, status: i32) {
        let layer = miniport(handle, "NdisMRestartComplete");
        complete_change(layer, awaited::RESTART, status, "NdisMRestartComplete");
    }
}

/// An offload structure of whatever revision the driver has.
fn load_offload(from: *const NDIS_OFFLOAD) -> NDIS_OFFLOAD {
    let size = usize::from(load(from.cast::<NDIS_OBJECT_HEADER>()).Size);
    let mut offload = NDIS_OFFLOAD::zeroed();
    copy(
        (&raw mut offload).cast(),
        from.cast(),
        size.min(size_of::<NDIS_OFFLOAD>()),
    );
    offload
}
