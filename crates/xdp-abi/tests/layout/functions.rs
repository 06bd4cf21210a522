//! Function types: number and size of parameters, size of the result.

use crate::facts::{application, declared, native};
use serde_json::Value;
use std::collections::BTreeMap;
use xdp_abi::api::*;
use xdp_abi::native::interface::*;
use xdp_abi::native::queue::*;

/// What a function type takes and gives.
type Shape = (Vec<usize>, usize);

trait Function {
    fn shape() -> Shape;
}

macro_rules! function_shapes {
    ($abi:literal: $(($($arg:ident)*))*) => {$(
        impl<$($arg,)* R> Function for unsafe extern $abi fn($($arg),*) -> R {
            fn shape() -> Shape {
                (vec![$(size_of::<$arg>()),*], size_of::<R>())
            }
        }
    )*};
}
#[cfg(target_arch = "x86_64")]
function_shapes!("win64": (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G));
#[cfg(not(target_arch = "x86_64"))]
function_shapes!("C": (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G));

macro_rules! shapes {
    ($($c_name:literal = $ty:ty;)*) => {
        BTreeMap::from([$(($c_name, <$ty as Function>::shape())),*])
    };
}

fn compare(facts: &Value, declared: BTreeMap<&str, Shape>) {
    let facts = facts.as_object().expect("a table");
    for (name, fact) in facts {
        let (params, result) = declared
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no counterpart"));
        let sizes: Vec<usize> = serde_json::from_value(fact["param_sizes"].clone()).expect("sizes");
        assert_eq!(&sizes, params, "parameters of {name}");
        assert_eq!(
            fact["ret_size"].as_u64(),
            Some(*result as u64),
            "result of {name}"
        );
    }
    for name in declared.keys() {
        assert!(facts.contains_key(*name), "{name} is not in the table");
    }
}

#[test]
fn api_functions_take_the_published_parameters() {
    compare(
        &application()["function_types"],
        shapes! {
            "XSK_CREATE_FN" = XskCreateFn;
            "XSK_BIND_FN" = XskBindFn;
            "XSK_ACTIVATE_FN" = XskActivateFn;
            "XSK_NOTIFY_SOCKET_FN" = XskNotifySocketFn;
            "XSK_NOTIFY_ASYNC_FN" = XskNotifyAsyncFn;
            "XSK_GET_NOTIFY_ASYNC_RESULT_FN" = XskGetNotifyAsyncResultFn;
            "XSK_SET_SOCKOPT_FN" = XskSetSockoptFn;
            "XSK_GET_SOCKOPT_FN" = XskGetSockoptFn;
            "XSK_IOCTL_FN" = XskIoctlFn;
            "XDP_CREATE_PROGRAM_FN" = CreateProgramFn;
            "XDP_INTERFACE_OPEN_FN" = InterfaceOpenFn;
            "XDP_OPEN_API_FN" = OpenApiFn;
            "XDP_CLOSE_API_FN" = CloseApiFn;
            "XDP_GET_ROUTINE_FN" = GetRoutineFn;
            "XDP_RSS_GET_CAPABILITIES_FN" = RssGetCapabilitiesFn;
            "XDP_RSS_SET_FN" = RssSetFn;
            "XDP_RSS_GET_FN" = RssGetFn;
            "XDP_QEO_SET_FN" = QeoSetFn;
        },
    );
    compare(
        &application()["api_v3_functions"],
        shapes! {
            "XdpCreateProgram" = CreateProgramFn;
            "XdpInterfaceOpen" = InterfaceOpenFn;
            "XdpMapCreate" = MapCreateFn;
            "XdpMapInsert" = MapInsertFn;
            "XdpMapDelete" = MapDeleteFn;
            "XskCreate" = XskCreateFn;
            "XskBind" = XskBindFn;
            "XskActivate" = XskActivateFn;
            "XskSetSockopt" = XskSetSockoptFn;
            "XskGetSockopt" = XskGetSockoptFn;
            "XskIoctl" = XskIoctlFn;
            "XskNotifySocket" = XskNotifySocketFn;
            "XskNotifyAsync" = XskNotifyAsyncFn;
            "XskGetNotifyAsyncResult" = XskGetNotifyAsyncResultFn;
            "XdpRssGetCapabilities" = RssGetCapabilitiesFn;
            "XdpRssSet" = RssSetFn;
            "XdpRssGet" = RssGetFn;
            "XdpQeoSet" = QeoSetFn;
        },
    );
}

#[test]
fn the_api_table_has_the_published_order() {
    let facts = application();
    let order: Vec<String> = serde_json::from_value(facts["api_table"].clone()).expect("names");
    let names: Vec<String> = serde_json::from_value(facts["routine_names"].clone()).expect("names");
    let versions: Vec<u32> =
        serde_json::from_value(facts["supported_versions"].clone()).expect("versions");
    assert_eq!(names, ROUTINE_NAMES);
    assert_eq!(versions, TABLE_VERSIONS);
    let fields: Vec<Value> = order
        .iter()
        .enumerate()
        .map(|(index, name)| serde_json::json!({"name": name, "offset": index * 8, "size": 8}))
        .collect();
    let fact = serde_json::json!({"size": facts["api_table_size"], "align": 8, "fields": fields});
    let table = declared!(ApiTable {
        xdp_open_api,
        xdp_close_api,
        xdp_get_routine,
        xdp_create_program,
        xdp_interface_open,
        xsk_create,
        xsk_bind,
        xsk_activate,
        xsk_notify_socket,
        xsk_notify_async,
        xsk_get_notify_async_result,
        xsk_set_sockopt,
        xsk_get_sockopt,
        xsk_ioctl
    });
    crate::facts::compare_struct("XDP_API_TABLE", &fact, &table);
}

