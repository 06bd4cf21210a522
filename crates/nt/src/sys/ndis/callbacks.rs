//! Types of the functions that filters, miniports and protocols give to NDIS.

use crate::sys::*;

callbacks! {
    pub type SET_OPTIONS_HANDLER = fn(NdisDriverHandle: NDIS_HANDLE, DriverContext: NDIS_HANDLE) -> NDIS_STATUS;
    pub type PNDIS_TIMER_FUNCTION =
        fn(SystemSpecific1: PVOID, FunctionContext: PVOID, SystemSpecific2: PVOID, SystemSpecific3: PVOID);
    pub type NDIS_IO_WORKITEM_FUNCTION = fn(WorkItemContext: PVOID, NdisIoWorkItemHandle: NDIS_HANDLE);

    pub type FILTER_SET_FILTER_MODULE_OPTIONS_HANDLER = fn(FilterModuleContext: NDIS_HANDLE) -> NDIS_STATUS;
    pub type FILTER_ATTACH_HANDLER = fn(
        NdisFilterHandle: NDIS_HANDLE,
        FilterDriverContext: NDIS_HANDLE,
        AttachParameters: *mut NDIS_FILTER_ATTACH_PARAMETERS,
    ) -> NDIS_STATUS;
    pub type FILTER_DETACH_HANDLER = fn(FilterModuleContext: NDIS_HANDLE);
    pub type FILTER_RESTART_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, RestartParameters: *mut NDIS_FILTER_RESTART_PARAMETERS) -> NDIS_STATUS;
    pub type FILTER_PAUSE_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, PauseParameters: *mut NDIS_FILTER_PAUSE_PARAMETERS) -> NDIS_STATUS;
    pub type FILTER_SEND_NET_BUFFER_LISTS_HANDLER = fn(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: u32,
    );
    pub type FILTER_SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: u32);
    pub type FILTER_CANCEL_SEND_HANDLER = fn(FilterModuleContext: NDIS_HANDLE, CancelId: PVOID);
    pub type FILTER_RECEIVE_NET_BUFFER_LISTS_HANDLER = fn(
        FilterModuleContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: u32,
        ReceiveFlags: u32,
    );
    pub type FILTER_RETURN_NET_BUFFER_LISTS_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: u32);
    pub type FILTER_OID_REQUEST_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    pub type FILTER_OID_REQUEST_COMPLETE_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    pub type FILTER_CANCEL_OID_REQUEST_HANDLER = fn(FilterModuleContext: NDIS_HANDLE, RequestId: PVOID);
    pub type FILTER_SYNCHRONOUS_OID_REQUEST_HANDLER = fn(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        CallContext: *mut PVOID,
    ) -> NDIS_STATUS;
    pub type FILTER_SYNCHRONOUS_OID_REQUEST_COMPLETE_HANDLER = fn(
        FilterModuleContext: NDIS_HANDLE,
        OidRequest: *mut NDIS_OID_REQUEST,
        Status: *mut NDIS_STATUS,
        CallContext: PVOID,
    );
    pub type FILTER_DEVICE_PNP_EVENT_NOTIFY_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT);
    pub type FILTER_NET_PNP_EVENT_HANDLER = fn(
        FilterModuleContext: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    pub type FILTER_STATUS_HANDLER =
        fn(FilterModuleContext: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);

    pub type MINIPORT_INITIALIZE_HANDLER = fn(
        NdisMiniportHandle: NDIS_HANDLE,
        MiniportDriverContext: NDIS_HANDLE,
        MiniportInitParameters: *mut NDIS_MINIPORT_INIT_PARAMETERS,
    ) -> NDIS_STATUS;
    pub type MINIPORT_HALT_HANDLER = fn(MiniportAdapterContext: NDIS_HANDLE, HaltAction: NDIS_HALT_ACTION);
    pub type MINIPORT_PAUSE_HANDLER = fn(
        MiniportAdapterContext: NDIS_HANDLE,
        PauseParameters: *mut NDIS_MINIPORT_PAUSE_PARAMETERS,
    ) -> NDIS_STATUS;
    pub type MINIPORT_RESTART_HANDLER = fn(
        MiniportAdapterContext: NDIS_HANDLE,
        RestartParameters: *mut NDIS_MINIPORT_RESTART_PARAMETERS,
    ) -> NDIS_STATUS;
    pub type MINIPORT_OID_REQUEST_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    pub type MINIPORT_SYNCHRONOUS_OID_REQUEST_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST) -> NDIS_STATUS;
    pub type MINIPORT_CANCEL_OID_REQUEST_HANDLER = fn(MiniportAdapterContext: NDIS_HANDLE, RequestId: PVOID);
    pub type MINIPORT_SEND_NET_BUFFER_LISTS_HANDLER = fn(
        MiniportAdapterContext: NDIS_HANDLE,
        NetBufferList: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        SendFlags: u32,
    );
    pub type MINIPORT_RETURN_NET_BUFFER_LISTS_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, NetBufferLists: *mut NET_BUFFER_LIST, ReturnFlags: u32);
    pub type MINIPORT_CANCEL_SEND_HANDLER = fn(MiniportAdapterContext: NDIS_HANDLE, CancelId: PVOID);
    pub type MINIPORT_CHECK_FOR_HANG_HANDLER = fn(MiniportAdapterContext: NDIS_HANDLE) -> BOOLEAN;
    pub type MINIPORT_RESET_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, AddressingReset: *mut BOOLEAN) -> NDIS_STATUS;
    pub type MINIPORT_DEVICE_PNP_EVENT_NOTIFY_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, NetDevicePnPEvent: *mut NET_DEVICE_PNP_EVENT);
    pub type MINIPORT_SHUTDOWN_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, ShutdownAction: NDIS_SHUTDOWN_ACTION);
    pub type MINIPORT_ADD_DEVICE_HANDLER =
        fn(NdisMiniportHandle: NDIS_HANDLE, MiniportDriverContext: NDIS_HANDLE) -> NDIS_STATUS;
    pub type MINIPORT_REMOVE_DEVICE_HANDLER = fn(MiniportAddDeviceContext: NDIS_HANDLE);
    pub type MINIPORT_PNP_IRP_HANDLER = fn(MiniportAddDeviceContext: NDIS_HANDLE, Irp: *mut IRP) -> NDIS_STATUS;
    pub type MINIPORT_IDLE_NOTIFICATION_HANDLER =
        fn(MiniportAdapterContext: NDIS_HANDLE, ForceIdle: BOOLEAN) -> NDIS_STATUS;
    pub type MINIPORT_CANCEL_IDLE_NOTIFICATION_HANDLER = fn(MiniportAdapterContext: NDIS_HANDLE);

    pub type PROTOCOL_BIND_ADAPTER_HANDLER_EX = fn(
        ProtocolDriverContext: NDIS_HANDLE,
        BindContext: NDIS_HANDLE,
        BindParameters: *mut NDIS_BIND_PARAMETERS,
    ) -> NDIS_STATUS;
    pub type PROTOCOL_UNBIND_ADAPTER_HANDLER_EX =
        fn(UnbindContext: NDIS_HANDLE, ProtocolBindingContext: NDIS_HANDLE) -> NDIS_STATUS;
    pub type PROTOCOL_OPEN_ADAPTER_COMPLETE_HANDLER_EX = fn(ProtocolBindingContext: NDIS_HANDLE, Status: NDIS_STATUS);
    pub type PROTOCOL_CLOSE_ADAPTER_COMPLETE_HANDLER_EX = fn(ProtocolBindingContext: NDIS_HANDLE);
    pub type PROTOCOL_NET_PNP_EVENT_HANDLER = fn(
        ProtocolBindingContext: NDIS_HANDLE,
        NetPnPEventNotification: *mut NET_PNP_EVENT_NOTIFICATION,
    ) -> NDIS_STATUS;
    pub type PROTOCOL_UNINSTALL_HANDLER = fn();
    pub type PROTOCOL_OID_REQUEST_COMPLETE_HANDLER =
        fn(ProtocolBindingContext: NDIS_HANDLE, OidRequest: *mut NDIS_OID_REQUEST, Status: NDIS_STATUS);
    pub type PROTOCOL_STATUS_HANDLER_EX =
        fn(ProtocolBindingContext: NDIS_HANDLE, StatusIndication: *mut NDIS_STATUS_INDICATION);
    pub type PROTOCOL_RECEIVE_NET_BUFFER_LISTS_HANDLER = fn(
        ProtocolBindingContext: NDIS_HANDLE,
        NetBufferLists: *mut NET_BUFFER_LIST,
        PortNumber: NDIS_PORT_NUMBER,
        NumberOfNetBufferLists: u32,
        ReceiveFlags: u32,
    );
    pub type PROTOCOL_SEND_NET_BUFFER_LISTS_COMPLETE_HANDLER =
        fn(ProtocolBindingContext: NDIS_HANDLE, NetBufferList: *mut NET_BUFFER_LIST, SendCompleteFlags: u32);

    pub type NDIS_POLL = fn(Context: PVOID, PollData: *mut NDIS_POLL_DATA);
    pub type NDIS_SET_POLL_NOTIFICATION = fn(Context: PVOID, Notification: *mut NDIS_POLL_NOTIFICATION);
}
