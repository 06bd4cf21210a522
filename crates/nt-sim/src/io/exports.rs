//! Requests as drivers see them.

use nt::sys::{DEVICE_OBJECT, FILE_OBJECT, IO_STACK_LOCATION, IRP, STATUS_SUCCESS, UNICODE_STRING};

use super::{
    device,
    irp::{self, Irp},
};
use crate::{exports, kernel::kernel, ob::unicode_string, ps};

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Completes a request.
    #[irql(DISPATCH)]
    fn IofCompleteRequest(packet: *mut IRP, boost: i8) {
        let _ = boost;
        irp::complete(packet);
    }

    /// Passes a request to a driver.
    #[irql(DISPATCH)]
    fn IofCallDriver(device: *mut DEVICE_OBJECT, packet: *mut IRP) -> i32 {
        irp::call_driver(device as usize, packet)
    }

    /// Makes a packet with room for `stack` drivers.
    #[irql(DISPATCH)]
    fn IoAllocateIrp(stack: i8, charge: u8) -> *mut IRP {
        let _ = charge;
        if crate::verifier::fault("IoAllocateIrp") {
            return std::ptr::null_mut();
        }
        Irp::create(stack as u8, "a driver's own packet".to_owned(), None).pointer()
    }

    /// Frees a packet from IoAllocateIrp.
    #[irql(DISPATCH)]
    fn IoFreeIrp(packet: *mut IRP) {
        irp::free(packet);
    }

    /// The process that a request came from.
    #[irql(DISPATCH)]
    fn IoGetRequestorProcess(packet: *mut IRP) -> usize {
        let id = irp::expect(packet, "IoGetRequestorProcess").process;
        let ps = &kernel().ps;
        let found = ps.processes.lock().iter().find(|p| p.id == id).cloned();
        found.map_or_else(|| ps.system.object().address, |p| p.object().address)
    }

    /// Number of the process that a request came from.
    #[irql(DISPATCH)]
    fn IoGetRequestorProcessId(packet: *mut IRP) -> u32 {
        irp::expect(packet, "IoGetRequestorProcessId").process as u32
    }

    /// Whether a request (null: the current process) comes from 32-bit code.
    #[irql(DISPATCH)]
    fn IoIs32bitProcess(packet: *mut IRP) -> u8 {
        let id = if packet.is_null() { ps::current_process().id } else { irp::expect(packet, "IoIs32bitProcess").process };
        let processes = kernel().ps.processes.lock();
        let process = processes.iter().find(|p| p.id == id);
        u8::from(process.is_some_and(|p| p.is_32_bit.load(std::sync::atomic::Ordering::Relaxed)))
    }

    /// The device at the top of the stack that a file was opened on.
    #[irql(DISPATCH)]
    fn IoGetRelatedDeviceObject(file: *mut FILE_OBJECT) -> *mut DEVICE_OBJECT {
        // SAFETY: the caller passes a file object.
        let device = unsafe { (*file).DeviceObject };
        device::expect(device as usize, "IoGetRelatedDeviceObject").top().body()
    }

    /// Opens a device by name: its top device and a referenced file object.
    #[irql(PASSIVE)]
    fn IoGetDeviceObjectPointer(name: *const UNICODE_STRING, access: u32, file: *mut usize, out: *mut *mut DEVICE_OBJECT) -> i32 {
        let path = unicode_string(name).unwrap_or_default();
        let request = super::request::Open {
            path: &path,
            access,
            disposition: 1,
            options: 0x40,
            share: 0,
            ea: Vec::new(),
            user: false,
            attributes: nt::sys::OBJ_KERNEL_HANDLE,
        };
        let handle = match super::request::open(&request) {
            Ok(handle) => handle,
            Err(status) => return status,
        };
        let table = &kernel().ob.kernel_handles;
        let Some(found) = table.get(handle) else {
            return nt::sys::STATUS_INVALID_HANDLE;
        };
        kernel().ob.reference(&found.object);
        // SAFETY: an open file's object.
        let device = unsafe { (*(found.object.address as *mut FILE_OBJECT)).DeviceObject };
        // SAFETY: the caller gives memory for both pointers.
        unsafe { file.write(found.object.address) };
        // SAFETY: as above.
        unsafe { out.write(device::expect(device as usize, "IoGetDeviceObjectPointer").top().body()) };
        match table.close(handle) {
            Ok(()) => STATUS_SUCCESS,
            Err(status) => status,
        }
    }

    /// The location of the driver that has the packet.
    #[irql(DISPATCH)]
    fn IoGetTopLevelIrp() -> *mut IO_STACK_LOCATION {
        std::ptr::null_mut()
    }

    /// A DMA adapter: there is no bus under the simulated devices.
    #[irql(PASSIVE)]
    fn IoGetDmaAdapter(device: usize, description: usize, registers: *mut u32) -> usize {
        let _ = (device, description, registers);
        0
    }

    /// Registers a driver for WMI; there is no WMI service, so nothing ever comes of it.
    #[irql(PASSIVE)]
    fn IoWMIRegistrationControl(device: usize, action: u32) -> i32 {
        let _ = (device, action);
        STATUS_SUCCESS
    }
}
