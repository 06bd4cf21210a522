//! Constants, names and GUIDs.

use crate::facts::{application, native};
use serde_json::Value;
use std::collections::BTreeMap;
use xdp_abi::extension::{self, Extension};
use xdp_abi::native::{interface, npi, queue};
use xdp_abi::status::XdpStatus;
use xdp_abi::{Guid, api, ioctl, offload, open, program, quic, rule, sockopt, xsk};

/// Compares a table of `name: value` with what is declared, both ways.
fn compare<T: PartialEq + std::fmt::Debug>(
    facts: &Value,
    declared: BTreeMap<&str, T>,
    read: impl Fn(&Value) -> T,
) {
    let facts = facts.as_object().expect("a table");
    for (name, fact) in facts {
        assert_eq!(declared.get(name.as_str()), Some(&read(fact)), "{name}");
    }
    for name in declared.keys() {
        assert!(facts.contains_key(*name), "{name} is not in the table");
    }
}

fn number(fact: &Value) -> u64 {
    match fact {
        Value::String(hex) => {
            u64::from_str_radix(hex.trim_start_matches("0x"), 16).expect("a hexadecimal number")
        }
        fact => fact.as_u64().expect("a number"),
    }
}

fn text(fact: &Value) -> String {
    fact.as_str().expect("a text").to_owned()
}

fn ioctls() -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        (
            "IOCTL_INTERFACE_OFFLOAD_QEO_SET",
            ioctl::interface::QEO_SET.into(),
        ),
        (
            "IOCTL_INTERFACE_OFFLOAD_RSS_GET",
            ioctl::interface::RSS_GET.into(),
        ),
        (
            "IOCTL_INTERFACE_OFFLOAD_RSS_GET_CAPABILITIES",
            ioctl::interface::RSS_GET_CAPABILITIES.into(),
        ),
        (
            "IOCTL_INTERFACE_OFFLOAD_RSS_SET",
            ioctl::interface::RSS_SET.into(),
        ),
        ("IOCTL_MAP_DELETE", ioctl::map::DELETE.into()),
        ("IOCTL_MAP_INSERT", ioctl::map::INSERT.into()),
        ("IOCTL_XSK_ACTIVATE", ioctl::xsk::ACTIVATE.into()),
        ("IOCTL_XSK_BIND", ioctl::xsk::BIND.into()),
        ("IOCTL_XSK_GET_SOCKOPT", ioctl::xsk::GET_SOCKOPT.into()),
        ("IOCTL_XSK_NOTIFY", ioctl::xsk::NOTIFY.into()),
        ("IOCTL_XSK_NOTIFY_ASYNC", ioctl::xsk::NOTIFY_ASYNC.into()),
        ("IOCTL_XSK_SET_SOCKOPT", ioctl::xsk::SET_SOCKOPT.into()),
    ])
}

fn sockopts() -> BTreeMap<&'static str, u64> {
    sockopt::Sockopt::NAMED
        .iter()
        .map(|(option, name)| (*name, u64::from(option.0)))
        .collect()
}

#[test]
fn ioctl_codes_and_options_have_the_published_numbers() {
    compare(&application()["ioctls"], ioctls(), number);
    compare(&application()["sockopts"], sockopts(), number);
}

