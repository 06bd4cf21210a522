//! Generic mode: the filter in the network stack, on any adapter.

mod adapter;
pub(crate) mod checksum;
mod forward;
mod inject;
mod inspect;
mod offload;
mod outcome;
mod quic;
pub(crate) mod reflect;
mod rss;
mod segment;
mod steering;

use nt::io::DriverObject;
use nt::ndis::{Attach, Filter, FilterConfig, FilterDriver, FilterRegistration};
use nt::sys::{
    NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE, NDIS_STATUS_ADAPTER_NOT_READY,
    NDIS_STATUS_BUFFER_TOO_SHORT, NDIS_STATUS_INVALID_DATA, NDIS_STATUS_INVALID_LENGTH,
    NDIS_STATUS_UNSUPPORTED_MEDIA, NdisMedium802_3,
};
use nt::{Arc, Passive, Result, Status};

use self::adapter::Adapter;
pub(crate) use self::forward::Forwarder;
pub(crate) use self::inject::TxQueue;
pub(crate) use self::offload::TaskOffload;
pub(crate) use self::quic::QuicConnections;
pub(crate) use self::rss::Rss;
pub(crate) use self::steering::Steering;
use crate::driver::Services;

/// NDIS versions that the filter is written for, best first.
const VERSIONS: &[(u8, u8)] = &[(6, 85), (6, 82), (6, 60)];

/// The registered filter; every adapter that it may attach to has an [`Adapter`].
pub(crate) struct Lwf {
    registration: FilterRegistration<LwfDriver>,
}

/// What attaches to adapters.
struct LwfDriver {
    services: Arc<Services>,
}

impl Lwf {
    /// Registers the filter. It may attach to adapters before this returns.
    pub(crate) fn register(
        object: DriverObject,
        services: Arc<Services>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let config = FilterConfig {
            friendly_name: nt::utf16!("XDP Lightweight Filter"),
            unique_name: nt::utf16!("{c0be1ebc-74b8-4ba9-8c1e-ecd227e2be3b}"),
            service_name: nt::utf16!("xdp"),
            versions: VERSIONS,
            driver_version: (1, 0),
            flags: NDIS_FILTER_DRIVER_SUPPORTS_L2_MTU_SIZE_CHANGE,
        };
        let driver = Arc::new(crate::TAG, LwfDriver { services })?;
        let registration = FilterRegistration::new(object, &config, driver, passive)?;
        Ok(Self { registration })
    }

    /// Detaches from every adapter and leaves NDIS.
    pub(crate) fn deregister(self, _passive: Passive<'_>) {
        drop(self.registration);
    }
}

impl FilterDriver for LwfDriver {
    type Module = Adapter;

    fn attach(
        &self,
        attach: &Attach<'_>,
        filter: Filter,
        _passive: Passive<'_>,
    ) -> Result<Adapter> {
        // The adapter works without XDP when its frames are not Ethernet.
        if attach.medium() != NdisMedium802_3 {
            return Err(Status(NDIS_STATUS_UNSUPPORTED_MEDIA));
        }
        Ok(Adapter::new(
            filter,
            attach.if_index(),
            self.services.clone(),
        ))
    }
}

/// What programs are told of the status with which NDIS completed a request. Most codes of NDIS are the system's.
#[doc(alias = "NdisConvertNdisStatusToNtStatus")]
fn oid_status(status: Status) -> Status {
    /// Facility of the codes that are NDIS's own.
    const NDIS: i32 = 1;
    if status.0 >> 16 & 0xfff != NDIS {
        return status;
    }
    match status.0 {
        NDIS_STATUS_INVALID_LENGTH => Status::INVALID_BUFFER_SIZE,
        NDIS_STATUS_INVALID_DATA => Status::INVALID_PARAMETER,
        NDIS_STATUS_BUFFER_TOO_SHORT => Status::BUFFER_TOO_SMALL,
        NDIS_STATUS_ADAPTER_NOT_READY => Status::DEVICE_NOT_READY,
        _ => Status::UNSUCCESSFUL,
    }
}
