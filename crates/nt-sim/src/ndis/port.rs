//! Ports of an adapter beside the default one.

use std::ffi::c_void;

use nt::sys::{
    NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS, NDIS_PORT, NDIS_PORT_CHARACTERISTICS,
    NDIS_STATUS_INVALID_PORT, NDIS_STATUS_INVALID_PORT_STATE, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NET_PNP_EVENT_NOTIFICATION, NetEventPortActivation,
    NetEventPortDeactivation,
};

use super::{
    layer::Layer,
    memory,
    miniport::miniport,
    raw::{bytes, get, load, put},
};
use crate::{exports, kernel::strict, verifier::Rule};

/// Highest port number.
const LAST: u32 = 0xffff;

/// Activates or deactivates what `number` names; says why that cannot be.
fn switch(layer: &Layer, number: u32, on: bool) -> Result<(), &'static str> {
    let mut ports = layer.adapter.ports.lock();
    let active = ports.get_mut(&number).ok_or("it has not been allocated")?;
    if *active == on {
        return Err(if on {
            "it is active already"
        } else {
            "it is not active"
        });
    }
    *active = on;
    Ok(())
}

fn switch_or_stop(layer: &Layer, number: u32, on: bool) {
    // The default port is switched by NDIS, unless the miniport said that it does so itself.
    if number == 0 {
        return;
    }
    let result = switch(layer, number, on);
    if let Err(why) = result
        && strict()
    {
        let what = if on { "activates" } else { "deactivates" };
        crate::bugcheck!(Rule::NdisPort, layer.handle(), number;
            "{} {what} port {number}: {why}", layer.name());
    }
}

/// Takes note of ports that a miniport's network event switches on or off.
pub(crate) fn note_event(layer: &Layer, event: *const NET_PNP_EVENT_NOTIFICATION) {
    let code = get!(event => NetPnPEvent.NetEvent);
    let buffer = get!(event => NetPnPEvent.Buffer);
    if code == NetEventPortActivation {
        let mut port: *const NDIS_PORT = buffer.cast();
        while !port.is_null() {
            switch_or_stop(layer, get!(port => PortCharacteristics.PortNumber), true);
            port = get!(port => Next);
        }
    } else if code == NetEventPortDeactivation {
        let len = get!(event => NetPnPEvent.BufferLength) as usize;
        let numbers = bytes(buffer.cast(), len).as_chunks::<4>().0;
        for number in numbers {
            switch_or_stop(layer, u32::from_le_bytes(*number), false);
        }
    }
}

/// Stops the kernel when a miniport indicates receives on a port that is not active.
pub(crate) fn check_active(layer: &Layer, number: u32, function: &str) {
    if number == 0 {
        return;
    }
    let active = layer.adapter.ports.lock().get(&number).copied();
    if active != Some(true) {
        crate::bugcheck!(Rule::NdisPort, layer.handle(), number;
            "{function} by {} on port {number}, which is not active", layer.name());
    }
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes a port, which is inactive.
    #[irql(DISPATCH)]
    fn NdisMAllocatePort(handle: *mut c_void, characteristics: *mut NDIS_PORT_CHARACTERISTICS) -> i32 {
        let layer = miniport(handle, "NdisMAllocatePort");
        super::check_header(
            load(characteristics.cast()), NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS, 1, 0x3c, "NDIS_PORT_CHARACTERISTICS");
        if memory::must_fail("NdisMAllocatePort") {
            return NDIS_STATUS_RESOURCES;
        }
        let mut ports = layer.adapter.ports.lock();
        let Some(number) = (1..=LAST).find(|n| !ports.contains_key(n)) else {
            return NDIS_STATUS_RESOURCES;
        };
        ports.insert(number, false);
        put!(characteristics => [PortNumber] number);
        NDIS_STATUS_SUCCESS
    }

    /// Frees an inactive port.
    #[irql(DISPATCH)]
    fn NdisMFreePort(handle: *mut c_void, number: u32) -> i32 {
        let layer = miniport(handle, "NdisMFreePort");
        let mut ports = layer.adapter.ports.lock();
        match ports.get(&number) {
            None => NDIS_STATUS_INVALID_PORT,
            Some(true) => NDIS_STATUS_INVALID_PORT_STATE,
            Some(false) => {
                ports.remove(&number);
                NDIS_STATUS_SUCCESS
            }
        }
    }
}

/// Stops the kernel when an adapter that goes away has ports left.
pub(crate) fn check_none(layer: &Layer) {
    let ports = layer.adapter.ports.lock().len();
    if strict() && ports > 0 {
        crate::bugcheck!(Rule::NdisObjectLeaked, layer.handle(), ports;
            "{} is gone and left behind: {ports} ports", layer.name());
    }
}
