//! Opening: from the extended attribute to an object.

use nt::handle::FileObject;
use nt::io::{Completion, Control, Create, Driver as _, FastControl};
use nt::{Arc, Passive, Result, Status};
use xdp_abi::open::{OPEN_PACKET_NAME, ObjectType, OpenPacket};
use zerocopy::FromBytes;

use super::devices::COMMON;
use super::interface::InterfaceHandle;
use crate::driver::{Services, Xdp};
use crate::map::Map;
use crate::program::Program;
use crate::socket::Socket;

/// What is behind a handle. A handle that was opened without an open packet has nothing behind it.
pub(crate) enum Object {
    /// Rules on queues.
    Program(Arc<Program>),
    /// A socket.
    Socket(Arc<Socket>),
    /// An interface, for its offloads.
    Interface(InterfaceHandle),
    /// A map of sockets.
    Map(Arc<Map>),
}

impl Object {
    /// The object behind a file.
    pub(crate) fn behind(file: &FileObject) -> Option<Arc<Self>> {
        Xdp::slot().file(file)
    }

    /// The socket, if it is one.
    pub(crate) fn socket(&self) -> Option<Arc<Socket>> {
        match self {
            Self::Socket(socket) => Some(socket.clone()),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub(crate) fn map(&self) -> Option<Arc<Map>> {
        match self {
            Self::Map(map) => Some(map.clone()),
            _ => None,
        }
    }

    /// Serves a request.
    pub(crate) fn control(&self, request: Control, passive: Passive<'_>) -> Completion {
        match self {
            Self::Program(_) => request.complete(Status::NOT_SUPPORTED, 0),
            Self::Socket(socket) => Socket::control(socket, request, passive),
            Self::Interface(interface) => interface.control(request, passive),
            Self::Map(map) => map.control(request, passive),
        }
    }

    /// Serves a request that came without a packet; `None` has the packet made.
    pub(crate) fn fast_control(
        &self,
        request: &FastControl<'_>,
        passive: Passive<'_>,
    ) -> Option<(Status, usize)> {
        match self {
            Self::Socket(socket) => socket.fast_control(request, passive),
            _ => None,
        }
    }

    /// The last handle is closed; requests may still be pending.
    pub(crate) fn cleanup(&self) {
        if let Self::Socket(socket) = self {
            socket.cleanup();
        }
    }

    /// The last request is done.
    pub(crate) fn close(&self, passive: Passive<'_>) {
        match self {
            Self::Program(program) => program.close(passive),
            Self::Socket(socket) => socket.close(passive),
            Self::Interface(interface) => interface.close(passive),
            // What a map holds stays as long as a program refers to it.
            Self::Map(_) => {}
        }
    }
}

/// Serves an open. The checks come in the order that existing programs know.
pub(crate) fn open(
    services: &Arc<Services>,
    request: &Create<'_>,
    passive: Passive<'_>,
) -> Result<Option<Arc<Object>>> {
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
    let (packet, parameters) =
        OpenPacket::read_from_prefix(ea.value).map_err(|_| Status::INVALID_PARAMETER)?;
    let known = matches!(
        packet.object_type,
        ObjectType::PROGRAM | ObjectType::XSK | ObjectType::INTERFACE | ObjectType::MAP
    );
    let kind = request.device_kind();
    if !known || (kind != COMMON && kind != packet.object_type.0) {
        return Err(Status::INVALID_PARAMETER);
    }
    // What is opened could not be closed again for want of a block for the handle: that comes first.
    let no_memory = match packet.object_type {
        ObjectType::MAP => Status::NO_MEMORY,
        _ => Status::INSUFFICIENT_RESOURCES,
    };
    let room = Arc::room(crate::TAG).map_err(|_| no_memory)?;
    let slot = services.objects.reserve(passive).map_err(|_| no_memory)?;
    let made = make(services, request, &packet, parameters, passive);
    let object = made.map(|object| room.write(object));
    services.objects.fill(slot, object.as_ref().ok(), passive);
    object.map(Some)
}

fn make(
    services: &Arc<Services>,
    request: &Create<'_>,
    packet: &OpenPacket,
    parameters: &[u8],
    passive: Passive<'_>,
) -> Result<Object> {
    Ok(match packet.object_type {
        ObjectType::PROGRAM => {
            Object::Program(Program::open(services, request, parameters, passive)?)
        }
        ObjectType::XSK => {
            let mode = request.requestor().mode();
            Object::Socket(Socket::open(services.clone(), mode, packet.api_version)?)
        }
        ObjectType::INTERFACE => Object::Interface(InterfaceHandle::open(
            services, request, parameters, passive,
        )?),
        _ => Object::Map(Map::open(request, parameters, passive)?),
    })
}