#[test]
fn constants_of_the_application_interface_have_the_published_values() {
    let mut declared = BTreeMap::from([
        ("XDP_API_VERSION_1", api::API_VERSION_1.into()),
        ("XDP_API_VERSION_2", api::API_VERSION_2.into()),
        ("XDP_API_VERSION_3", api::API_VERSION_3.into()),
        ("XDP_API_VERSION_LATEST", api::API_VERSION_LATEST.into()),
        (
            "XDP_CHECKSUM_CONFIGURATION_REVISION_1",
            offload::CHECKSUM_CONFIGURATION_REVISION_1.into(),
        ),
        ("XDP_INFINITE", xsk::INFINITE.into()),
        ("XDP_OPEN_EA_LENGTH", open::ea_length(0) as u64),
        (
            "XDP_PORT_SET_BUFFER_SIZE",
            rule::PORT_SET_BUFFER_SIZE as u64,
        ),
        (
            "XDP_QUIC_CONNECTION_REVISION_1",
            quic::QUIC_CONNECTION_REVISION_1.into(),
        ),
        ("XDP_QUIC_MAX_CID_LENGTH", rule::QUIC_MAX_CID_LENGTH as u64),
        (
            "XDP_RSS_CAPABILITIES_REVISION_1",
            offload::RSS_CAPABILITIES_REVISION_1.into(),
        ),
        (
            "XDP_RSS_CAPABILITIES_REVISION_2",
            offload::RSS_CAPABILITIES_REVISION_2.into(),
        ),
        (
            "XDP_RSS_CONFIGURATION_REVISION_1",
            offload::RSS_CONFIGURATION_REVISION_1.into(),
        ),
        ("XDP_RSS_VALID_FLAGS", offload::RSS_VALID_FLAGS.0.into()),
        (
            "XDP_RSS_VALID_HASH_TYPES",
            offload::RSS_VALID_HASH_TYPES.0.into(),
        ),
        (
            "XDP_SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1",
            offload::SIZEOF_CHECKSUM_CONFIGURATION_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_QUIC_CONNECTION_REVISION_1",
            quic::SIZEOF_QUIC_CONNECTION_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RSS_CAPABILITIES_REVISION_1",
            offload::SIZEOF_RSS_CAPABILITIES_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RSS_CAPABILITIES_REVISION_2",
            offload::SIZEOF_RSS_CAPABILITIES_REVISION_2 as u64,
        ),
        (
            "XDP_SIZEOF_RSS_CONFIGURATION_REVISION_1",
            offload::SIZEOF_RSS_CONFIGURATION_REVISION_1 as u64,
        ),
        (
            "XSK_FRAME_EXTENSION_ORIGINAL_LENGTH_VERSION_1",
            extension::FRAME_ORIGINAL_LENGTH.version.into(),
        ),
    ]);
    declared.extend(ioctls());
    declared.extend(sockopts());
    declared.extend(
        offload::RssFlags::NAMED
            .iter()
            .map(|(flag, name)| (*name, u64::from(flag.0))),
    );
    declared.extend(
        offload::RssHashTypes::NAMED
            .iter()
            .map(|(flag, name)| (*name, u64::from(flag.0))),
    );
    compare(&application()["constants"], declared, number);
}

