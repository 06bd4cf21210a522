//! Waitable objects, DPCs, timers and device queues.

use crate::sys::*;

foreign! {
    pub struct DISPATCHER_HEADER(0x18, 8) {
        0x00 Type: u8,
        0x01 Signalling: u8,
        0x02 Size: u8,
        0x03 Reserved1: u8,
        0x04 SignalState: i32,
        0x08 WaitListHead: LIST_ENTRY,
    }

    pub struct KEVENT(0x18, 8) {
        0x00 Header: DISPATCHER_HEADER,
    }

    pub struct KMUTANT(0x38, 8) {
        0x00 Header: DISPATCHER_HEADER,
        0x18 MutantListEntry: LIST_ENTRY,
        0x28 OwnerThread: *mut KTHREAD,
        0x30 Abandoned: u8,
        0x31 ApcDisable: u8,
    }

    pub struct KSEMAPHORE(0x20, 8) {
        0x00 Header: DISPATCHER_HEADER,
        0x18 Limit: i32,
    }

    pub struct KTIMER(0x40, 8) {
        0x00 Header: DISPATCHER_HEADER,
        0x18 DueTime: ULARGE_INTEGER,
        0x20 TimerListEntry: LIST_ENTRY,
        0x30 Dpc: *mut KDPC,
        0x38 Processor: u32,
        0x3c Period: u32,
    }

    pub struct KDPC(0x40, 8) {
        0x00 Type: u8,
        0x01 Importance: u8,
        0x02 Number: u16,
        0x08 DpcListEntry: SINGLE_LIST_ENTRY,
        0x10 ProcessorHistory: KAFFINITY,
        0x18 DeferredRoutine: PKDEFERRED_ROUTINE,
        0x20 DeferredContext: PVOID,
        0x28 SystemArgument1: PVOID,
        0x30 SystemArgument2: PVOID,
        0x38 DpcData: PVOID,
    }

    pub struct KAPC(0x58, 8) {
        0x00 Type: u8,
        0x01 SpareByte0: u8,
        0x02 Size: u8,
        0x03 SpareByte1: u8,
        0x04 SpareLong0: u32,
        0x08 Thread: *mut KTHREAD,
        0x10 ApcListEntry: LIST_ENTRY,
        0x20 Reserved: [PVOID; 3],
        0x38 NormalContext: PVOID,
        0x40 SystemArgument1: PVOID,
        0x48 SystemArgument2: PVOID,
        0x50 ApcStateIndex: i8,
        0x51 ApcMode: i8,
        0x52 Inserted: u8,
    }

    pub struct KWAIT_BLOCK(0x30, 8) {
        0x00 WaitListEntry: LIST_ENTRY,
        0x10 WaitType: u8,
        0x11 BlockState: u8,
        0x12 WaitKey: u16,
        0x14 SpareLong: i32,
        0x18 Thread: *mut KTHREAD,
        0x20 Object: PVOID,
        0x28 SparePtr: PVOID,
    }

    pub struct EXT_SET_PARAMETERS(0x10, 8) {
        0x00 Version: u32,
        0x04 Reserved: u32,
        0x08 NoWakeTolerance: i64,
    }

    pub struct EXT_DELETE_PARAMETERS(0x18, 8) {
        0x00 Version: u32,
        0x04 Reserved: u32,
        0x08 DeleteCallback: PEXT_DELETE_CALLBACK,
        0x10 DeleteContext: PVOID,
    }

    pub struct KDEVICE_QUEUE_ENTRY(0x18, 8) {
        0x00 DeviceListEntry: LIST_ENTRY,
        0x10 SortKey: u32,
        0x14 Inserted: u8,
    }

    pub struct KDEVICE_QUEUE(0x28, 8) {
        0x00 Type: i16,
        0x02 Size: i16,
        0x08 DeviceListHead: LIST_ENTRY,
        0x18 Lock: KSPIN_LOCK,
        0x20 Busy: u8,
    }
}
