//! Structures and enumerations of the application interface.

use crate::facts::{
    Declared, application, compare_enums, compare_struct, compare_structs, declared, enumeration,
};
use core::mem::offset_of;
use std::collections::BTreeMap;
use xdp_abi::address::*;
use xdp_abi::api::{KernelOverlapped, Overlapped};
use xdp_abi::frame::*;
use xdp_abi::hook::*;
use xdp_abi::map::*;
use xdp_abi::object::*;
use xdp_abi::offload::*;
use xdp_abi::open::*;
use xdp_abi::program::*;
use xdp_abi::quic::*;
use xdp_abi::ring::*;
use xdp_abi::rule::*;
use xdp_abi::sockopt::*;
use xdp_abi::xsk::*;

/// Frame extensions, which both interfaces share.
pub(crate) fn frame_extensions() -> [(&'static str, Declared); 6] {
    [
        (
            "XDP_FRAME_LAYOUT",
            Declared::new(size_of::<FrameLayout>(), align_of::<FrameLayout>())
                .bits("Layer2HeaderLength", |value: FrameLayout| {
                    value.layer2_header_length().into()
                })
                .bits("Layer3HeaderLength", |value: FrameLayout| {
                    value.layer3_header_length().into()
                })
                .bits("Layer4HeaderLength", |value: FrameLayout| {
                    value.layer4_header_length().into()
                })
                .bits("Layer2Type", |value: FrameLayout| {
                    value.layer2_type().0.into()
                })
                .bits("Layer3Type", |value: FrameLayout| {
                    value.layer3_type().0.into()
                })
                .bits("Layer4Type", |value: FrameLayout| {
                    value.layer4_type().0.into()
                })
                .bits("Reserved0", |value: FrameLayout| value.reserved0().into()),
        ),
        (
            "XDP_FRAME_CHECKSUM",
            Declared::new(size_of::<FrameChecksum>(), align_of::<FrameChecksum>())
                .bits("Layer3", |value: FrameChecksum| value.layer3().into())
                .bits("Layer4", |value: FrameChecksum| value.layer4().into())
                .bits("Reserved", |value: FrameChecksum| value.reserved().into()),
        ),
        (
            "XDP_FRAME_TIMESTAMP",
            declared!(FrameTimestamp { timestamp }),
        ),
        (
            "XDP_FRAME_GRO",
            Declared::new(size_of::<FrameGro>(), align_of::<FrameGro>())
                .also("TCP", 0, 2)
                .also("UDP", 0, 2),
        ),
        (
            "XDP_FRAME_GRO_TIMESTAMP",
            Declared::new(
                size_of::<FrameGroTimestamp>(),
                align_of::<FrameGroTimestamp>(),
            )
            .also("TCP", 0, 4),
        ),
        (
            "XDP_FRAME_GSO",
            Declared::new(size_of::<FrameGso>(), align_of::<FrameGso>())
                .also("TCP", 0, 4)
                .also("UDP", 0, 4)
                .bits("TCP.Mss", |value: FrameGso| value.mss().into())
                .bits("UDP.Mss", |value: FrameGso| value.mss().into())
                .bits("TCP.Reserved0", |value: FrameGso| value.reserved0().into())
                .bits("UDP.Reserved0", |value: FrameGso| value.reserved0().into()),
        ),
    ]
}

fn overlapped() -> Declared {
    declared!(Overlapped { internal, internal_high, offset, offset_high, event as "hEvent" }).also(
        "Pointer",
        offset_of!(Overlapped, offset),
        8,
    )
}

fn rules() -> [(&'static str, Declared); 12] {
    let union = |size, align| Declared::new(size, align);
    [
        ("IN_ADDR", declared!(InAddr { bytes as "S_un" })),
        ("IN6_ADDR", declared!(In6Addr { bytes as "u" })),
        (
            "XDP_INET_ADDR",
            union(size_of::<InetAddr>(), align_of::<InetAddr>())
                .also("Ipv4", 0, size_of_val(&InetAddr::default().ipv4()))
                .also("Ipv6", 0, size_of_val(&InetAddr::default().ipv6())),
        ),
        ("XDP_IP_ADDRESS_MASK", declared!(IpAddressMask { mask, address })),
        ("XDP_PORT_SET", declared!(PortSet { port_set, reserved })),
        ("XDP_IP_PORT_SET", declared!(IpPortSet { address, port_set })),
        ("XDP_QUIC_FLOW", declared!(QuicFlow { udp_port, cid_length, cid_offset, cid_data })),
        (
            "XDP_TUPLE",
            declared!(Tuple { source_address, destination_address, source_port, destination_port }),
        ),
        (
            "XDP_MATCH_PATTERN",
            union(size_of::<MatchPattern>(), align_of::<MatchPattern>())
                .also("Port", 0, size_of_val(&MatchPattern::default().port()))
                .also("IpMask", 0, size_of_val(&MatchPattern::default().ip_mask()))
                .also("Tuple", 0, size_of_val(&MatchPattern::default().tuple()))
                .also("QuicFlow", 0, size_of_val(&MatchPattern::default().quic_flow()))
                .also("PortSet", 0, size_of_val(&MatchPattern::default().port_set()))
                .also("IpPortSet", 0, size_of_val(&MatchPattern::default().ip_port_set()))
                .also("NextHeader", 0, size_of_val(&MatchPattern::default().next_header())),
        ),
        ("XDP_REDIRECT_PARAMS", declared!(RedirectParams { target_type, padding, target })),
        ("XDP_EBPF_PARAMS", declared!(EbpfParams { target })),
        (
            "XDP_RULE",
            declared!(Rule { match_type as "Match", padding0, pattern, action, padding1, params as "Redirect" })
                .also("Ebpf", offset_of!(Rule, params), size_of::<EbpfParams>()),
        ),
    ]
}

fn opens() -> [(&'static str, Declared); 9] {
    [
        (
            "XDP_FILE_FULL_EA_INFORMATION",
            declared!(FileFullEaInformation {
                next_entry_offset,
                flags,
                ea_name_length,
                ea_value_length,
                ea_name,
                padding
            }),
        ),
        (
            "XDP_OPEN_PACKET",
            declared!(OpenPacket {
                major_version,
                minor_version,
                api_version,
                object_type
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
            "XDP_PROGRAM_OPEN",
            declared!(ProgramOpen {
                if_index,
                hook_id,
                queue_id,
                flags,
                rule_count,
                padding,
                rules
            }),
        ),
        ("XDP_INTERFACE_OPEN", declared!(InterfaceOpen { if_index })),
        ("XDP_MAP_OPEN", declared!(MapOpen { map_type as "Type" })),
        (
            "XDP_MAP_INSERT_PARAMS",
            declared!(MapInsertParams { key, value }),
        ),
        ("XDP_MAP_DELETE_PARAMS", declared!(MapDeleteParams { key })),
        ("XDP_OVERLAPPED", overlapped()),
    ]
}

fn sockets() -> [(&'static str, Declared); 15] {
    let ring_info = declared!(RingInfo {
        ring,
        descriptors_offset,
        producer_index_offset,
        consumer_index_offset,
        flags_offset,
        size,
        element_stride,
        reserved,
        padding
    });
    [
        (
            "XSK_BIND_IN",
            declared!(BindIn {
                if_index,
                queue_id,
                flags
            }),
        ),
        ("XSK_ACTIVATE_IN", declared!(ActivateIn { flags })),
        (
            "XSK_NOTIFY_IN",
            declared!(NotifyIn {
                flags,
                wait_timeout_milliseconds
            }),
        ),
        (
            "XSK_SET_SOCKOPT_IN",
            declared!(SetSockoptIn {
                option,
                input_buffer_length,
                input_buffer
            }),
        ),
        (
            "XSK_UMEM_REG",
            declared!(UmemReg {
                total_size,
                chunk_size,
                headroom,
                address
            }),
        ),
        (
            "XSK_STATISTICS",
            declared!(Statistics {
                rx_dropped,
                rx_truncated,
                rx_invalid_descriptors,
                tx_invalid_descriptors
            }),
        ),
        ("XSK_RING_INFO", ring_info),
        (
            "XSK_RING_INFO_SET",
            declared!(RingInfoSet {
                fill,
                completion,
                rx,
                tx
            }),
        ),
        (
            "XSK_RING",
            declared!(XskRing {
                shared_producer,
                shared_consumer,
                shared_flags,
                shared_elements,
                mask,
                size,
                element_stride,
                cached_producer,
                cached_consumer,
                padding
            }),
        ),
        (
            "XSK_SHARED_RING",
            declared!(SharedRing {
                producer_index.value, consumer_index.value, flags.value
            }),
        ),
        (
            "XSK_BUFFER_ADDRESS",
            Declared::new(size_of::<BufferAddress>(), align_of::<BufferAddress>())
                .also("AddressAndOffset", 0, 8)
                .bits("BaseAddress", |value: BufferAddress| value.base_address())
                .bits("Offset", |value: BufferAddress| value.offset().into()),
        ),
        (
            "XSK_BUFFER_DESCRIPTOR",
            declared!(BufferDescriptor {
                address,
                length,
                reserved
            }),
        ),
        (
            "XSK_FRAME_DESCRIPTOR",
            declared!(FrameDescriptor { buffer }),
        ),
        (
            "XSK_FRAME_ORIGINAL_LENGTH",
            declared!(FrameOriginalLength { original_length }),
        ),
        ("OVERLAPPED", overlapped()),
    ]
}

fn offloads() -> [(&'static str, Declared); 6] {
    [
        ("XDP_OBJECT_HEADER", declared!(ObjectHeader { revision, size })),
        ("XDP_VERSION", declared!(Version { major, minor, patch })),
        ("XDP_CHECKSUM_CONFIGURATION", declared!(ChecksumConfiguration { header, enabled, tcp_options, padding })),
        ("XDP_RSS_CAPABILITIES", declared!(RssCapabilities {
            header, flags, hash_types, hash_secret_key_size, number_of_receive_queues,
            number_of_indirection_table_entries
        })),
        ("XDP_RSS_CONFIGURATION", declared!(RssConfiguration {
            header, flags, hash_type, hash_secret_key_offset, hash_secret_key_size, indirection_table_offset,
            indirection_table_size
        })),
        (
            "XDP_QUIC_CONNECTION",
            declared!(QuicConnection {
                header, bits as "paddingbits", address_family, udp_port, padding0, next_packet_number,
                connection_id_length, address, connection_id, payload_key, header_key, payload_iv, padding1, status
            })
            .bits("Operation", |value: QuicConnection| value.bits.operation().0.into())
            .bits("Direction", |value: QuicConnection| value.bits.direction().0.into())
            .bits("DecryptFailureAction", |value: QuicConnection| value.bits.decrypt_failure_action().0.into())
            .bits("KeyPhase", |value: QuicConnection| value.bits.key_phase().into())
            .bits("RESERVED", |value: QuicConnection| value.bits.reserved().into())
            .bits("CipherType", |value: QuicConnection| value.bits.cipher_type().0.into()),
        ),
    ]
}

#[test]
fn structures_are_laid_out_as_published() {
    let mut declared = BTreeMap::new();
    declared.extend(frame_extensions());
    declared.extend(rules());
    declared.extend(opens());
    declared.extend(sockets());
    declared.extend(offloads());
    compare_structs(&application(), declared);
}

#[test]
fn the_kernel_has_its_own_overlapped_structure() {
    let declared = declared!(KernelOverlapped { internal, event as "hEvent" });
    compare_struct(
        "XDP_OVERLAPPED",
        &application()["structs_kernel_diff"]["XDP_OVERLAPPED"],
        &declared,
    );
}

#[test]
fn enumerations_have_the_published_values() {
    let mut declared = BTreeMap::from([
        ("XDP_CREATE_PROGRAM_FLAGS", enumeration!(CreateProgramFlags)),
        ("XDP_MAP_TYPE", enumeration!(MapType)),
        ("XDP_MATCH_TYPE", enumeration!(MatchType)),
        ("XDP_OBJECT_TYPE", enumeration!(ObjectType)),
        ("XDP_QUIC_ADDRESS_FAMILY", enumeration!(QuicAddressFamily)),
        ("XDP_QUIC_CIPHER_TYPE", enumeration!(QuicCipherType)),
        (
            "XDP_QUIC_DECRYPT_FAILURE_ACTION",
            enumeration!(QuicDecryptFailureAction),
        ),
        ("XDP_QUIC_DIRECTION", enumeration!(QuicDirection)),
        ("XDP_QUIC_OPERATION", enumeration!(QuicOperation)),
        ("XDP_REDIRECT_TARGET_TYPE", enumeration!(RedirectTargetType)),
        ("XDP_RULE_ACTION", enumeration!(RuleAction)),
        (
            "XSK_ACTIVATE_FLAGS",
            crate::facts::Enumeration {
                size: size_of::<ActivateFlags>() as u64,
                values: BTreeMap::new(),
            },
        ),
        ("XSK_BIND_FLAGS", enumeration!(BindFlags)),
        ("XSK_ERROR", enumeration!(XskError)),
        ("XSK_NOTIFY_FLAGS", enumeration!(NotifyFlags)),
        ("XSK_NOTIFY_RESULT_FLAGS", enumeration!(NotifyResultFlags)),
        ("XSK_POLL_MODE", enumeration!(PollMode)),
        ("XSK_RING_FLAGS", enumeration!(RingFlags)),
    ]);
    declared.extend(shared_enums());
    compare_enums(&application(), declared, NARROW);
}

/// Enumerations that are stored in bit fields or bytes.
pub(crate) const NARROW: &[&str] = &[
    "XDP_FRAME_LAYER2_TYPE",
    "XDP_FRAME_LAYER3_TYPE",
    "XDP_FRAME_LAYER4_TYPE",
    "XDP_FRAME_RX_CHECKSUM_EVALUATION",
    "XDP_FRAME_TX_CHECKSUM_ACTION",
    "XDP_RX_ACTION",
];

/// Enumerations both interfaces share.
pub(crate) fn shared_enums() -> [(&'static str, crate::facts::Enumeration); 8] {
    [
        ("XDP_FRAME_LAYER2_TYPE", enumeration!(Layer2Type)),
        ("XDP_FRAME_LAYER3_TYPE", enumeration!(Layer3Type)),
        ("XDP_FRAME_LAYER4_TYPE", enumeration!(Layer4Type)),
        (
            "XDP_FRAME_RX_CHECKSUM_EVALUATION",
            enumeration!(RxChecksumEvaluation),
        ),
        (
            "XDP_FRAME_TX_CHECKSUM_ACTION",
            enumeration!(TxChecksumAction),
        ),
        ("XDP_HOOK_DATAPATH_DIRECTION", enumeration!(Direction)),
        ("XDP_HOOK_LAYER", enumeration!(Layer)),
        ("XDP_HOOK_SUBLAYER", enumeration!(SubLayer)),
    ]
}

#[test]
fn views_of_a_pattern_read_what_was_put_in() {
    let flow = QuicFlow {
        udp_port: Port::new(443),
        cid_length: 3,
        cid_offset: 17,
        cid_data: [7; 20],
    };
    let pattern = MatchPattern::from_quic_flow(flow);
    assert_eq!(pattern.quic_flow(), flow);
    assert_eq!(pattern.port().number(), 443);
    assert_eq!(pattern.port().raw().to_ne_bytes(), [1, 187]);

    let tuple = Tuple {
        source_address: InetAddr::from([10, 0, 0, 1]),
        destination_address: InetAddr::from([0xfe; 16]),
        source_port: Port::new(1),
        destination_port: Port::from_bytes([0x12, 0x34]),
    };
    let pattern = MatchPattern::from_tuple(tuple);
    assert_eq!(pattern.tuple(), tuple);
    assert_eq!(pattern.tuple().source_address.ipv4().bytes, [10, 0, 0, 1]);
    assert_eq!(pattern.tuple().destination_port.number(), 0x1234);
    assert_eq!(pattern.ip_mask().address, tuple.destination_address);

    let rule = Rule::redirect(
        MatchType::ALL,
        pattern,
        RedirectTargetType::XSK,
        Handle(0x44),
    );
    assert_eq!(rule.params.redirect().target, Handle(0x44));
    assert_eq!(rule.params.ebpf().target, Handle(0), "the type comes first");
}

#[test]
fn unknown_values_are_values() {
    assert_eq!(format!("{:?}", MatchType(23)), "MatchType(23)");
    assert_eq!(format!("{:?}", MatchType::UDP_DST), "XDP_MATCH_UDP_DST");
    assert_eq!(BindFlags::from_bits(0x10), None);
    assert_eq!(BindFlags(0x11).bits(), 0x11);
}

#[test]
fn bit_fields_are_put_where_they_are_read() {
    let layout = FrameLayout::new(
        (Layer2Type::ETHERNET, 14),
        (Layer3Type::IPV6_NO_EXTENSIONS, 40),
        (Layer4Type::UDP, 8),
    );
    assert_eq!(
        (layout.layer2_type(), layout.layer2_header_length()),
        (Layer2Type::ETHERNET, 14)
    );
    assert_eq!(
        (layout.layer3_type(), layout.layer3_header_length()),
        (Layer3Type::IPV6_NO_EXTENSIONS, 40)
    );
    assert_eq!(
        (layout.layer4_type(), layout.layer4_header_length()),
        (Layer4Type::UDP, 8)
    );
    assert_eq!(layout.reserved0(), 0);
    let address = BufferAddress::new(u64::MAX, 256);
    assert_eq!(
        (address.base_address(), address.offset()),
        ((1 << 48) - 1, 256)
    );
    assert_eq!(FrameChecksum::new(3, 1).0, 0b0111);
    let bits = QuicConnectionBits::new(
        QuicOperation::REMOVE,
        QuicDirection::TRANSMIT,
        QuicDecryptFailureAction::CONTINUE,
        true,
        QuicCipherType::AEAD_CHACHA20_POLY1305,
    );
    assert_eq!(bits.0, 0x0002_000d);
}