#[test]
fn constants_of_the_driver_interface_have_the_published_values() {
    let version = interface::DRIVER_API_VERSION;
    let declared = BTreeMap::from([
        (
            "OID_XDP_QUERY_CAPABILITIES",
            u64::from(interface::OID_QUERY_CAPABILITIES),
        ),
        (
            "XDP_BUFFER_EXTENSION_INTERFACE_CONTEXT_VERSION_1",
            extension::BUFFER_INTERFACE_CONTEXT.version.into(),
        ),
        (
            "XDP_BUFFER_EXTENSION_LOGICAL_ADDRESS_VERSION_1",
            extension::BUFFER_LOGICAL_ADDRESS.version.into(),
        ),
        (
            "XDP_BUFFER_EXTENSION_MDL_VERSION_1",
            extension::BUFFER_MDL.version.into(),
        ),
        (
            "XDP_BUFFER_EXTENSION_VIRTUAL_ADDRESS_VERSION_1",
            extension::BUFFER_VIRTUAL_ADDRESS.version.into(),
        ),
        (
            "XDP_CAPABILITIES_EX_REVISION_1",
            interface::CAPABILITIES_EX_REVISION_1.into(),
        ),
        ("XDP_DRIVER_API_MAJOR_VER", version.major.into()),
        ("XDP_DRIVER_API_MINOR_VER", version.minor.into()),
        ("XDP_DRIVER_API_PATCH_VER", version.patch.into()),
        (
            "XDP_EXTENSION_INFO_REVISION_1",
            queue::EXTENSION_INFO_REVISION_1.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_CHECKSUM_VERSION_1",
            extension::FRAME_CHECKSUM.version.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_FRAGMENT_VERSION_1",
            extension::FRAME_FRAGMENT.version.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_INTERFACE_CONTEXT_VERSION_1",
            extension::FRAME_INTERFACE_CONTEXT.version.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_LAYOUT_VERSION_1",
            extension::FRAME_LAYOUT.version.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_RX_ACTION_VERSION_1",
            extension::FRAME_RX_ACTION.version.into(),
        ),
        (
            "XDP_FRAME_EXTENSION_TIMESTAMP_VERSION_1",
            extension::FRAME_TIMESTAMP.version.into(),
        ),
        (
            "XDP_INTERFACE_CONFIG_DISPATCH_REVISION_1",
            interface::INTERFACE_CONFIG_DISPATCH_REVISION_1.into(),
        ),
        (
            "XDP_INTERFACE_DISPATCH_REVISION_1",
            interface::INTERFACE_DISPATCH_REVISION_1.into(),
        ),
        (
            "XDP_POLL_INFO_REVISION_1",
            queue::POLL_INFO_REVISION_1.into(),
        ),
        (
            "XDP_QUEUE_INFO_REVISION_1",
            queue::QUEUE_INFO_REVISION_1.into(),
        ),
        (
            "XDP_RX_CAPABILITIES_REVISION_1",
            queue::RX_CAPABILITIES_REVISION_1.into(),
        ),
        (
            "XDP_RX_DESCRIPTOR_CONTEXTS_REVISION_1",
            queue::DESCRIPTOR_CONTEXTS_REVISION_1.into(),
        ),
        (
            "XDP_TX_DESCRIPTOR_CONTEXTS_REVISION_1",
            queue::DESCRIPTOR_CONTEXTS_REVISION_1.into(),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
            queue::RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1.into(),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
            queue::RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1.into(),
        ),
        (
            "XDP_SIZEOF_CAPABILITIES_EX_REVISION_1",
            interface::SIZEOF_CAPABILITIES_EX_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_EXTENSION_INFO_REVISION_1",
            queue::SIZEOF_EXTENSION_INFO_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_INTERFACE_CONFIG_DISPATCH_REVISION_1",
            interface::SIZEOF_INTERFACE_CONFIG_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_INTERFACE_DISPATCH_REVISION_1",
            interface::SIZEOF_INTERFACE_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_POLL_INFO_REVISION_1",
            queue::SIZEOF_POLL_INFO_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_QUEUE_INFO_REVISION_1",
            queue::SIZEOF_QUEUE_INFO_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RX_CAPABILITIES_REVISION_1",
            queue::SIZEOF_RX_CAPABILITIES_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RX_DESCRIPTOR_CONTEXTS_REVISION_1",
            queue::SIZEOF_DESCRIPTOR_CONTEXTS_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_TX_DESCRIPTOR_CONTEXTS_REVISION_1",
            queue::SIZEOF_DESCRIPTOR_CONTEXTS_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
            queue::SIZEOF_RX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
            queue::SIZEOF_RX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_TX_CAPABILITIES_REVISION_1",
            queue::SIZEOF_TX_CAPABILITIES_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
            queue::SIZEOF_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_SIZEOF_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
            queue::SIZEOF_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1 as u64,
        ),
        (
            "XDP_TX_CAPABILITIES_REVISION_1",
            queue::TX_CAPABILITIES_REVISION_1.into(),
        ),
        (
            "XDP_TX_FRAME_COMPLETION_CONTEXT_EXTENSION_VERSION_1",
            extension::TX_FRAME_COMPLETION_CONTEXT.version.into(),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1",
            queue::TX_QUEUE_CONFIG_ACTIVATE_DISPATCH_REVISION_1.into(),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1",
            queue::TX_QUEUE_CONFIG_CREATE_DISPATCH_REVISION_1.into(),
        ),
    ]);
    compare(&native()["constants"], declared, number);
}

