//! Configuration of drivers, adapters and filter modules: values of registry keys.

use std::{ffi::c_void, sync::Arc};

use crate::sync::Mutex;
use nt::sys::{
    BINARY_DATA, NDIS_CONFIGURATION_OBJECT, NDIS_CONFIGURATION_PARAMETER,
    NDIS_CONFIGURATION_PARAMETER_ParameterData, NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
    NDIS_PARAMETER_TYPE, NDIS_STATUS_FAILURE, NDIS_STATUS_NOT_SUPPORTED, NDIS_STATUS_RESOURCES,
    NDIS_STATUS_SUCCESS, NdisParameterBinary, NdisParameterHexInteger, NdisParameterInteger,
    NdisParameterMultiString, NdisParameterString, UNICODE_STRING,
};

use super::{
    adapter::guid_text,
    layer::{Layer, Part},
    memory,
    raw::{bytes, copy, load, put, store, text},
    version,
};
use crate::{
    cm::{Key, REG_BINARY, REG_DWORD, REG_EXPAND_SZ, REG_MULTI_SZ, REG_SZ, Value},
    exports,
    kernel::kernel,
};

/// `NDIS_CONFIG_FLAG_FILTER_INSTANCE_CONFIGURATION`.
const FILTER_INSTANCE: u32 = 1;
/// `NdisEnvironmentWindowsNt`.
const WINDOWS_NT: u32 = 1;
/// `NdisProcessorAmd64`.
const AMD64: u32 = 4;
const SERVICES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services";

/// An open configuration; its address is the handle.
pub(crate) struct Configuration {
    pub(crate) owner: usize,
    key: Arc<Key>,
    /// What was read, which lives until the configuration is closed.
    given: Mutex<Vec<usize>>,
}

impl Configuration {
    /// Memory for a driver that goes with this configuration; null when there is none left.
    fn give(&self, len: usize) -> *mut u8 {
        let address = memory::allocate_as_driver_would(len);
        if !address.is_null() {
            self.given.lock().push(address as usize);
        }
        address
    }
}

/// Key of the configuration of one filter module.
pub(crate) fn module_key(layer: &Layer, instance: bool) -> Option<String> {
    let driver = layer.filter()?;
    let guid = guid_text(&layer.adapter.guid);
    let (service, unique) = (&driver.service, &driver.unique);
    Some(if instance {
        format!("{SERVICES}\\{service}\\Parameters\\NdisAdapters\\{guid}\\{unique}-0000")
    } else {
        format!("{SERVICES}\\{service}\\Parameters\\Adapters\\{guid}")
    })
}

/// Key of what a handle (driver, adapter, filter module) is configured with.
fn path_of(handle: *mut c_void, flags: u32) -> Option<String> {
    let ndis = &kernel().ndis;
    if let Some(driver) = ndis.filter_drivers.find(handle) {
        return Some(format!("{SERVICES}\\{}\\Parameters", driver.service));
    }
    if let Some(driver) = ndis.miniport_drivers.find(handle) {
        return Some(format!("{}\\Parameters", driver.registry_path));
    }
    let layer = ndis.layers.find(handle)?;
    match layer.part {
        Part::Filter(_) => module_key(layer, flags & FILTER_INSTANCE != 0),
        Part::Miniport(_) | Part::Binding(_) => Some(layer.adapter.registry_key()),
    }
}

fn open(object: *const NDIS_CONFIGURATION_OBJECT) -> Result<*mut c_void, i32> {
    let object = load(object);
    super::check_header(
        object.Header,
        NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT,
        1,
        0x14,
        "NDIS_CONFIGURATION_OBJECT",
    );
    let owner = super::owner(object.NdisHandle);
    if memory::must_fail("NdisOpenConfigurationEx") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let path = path_of(object.NdisHandle, object.Flags).ok_or(NDIS_STATUS_FAILURE)?;
    let key = kernel().registry.find(&path).ok_or(NDIS_STATUS_FAILURE)?;
    let configuration = kernel().ndis.configurations.insert(Configuration {
        owner,
        key,
        given: Mutex::default(),
    });
    Ok(std::ptr::from_ref(configuration).cast_mut().cast())
}

/// The number that a text starts with, as `RtlUnicodeStringToInteger` reads it.
fn number(text: &str, base: u32) -> u32 {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = text
        .chars()
        .map_while(|c| c.to_digit(base))
        .fold(0_u32, |value, digit| {
            value.wrapping_mul(base).wrapping_add(digit)
        });
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// Text of a registry value, without the zero at its end.
fn wide_text(data: &[u8]) -> String {
    let units: Vec<u16> = data
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| u16::from_le_bytes(*b))
        .collect();
    String::from_utf16_lossy(&units)
        .trim_end_matches('\0')
        .to_owned()
}

