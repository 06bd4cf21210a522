//! Lightweight filters: registration, modules, and what they do.

use core::ptr::{self, NonNull};
use core::slice;

use super::buffer::Nbl;
use super::chain::NblChain;
use super::handlers;
use super::oid::{OidRequest, OidView};
use crate::io::DriverObject;
use crate::irql::Passive;
use crate::pool::{Arc, Tag};
use crate::status::{Result, Status};
use crate::string::UnicodeStr;
use crate::sys::imports::ndis;
use crate::sys::{
    NDIS_FILTER_ATTACH_PARAMETERS, NDIS_FILTER_RESTART_PARAMETERS, NDIS_HANDLE, NDIS_MEDIUM,
    NDIS_OFFLOAD, NDIS_PHYSICAL_MEDIUM, NDIS_RESTART_ATTRIBUTES, NDIS_RESTART_GENERAL_ATTRIBUTES,
    NDIS_STATUS, NDIS_STATUS_INDICATION, NET_DEVICE_PNP_EVENT, NET_PNP_EVENT_NOTIFICATION,
    OID_GEN_MINIPORT_RESTART_ATTRIBUTES,
};

/// A filter driver: what it makes of an adapter.
pub trait FilterDriver: Send + Sync + 'static {
    /// The driver on one adapter.
    type Module: FilterModule;

    /// Attaches to an adapter; the module starts paused.
    ///
    /// # Errors
    ///
    /// The adapter works without this filter.
    fn attach(
        &self,
        attach: &Attach<'_>,
        filter: Filter,
        passive: Passive<'_>,
    ) -> Result<Self::Module>;
}

/// A filter driver on one adapter. Everything has a default: to pass on.
///
/// The data path is called at any level up to DISPATCH_LEVEL, on many processors at once.
pub trait FilterModule: Send + Sync + Sized + 'static {
    /// The tag of what is allocated to pass requests on.
    const TAG: Tag;

    /// The handle that the module was attached with.
    fn filter(&self) -> Filter;

    /// Which handlers the module wants until it is restarted again.
    fn datapath(&self) -> Datapath {
        Datapath {
            send: true,
            receive: true,
        }
    }

    /// Starts, or starts again after a pause.
    ///
    /// # Errors
    ///
    /// The module stays paused.
    fn restart(&self, restart: &Restart<'_>, passive: Passive<'_>) -> Result<()> {
        let _ = (restart, passive);
        Ok(())
    }

    /// Pauses: on return, all that the module itself sent or indicated is back.
    fn pause(&self, passive: Passive<'_>) {
        let _ = passive;
    }

    /// Detaches from the adapter; the module is paused.
    fn detach(self, passive: Passive<'_>) {
        let _ = passive;
    }

    /// Packets on their way from the stack to the wire.
    #[inline]
    fn send(&self, chain: NblChain, port: u32, flags: Flags) {
        self.filter().send(chain, port, flags);
    }

    /// Packets that were sent, coming back.
    #[inline]
    fn send_complete(&self, chain: NblChain, flags: Flags) {
        self.filter().send_complete(chain, flags);
    }

    /// Packets on their way from the wire to the stack.
    #[inline]
    fn receive(&self, chain: NblChain, receive: Receive) {
        self.filter().indicate(chain, receive);
    }

    /// Packets that were received, coming back.
    #[inline]
    fn return_chain(&self, chain: NblChain, flags: Flags) {
        self.filter().return_chain(chain, flags);
    }

    /// A request from above. PASSIVE_LEVEL, unless it is a direct one.
    fn oid_request(&self, request: OidRequest) {
        request.forward();
    }

    /// A request that was passed on has its answer, which goes up after this.
    fn oid_answered(&self, request: &OidView<'_>, status: Status) {
        let _ = (request, status);
    }

    /// A status indication from below, which goes up after this.
    fn status(&self, indication: &StatusView<'_>) {
        let _ = indication;
    }

    /// A network plug-and-play event from above.
    ///
    /// # Errors
    ///
    /// The event is refused; otherwise it is passed down.
    fn net_pnp_event(
        &self,
        event: &NET_PNP_EVENT_NOTIFICATION,
        passive: Passive<'_>,
    ) -> Result<()> {
        let _ = (event, passive);
        Ok(())
    }

    /// A device plug-and-play event from above, which goes down after this.
    fn device_pnp_event(&self, event: &NET_DEVICE_PNP_EVENT) {
        let _ = event;
    }
}

