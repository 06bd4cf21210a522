//! Performance counters.

use crate::sys::*;

foreign! {
    pub struct PCW_COUNTER_DESCRIPTOR(0x8, 2) {
        0x00 Id: u16,
        0x02 StructIndex: u16,
        0x04 Offset: u16,
        0x06 Size: u16,
    }

    pub struct PCW_COUNTER_INFORMATION(0x10, 8) {
        0x00 CounterMask: u64,
        0x08 InstanceMask: *mut UNICODE_STRING,
    }

    pub struct PCW_DATA(0x10, 8) {
        0x00 Data: PVOID,
        0x08 Size: u32,
    }

    pub struct PCW_MASK_INFORMATION(0x28, 8) {
        0x00 CounterMask: u64,
        0x08 InstanceMask: *mut UNICODE_STRING,
        0x10 InstanceId: u32,
        0x14 CollectMultiple: u8,
        0x18 Buffer: PVOID,
        0x20 CancelEvent: *mut KEVENT,
    }

    pub union PCW_CALLBACK_INFORMATION(0x28, 8) {
        0x00 AddCounter: PCW_COUNTER_INFORMATION,
        0x00 RemoveCounter: PCW_COUNTER_INFORMATION,
        0x00 EnumerateInstances: PCW_MASK_INFORMATION,
        0x00 CollectData: PCW_MASK_INFORMATION,
    }

    pub struct PCW_REGISTRATION_INFORMATION(0x38, 8) {
        0x00 Version: u32,
        0x08 Name: *mut UNICODE_STRING,
        0x10 CounterCount: u32,
        0x18 Counters: *mut PCW_COUNTER_DESCRIPTOR,
        0x20 Callback: PPCW_CALLBACK,
        0x28 CallbackContext: PVOID,
        0x30 Flags: PCW_REGISTRATION_FLAGS,
    }
}