/// What a driver gets for a value.
enum Reading {
    Integer(NDIS_PARAMETER_TYPE, u32),
    Counted(NDIS_PARAMETER_TYPE, Vec<u8>),
}

/// Keywords that NDIS answers without looking into the registry.
fn predefined(keyword: &str) -> Option<u32> {
    match keyword {
        "Environment" => Some(WINDOWS_NT),
        "ProcessorType" => Some(AMD64),
        "NdisVersion" => Some(version::current()),
        _ => None,
    }
}

fn interpret(value: &Value, wanted: NDIS_PARAMETER_TYPE) -> Option<Reading> {
    let base = if wanted == NdisParameterInteger {
        Some(10)
    } else if wanted == NdisParameterHexInteger {
        Some(16)
    } else {
        None
    };
    Some(match value.kind {
        REG_DWORD => {
            let number = u32::from_le_bytes(*value.data.first_chunk::<4>()?);
            let kind = base.map_or(NdisParameterInteger, |_| wanted);
            Reading::Integer(kind, number)
        }
        REG_SZ | REG_EXPAND_SZ => match base {
            Some(base) => Reading::Integer(wanted, number(&wide_text(&value.data), base)),
            None => {
                let text = wide_text(&value.data);
                let data = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                Reading::Counted(NdisParameterString, data)
            }
        },
        REG_MULTI_SZ => Reading::Counted(NdisParameterMultiString, value.data.clone()),
        REG_BINARY => Reading::Counted(NdisParameterBinary, value.data.clone()),
        _ => return None,
    })
}

fn hand_out(
    configuration: &Configuration,
    reading: Reading,
) -> Result<*mut NDIS_CONFIGURATION_PARAMETER, i32> {
    let fixed = size_of::<NDIS_CONFIGURATION_PARAMETER>();
    let data: &[u8] = match &reading {
        Reading::Integer(..) => &[],
        Reading::Counted(_, data) => data,
    };
    // Text is followed by a zero, which its length does not count.
    let memory = configuration.give(fixed + data.len() + 2);
    if memory.is_null() {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let (parameter, behind) = (
        memory.cast::<NDIS_CONFIGURATION_PARAMETER>(),
        memory.wrapping_add(fixed),
    );
    copy(behind, data.as_ptr(), data.len());
    let length = data.len().min(0xffff) as u16;
    let (kind, union) = match reading {
        Reading::Integer(kind, number) => (
            kind,
            NDIS_CONFIGURATION_PARAMETER_ParameterData {
                IntegerData: number,
            },
        ),
        Reading::Counted(kind, _) if kind == NdisParameterBinary => (
            kind,
            NDIS_CONFIGURATION_PARAMETER_ParameterData {
                BinaryData: BINARY_DATA {
                    Length: length,
                    Buffer: behind.cast(),
                },
            },
        ),
        Reading::Counted(kind, _) => (
            kind,
            NDIS_CONFIGURATION_PARAMETER_ParameterData {
                StringData: UNICODE_STRING {
                    Length: length,
                    MaximumLength: length.saturating_add(2),
                    Buffer: behind.cast(),
                },
            },
        ),
    };
    put!(parameter => [ParameterType] kind);
    put!(parameter => [ParameterData] union);
    Ok(parameter)
}

fn read(
    configuration: &Configuration,
    keyword: &str,
    wanted: NDIS_PARAMETER_TYPE,
) -> Result<*mut NDIS_CONFIGURATION_PARAMETER, i32> {
    if memory::must_fail("NdisReadConfiguration") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let reading = match predefined(keyword) {
        Some(number) => Reading::Integer(NdisParameterInteger, number),
        None => {
            let value = configuration.key.value(keyword);
            let value = value.ok_or(NDIS_STATUS_FAILURE)?;
            interpret(&value, wanted).ok_or(NDIS_STATUS_FAILURE)?
        }
    };
    hand_out(configuration, reading)
}

/// Type and bytes that the registry keeps for a parameter.
fn registry_form(parameter: *const NDIS_CONFIGURATION_PARAMETER) -> Option<(u32, Vec<u8>)> {
    let p = load(parameter);
    let data = p.ParameterData;
    let kind = p.ParameterType;
    if kind == NdisParameterInteger || kind == NdisParameterHexInteger {
        // SAFETY: the type says which member the driver has filled in.
        let number = unsafe { data.IntegerData };
        return Some((REG_DWORD, number.to_le_bytes().to_vec()));
    }
    if kind == NdisParameterString || kind == NdisParameterMultiString {
        // SAFETY: as above.
        let string = unsafe { data.StringData };
        let mut text = bytes(string.Buffer.cast(), string.Length.into()).to_vec();
        if kind == NdisParameterMultiString {
            return Some((REG_MULTI_SZ, text));
        }
        text.extend([0, 0]);
        return Some((REG_SZ, text));
    }
    (kind == NdisParameterBinary).then(|| {
        // SAFETY: as above.
        let binary = unsafe { data.BinaryData };
        let data = bytes(binary.Buffer.cast(), binary.Length.into());
        (REG_BINARY, data.to_vec())
    })
}

/// Bytes of a network address as the registry keeps it: hexadecimal, with or without hyphens.
fn network_address(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| *c != '-' && *c != ':')
        .map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    let digits = digits.filter(|d| !d.is_empty() && d.len() % 2 == 0)?;
    Some(
        digits
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[high, low]| high << 4 | low)
            .collect(),
    )
}