/// Which directions of the data path a module takes part in; NDIS goes round it in the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Datapath {
    /// Packets to the wire and their return.
    pub send: bool,
    /// Packets from the wire and their return.
    pub receive: bool,
}

/// Flags of a call on the data path; each call has its own set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// Whether the caller is at DISPATCH_LEVEL: the same bit in every set.
    #[must_use]
    #[inline]
    pub const fn is_dispatch_level(self) -> bool {
        self.0 & crate::sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL != 0
    }

    /// Only the flag that says that the caller is at DISPATCH_LEVEL.
    #[must_use]
    #[inline]
    pub const fn level_only(self) -> Self {
        Self(self.0 & crate::sys::NDIS_SEND_FLAGS_DISPATCH_LEVEL)
    }
}

/// What comes with received packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receive {
    /// The port of the adapter.
    pub port: u32,
    /// The number of lists.
    pub count: u32,
    /// `NDIS_RECEIVE_FLAGS_...`.
    pub flags: Flags,
}

impl Receive {
    /// Whether the lists are only lent: they must not be kept beyond the call, nor returned.
    #[doc(alias = "NDIS_RECEIVE_FLAGS_RESOURCES")]
    #[must_use]
    #[inline]
    pub const fn is_lent(self) -> bool {
        self.flags.0 & crate::sys::NDIS_RECEIVE_FLAGS_RESOURCES != 0
    }
}

/// NDIS's handle of a filter module. Not to be used after the module's detach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Filter(NDIS_HANDLE);

// SAFETY: NDIS takes the handle on any thread.
unsafe impl Send for Filter {}
// SAFETY: as above.
unsafe impl Sync for Filter {}

impl Filter {
    pub(super) const fn new(handle: NDIS_HANDLE) -> Self {
        Self(handle)
    }

    /// The handle, for functions that take one.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> NDIS_HANDLE {
        self.0
    }

    /// Whether a list was made by this module, and so comes back to it.
    #[doc(alias = "SourceHandle")]
    #[must_use]
    #[inline]
    pub fn owns(self, list: &Nbl) -> bool {
        list.source() == self.0
    }

    /// Sends packets on towards the wire.
    #[inline]
    pub fn send(self, chain: NblChain, port: u32, flags: Flags) {
        if !chain.is_empty() {
            // SAFETY: an owned chain, given up here.
            unsafe { ndis::NdisFSendNetBufferLists(self.0, chain.into_raw(), port, flags.0) }
        }
    }

    /// Gives back packets that came to be sent.
    #[inline]
    pub fn send_complete(self, chain: NblChain, flags: Flags) {
        if !chain.is_empty() {
            // SAFETY: an owned chain, given up here.
            unsafe { ndis::NdisFSendNetBufferListsComplete(self.0, chain.into_raw(), flags.0) }
        }
    }

    /// Indicates received packets to the stack.
    ///
    /// The chain is given up, unless the flags say that it is lent: then it is the caller's again on return, which
    /// is what lent packets need.
    #[inline]
    pub fn indicate(self, chain: NblChain, receive: Receive) {
        if !chain.is_empty() {
            let first = chain.into_raw();
            // SAFETY: an owned or lent chain, given up here.
            unsafe {
                ndis::NdisFIndicateReceiveNetBufferLists(
                    self.0,
                    first,
                    receive.port,
                    receive.count,
                    receive.flags.0,
                );
            }
        }
    }

    /// Gives back packets that were received.
    #[inline]
    pub fn return_chain(self, chain: NblChain, flags: Flags) {
        if !chain.is_empty() {
            // SAFETY: an owned chain, given up here.
            unsafe { ndis::NdisFReturnNetBufferLists(self.0, chain.into_raw(), flags.0) }
        }
    }

    /// Has NDIS pause and restart the module, which asks it for its data path anew.
    ///
    /// # Errors
    ///
    /// The status of `NdisFRestartFilter`.
    #[doc(alias = "NdisFRestartFilter")]
    pub fn request_restart(self) -> Result<()> {
        // SAFETY: a module's handle.
        super::status(unsafe { ndis::NdisFRestartFilter(self.0) }).ok()
    }

    /// Indicates a status to the stack.
    pub fn indicate_status(self, indication: &mut NDIS_STATUS_INDICATION) {
        // SAFETY: the indication is borrowed during the call.
        unsafe { ndis::NdisFIndicateStatus(self.0, indication) }
    }
}

