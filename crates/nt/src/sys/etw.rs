//! Event tracing.

foreign! {
    pub struct EVENT_DESCRIPTOR(0x10, 8) {
        0x00 Id: u16,
        0x02 Version: u8,
        0x03 Channel: u8,
        0x04 Level: u8,
        0x05 Opcode: u8,
        0x06 Task: u16,
        0x08 Keyword: u64,
    }

    pub struct EVENT_DATA_DESCRIPTOR(0x10, 8) {
        0x00 Ptr: u64,
        0x08 Size: u32,
        0x0c Reserved: u32,
    }

    pub struct EVENT_FILTER_DESCRIPTOR(0x10, 8) {
        0x00 Ptr: u64,
        0x08 Size: u32,
        0x0c Type: u32,
    }
}