fn configuration(handle: *mut c_void, function: &'static str) -> &'static Configuration {
    kernel().ndis.configurations.get(handle, function)
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Opens the configuration of a driver, an adapter or a filter module.
    #[irql(PASSIVE)]
    fn NdisOpenConfigurationEx(object: *const NDIS_CONFIGURATION_OBJECT, out: *mut *mut c_void) -> i32 {
        store(out, std::ptr::null_mut());
        match open(object) {
            Ok(handle) => {
                store(out, handle);
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Reads a value; it lives until the configuration is closed.
    #[irql(PASSIVE)]
    fn NdisReadConfiguration(
        status: *mut i32, out: *mut *mut NDIS_CONFIGURATION_PARAMETER, handle: *mut c_void,
        keyword: *const UNICODE_STRING, kind: NDIS_PARAMETER_TYPE,
    ) {
        store(out, std::ptr::null_mut());
        let configuration = configuration(handle, "NdisReadConfiguration");
        match read(configuration, &text(&load(keyword)), kind) {
            Ok(parameter) => {
                store(out, parameter);
                store(status, NDIS_STATUS_SUCCESS);
            }
            Err(error) => store(status, error),
        }
    }

    /// Writes a value.
    #[irql(PASSIVE)]
    fn NdisWriteConfiguration(
        status: *mut i32, handle: *mut c_void, keyword: *const UNICODE_STRING,
        parameter: *const NDIS_CONFIGURATION_PARAMETER,
    ) {
        let configuration = configuration(handle, "NdisWriteConfiguration");
        let Some((kind, data)) = registry_form(parameter) else {
            return store(status, NDIS_STATUS_NOT_SUPPORTED);
        };
        if memory::must_fail("NdisWriteConfiguration") {
            return store(status, NDIS_STATUS_RESOURCES);
        }
        kernel().registry.set(&configuration.key, &text(&load(keyword)), kind, data);
        store(status, NDIS_STATUS_SUCCESS);
    }

    /// Reads the network address that the configuration overrides the adapter's own with.
    #[irql(PASSIVE)]
    fn NdisReadNetworkAddress(status: *mut i32, out: *mut *mut u8, length: *mut u32, handle: *mut c_void) {
        let configuration = configuration(handle, "NdisReadNetworkAddress");
        store(out, std::ptr::null_mut());
        store(length, 0);
        let value = configuration.key.value("NetworkAddress");
        let address = value
            .filter(|v| v.kind == REG_SZ)
            .and_then(|v| network_address(&wide_text(&v.data)));
        let Some(address) = address else {
            return store(status, NDIS_STATUS_FAILURE);
        };
        let memory = if memory::must_fail("NdisReadNetworkAddress") {
            std::ptr::null_mut()
        } else {
            configuration.give(address.len())
        };
        if memory.is_null() {
            return store(status, NDIS_STATUS_RESOURCES);
        }
        copy(memory, address.as_ptr(), address.len());
        store(out, memory);
        store(length, address.len() as u32);
        store(status, NDIS_STATUS_SUCCESS);
    }

    /// Closes a configuration and frees what was read from it.
    #[irql(PASSIVE)]
    fn NdisCloseConfiguration(handle: *mut c_void) {
        let configuration = configuration(handle, "NdisCloseConfiguration");
        let given = std::mem::take(&mut *configuration.given.lock());
        for address in given {
            memory::free_for_driver(address as *mut u8);
        }
        kernel().ndis.configurations.retire(configuration);
    }
}
