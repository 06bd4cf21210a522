//! The functions of `xdpapi.dll` (API versions 1 and 2) and the structures of an asynchronous call.
//!
//! Version 3 has no library: its functions are inline and talk to the driver by opens and IOCTLs.

use crate::hook::HookId;
use crate::macros::windows_fn;
use crate::object::Handle;
use crate::offload::{RssCapabilities, RssConfiguration};
use crate::program::CreateProgramFlags;
use crate::quic::QuicConnection;
use crate::rule::Rule;
use crate::status::HResult;
use crate::xsk::{ActivateFlags, BindFlags, NotifyFlags, NotifyResultFlags};
use core::ffi::{c_char, c_void};

/// API version 1: ideal-processor following is on by default.
#[doc(alias = "XDP_API_VERSION_1")]
pub const API_VERSION_1: u32 = 1;
/// API version 2.
#[doc(alias = "XDP_API_VERSION_2")]
pub const API_VERSION_2: u32 = 2;
/// API version 3: no library, maps.
#[doc(alias = "XDP_API_VERSION_3")]
pub const API_VERSION_3: u32 = 3;
/// The newest API version.
#[doc(alias = "XDP_API_VERSION_LATEST")]
pub const API_VERSION_LATEST: u32 = API_VERSION_3;

/// Versions `XdpOpenApi` gives a table for.
pub const TABLE_VERSIONS: [u32; 2] = [API_VERSION_1, API_VERSION_2];

/// State of an asynchronous call in a program.
#[doc(alias = "OVERLAPPED")]
#[doc(alias = "XDP_OVERLAPPED")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Overlapped {
    /// Status.
    pub internal: u64,
    /// Information: the result flags of a notification.
    pub internal_high: u64,
    /// Low half of the file offset, or of a pointer.
    pub offset: u32,
    /// High half.
    pub offset_high: u32,
    /// Event signalled at the end.
    #[doc(alias = "hEvent")]
    pub event: Handle,
}

/// State of an asynchronous call in the kernel.
#[doc(alias = "XDP_OVERLAPPED")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct KernelOverlapped {
    /// Status and information (`IO_STATUS_BLOCK`).
    pub internal: [u64; 2],
    /// Event signalled at the end.
    #[doc(alias = "hEvent")]
    pub event: Handle,
}

/// `XdpOpenApi`: a table of functions for a version.
#[doc(alias = "XDP_OPEN_API_FN")]
pub type OpenApiFn = windows_fn!(fn(u32, *mut *const ApiTable) -> HResult);
/// `XdpCloseApi`: gives a table back.
#[doc(alias = "XDP_CLOSE_API_FN")]
pub type CloseApiFn = windows_fn!(fn(*const ApiTable));
/// `XdpGetRoutine`: a function by name, or null.
#[doc(alias = "XDP_GET_ROUTINE_FN")]
pub type GetRoutineFn = windows_fn!(fn(*const c_char) -> *mut c_void);
/// `XdpCreateProgram`: attaches rules.
#[doc(alias = "XDP_CREATE_PROGRAM_FN")]
pub type CreateProgramFn = windows_fn!(
    fn(u32, *const HookId, u32, CreateProgramFlags, *const Rule, u32, *mut Handle) -> HResult
);
/// `XdpInterfaceOpen`: opens an interface.
#[doc(alias = "XDP_INTERFACE_OPEN_FN")]
pub type InterfaceOpenFn = windows_fn!(fn(u32, *mut Handle) -> HResult);
/// `XskCreate`: creates a socket.
#[doc(alias = "XSK_CREATE_FN")]
pub type XskCreateFn = windows_fn!(fn(*mut Handle) -> HResult);
/// `XskBind`: binds a socket to a queue.
#[doc(alias = "XSK_BIND_FN")]
pub type XskBindFn = windows_fn!(fn(Handle, u32, u32, BindFlags) -> HResult);
/// `XskActivate`: activates a socket.
#[doc(alias = "XSK_ACTIVATE_FN")]
pub type XskActivateFn = windows_fn!(fn(Handle, ActivateFlags) -> HResult);
/// `XskNotifySocket`: pokes and waits.
#[doc(alias = "XSK_NOTIFY_SOCKET_FN")]
pub type XskNotifySocketFn =
    windows_fn!(fn(Handle, NotifyFlags, u32, *mut NotifyResultFlags) -> HResult);
/// `XskNotifyAsync`: pokes and waits without blocking.
#[doc(alias = "XSK_NOTIFY_ASYNC_FN")]
pub type XskNotifyAsyncFn = windows_fn!(fn(Handle, NotifyFlags, *mut Overlapped) -> HResult);
/// `XskGetNotifyAsyncResult`: what an asynchronous wait found.
#[doc(alias = "XSK_GET_NOTIFY_ASYNC_RESULT_FN")]
pub type XskGetNotifyAsyncResultFn =
    windows_fn!(fn(*mut Overlapped, *mut NotifyResultFlags) -> HResult);