#[test]
fn names_are_the_published_ones() {
    let declared = BTreeMap::from([
        ("XDP_RSS_SET_FN_NAME", api::RSS_SET_FN_NAME.to_owned()),
        ("XDP_RSS_GET_FN_NAME", api::RSS_GET_FN_NAME.to_owned()),
        (
            "XDP_RSS_GET_CAPABILITIES_FN_NAME",
            api::RSS_GET_CAPABILITIES_FN_NAME.to_owned(),
        ),
        ("XDP_QEO_SET_FN_NAME", api::QEO_SET_FN_NAME.to_owned()),
        ("XDP_DEVICE_NAME", open::DEVICE_NAME.to_owned()),
        (
            "XDP_DEVICE_DIRECTORY_NAME",
            open::DEVICE_DIRECTORY_NAME.to_owned(),
        ),
        (
            "XDP_PROGRAM_DEVICE_NAME",
            open::PROGRAM_DEVICE_NAME.to_owned(),
        ),
        ("XDP_XSK_DEVICE_NAME", open::XSK_DEVICE_NAME.to_owned()),
        (
            "XDP_INTERFACE_DEVICE_NAME",
            open::INTERFACE_DEVICE_NAME.to_owned(),
        ),
        ("XDP_MAP_DEVICE_NAME", open::MAP_DEVICE_NAME.to_owned()),
        (
            "XDP_DRIVER_START_CALLBACK_NAME",
            open::DRIVER_START_CALLBACK_NAME.to_owned(),
        ),
        ("XDP_OPEN_PACKET_NAME", open::OPEN_PACKET_NAME.to_owned()),
        (
            "XSK_FRAME_EXTENSION_ORIGINAL_LENGTH_NAME",
            extension::FRAME_ORIGINAL_LENGTH.name.to_owned(),
        ),
    ]);
    compare(&application()["strings"], declared, text);
    let name = |extension: Extension| extension.name.to_owned();
    let declared = BTreeMap::from([
        (
            "XDP_TX_FRAME_COMPLETION_CONTEXT_EXTENSION_NAME",
            name(extension::TX_FRAME_COMPLETION_CONTEXT),
        ),
        (
            "XDP_FRAME_EXTENSION_INTERFACE_CONTEXT_NAME",
            name(extension::FRAME_INTERFACE_CONTEXT),
        ),
        (
            "XDP_FRAME_EXTENSION_CHECKSUM_NAME",
            name(extension::FRAME_CHECKSUM),
        ),
        ("XDP_BUFFER_EXTENSION_MDL_NAME", name(extension::BUFFER_MDL)),
        (
            "XDP_BUFFER_EXTENSION_VIRTUAL_ADDRESS_NAME",
            name(extension::BUFFER_VIRTUAL_ADDRESS),
        ),
        (
            "XDP_FRAME_EXTENSION_FRAGMENT_NAME",
            name(extension::FRAME_FRAGMENT),
        ),
        (
            "XDP_FRAME_EXTENSION_RX_ACTION_NAME",
            name(extension::FRAME_RX_ACTION),
        ),
        (
            "XDP_BUFFER_EXTENSION_INTERFACE_CONTEXT_NAME",
            name(extension::BUFFER_INTERFACE_CONTEXT),
        ),
        (
            "XDP_FRAME_EXTENSION_LAYOUT_NAME",
            name(extension::FRAME_LAYOUT),
        ),
        (
            "XDP_FRAME_EXTENSION_TIMESTAMP_NAME",
            name(extension::FRAME_TIMESTAMP),
        ),
        (
            "XDP_BUFFER_EXTENSION_LOGICAL_ADDRESS_NAME",
            name(extension::BUFFER_LOGICAL_ADDRESS),
        ),
    ]);
    compare(&native()["extension_strings"], declared, text);
}

fn guids() -> BTreeMap<&'static str, Guid> {
    BTreeMap::from([
        ("XDP_DEVICE_CLASS_GUID", open::DEVICE_CLASS_GUID),
        (
            "XDP_PROGRAM_DEVICE_CLASS_GUID",
            open::PROGRAM_DEVICE_CLASS_GUID,
        ),
        ("XDP_XSK_DEVICE_CLASS_GUID", open::XSK_DEVICE_CLASS_GUID),
        (
            "XDP_INTERFACE_DEVICE_CLASS_GUID",
            open::INTERFACE_DEVICE_CLASS_GUID,
        ),
        ("XDP_MAP_DEVICE_CLASS_GUID", open::MAP_DEVICE_CLASS_GUID),
    ])
}

#[test]
fn guids_are_the_published_ones() {
    let declared = guids()
        .into_iter()
        .map(|(name, guid)| (name, guid.to_string()))
        .collect();
    compare(&application()["guids"], declared, text);
    compare(
        &native()["npi"],
        BTreeMap::from([("NPI_XDP_ID", npi::NPI_XDP_ID.to_string())]),
        text,
    );
    let devices = BTreeMap::from([
        (open::DEVICE_NAME, open::DEVICE_CLASS_GUID),
        (open::PROGRAM_DEVICE_NAME, open::PROGRAM_DEVICE_CLASS_GUID),
        (open::XSK_DEVICE_NAME, open::XSK_DEVICE_CLASS_GUID),
        (
            open::INTERFACE_DEVICE_NAME,
            open::INTERFACE_DEVICE_CLASS_GUID,
        ),
        (open::MAP_DEVICE_NAME, open::MAP_DEVICE_CLASS_GUID),
    ]);
    compare(&application()["device_to_guid"], devices, |name| {
        guids()[text(name).as_str()]
    });
    assert_eq!(Guid::from_u128(npi::NPI_XDP_ID.to_u128()), npi::NPI_XDP_ID);
}

