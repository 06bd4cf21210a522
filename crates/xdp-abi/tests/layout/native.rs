//! Structures and enumerations of the NIC driver interface.

use crate::application::{NARROW, frame_extensions, shared_enums};
use crate::facts::{Declared, compare_enums, compare_structs, declared, enumeration, native};
use core::mem::offset_of;
use std::collections::BTreeMap;
use xdp_abi::hook::HookId;
use xdp_abi::native::descriptor::*;
use xdp_abi::native::interface::*;
use xdp_abi::native::ndis_poll::*;
use xdp_abi::native::npi::*;
use xdp_abi::native::queue::*;
use xdp_abi::object::{Guid, ObjectHeader, Version};

fn objects() -> [(&'static str, Declared); 17] {
    [
        (
            "GUID",
            declared!(Guid {
                data1,
                data2,
                data3,
                data4
            }),
        ),
        (
            "LUID",
            declared!(Luid {
                low_part,
                high_part
            }),
        ),
        (
            "XDP_OBJECT_HEADER",
            declared!(ObjectHeader { revision, size }),
        ),
        (
            "XDP_VERSION",
            declared!(Version {
                major,
                minor,
                patch
            }),
        ),
        (
            "XDP_HOOK_ID",
            declared!(HookId {
                layer,
                direction,
                sub_layer
            }),
        ),
        (
            "NPI_MODULEID",
            declared!(ModuleId { length, id_type as "Type", guid }).also(
                "IfLuid",
                offset_of!(ModuleId, guid),
                size_of::<Luid>(),
            ),
        ),
        (
            "NPI_REGISTRATION_INSTANCE",
            declared!(RegistrationInstance {
                version,
                size,
                npi_id,
                module_id,
                number,
                npi_specific_characteristics
            }),
        ),
        (
            "NPI_CLIENT_CHARACTERISTICS",
            declared!(ClientCharacteristics {
                version,
                length,
                client_attach_provider,
                client_detach_provider,
                client_cleanup_binding_context,
                client_registration_instance
            }),
        ),
        (
            "NPI_PROVIDER_CHARACTERISTICS",
            declared!(ProviderCharacteristics {
                version,
                length,
                provider_attach_client,
                provider_detach_client,
                provider_cleanup_binding_context,
                provider_registration_instance
            }),
        ),
        (
            "NDIS_OBJECT_HEADER",
            declared!(NdisObjectHeader { object_type as "Type", revision, size }),
        ),
        (
            "NDIS_POLL_NOTIFICATION",
            declared!(NdisPollNotification { header, enabled }),
        ),
        (
            "NDIS_POLL_CHARACTERISTICS",
            declared!(NdisPollCharacteristics {
                header,
                set_poll_notification_handler,
                poll_handler
            }),
        ),
        (
            "NDIS_POLL_DATA",
            declared!(NdisPollData {
                header,
                transmit,
                receive
            }),
        ),
        (
            "NDIS_POLL_TRANSMIT_DATA",
            declared!(NdisPollTransmitData {
                max_nbls_to_complete,
                reserved1,
                completed_nbl_chain,
                number_of_completed_nbls,
                number_of_remaining_nbls,
                send_complete_flags,
                reserved2,
                reserved3
            }),
        ),
        (
            "NDIS_POLL_RECEIVE_DATA",
            declared!(NdisPollReceiveData {
                max_nbls_to_indicate,
                reserved1,
                indicated_nbl_chain,
                number_of_indicated_nbls,
                number_of_remaining_nbls,
                flags,
                reserved2,
                reserved3
            }),
        ),
        (
            "XDP_NPI_CLIENT",
            declared!(NpiClient {
                header,
                get_interface_context,
                get_interface_dispatch
            }),
        ),
        (
            "XDP_DMA_CAPABILITIES",
            declared!(DmaCapabilities {
                size,
                physical_device_object
            }),
        ),
    ]
}

fn descriptors() -> [(&'static str, Declared); 10] {
    [
        (
            "XDP_RING",
            declared!(Ring {
                producer_index,
                consumer_index,
                interface_reserved,
                reserved,
                mask,
                element_stride
            }),
        ),
        (
            "XDP_BUFFER",
            declared!(Buffer {
                data_offset,
                data_length,
                buffer_length,
                reserved
            }),
        ),
        ("XDP_FRAME", declared!(Frame { buffer })),
        (
            "XDP_BUFFER_VIRTUAL_ADDRESS",
            declared!(BufferVirtualAddress { virtual_address }),
        ),
        (
            "XDP_BUFFER_LOGICAL_ADDRESS",
            declared!(BufferLogicalAddress { logical_address }),
        ),
        ("XDP_BUFFER_MDL", declared!(BufferMdl { mdl, mdl_offset })),
        (
            "XDP_FRAME_FRAGMENT",
            declared!(FrameFragment {
                fragment_buffer_count
            }),
        ),
        (
            "XDP_FRAME_RX_ACTION",
            declared!(FrameRxAction { rx_action }),
        ),
        (
            "XDP_TX_FRAME_COMPLETION",
            declared!(TxFrameCompletion { buffer_address }),
        ),
        (
            "XDP_TX_FRAME_COMPLETION_CONTEXT",
            declared!(TxFrameCompletionContext { context }),
        ),
    ]
}

fn interfaces() -> [(&'static str, Declared); 9] {
    [
        (
            "XDP_CAPABILITIES_EX",
            declared!(CapabilitiesEx {
                header,
                driver_api_versions_offset,
                driver_api_version_count,
                ddk_driver_api_version,
                instance_id,
                rx_checksum_supported,
                rx_timestamp_supported,
                tx_timestamp_supported,
                padding
            }),
        ),
        (
            "XDP_CAPABILITIES",
            declared!(Capabilities {
                capabilities_ex,
                driver_api_version
            }),
        ),
        (
            "XDP_INTERFACE_CONFIG_DETAILS",
            declared!(InterfaceConfigDetails { dispatch }),
        ),
        (
            "XDP_INTERFACE_CONFIG_DISPATCH",
            declared!(InterfaceConfigDispatch {
                header,
                get_driver_api_version
            }),
        ),
        (
            "XDP_INTERFACE_DISPATCH",
            declared!(InterfaceDispatch {
                header,
                open_interface,
                close_interface,
                create_rx_queue,
                activate_rx_queue,
                delete_rx_queue,
                create_tx_queue,
                activate_tx_queue,
                delete_tx_queue
            }),
        ),
        (
            "XDP_INTERFACE_RX_QUEUE_DISPATCH",
            declared!(InterfaceRxQueueDispatch {
                interface_notify_queue
            }),
        ),
        (
            "XDP_INTERFACE_TX_QUEUE_DISPATCH",
            declared!(InterfaceTxQueueDispatch {
                interface_notify_queue
            }),
        ),
        (
            "XDP_RX_QUEUE_DISPATCH",
            declared!(RxQueueDispatch {
                receive,
                flush_receive
            }),
        ),
        (
            "XDP_TX_QUEUE_DISPATCH",
            declared!(TxQueueDispatch { flush_transmit }),
        ),
    ]
}

fn queues() -> [(&'static str, Declared); 19] {
    let contexts = || {
        declared!(DescriptorContexts {
            header,
            frame_context_size,
            frame_context_alignment,
            buffer_context_size,
            buffer_context_alignment
        })
    };
    [
        ("XDP_EXTENSION", declared!(ExtensionOffset { reserved })),
        (
            "XDP_EXTENSION_INFO",
            declared!(ExtensionInfo {
                header,
                extension_name,
                extension_version,
                extension_type
            }),
        ),
        ("XDP_POLL_DATA", declared!(PollData { transmit, receive })),
        (
            "XDP_POLL_TRANSMIT_DATA",
            declared!(PollTransmitData {
                frames_completed,
                frames_transmitted
            }),
        ),
        (
            "XDP_POLL_RECEIVE_DATA",
            declared!(PollReceiveData { frames_absorbed }),
        ),
        (
            "XDP_POLL_INFO",
            declared!(PollInfo {
                header,
                poll_handle,
                shared
            }),
        ),
        (
            "XDP_QUEUE_INFO",
            declared!(QueueInfo {
                header,
                queue_type,
                queue_id
            }),
        ),
        (
            "XDP_RX_CAPABILITIES",
            declared!(RxCapabilities {
                header,
                virtual_address_supported,
                receive_frame_count_hint,
                maximum_fragments,
                tx_action_supported
            }),
        ),
        (
            "XDP_TX_CAPABILITIES",
            declared!(TxCapabilities {
                header,
                virtual_address_enabled,
                mdl_enabled,
                dma_capabilities,
                transmit_frame_count_hint,
                maximum_buffer_size,
                maximum_frame_size,
                maximum_fragments,
                out_of_order_completion_enabled,
                checksum_offload
            }),
        ),
        ("XDP_RX_DESCRIPTOR_CONTEXTS", contexts()),
        ("XDP_TX_DESCRIPTOR_CONTEXTS", contexts()),
        (
            "XDP_RX_QUEUE_CONFIG_CREATE_DETAILS",
            declared!(RxQueueConfigCreateDetails { dispatch }),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_ACTIVATE_DETAILS",
            declared!(RxQueueConfigActivateDetails { dispatch }),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_CREATE_DETAILS",
            declared!(TxQueueConfigCreateDetails { dispatch }),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_ACTIVATE_DETAILS",
            declared!(TxQueueConfigActivateDetails { dispatch }),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_CREATE_DISPATCH",
            declared!(RxQueueConfigCreateDispatch {
                header,
                reserved,
                get_target_queue_info,
                register_extension_version,
                set_rx_queue_capabilities,
                set_rx_descriptor_contexts,
                set_poll_info
            }),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_CREATE_DISPATCH",
            declared!(TxQueueConfigCreateDispatch {
                header,
                reserved,
                get_target_queue_info,
                register_extension_version,
                set_tx_queue_capabilities,
                set_tx_descriptor_contexts,
                set_poll_info
            }),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH",
            declared!(RxQueueConfigActivateDispatch {
                header,
                reserved,
                get_frame_ring,
                get_fragment_ring,
                get_extension,
                is_virtual_address_enabled,
                is_checksum_offload_enabled
            }),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH",
            declared!(TxQueueConfigActivateDispatch {
                header,
                reserved,
                get_frame_ring,
                get_fragment_ring,
                get_completion_ring,
                get_extension,
                is_tx_completion_context_enabled,
                is_fragmentation_enabled,
                is_out_of_order_completion_enabled,
                is_checksum_offload_enabled
            }),
        ),
    ]
}

#[test]
fn structures_are_laid_out_as_published() {
    let mut declared = BTreeMap::new();
    declared.extend(frame_extensions());
    declared.extend(objects());
    declared.extend(descriptors());
    declared.extend(interfaces());
    declared.extend(queues());
    compare_structs(&native(), declared);
}

#[test]
fn enumerations_have_the_published_values() {
    let mut declared = BTreeMap::from([
        ("NPI_MODULEID_TYPE", enumeration!(ModuleIdType)),
        ("XDP_EXTENSION_TYPE", enumeration!(ExtensionType)),
        ("XDP_NOTIFY_QUEUE_FLAGS", enumeration!(NotifyQueueFlags)),
        ("XDP_QUEUE_TYPE", enumeration!(QueueType)),
        ("XDP_RX_ACTION", enumeration!(RxAction)),
    ]);
    declared.extend(shared_enums());
    compare_enums(&native(), declared, NARROW);
}
