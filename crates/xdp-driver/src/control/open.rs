//! Opening: from the extended attribute to an object.

use nt::io::Create;
use nt::{Arc, Result, Status};
use xdp_abi::open::{OPEN_PACKET_NAME, ObjectType, OpenPacket};
use zerocopy::FromBytes;

use super::devices::COMMON;

/// What is behind a handle. A handle that was opened without an open packet has nothing behind it.
///
/// There is no type of object yet: every open of one is refused.
pub(crate) enum Object {}

/// Serves an open. The checks come in the order that existing programs know.
pub(crate) fn open(request: &Create<'_>) -> Result<Option<Arc<Object>>> {
    if request.is_32bit_process() {
        return Err(Status::NOT_SUPPORTED);
    }
    if request.ea_buffer().is_none() {
        return Ok(None);
    }
    let ea = request.first_ea().ok_or(Status::INVALID_PARAMETER)?;
    if ea.next_entry_offset != 0 || ea.name != OPEN_PACKET_NAME.as_bytes() {
        return Err(Status::INVALID_PARAMETER);
    }
    // The packet lies at an odd address; reading it copies it.
    let (packet, _parameters) =
        OpenPacket::read_from_prefix(ea.value).map_err(|_| Status::INVALID_PARAMETER)?;
    let known = matches!(
        packet.object_type,
        ObjectType::PROGRAM | ObjectType::XSK | ObjectType::INTERFACE | ObjectType::MAP
    );
    let kind = request.device_kind();
    if !known || (kind != COMMON && kind != packet.object_type.0) {
        return Err(Status::INVALID_PARAMETER);
    }
    Err(Status::NOT_SUPPORTED)
}
