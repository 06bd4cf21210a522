//! Opening the driver's devices: specification 01.

use nt_sim::{LabError, NtStatus};
use scenarios::{EA, lab, load, open_value};
use xdp_abi::open::ObjectType;

const NOT_SUPPORTED: NtStatus = NtStatus(0xC000_00BB_u32 as i32);
const INVALID_PARAMETER: NtStatus = NtStatus(0xC000_000D_u32 as i32);
const ACCESS_DENIED: NtStatus = NtStatus(0xC000_0022_u32 as i32);

const DEVICES: [(&str, Option<ObjectType>); 5] = [
    (r"\Device\xdp", None),
    (r"\Device\xdpapi\program", Some(ObjectType::PROGRAM)),
    (r"\Device\xdpapi\xsk", Some(ObjectType::XSK)),
    (r"\Device\xdpapi\interface", Some(ObjectType::INTERFACE)),
    (r"\Device\xdpapi\map", Some(ObjectType::MAP)),
];

fn status<T>(result: Result<T, LabError>) -> NtStatus {
    match result {
        Ok(_) => NtStatus(0),
        Err(error) => error.status().unwrap_or_else(|| panic!("{error}")),
    }
}

#[test]
fn s01_1_2_only_administrators_open_the_devices() {
    let lab = lab().boot().unwrap();
    let _driver = load(&lab).unwrap();
    let user = lab.user("someone").unwrap();
    let administrator = lab.administrator("operator").unwrap();
    for (path, _) in DEVICES {
        assert_eq!(status(user.open(path).open()), ACCESS_DENIED, "{path}");
        assert_eq!(
            status(administrator.open(path).open()),
            NtStatus(0),
            "{path}"
        );
    }
}

#[test]
fn s10_3_r17_s01_2_4_a_32_bit_programs_are_refused() {
    let lab = lab().boot().unwrap();
    let _driver = load(&lab).unwrap();
    let process = lab.administrator("old").unwrap();
    process.run_32_bit();
    assert_eq!(status(process.open(r"\Device\xdp").open()), NOT_SUPPORTED);
}

#[test]
fn s01_2_4_b_s01_2_5_a_handle_without_an_attribute_is_inert() {
    let lab = lab().boot().unwrap();
    let driver = load(&lab).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open(r"\Device\xdp").open().unwrap();
    for code in [0x128000, 0x128004, 0x12800c, 0x128013, 0x128017] {
        assert_eq!(
            status(handle.control(code, &[0; 16], 16)),
            NOT_SUPPORTED,
            "{code:#x}"
        );
    }
    handle.close().unwrap();
    process.terminate().unwrap();
    assert!(driver.unload().unwrap().is_clean());
}

#[test]
fn s01_2_4_d_e_f_malformed_attributes_are_refused() {
    let lab = lab().boot().unwrap();
    let _driver = load(&lab).unwrap();
    let process = lab.administrator("app").unwrap();
    let value = open_value(ObjectType::XSK, &[]);
    let open =
        |name: &str, value: &[u8]| status(process.open(r"\Device\xdp").ea(name, value).open());
    assert_eq!(
        open("XdpOpenPacket001", &value),
        INVALID_PARAMETER,
        "d: another name"
    );
    assert_eq!(
        open("XDPOPENPACKET000", &value),
        INVALID_PARAMETER,
        "d: another case"
    );
    assert_eq!(
        open("XdpOpenPacket", &value),
        INVALID_PARAMETER,
        "d: a shorter name"
    );
    for length in 0..12 {
        assert_eq!(
            open(EA, &value[..length]),
            INVALID_PARAMETER,
            "e: {length} bytes"
        );
    }
    for kind in [4, 5, u32::MAX] {
        assert_eq!(
            open(EA, &open_value(ObjectType(kind), &[])),
            INVALID_PARAMETER,
            "f: type {kind}"
        );
    }
}

#[test]
fn s01_2_4_g_a_typed_device_opens_its_type_only() {
    let lab = lab().boot().unwrap();
    let _driver = load(&lab).unwrap();
    let process = lab.administrator("app").unwrap();
    for (path, own) in DEVICES {
        for kind in 0..4 {
            let Some(own) = own.filter(|own| own.0 != kind) else {
                continue;
            };
            let value = open_value(ObjectType(kind), &[0; 64]);
            let answer = status(process.open(path).ea(EA, &value).open());
            assert_eq!(
                answer, INVALID_PARAMETER,
                "{path} of {own:?} with type {kind}"
            );
        }
    }
}

#[test]
fn s01_1_4_there_is_no_dos_device() {
    let lab = lab().boot().unwrap();
    let _driver = load(&lab).unwrap();
    let process = lab.administrator("app").unwrap();
    let answer = status(process.open(r"\??\xdp").open());
    assert_eq!(answer, NtStatus(0xC000_0034_u32 as i32));
}

/// A self-relative descriptor that gives everybody (S-1-1-0) all access.
fn everybody() -> Vec<u8> {
    let sid = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    let mut ace = vec![0, 0, 20, 0];
    ace.extend(0x1000_0000_u32.to_le_bytes());
    ace.extend(sid);
    let mut descriptor = vec![1, 0, 4, 0x80];
    descriptor.extend([0; 12]);
    descriptor.extend(20_u32.to_le_bytes());
    descriptor.extend([2, 0, 28, 0, 1, 0, 0, 0]);
    descriptor.extend(ace);
    descriptor
}

#[test]
fn s01_1_1_an_administrator_overrides_the_descriptor_of_a_device_class() {
    const SECURITY: &str = r"\Registry\Machine\System\CurrentControlSet\Control\Class\{0903d898-39c3-4a0f-8528-13658fb280f3}\Properties";
    const REG_BINARY: u32 = 3;
    let lab = lab().boot().unwrap();
    lab.set_registry_value(SECURITY, "Security", REG_BINARY, &everybody())
        .unwrap();
    let _driver = load(&lab).unwrap();
    let user = lab.user("someone").unwrap();
    assert_eq!(status(user.open(r"\Device\xdpapi\xsk").open()), NtStatus(0));
    for other in [r"\Device\xdp", r"\Device\xdpapi\program"] {
        assert_eq!(
            status(user.open(other).open()),
            ACCESS_DENIED,
            "{other} keeps its own"
        );
    }
}

#[test]
fn s01_1_5_the_start_is_refused_when_a_descriptor_is_damaged_and_leaves_nothing() {
    const SECURITY: &str = r"\Registry\Machine\System\CurrentControlSet\Control\Class\{28f93d3f-4c0a-4a7c-8ff1-96b24e19b856}\Properties";
    let lab = lab().boot().unwrap();
    lab.set_registry_value(SECURITY, "Security", 3, &[1, 2, 3])
        .unwrap();
    assert!(load(&lab).is_err());
    lab.delete_registry_value(SECURITY, "Security").unwrap();
    assert!(load(&lab).unwrap().unload().unwrap().is_clean());
}
