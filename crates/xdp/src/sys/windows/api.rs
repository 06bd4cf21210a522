// UNSAFETY: declares functions of Windows, which are foreign.
#![expect(
    unsafe_code,
    reason = "functions of another language can only be declared as unsafe"
)]

//! Functions and structures of Windows: declarations, no logic.

use std::ffi::c_void;

/// `IO_STATUS_BLOCK`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct IoStatusBlock {
    /// An `NTSTATUS`, or a pointer while the request is under way.
    pub(super) status: usize,
    pub(super) information: usize,
}

/// `UNICODE_STRING`.
#[repr(C)]
pub(super) struct UnicodeString {
    pub(super) length: u16,
    pub(super) maximum_length: u16,
    pub(super) buffer: *const u16,
}

/// `OBJECT_ATTRIBUTES`.
#[repr(C)]
pub(super) struct ObjectAttributes {
    pub(super) length: u32,
    pub(super) root_directory: usize,
    pub(super) object_name: *const UnicodeString,
    pub(super) attributes: u32,
    pub(super) security_descriptor: *const c_void,
    pub(super) security_quality_of_service: *const c_void,
}

/// `MIB_IF_ROW2`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct InterfaceRow {
    pub(super) luid: u64,
    pub(super) index: u32,
    pub(super) guid: xdp_abi::Guid,
    pub(super) alias: [u16; 257],
    pub(super) description: [u16; 257],
    pub(super) physical_address_length: u32,
    pub(super) physical_address: [u8; 32],
    pub(super) permanent_physical_address: [u8; 32],
    pub(super) mtu: u32,
    pub(super) interface_type: u32,
    pub(super) tunnel_type: u32,
    pub(super) media_type: u32,
    pub(super) physical_medium_type: u32,
    pub(super) access_type: u32,
    pub(super) direction_type: u32,
    pub(super) flags: u8,
    pub(super) oper_status: u32,
    pub(super) admin_status: u32,
    pub(super) media_connect_state: u32,
    pub(super) network_guid: xdp_abi::Guid,
    pub(super) connection_type: u32,
    pub(super) transmit_link_speed: u64,
    pub(super) receive_link_speed: u64,
    pub(super) counters: [u64; 18],
}

// The documented sizes on 64-bit Windows.
const _: () = assert!(size_of::<InterfaceRow>() == 1352);
const _: () = assert!(std::mem::offset_of!(InterfaceRow, mtu) == 1124);
const _: () = assert!(size_of::<ObjectAttributes>() == 48);

/// `MIB_IF_TABLE2`, up to its first row.
#[repr(C)]
pub(super) struct InterfaceTable {
    pub(super) count: u32,
    pub(super) rows: [InterfaceRow; 0],
}

pub(super) const OBJ_CASE_INSENSITIVE: u32 = 0x40;
pub(super) const FILE_SHARE_READ_WRITE: u32 = 3;
pub(super) const FILE_OPEN: u32 = 1;
pub(super) const FILE_CREATE: u32 = 2;
pub(super) const GENERIC_READ: u32 = 0x8000_0000;
pub(super) const GENERIC_WRITE: u32 = 0x4000_0000;
pub(super) const SYNCHRONIZE: u32 = 0x0010_0000;
pub(super) const EVENT_ALL_ACCESS: u32 = 0x001F_0003;
/// `NotificationEvent`.
pub(super) const NOTIFICATION_EVENT: u32 = 0;
pub(super) const MEM_COMMIT_RESERVE: u32 = 0x3000;
pub(super) const MEM_RELEASE: u32 = 0x8000;
pub(super) const PAGE_READWRITE: u32 = 4;
/// `ObjectBasicInformation`.
pub(super) const OBJECT_BASIC_INFORMATION: u32 = 0;
/// Size of the structure of that name.
pub(super) const OBJECT_BASIC_INFORMATION_BYTES: usize = 56;
pub(super) const DUPLICATE_SAME_ACCESS: u32 = 2;
/// The pseudo handle of the calling process.
pub(super) const CURRENT_PROCESS: usize = usize::MAX;
/// `IF_TYPE_ETHERNET_CSMACD`.
pub(super) const TYPE_ETHERNET: u32 = 6;
/// `IF_TYPE_IEEE80211`.
pub(super) const TYPE_WIFI: u32 = 71;
/// Bit `FilterInterface` of the flags: not an interface of its own, but a filter on one.
pub(super) const FLAG_FILTER: u8 = 1 << 1;
/// `IfOperStatusUp`.
pub(super) const OPER_STATUS_UP: u32 = 1;

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    pub(super) fn NtCreateFile(
        handle: *mut usize,
        access: u32,
        attributes: *const ObjectAttributes,
        block: *mut IoStatusBlock,
        allocation_size: *const i64,
        file_attributes: u32,
        share: u32,
        disposition: u32,
        options: u32,
        ea: *const c_void,
        ea_length: u32,
    ) -> u32;

    pub(super) fn NtDeviceIoControlFile(
        handle: usize,
        event: usize,
        apc: usize,
        apc_context: usize,
        block: *mut IoStatusBlock,
        code: u32,
        input: *const c_void,
        input_length: u32,
        output: *mut c_void,
        output_length: u32,
    ) -> u32;

    pub(super) fn NtClose(handle: usize) -> u32;

    pub(super) fn NtCreateEvent(
        handle: *mut usize,
        access: u32,
        attributes: *const ObjectAttributes,
        event_type: u32,
        initial_state: u8,
    ) -> u32;

    pub(super) fn NtWaitForSingleObject(handle: usize, alertable: u8, timeout: *const i64) -> u32;

    pub(super) fn NtClearEvent(handle: usize) -> u32;

    pub(super) fn NtQueryObject(
        handle: usize,
        class: u32,
        information: *mut c_void,
        length: u32,
        returned: *mut u32,
    ) -> u32;

    pub(super) fn NtDuplicateObject(
        from_process: usize,
        handle: usize,
        to_process: usize,
        duplicate: *mut usize,
        access: u32,
        attributes: u32,
        options: u32,
    ) -> u32;

    pub(super) fn NtCancelIoFileEx(
        handle: usize,
        request: *const IoStatusBlock,
        block: *mut IoStatusBlock,
    ) -> u32;

    pub(super) fn NtAllocateVirtualMemory(
        process: usize,
        base: *mut *mut c_void,
        zero_bits: usize,
        size: *mut usize,
        allocation_type: u32,
        protection: u32,
    ) -> u32;

    pub(super) fn NtFreeVirtualMemory(
        process: usize,
        base: *mut *mut c_void,
        size: *mut usize,
        free_type: u32,
    ) -> u32;
}

#[link(name = "iphlpapi", kind = "raw-dylib")]
unsafe extern "system" {
    pub(super) fn GetIfTable2(table: *mut *mut InterfaceTable) -> u32;
    pub(super) fn FreeMibTable(table: *mut c_void);
    pub(super) fn ConvertInterfaceLuidToNameW(
        luid: *const u64,
        name: *mut u16,
        length: usize,
    ) -> u32;
}
