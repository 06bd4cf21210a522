//! Reading and writing the settings of drivers, adapters and filter modules.

use std::ffi::c_void;

use nt::sys::*;

use super::{driver::new_filter, rule};
use crate::{
    FaultPlan, Lab, Rule, invoke,
    ndis::{
        config::*,
        header,
        raw::{Text, load, text},
    },
};

const SERVICES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services";

fn open(handle: *mut c_void, flags: u32) -> Result<u64, i32> {
    let object = NDIS_CONFIGURATION_OBJECT {
        Header: header(NDIS_OBJECT_TYPE_CONFIGURATION_OBJECT, 1, 0x14),
        NdisHandle: handle,
        Flags: flags,
    };
    let mut out = 1_u64;
    match invoke!(NdisOpenConfigurationEx, &raw const object, &raw mut out) as i32 {
        NDIS_STATUS_SUCCESS => Ok(out),
        status => {
            assert_eq!(out, 0);
            Err(status)
        }
    }
}

fn read(
    configuration: u64,
    keyword: &str,
    kind: NDIS_PARAMETER_TYPE,
) -> Result<NDIS_CONFIGURATION_PARAMETER, i32> {
    let (mut status, mut out) = (0_i32, std::ptr::null_mut::<NDIS_CONFIGURATION_PARAMETER>());
    let keyword = Text::new(keyword);
    invoke!(
        NdisReadConfiguration,
        &raw mut status,
        &raw mut out,
        configuration,
        keyword.pointer(),
        kind as u32
    );
    if status == NDIS_STATUS_SUCCESS {
        Ok(load(out))
    } else {
        assert!(out.is_null());
        Err(status)
    }
}

fn integer(configuration: u64, keyword: &str, kind: NDIS_PARAMETER_TYPE) -> Result<u32, i32> {
    let parameter = read(configuration, keyword, kind)?;
    let number = kind == NdisParameterInteger || kind == NdisParameterHexInteger;
    assert!(!number || parameter.ParameterType == kind, "{keyword}");
    // SAFETY: the tests ask for values that are numbers.
    Ok(unsafe { parameter.ParameterData.IntegerData })
}

fn string(configuration: u64, keyword: &str) -> String {
    let parameter = read(configuration, keyword, NdisParameterString).unwrap();
    assert_eq!(parameter.ParameterType, NdisParameterString);
    // SAFETY: the type says so.
    text(&unsafe { parameter.ParameterData.StringData })
}

fn write(configuration: u64, keyword: &str, parameter: &NDIS_CONFIGURATION_PARAMETER) -> i32 {
    let mut status = 1_i32;
    let keyword = Text::new(keyword);
    invoke!(
        NdisWriteConfiguration,
        &raw mut status,
        configuration,
        keyword.pointer(),
        std::ptr::from_ref(parameter)
    );
    status
}

/// The handle of the built-in miniport of a NIC.
fn adapter(name: &str) -> *mut c_void {
    crate::ndis::nic(name).unwrap().miniport().handle()
}

#[test]
fn drivers_adapters_modules_and_instances_have_settings_of_their_own() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab
        .nic("eth0")
        .setting("Where", "adapter")
        .create()
        .unwrap();
    let driver_key = format!("{SERVICES}\\filter\\Parameters");
    let module_key = nic.filter_registry_key("filter").unwrap();
    assert_eq!(nic.filter_registry_key("another"), None);
    let driver = *filter.driver.lock() as *mut c_void;
    lab.enter(|| {
        assert_eq!(open(driver, 0), Err(NDIS_STATUS_FAILURE), "no key yet");
        assert_eq!(open(filter.handle(), 0), Err(NDIS_STATUS_FAILURE));
    })
    .unwrap();
    let instance_key = module_key.replace("\\Adapters\\", "\\NdisAdapters\\") + "\\filter-0000";
    for (key, value) in [
        (&driver_key, "driver"),
        (&module_key, "module"),
        (&instance_key, "instance"),
    ] {
        lab.set_registry_string(key, "Where", value).unwrap();
    }
    lab.enter(|| {
        for (handle, flags, expected) in [
            (driver, 0, "driver"),
            (filter.handle(), 0, "module"),
            (filter.handle(), 1, "instance"),
            (adapter("eth0"), 0, "adapter"),
        ] {
            let configuration = open(handle, flags).unwrap();
            assert_eq!(string(configuration, "wHERE"), expected);
            invoke!(NdisCloseConfiguration, configuration);
        }
    })
    .unwrap();
    filter.deregister(&lab).unwrap();
}

