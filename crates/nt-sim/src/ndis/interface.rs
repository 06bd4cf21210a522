//! Interfaces by index and by LUID.

use std::{collections::BTreeSet, ffi::c_void};

use nt::sys::{
    NDIS_STATUS_INTERFACE_NOT_FOUND as NOT_FOUND, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::{
    layer::{Layer, Part},
    lifecycle::{interface_index, interface_luid},
    memory,
    raw::store,
};
use crate::{exports, kernel::kernel, sync::Mutex, verifier::Rule};

/// Values of `IF_TYPE_...` start at 1.
const OTHER: u16 = 1;
/// First LUID index that NDIS gives to interface providers; adapters have lower ones.
const FIRST_INDEX: u32 = 0x10_0000;
/// LUID indices have 24 bits.
const INDICES: u32 = 1 << 24;

/// LUID indices that drivers have allocated, with the interface type.
#[derive(Default)]
pub(crate) struct LuidIndices {
    taken: Mutex<BTreeSet<(u16, u32)>>,
}

/// Every adapter's and filter module's interface: index and LUID.
fn interfaces() -> Vec<(u32, u64)> {
    let mut all = Vec::new();
    for adapter in kernel().ndis.adapters() {
        all.push((adapter.if_index, adapter.luid));
        let filters = adapter.filters.read();
        all.extend(
            filters
                .iter()
                .map(|f| (interface_index(f), interface_luid(f))),
        );
    }
    all
}

fn write<T: Copy>(to: *mut T, value: T) {
    if !to.is_null() {
        store(to, value);
    }
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Index of the interface with this LUID.
    #[irql(PASSIVE)]
    fn NdisIfGetInterfaceIndexFromNetLuid(luid: u64, index: *mut u32) -> i32 {
        match interfaces().into_iter().find(|(_, l)| *l == luid) {
            Some((found, _)) => {
                store(index, found);
                NDIS_STATUS_SUCCESS
            }
            None => NOT_FOUND,
        }
    }

    /// LUID of the interface with this index.
    #[irql(PASSIVE)]
    fn NdisIfGetNetLuidFromInterfaceIndex(index: u32, luid: *mut u64) -> i32 {
        match interfaces().into_iter().find(|(i, _)| *i == index) {
            Some((_, found)) => {
                store(luid, found);
                NDIS_STATUS_SUCCESS
            }
            None => NOT_FOUND,
        }
    }

    /// The interfaces at the top and at the bottom of the stack that a protocol is bound to.
    #[irql(PASSIVE)]
    fn NdisIfQueryBindingIfIndex(handle: *mut c_void, highest: *mut u32, highest_luid: *mut u64, lowest: *mut u32, lowest_luid: *mut u64) -> i32 {
        let layer: &'static Layer = kernel().ndis.layers.get(handle, "NdisIfQueryBindingIfIndex");
        if !matches!(layer.part, Part::Binding(_)) {
            crate::bugcheck!(Rule::NdisBadHandle, handle; "NdisIfQueryBindingIfIndex needs a binding handle");
        }
        let adapter = layer.adapter;
        let top = adapter.filters.read().last().copied().unwrap_or(adapter.miniport());
        write(highest, interface_index(top));
        write(highest_luid, interface_luid(top));
        write(lowest, adapter.if_index);
        write(lowest_luid, adapter.luid);
        NDIS_STATUS_SUCCESS
    }

    /// Takes a LUID index for an interface of this type.
    #[irql(PASSIVE)]
    fn NdisIfAllocateNetLuidIndex(if_type: u16, index: *mut u32) -> i32 {
        if if_type < OTHER {
            return NDIS_STATUS_INVALID_PARAMETER;
        }
        if memory::must_fail("NdisIfAllocateNetLuidIndex") {
            return NDIS_STATUS_RESOURCES;
        }
        let mut taken = kernel().ndis.luid_indices.taken.lock();
        let Some(free) = (FIRST_INDEX..INDICES).find(|i| !taken.contains(&(if_type, *i))) else {
            return NDIS_STATUS_RESOURCES;
        };
        taken.insert((if_type, free));
        store(index, free);
        NDIS_STATUS_SUCCESS
    }

    /// Gives a LUID index back.
    #[irql(PASSIVE)]
    fn NdisIfFreeNetLuidIndex(if_type: u16, index: u32) -> i32 {
        let freed = kernel().ndis.luid_indices.taken.lock().remove(&(if_type, index));
        if freed { NDIS_STATUS_SUCCESS } else { NDIS_STATUS_INVALID_PARAMETER }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::{FaultPlan, Lab, invoke, ndis::tests::driver::new_filter};

    #[test]
    fn interfaces_are_found_by_index_and_by_luid() {
        let lab = Lab::boot().unwrap();
        let filter = new_filter();
        filter.register(&lab, "filter").unwrap();
        let nic = lab.nic("eth0").create().unwrap();
        assert_eq!(filter.if_index.load(Ordering::SeqCst), nic.if_index());
        lab.enter(|| {
            let luid = |index: u32| {
                let mut luid = 0_u64;
                let status =
                    invoke!(NdisIfGetNetLuidFromInterfaceIndex, index, &raw mut luid) as i32;
                (status == 0).then_some(luid).ok_or(status)
            };
            let adapter = luid(nic.if_index()).unwrap();
            assert_eq!(adapter >> 48, 6, "an Ethernet interface");
            let mut index = 0_u32;
            invoke!(NdisIfGetInterfaceIndexFromNetLuid, adapter, &raw mut index);
            assert_eq!(index, nic.if_index());
            assert_eq!(luid(77_777), Err(NOT_FOUND));
            let missing = invoke!(NdisIfGetInterfaceIndexFromNetLuid, 1, &raw mut index) as i32;
            assert_eq!(missing, NOT_FOUND);
            let binding = crate::ndis::nic("eth0").unwrap().binding().handle();
            let (mut top, mut bottom) = (0_u32, 0_u32);
            let status = invoke!(
                NdisIfQueryBindingIfIndex,
                binding,
                &raw mut top,
                0,
                &raw mut bottom,
                0
            );
            assert_eq!((status, bottom), (0, nic.if_index()));
            assert_ne!(top, bottom, "the filter has an interface of its own");
            assert!(luid(top).is_ok());
        })
        .unwrap();
    }

    #[test]
    fn luid_indices_are_given_once() {
        let lab = Lab::boot().unwrap();
        lab.enter(|| {
            let allocate = |if_type: u32| {
                let mut index = 0_u32;
                let status = invoke!(NdisIfAllocateNetLuidIndex, if_type, &raw mut index) as i32;
                (status == 0).then_some(index).ok_or(status)
            };
            let free =
                |if_type: u32, index: u32| invoke!(NdisIfFreeNetLuidIndex, if_type, index) as i32;
            let (first, second) = (allocate(6).unwrap(), allocate(6).unwrap());
            assert_ne!(first, second);
            assert_eq!(allocate(131), Ok(first), "of another type");
            assert_eq!(allocate(0), Err(NDIS_STATUS_INVALID_PARAMETER));
            assert_eq!(
                (free(6, first), free(6, first)),
                (0, NDIS_STATUS_INVALID_PARAMETER)
            );
            lab.inject_failures(FaultPlan::Nth(1));
            assert_eq!(allocate(6), Err(NDIS_STATUS_RESOURCES));
            assert_eq!(allocate(6), Ok(first));
        })
        .unwrap();
    }
}