#[test]
fn driver_functions_take_the_published_parameters() {
    compare(
        &native()["callback_types"],
        shapes! {
            "XDP_INTERFACE_NOTIFY_QUEUE" = InterfaceNotifyQueueFn;
            "XDP_RECEIVE" = ReceiveFn;
            "XDP_FLUSH_RECEIVE" = FlushReceiveFn;
            "XDP_FLUSH_TRANSMIT" = FlushTransmitFn;
            "XDP_GET_DRIVER_API_VERSION" = GetDriverApiVersionFn;
            "XDP_RX_QUEUE_GET_TARGET_QUEUE_INFO" = RxQueueGetTargetQueueInfoFn;
            "XDP_RX_QUEUE_CREATE_IS_ENABLED" = RxQueueCreateIsEnabledFn;
            "XDP_RX_QUEUE_REGISTER_EXTENSION_VERSION" = RxQueueRegisterExtensionVersionFn;
            "XDP_RX_QUEUE_SET_CAPABILITIES" = RxQueueSetCapabilitiesFn;
            "XDP_RX_QUEUE_SET_DESCRIPTOR_CONTEXTS" = RxQueueSetDescriptorContextsFn;
            "XDP_RX_QUEUE_SET_POLL_INFO" = RxQueueSetPollInfoFn;
            "XDP_RX_QUEUE_GET_EXTENSION" = RxQueueGetExtensionFn;
            "XDP_RX_QUEUE_GET_RING" = RxQueueGetRingFn;
            "XDP_RX_QUEUE_ACTIVATE_IS_ENABLED" = RxQueueActivateIsEnabledFn;
            "XDP_TX_QUEUE_GET_TARGET_QUEUE_INFO" = TxQueueGetTargetQueueInfoFn;
            "XDP_TX_QUEUE_CREATE_IS_ENABLED" = TxQueueCreateIsEnabledFn;
            "XDP_TX_QUEUE_REGISTER_EXTENSION_VERSION" = TxQueueRegisterExtensionVersionFn;
            "XDP_TX_QUEUE_SET_CAPABILITIES" = TxQueueSetCapabilitiesFn;
            "XDP_TX_QUEUE_SET_DESCRIPTOR_CONTEXTS" = TxQueueSetDescriptorContextsFn;
            "XDP_TX_QUEUE_SET_POLL_INFO" = TxQueueSetPollInfoFn;
            "XDP_TX_QUEUE_GET_EXTENSION" = TxQueueGetExtensionFn;
            "XDP_TX_QUEUE_GET_RING" = TxQueueGetRingFn;
            "XDP_TX_QUEUE_ACTIVATE_IS_ENABLED" = TxQueueActivateIsEnabledFn;
            "XDP_OPEN_INTERFACE" = OpenInterfaceFn;
            "XDP_CLOSE_INTERFACE" = CloseInterfaceFn;
            "XDP_CREATE_RX_QUEUE" = CreateRxQueueFn;
            "XDP_ACTIVATE_RX_QUEUE" = ActivateRxQueueFn;
            "XDP_DELETE_RX_QUEUE" = DeleteRxQueueFn;
            "XDP_CREATE_TX_QUEUE" = CreateTxQueueFn;
            "XDP_ACTIVATE_TX_QUEUE" = ActivateTxQueueFn;
            "XDP_DELETE_TX_QUEUE" = DeleteTxQueueFn;
            "XDP_NDIS_REQUEST_POLL" = NdisRequestPollFn;
            "XDP_GET_INTERFACE_DISPATCH" = GetInterfaceDispatchFn;
        },
    );
}

#[test]
fn handles_are_pointers_to_types_of_their_own() {
    let declared = BTreeMap::from([
        ("XDP_INTERFACE_CONFIG", size_of::<*mut InterfaceConfig>()),
        ("XDP_INTERFACE_HANDLE", size_of::<*mut Interface>()),
        ("XDP_REGISTRATION_HANDLE", size_of::<*mut Registration>()),
        (
            "XDP_RX_QUEUE_CONFIG_ACTIVATE",
            size_of::<*mut RxQueueConfigActivate>(),
        ),
        (
            "XDP_RX_QUEUE_CONFIG_CREATE",
            size_of::<*mut RxQueueConfigCreate>(),
        ),
        ("XDP_RX_QUEUE_HANDLE", size_of::<*mut RxQueue>()),
        (
            "XDP_TX_QUEUE_CONFIG_ACTIVATE",
            size_of::<*mut TxQueueConfigActivate>(),
        ),
        (
            "XDP_TX_QUEUE_CONFIG_CREATE",
            size_of::<*mut TxQueueConfigCreate>(),
        ),
        ("XDP_TX_QUEUE_HANDLE", size_of::<*mut TxQueue>()),
    ]);
    for name in native()["opaque_handles"].as_array().expect("a list") {
        assert_eq!(
            declared.get(name.as_str().expect("a name")),
            Some(&8),
            "{name}"
        );
    }
}