/// A status indication on its way up.
#[doc(alias = "NDIS_STATUS_INDICATION")]
#[derive(Clone, Copy)]
pub struct StatusView<'a> {
    indication: &'a NDIS_STATUS_INDICATION,
}

impl<'a> StatusView<'a> {
    pub(super) const fn new(indication: &'a NDIS_STATUS_INDICATION) -> Self {
        Self { indication }
    }

    /// The status: `NDIS_STATUS_LINK_STATE`, ...
    #[must_use]
    pub const fn code(&self) -> NDIS_STATUS {
        self.indication.StatusCode
    }

    /// What comes with it.
    #[must_use]
    pub fn buffer(&self) -> &'a [u8] {
        let buffer = self.indication.StatusBuffer;
        if buffer.is_null() {
            return &[];
        }
        let len = self.indication.StatusBufferSize as usize;
        // SAFETY: the indication's own buffer of that length.
        unsafe { slice::from_raw_parts(buffer.cast(), len) }
    }
}

/// What a filter learns of an adapter when it attaches.
#[doc(alias = "NDIS_FILTER_ATTACH_PARAMETERS")]
#[derive(Clone, Copy)]
pub struct Attach<'a> {
    parameters: &'a NDIS_FILTER_ATTACH_PARAMETERS,
}

impl<'a> Attach<'a> {
    pub(super) const fn new(parameters: &'a NDIS_FILTER_ATTACH_PARAMETERS) -> Self {
        Self { parameters }
    }

    /// All of it.
    #[must_use]
    pub const fn raw(&self) -> &'a NDIS_FILTER_ATTACH_PARAMETERS {
        self.parameters
    }

    /// The index of the miniport's interface.
    #[must_use]
    pub const fn if_index(&self) -> u32 {
        self.parameters.BaseMiniportIfIndex
    }

    /// The index of the filter module's own interface.
    #[must_use]
    pub const fn module_if_index(&self) -> u32 {
        self.parameters.IfIndex
    }

    /// The kind of network.
    #[must_use]
    pub const fn medium(&self) -> NDIS_MEDIUM {
        self.parameters.MiniportMediaType
    }

    /// The kind of link.
    #[must_use]
    pub const fn physical_medium(&self) -> NDIS_PHYSICAL_MEDIUM {
        self.parameters.MiniportPhysicalMediaType
    }

    /// The adapter's address.
    #[must_use]
    pub fn mac_address(&self) -> &'a [u8] {
        let len = usize::from(self.parameters.MacAddressLength);
        self.parameters
            .CurrentMacAddress
            .get(..len)
            .unwrap_or_default()
    }

    /// The adapter's offloads, when it says.
    #[must_use]
    pub fn offload(&self) -> Option<&'a NDIS_OFFLOAD> {
        // SAFETY: null or there during the call.
        unsafe { self.parameters.DefaultOffloadConfiguration.as_ref() }
    }

    /// The name of the module: a GUID.
    #[must_use]
    pub fn module_name(&self) -> UnicodeStr<'a> {
        // SAFETY: null or there during the call.
        unsafe { UnicodeStr::from_raw(self.parameters.FilterModuleGuidName) }
    }

    /// The name of the adapter's device.
    #[must_use]
    pub fn miniport_name(&self) -> UnicodeStr<'a> {
        // SAFETY: null or there during the call.
        unsafe { UnicodeStr::from_raw(self.parameters.BaseMiniportName) }
    }
}

/// What a filter learns of an adapter when it restarts.
#[doc(alias = "NDIS_FILTER_RESTART_PARAMETERS")]
#[derive(Clone, Copy)]
pub struct Restart<'a> {
    parameters: Option<&'a NDIS_FILTER_RESTART_PARAMETERS>,
}

impl<'a> Restart<'a> {
    pub(super) const fn new(parameters: Option<&'a NDIS_FILTER_RESTART_PARAMETERS>) -> Self {
        Self { parameters }
    }

