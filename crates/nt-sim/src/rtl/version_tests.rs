//! What the system says it is.

use nt::sys::{RTL_OSVERSIONINFOEXW, STATUS_INVALID_PARAMETER};

use super::{features::*, version::*};
use crate::{Lab, invoke};

#[test]
fn the_version_meets_conditions_digit_by_digit() {
    let lab = Lab::builder().windows_build(20348).boot().unwrap();
    const STATUS_REVISION_MISMATCH: i32 = 0xC000_0059_u32 as i32;
    let mask = |types: u32, condition: u32| invoke!(VerSetConditionMask, 0, types, condition);
    let verify = |change: &dyn Fn(&mut RTL_OSVERSIONINFOEXW), types: u32, conditions: u64| {
        let mut wanted = RTL_OSVERSIONINFOEXW::zeroed();
        wanted.dwOSVersionInfoSize = size_of::<RTL_OSVERSIONINFOEXW>() as u32;
        change(&mut wanted);
        invoke!(RtlVerifyVersionInfo, &raw const wanted, types, conditions) as i32
    };
    let version = |major: u32, minor: u32, condition: u32| {
        let change = move |v: &mut RTL_OSVERSIONINFOEXW| {
            (v.dwMajorVersion, v.dwMinorVersion) = (major, minor);
        };
        verify(&change, 3, mask(3, condition))
    };
    lab.enter(|| {
        const AT_LEAST: u32 = 3;
        assert_eq!(version(6, 3, AT_LEAST), 0, "10.0 is at least 6.3");
        assert_eq!(version(10, 0, AT_LEAST), 0);
        assert_eq!(version(10, 1, AT_LEAST), STATUS_REVISION_MISMATCH);
        assert_eq!(version(11, 0, AT_LEAST), STATUS_REVISION_MISMATCH);
        assert_eq!(version(10, 0, 1), 0);
        assert_eq!(version(6, 0, 1), STATUS_REVISION_MISMATCH);
        assert_eq!(version(11, 0, 4), 0, "10.0 is less than 11.0");
        assert_eq!(version(10, 0, 0), STATUS_INVALID_PARAMETER);
        let build = |number: u32| {
            let change = move |v: &mut RTL_OSVERSIONINFOEXW| v.dwBuildNumber = number;
            verify(&change, 4, mask(4, AT_LEAST))
        };
        assert_eq!(build(17763), 0);
        assert_eq!(build(22000), STATUS_REVISION_MISMATCH);
        let server = |v: &mut RTL_OSVERSIONINFOEXW| v.wProductType = 3;
        assert_eq!(verify(&server, 0x80, mask(0x80, 1)), 0);
        let terminal = |v: &mut RTL_OSVERSIONINFOEXW| v.wSuiteMask = 0x10;
        assert_eq!(verify(&terminal, 0x40, mask(0x40, 6)), 0);
        let blade = |v: &mut RTL_OSVERSIONINFOEXW| v.wSuiteMask = 0x400;
        let result = verify(&blade, 0x40, mask(0x40, 7));
        assert_eq!(result, STATUS_REVISION_MISMATCH);
        assert_eq!(verify(&blade, 0, 0), STATUS_INVALID_PARAMETER);
        assert_eq!(verify(&blade, 0x100, 0), STATUS_INVALID_PARAMETER);
        assert_eq!(mask(3, 3), 0b011_011);
    })
    .unwrap();
}

#[test]
fn the_system_describes_itself_as_data() {
    let lab = Lab::builder().windows_build(17763).boot().unwrap();
    let data = |name: &str| {
        let export = crate::export::lookup("ntoskrnl.exe", name).unwrap();
        assert!(export.info.data);
        // SAFETY: all of these are words of 32 bits.
        unsafe { export.address.cast::<u32>().read() }
    };
    assert_eq!(data("NtBuildNumber"), 0xf000_0000 | 17763);
    assert_eq!(data("InitSafeBootMode"), 0);
    assert_eq!(data("KdDebuggerNotPresent"), 1);
    lab.enter(|| {
        let present = |feature: u32| invoke!(ExIsProcessorFeaturePresent, feature);
        assert_eq!(
            (present(10), present(12), present(0), present(999)),
            (1, 1, 0, 0)
        );
    })
    .unwrap();
}
