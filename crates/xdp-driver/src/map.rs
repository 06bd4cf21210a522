//! Maps: sockets by queue.

use nt::io::{Completion, Control, Create};
use nt::memory::Requestor;
use nt::sync::{Published, PushLock};
use nt::{Arc, Box, Dispatch, Passive, Result, Status, Vec};
use xdp_abi::map::{MapDeleteParams, MapInsertParams, MapOpen, MapType};
use xdp_abi::{ClientPtr, Handle, inventory, ioctl};
use zerocopy::{FromBytes, IntoBytes};

use crate::control::{FILE_CREATE, read_user};
use crate::program::socket_of;
use crate::socket::Socket;

/// Slots of a map.
const SLOTS: usize = 128;

/// A map of sockets by queue number. Rules that refer to it keep it and what is in it, whatever becomes of its handle.
pub(crate) struct Map {
    slots: Vec<Published<Arc<Socket>>>,
    /// One change at a time: each waits until nobody reads what it replaced.
    changes: PushLock<()>,
}

impl Map {
    /// Serves the open of a map.
    pub(crate) fn open(
        request: &Create<'_>,
        parameters: &[u8],
        _passive: Passive<'_>,
    ) -> Result<Arc<Self>> {
        let (open, _) =
            MapOpen::read_from_prefix(parameters).map_err(|_| Status::INVALID_PARAMETER)?;
        if request.disposition() != FILE_CREATE || open.map_type != MapType::XSKMAP {
            return Err(Status::INVALID_PARAMETER);
        }
        Self::new().map_err(|_| Status::NO_MEMORY)
    }

    fn new() -> Result<Arc<Self>> {
        let mut slots = Vec::with_capacity(crate::TAG, SLOTS)?;
        for _ in 0..SLOTS {
            slots.push(Published::empty())?;
        }
        let changes = PushLock::new(());
        Arc::new(crate::TAG, Self { slots, changes })
    }

    /// The socket of a queue.
    #[inline]
    pub(crate) fn get<'a>(&'a self, queue: u32, dispatch: Dispatch<'a>) -> Option<&'a Arc<Socket>> {
        self.slots.get(queue as usize)?.read(dispatch)
    }

    /// Describes the map.
    pub(crate) fn describe(&self, id: u64, process: u64) -> inventory::Map {
        let is_used = |slot: &&Published<Arc<Socket>>| {
            let raised = nt::irql::Raised::to_dispatch();
            slot.read(raised.token()).is_some()
        };
        inventory::Map {
            header: inventory::Map::HEADER,
            id,
            process,
            slots: SLOTS as u32,
            used: self.slots.iter().filter(is_used).count() as u32,
        }
    }

    /// Serves a request.
    pub(crate) fn control(&self, request: Control, passive: Passive<'_>) -> Completion {
        let result = match request.code() {
            ioctl::map::INSERT => self.insert(&request, passive),
            ioctl::map::DELETE => self.delete(&request, passive),
            _ => Err(Status::NOT_SUPPORTED),
        };
        request.complete(Status::of(&result), 0)
    }

    fn insert(&self, request: &Control, passive: Passive<'_>) -> Result<()> {
        let (params, _) = MapInsertParams::read_from_prefix(request.input())
            .map_err(|_| Status::INVALID_PARAMETER)?;
        let requestor = request.requestor();
        let slot = self.slot(params.key, requestor)?;
        let mut handle = Handle(0);
        let value = requestor.slice(params.value.0, size_of::<Handle>());
        read_user(&value, align_of::<Handle>(), handle.as_mut_bytes())?;
        let socket = socket_of(handle, requestor.mode(), passive)?;
        let entry = Box::new(crate::TAG, socket)?;
        let _turn = self.changes.write(passive);
        drop(slot.replace(Some(entry), passive));
        Ok(())
    }

    fn delete(&self, request: &Control, passive: Passive<'_>) -> Result<()> {
        let (params, _) = MapDeleteParams::read_from_prefix(request.input())
            .map_err(|_| Status::INVALID_PARAMETER)?;
        let slot = self.slot(params.key, request.requestor())?;
        let _turn = self.changes.write(passive);
        drop(slot.replace(None, passive));
        Ok(())
    }

    fn slot(&self, key: ClientPtr, requestor: Requestor) -> Result<&Published<Arc<Socket>>> {
        let mut number = 0_u32;
        let key = requestor.slice(key.0, size_of::<u32>());
        read_user(&key, align_of::<u32>(), number.as_mut_bytes())?;
        self.slots
            .get(number as usize)
            .ok_or(Status::INVALID_PARAMETER)
    }
}