    /// All of it.
    #[must_use]
    pub const fn raw(&self) -> Option<&'a NDIS_FILTER_RESTART_PARAMETERS> {
        self.parameters
    }

    /// The adapter's general attributes, when they are given.
    #[must_use]
    pub fn general(&self) -> Option<&'a NDIS_RESTART_GENERAL_ATTRIBUTES> {
        let mut next = self.parameters?.RestartAttributes;
        while let Some(attribute) = NonNull::new(next) {
            // SAFETY: NDIS's list, there during the call.
            let attribute = unsafe { attribute.as_ref() };
            if attribute.Oid == OID_GEN_MINIPORT_RESTART_ATTRIBUTES
                && attribute.DataLength as usize >= size_of::<NDIS_RESTART_GENERAL_ATTRIBUTES>()
            {
                let data = data_of(attribute);
                // SAFETY: the data of this attribute, which starts aligned.
                return unsafe { data.cast::<NDIS_RESTART_GENERAL_ATTRIBUTES>().as_ref() };
            }
            next = attribute.Next;
        }
        None
    }

    /// The largest payload of a frame.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        self.general().map(|general| general.MtuSize)
    }
}

/// Where the data of an attribute starts: behind it, aligned as a pointer is.
fn data_of(attribute: &NDIS_RESTART_ATTRIBUTES) -> *const u8 {
    let offset = core::mem::offset_of!(NDIS_RESTART_ATTRIBUTES, Data);
    ptr::from_ref(attribute).wrapping_byte_add(offset).cast()
}

/// The names and versions that a filter driver registers with.
#[derive(Clone, Copy, Debug)]
pub struct FilterConfig<'a> {
    /// What people read.
    pub friendly_name: &'a [u16],
    /// The `NetCfgInstanceId` of the installation: a GUID in braces.
    pub unique_name: &'a [u16],
    /// The driver's service.
    pub service_name: &'a [u16],
    /// NDIS versions that the driver is written for, best first; the first that the system has is used.
    pub versions: &'a [(u8, u8)],
    /// The driver's own version.
    pub driver_version: (u8, u8),
    /// `NDIS_FILTER_DRIVER_...`.
    pub flags: u32,
}

/// A registered filter driver; deregistered, and detached from all adapters, when dropped at PASSIVE_LEVEL.
#[derive(Debug)]
pub struct FilterRegistration<F: FilterDriver> {
    handle: NDIS_HANDLE,
    driver: *const F,
}

// SAFETY: the handle is only used to deregister; the driver is shared by reference count.
unsafe impl<F: FilterDriver> Send for FilterRegistration<F> {}
// SAFETY: as above.
unsafe impl<F: FilterDriver> Sync for FilterRegistration<F> {}

impl<F: FilterDriver> FilterRegistration<F> {
    /// Registers a filter driver; it may attach to adapters before this returns.
    ///
    /// # Errors
    ///
    /// [`Status::NOT_SUPPORTED`] when the system has none of the versions; otherwise the status of
    /// `NdisFRegisterFilterDriver`.
    pub fn new(
        object: DriverObject,
        config: &FilterConfig<'_>,
        driver: Arc<F>,
        _passive: Passive<'_>,
    ) -> Result<Self> {
        let system = super::version();
        let version = config
            .versions
            .iter()
            .find(|version| **version <= system)
            .ok_or(Status::NOT_SUPPORTED)?;
        let mut characteristics = handlers::characteristics::<F>(*version);
        characteristics.MajorDriverVersion = config.driver_version.0;
        characteristics.MinorDriverVersion = config.driver_version.1;
        characteristics.Flags = config.flags;
        characteristics.FriendlyName = UnicodeStr::new(config.friendly_name)?.raw();
        characteristics.UniqueName = UnicodeStr::new(config.unique_name)?.raw();
        characteristics.ServiceName = UnicodeStr::new(config.service_name)?.raw();
        let driver = Arc::into_raw(driver);
        let context = driver.cast_mut().cast();
        let mut handle = ptr::null_mut();
        // SAFETY: the characteristics are copied; the context is kept until the driver is deregistered.
        let status = unsafe {
            ndis::NdisFRegisterFilterDriver(
                object.as_ptr(),
                context,
                &mut characteristics,
                &mut handle,
            )
        };
        if let Err(status) = super::status(status).ok() {
            // SAFETY: given away above, and NDIS did not keep it.
            drop(unsafe { Arc::from_raw(driver) });
            return Err(status);
        }
        Ok(Self { handle, driver })
    }
}

impl<F: FilterDriver> Drop for FilterRegistration<F> {
    fn drop(&mut self) {
        // SAFETY: registered by `new`; returns when all modules are detached.
        unsafe { ndis::NdisFDeregisterFilterDriver(self.handle) };
        // SAFETY: given away by `new`; no callback is left to use it.
        drop(unsafe { Arc::from_raw(self.driver) });
    }
}