#[test]
fn values_of_every_type_are_read() {
    let lab = Lab::builder().windows_build(17763).boot().unwrap();
    let nic = lab
        .nic("eth0")
        .setting("*NumRssQueues", "4")
        .setting("Hex", "1fG")
        .setting("Words", "none")
        .setting("Minus", "-2")
        .create()
        .unwrap();
    let key = nic.registry_key();
    lab.set_registry_dword(&key, "Number", 77).unwrap();
    for (name, kind, data) in [
        ("Many", 7, &b"a\0\0\0b\0\0\0\0\0"[..]),
        ("Bytes", 3, &[1, 2, 3][..]),
        ("Empty", 3, &[][..]),
        ("Short", 4, &[1, 2][..]),
        ("Strange", 11, &[0; 8][..]),
    ] {
        lab.set_registry_value(&key, name, kind, data).unwrap();
    }
    lab.enter(|| {
        let c = open(adapter("eth0"), 0).unwrap();
        assert_eq!(integer(c, "Number", NdisParameterInteger), Ok(77));
        assert_eq!(integer(c, "Number", NdisParameterHexInteger), Ok(77));
        assert_eq!(integer(c, "Number", NdisParameterString), Ok(77));
        assert_eq!(integer(c, "*NumRssQueues", NdisParameterInteger), Ok(4));
        assert_eq!(string(c, "*NumRssQueues"), "4");
        assert_eq!(integer(c, "Hex", NdisParameterHexInteger), Ok(0x1f));
        assert_eq!(integer(c, "Hex", NdisParameterInteger), Ok(1));
        assert_eq!(integer(c, "Words", NdisParameterInteger), Ok(0));
        assert_eq!(integer(c, "Minus", NdisParameterInteger), Ok(u32::MAX - 1));
        assert_eq!(
            integer(c, "NdisVersion", NdisParameterInteger),
            Ok(0x6_0052)
        );
        assert_eq!(integer(c, "Environment", NdisParameterInteger), Ok(1));
        assert_eq!(integer(c, "ProcessorType", NdisParameterInteger), Ok(4));
        let many = read(c, "Many", NdisParameterMultiString).unwrap();
        assert_eq!(many.ParameterType, NdisParameterMultiString);
        // SAFETY: the type says so.
        assert_eq!(unsafe { many.ParameterData.StringData }.Length, 10);
        let bytes = read(c, "Bytes", NdisParameterBinary).unwrap();
        assert_eq!(bytes.ParameterType, NdisParameterBinary);
        // SAFETY: the type says so.
        let binary = unsafe { bytes.ParameterData.BinaryData };
        assert_eq!(load(binary.Buffer.cast::<[u8; 3]>()), [1, 2, 3]);
        assert_eq!(binary.Length, 3);
        // SAFETY: asked for as bytes.
        let empty = unsafe {
            read(c, "Empty", NdisParameterBinary)
                .unwrap()
                .ParameterData
                .BinaryData
        };
        assert_eq!(empty.Length, 0);
        for missing in ["Short", "Strange", "Nothing"] {
            let result = integer(c, missing, NdisParameterInteger);
            assert_eq!(result, Err(NDIS_STATUS_FAILURE), "{missing}");
        }
        invoke!(NdisCloseConfiguration, c);
    })
    .unwrap();
}

#[test]
fn what_is_written_is_read_back() {
    let lab = Lab::boot().unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    lab.enter(|| {
        let c = open(adapter("eth0"), 0).unwrap();
        let value = Text::new("two words");
        let mut parameter = NDIS_CONFIGURATION_PARAMETER::zeroed();
        parameter.ParameterType = NdisParameterString;
        parameter.ParameterData.StringData = load(value.pointer());
        assert_eq!(write(c, "Text", &parameter), NDIS_STATUS_SUCCESS);
        assert_eq!(string(c, "Text"), "two words");
        parameter.ParameterType = NdisParameterHexInteger;
        parameter.ParameterData.IntegerData = 9;
        assert_eq!(write(c, "Number", &parameter), NDIS_STATUS_SUCCESS);
        assert_eq!(integer(c, "Number", NdisParameterInteger), Ok(9));
        parameter.ParameterType = 99;
        assert_eq!(write(c, "Odd", &parameter), NDIS_STATUS_NOT_SUPPORTED);
        invoke!(NdisCloseConfiguration, c);
    })
    .unwrap();
    let stored = lab.registry_value(&nic.registry_key(), "Number").unwrap();
    assert_eq!(stored, Some((4, vec![9, 0, 0, 0])));
}