/// `XskSetSockopt`: sets an option.
#[doc(alias = "XSK_SET_SOCKOPT_FN")]
pub type XskSetSockoptFn = windows_fn!(fn(Handle, u32, *const c_void, u32) -> HResult);
/// `XskGetSockopt`: reads an option.
#[doc(alias = "XSK_GET_SOCKOPT_FN")]
pub type XskGetSockoptFn = windows_fn!(fn(Handle, u32, *mut c_void, *mut u32) -> HResult);
/// `XskIoctl`: reserved.
#[doc(alias = "XSK_IOCTL_FN")]
pub type XskIoctlFn =
    windows_fn!(fn(Handle, u32, *const c_void, u32, *mut c_void, *mut u32) -> HResult);
/// `XdpRssGetCapabilities`: what RSS can do.
#[doc(alias = "XDP_RSS_GET_CAPABILITIES_FN")]
pub type RssGetCapabilitiesFn = windows_fn!(fn(Handle, *mut RssCapabilities, *mut u32) -> HResult);
/// `XdpRssSet`: changes the RSS configuration.
#[doc(alias = "XDP_RSS_SET_FN")]
pub type RssSetFn = windows_fn!(fn(Handle, *const RssConfiguration, u32) -> HResult);
/// `XdpRssGet`: reads the RSS configuration.
#[doc(alias = "XDP_RSS_GET_FN")]
pub type RssGetFn = windows_fn!(fn(Handle, *mut RssConfiguration, *mut u32) -> HResult);
/// `XdpQeoSet`: adds and removes offloaded connections.
#[doc(alias = "XDP_QEO_SET_FN")]
pub type QeoSetFn = windows_fn!(fn(Handle, *mut QuicConnection, u32) -> HResult);
/// `XdpMapCreate` (version 3 only): creates a map.
pub type MapCreateFn = windows_fn!(fn(*mut Handle, crate::map::MapType) -> HResult);
/// `XdpMapInsert` (version 3 only): fills a slot.
pub type MapInsertFn = windows_fn!(fn(Handle, *const c_void, *const c_void) -> HResult);
/// `XdpMapDelete` (version 3 only): empties a slot.
pub type MapDeleteFn = windows_fn!(fn(Handle, *const c_void) -> HResult);

/// Name under which [`RssGetCapabilitiesFn`] is found.
#[doc(alias = "XDP_RSS_GET_CAPABILITIES_FN_NAME")]
pub const RSS_GET_CAPABILITIES_FN_NAME: &str = "XdpRssGetCapabilitiesExperimental";
/// Name under which [`RssSetFn`] is found.
#[doc(alias = "XDP_RSS_SET_FN_NAME")]
pub const RSS_SET_FN_NAME: &str = "XdpRssSetExperimental";
/// Name under which [`RssGetFn`] is found.
#[doc(alias = "XDP_RSS_GET_FN_NAME")]
pub const RSS_GET_FN_NAME: &str = "XdpRssGetExperimental";
/// Name under which [`QeoSetFn`] is found.
#[doc(alias = "XDP_QEO_SET_FN_NAME")]
pub const QEO_SET_FN_NAME: &str = "XdpQeoSetExperimental";

/// Names `XdpGetRoutine` knows.
pub const ROUTINE_NAMES: [&str; 18] = [
    "XdpOpenApi",
    "XdpCloseApi",
    "XdpGetRoutine",
    "XdpCreateProgram",
    "XdpInterfaceOpen",
    "XskCreate",
    "XskBind",
    "XskActivate",
    "XskNotifySocket",
    "XskNotifyAsync",
    "XskGetNotifyAsyncResult",
    "XskSetSockopt",
    "XskGetSockopt",
    "XskIoctl",
    RSS_GET_CAPABILITIES_FN_NAME,
    RSS_SET_FN_NAME,
    RSS_GET_FN_NAME,
    QEO_SET_FN_NAME,
];

/// The table of API versions 1 and 2.
#[doc(alias = "XDP_API_TABLE")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[expect(missing_docs, reason = "each member's type is documented")]
pub struct ApiTable {
    pub xdp_open_api: OpenApiFn,
    pub xdp_close_api: CloseApiFn,
    pub xdp_get_routine: GetRoutineFn,
    pub xdp_create_program: CreateProgramFn,
    pub xdp_interface_open: InterfaceOpenFn,
    pub xsk_create: XskCreateFn,
    pub xsk_bind: XskBindFn,
    pub xsk_activate: XskActivateFn,
    pub xsk_notify_socket: XskNotifySocketFn,
    pub xsk_notify_async: XskNotifyAsyncFn,
    pub xsk_get_notify_async_result: XskGetNotifyAsyncResultFn,
    pub xsk_set_sockopt: XskSetSockoptFn,
    pub xsk_get_sockopt: XskGetSockoptFn,
    pub xsk_ioctl: XskIoctlFn,
}