#[test]
fn statuses_map_as_published() {
    let declared = BTreeMap::from([
        ("XDP_STATUS_SUCCESS", XdpStatus::SUCCESS),
        ("XDP_STATUS_PENDING", XdpStatus::PENDING),
        ("XDP_STATUS_TIMEOUT", XdpStatus::TIMEOUT),
        ("XDP_STATUS_OUT_OF_MEMORY", XdpStatus::OUT_OF_MEMORY),
        ("XDP_STATUS_NOT_SUPPORTED", XdpStatus::NOT_SUPPORTED),
        ("XDP_STATUS_INVALID_PARAMETER", XdpStatus::INVALID_PARAMETER),
        ("XDP_STATUS_INTERNAL_ERROR", XdpStatus::INTERNAL_ERROR),
    ]);
    let declared = declared
        .into_iter()
        .map(|(name, status)| (name, (u64::from(status.kernel.0), u64::from(status.user.0))))
        .collect();
    compare(&application()["status_mapping"], declared, |fact| {
        (
            number(&fact["kernel_NTSTATUS"]),
            number(&fact["user_HRESULT"]),
        )
    });
}

#[test]
fn the_open_attribute_is_laid_out_as_published() {
    let parameters = BTreeMap::from([
        ("XDP_OBJECT_TYPE_PROGRAM", size_of::<program::ProgramOpen>()),
        ("XDP_OBJECT_TYPE_XSK", 0),
        (
            "XDP_OBJECT_TYPE_INTERFACE",
            size_of::<open::InterfaceOpen>(),
        ),
        ("XDP_OBJECT_TYPE_MAP", size_of::<xdp_abi::map::MapOpen>()),
    ]);
    for (object, fact) in application()["ea_layouts"].as_object().expect("a table") {
        let parameters = parameters[object.as_str()];
        let expect = |key: &str, value: usize| {
            assert_eq!(number(&fact[key]), value as u64, "{key} of {object}")
        };
        expect("EaNameLength", open::OPEN_PACKET_NAME.len());
        expect("EaName_offset", open::EA_NAME_OFFSET);
        expect("XDP_OPEN_PACKET_offset", open::EA_OPEN_PACKET_OFFSET);
        expect("object_params_offset", open::EA_PARAMS_OFFSET);
        expect("object_params_size", parameters);
        expect("EaLength", open::ea_length(parameters));
        expect("EaValueLength", size_of::<open::OpenPacket>() + parameters);
    }
}

#[test]
fn extensions_are_registered_as_published() {
    let read = |fact: &Value| -> Vec<(String, u64, u64, u64)> {
        let registrations = fact.as_array().expect("a list");
        registrations
            .iter()
            .map(|fact| {
                (
                    text(&fact["name"]),
                    number(&fact["version"]),
                    number(&fact["size"]),
                    number(&fact["align"]),
                )
            })
            .collect()
    };
    let declare = |extensions: &[Extension]| -> Vec<(String, u64, u64, u64)> {
        extensions
            .iter()
            .map(|extension| {
                let Extension {
                    name,
                    version,
                    size,
                    align,
                } = *extension;
                (name.to_owned(), version.into(), size.into(), align.into())
            })
            .collect()
    };
    let declared = BTreeMap::from([
        ("rx_frame", declare(extension::native::RX_FRAME)),
        ("rx_buffer", declare(extension::native::RX_BUFFER)),
        ("tx_frame", declare(extension::native::TX_FRAME)),
        ("tx_buffer", declare(extension::native::TX_BUFFER)),
        (
            "tx_frame_completion",
            declare(extension::native::TX_FRAME_COMPLETION),
        ),
    ]);
    compare(&native()["extension_registrations"], declared, read);
    let declared = BTreeMap::from([
        ("rx_frame", declare(extension::socket::RX_FRAME)),
        ("tx_frame", declare(extension::socket::TX_FRAME)),
        ("tx_completion", declare(extension::socket::TX_COMPLETION)),
    ]);
    compare(&application()["socket_extensions"], declared, read);
}