#[test]
fn network_addresses_are_read_in_either_notation() {
    let lab = Lab::boot().unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    for (text, expected) in [
        ("02-00-5E-10-00-01", Ok([2, 0, 0x5e, 0x10, 0, 1])),
        ("02005e100001", Ok([2, 0, 0x5e, 0x10, 0, 1])),
        ("02005e10000", Err(NDIS_STATUS_FAILURE)),
        ("no address", Err(NDIS_STATUS_FAILURE)),
        ("", Err(NDIS_STATUS_FAILURE)),
    ] {
        lab.set_registry_string(&nic.registry_key(), "NetworkAddress", text)
            .unwrap();
        lab.enter(|| {
            let c = open(adapter("eth0"), 0).unwrap();
            let (mut status, mut length) = (1_i32, 0_u32);
            let mut out = std::ptr::null_mut::<u8>();
            invoke!(
                NdisReadNetworkAddress,
                &raw mut status,
                &raw mut out,
                &raw mut length,
                c
            );
            let result = if status == 0 {
                assert_eq!(length, 6);
                Ok(load(out.cast::<[u8; 6]>()))
            } else {
                Err(status)
            };
            assert_eq!(result, expected, "{text}");
            invoke!(NdisCloseConfiguration, c);
        })
        .unwrap();
    }
}

#[test]
fn want_of_memory_is_a_status() {
    let lab = Lab::boot().unwrap();
    let _nic = lab.nic("eth0").setting("A", "1").create().unwrap();
    lab.enter(|| {
        lab.inject_failures(FaultPlan::Nth(1));
        assert_eq!(open(adapter("eth0"), 0), Err(NDIS_STATUS_RESOURCES));
        let c = open(adapter("eth0"), 0).unwrap();
        lab.inject_failures(FaultPlan::Nth(1));
        let first = integer(c, "A", NdisParameterInteger);
        assert_eq!(first, Err(NDIS_STATUS_RESOURCES));
        assert_eq!(integer(c, "A", NdisParameterInteger), Ok(1));
        invoke!(NdisCloseConfiguration, c);
    })
    .unwrap();
}

#[test]
fn misuse_of_configurations_is_caught() {
    let run = |misuse: &dyn Fn()| {
        let lab = Lab::boot().unwrap();
        let _nic = lab.nic("eth0").create().unwrap();
        rule(lab.enter(misuse))
    };
    let closed = run(&|| {
        let c = open(adapter("eth0"), 0).unwrap();
        invoke!(NdisCloseConfiguration, c);
        let _ = read(c, "NdisVersion", NdisParameterInteger);
    });
    assert_eq!(closed, Rule::NdisStaleHandle);
    let twice = run(&|| {
        let c = open(adapter("eth0"), 0).unwrap();
        invoke!(NdisCloseConfiguration, c);
        invoke!(NdisCloseConfiguration, c);
    });
    assert_eq!(twice, Rule::NdisStaleHandle);
    let no_handle = run(&|| {
        let _ = open(0x1234 as *mut c_void, 0);
    });
    assert_eq!(no_handle, Rule::NdisBadHandle);
    let header = run(&|| {
        let object = NDIS_CONFIGURATION_OBJECT::zeroed();
        let mut out = 0_u64;
        invoke!(NdisOpenConfigurationEx, &raw const object, &raw mut out);
    });
    assert_eq!(header, Rule::NdisBadStructure);
}

#[test]
fn a_configuration_left_open_at_detach_is_caught() {
    let lab = Lab::boot().unwrap();
    let filter = new_filter();
    filter.register(&lab, "filter").unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    let key = nic.filter_registry_key("filter").unwrap();
    lab.set_registry_dword(&key, "A", 1).unwrap();
    lab.enter(|| open(filter.handle(), 0).unwrap()).unwrap();
    assert_eq!(rule(filter.deregister(&lab)), Rule::NdisObjectLeaked);
}
