//! Who asks, and whether he may: subject contexts and access checks that drivers make themselves.

use std::{collections::BTreeMap, sync::Arc};

use nt::sys::{GENERIC_MAPPING, NTSTATUS, SECURITY_SUBJECT_CONTEXT, STATUS_SUCCESS};

use super::security::{Descriptor, Sid, Token};
use crate::{
    exports,
    kernel::kernel,
    mem::guest,
    ps::{self, Process},
    sync::Mutex,
    verifier::Rule,
};

/// `SecurityImpersonation`, which means nothing without a client's token.
const IMPERSONATION: i32 = 2;
/// `MAXIMUM_ALLOWED`.
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
/// `SeChangeNotifyPrivilege`, which everybody has.
const CHANGE_NOTIFY: u64 = 23;

/// Subject contexts that are captured, by the address of the driver's structure. The process, whose
/// token it names, stays for as long.
#[derive(Default)]
pub(crate) struct Subjects {
    captured: Mutex<BTreeMap<usize, Arc<Process>>>,
}

fn subjects() -> &'static Subjects {
    &kernel().ob.subjects
}

fn token_address(process: &Process) -> usize {
    (&raw const process.token) as usize
}

/// The process whose context is captured at `context`.
fn captured(context: usize, function: &str) -> Arc<Process> {
    let found = subjects().captured.lock().get(&context).cloned();
    found.unwrap_or_else(|| {
        crate::bugcheck!(Rule::BadObject, context;
            "{function} for {context:#x}, which is no captured subject context")
    })
}

/// The token at `address`, of a captured context.
fn token_at(address: usize, function: &str) -> Token {
    let found = {
        let captured = subjects().captured.lock();
        let mut all = captured.values();
        all.find(|p| token_address(p) == address)
            .map(|p| p.token.clone())
    };
    found.unwrap_or_else(|| {
        crate::bugcheck!(Rule::BadObject, address;
            "{function} for {address:#x}, which is no token of a captured subject context")
    })
}

/// Replaces generic rights by what they mean for the kind of object.
fn map_generic(mask: u32, mapping: &GENERIC_MAPPING) -> u32 {
    let mut mapped = mask & 0x0fff_ffff;
    for (generic, specific) in [
        (0x8000_0000, mapping.GenericRead),
        (0x4000_0000, mapping.GenericWrite),
        (0x2000_0000, mapping.GenericExecute),
        (0x1000_0000, mapping.GenericAll),
    ] {
        if mask & generic != 0 {
            mapped |= specific;
        }
    }
    mapped
}

/// Checks an access: what is granted, or the status that refuses it.
fn check(
    descriptor: usize,
    token: &Token,
    desired: u32,
    previously: u32,
    mapping: &GENERIC_MAPPING,
) -> Result<u32, NTSTATUS> {
    let map = |mask: u32| map_generic(mask, mapping);
    let descriptor = Descriptor::read_mapped(descriptor, &map)?;
    let wanted = map(desired) & !previously;
    if wanted == 0 && previously == 0 {
        return Err(nt::sys::STATUS_ACCESS_DENIED);
    }
    let granted = descriptor.check_mapped(token, wanted, mapping.GenericAll)?;
    Ok(granted | previously)
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Notes for whom the calling thread acts.
    #[irql(PASSIVE)]
    fn SeCaptureSubjectContext(context: *mut SECURITY_SUBJECT_CONTEXT) {
        let process = ps::own_process();
        guest::store(context, SECURITY_SUBJECT_CONTEXT {
            ClientToken: std::ptr::null_mut(),
            ImpersonationLevel: IMPERSONATION,
            PrimaryToken: token_address(&process) as *mut _,
            ProcessAuditId: process.id as *mut _,
        });
        subjects().captured.lock().insert(context as usize, process);
    }

    /// Keeps the tokens of a context from changing; they do not.
    #[irql(PASSIVE)]
    fn SeLockSubjectContext(context: *mut SECURITY_SUBJECT_CONTEXT) {
        captured(context as usize, "SeLockSubjectContext");
    }

    /// Undoes SeLockSubjectContext.
    #[irql(PASSIVE)]
    fn SeUnlockSubjectContext(context: *mut SECURITY_SUBJECT_CONTEXT) {
        captured(context as usize, "SeUnlockSubjectContext");
    }

    /// Ends the use of a context.
    #[irql(PASSIVE)]
    fn SeReleaseSubjectContext(context: *mut SECURITY_SUBJECT_CONTEXT) {
        captured(context as usize, "SeReleaseSubjectContext");
        subjects().captured.lock().remove(&(context as usize));
        guest::store(context, SECURITY_SUBJECT_CONTEXT::zeroed());
    }

    /// Whether a descriptor grants an access to a subject.
    #[irql(PASSIVE)]
    fn SeAccessCheck(
        descriptor: *mut u8, context: *mut SECURITY_SUBJECT_CONTEXT, locked: u8, desired: u32, previously: u32,
        privileges: *mut *mut u8, mapping: *const GENERIC_MAPPING, mode: i8, granted: *mut u32, status: *mut i32,
    ) -> u8 {
        let _ = locked;
        let mapping = guest::load(mapping);
        if !privileges.is_null() {
            guest::store(privileges, std::ptr::null_mut());
        }
        let result = if mode == 0 {
            // The kernel itself may do everything.
            let all = if desired & MAXIMUM_ALLOWED != 0 { mapping.GenericAll } else { 0 };
            Ok(map_generic(desired & !MAXIMUM_ALLOWED, &mapping) | all | previously)
        } else {
            let process = captured(context as usize, "SeAccessCheck");
            check(descriptor as usize, &process.token, desired, previously, &mapping)
        };
        match result {
            Ok(access) => {
                guest::store(granted, access);
                guest::store(status, STATUS_SUCCESS);
                1
            }
            Err(error) => {
                guest::store(granted, 0);
                guest::store(status, error);
                0
            }
        }
    }

    /// Whether a token is an administrator's.
    #[irql(PASSIVE)]
    fn SeTokenIsAdmin(token: *mut u8) -> u8 {
        token_at(token as usize, "SeTokenIsAdmin").sids.contains(&Sid::administrators()).into()
    }

    /// Whether the calling thread has a privilege: administrators have all, others only to notify of changes.
    #[irql(PASSIVE)]
    fn SeSinglePrivilegeCheck(privilege: u64, mode: i8) -> u8 {
        let token = &ps::own_process().token;
        let held = mode == 0 || privilege == CHANGE_NOTIFY || token.sids.contains(&Sid::administrators());
        held.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lab, LabError, Process as Program, invoke};

    static MAPPING: GENERIC_MAPPING = GENERIC_MAPPING {
        GenericRead: 1,
        GenericWrite: 2,
        GenericExecute: 4,
        GenericAll: 0xff,
    };

    /// A self-relative descriptor: administrators everything (generic), users read.
    fn descriptor() -> Vec<u8> {
        let mut acl = vec![2, 0, 0, 0, 2, 0, 0, 0];
        for (mask, sid) in [
            (0x1000_0000_u32, Sid::administrators()),
            (0x8000_0000, Sid::users()),
        ] {
            let sid = sid.to_bytes();
            acl.extend([0, 0]);
            acl.extend((8 + sid.len() as u16).to_le_bytes());
            acl.extend(mask.to_le_bytes());
            acl.extend(sid);
        }
        let size = acl.len() as u16;
        acl[2..4].copy_from_slice(&size.to_le_bytes());
        let mut bytes = vec![1, 0, 4, 0x80];
        bytes.extend([0; 12]);
        bytes.extend(0x14_u32.to_le_bytes());
        bytes.extend(acl);
        bytes
    }

    /// What a program gets that asks for `desired`; and whether it is an administrator's.
    fn ask(program: &Program<'_>, desired: u32, mode: u32) -> (Result<u32, i32>, bool) {
        program
            .as_kernel(|| {
                let mut context = SECURITY_SUBJECT_CONTEXT::zeroed();
                let (mut granted, mut status) = (9_u32, 9_i32);
                let descriptor = descriptor();
                let at = &raw mut context;
                invoke!(SeCaptureSubjectContext, at);
                invoke!(SeLockSubjectContext, at);
                let allowed = invoke!(
                    SeAccessCheck,
                    descriptor.as_ptr(),
                    at,
                    1,
                    desired,
                    0,
                    0,
                    &raw const MAPPING,
                    mode,
                    &raw mut granted,
                    &raw mut status
                ) as u8;
                let admin = invoke!(SeTokenIsAdmin, context.PrimaryToken) as u8 != 0;
                invoke!(SeUnlockSubjectContext, at);
                invoke!(SeReleaseSubjectContext, at);
                assert_eq!(allowed != 0, status == 0);
                let result = if allowed != 0 {
                    Ok(granted)
                } else {
                    Err(status)
                };
                (result, admin)
            })
            .unwrap()
    }

    #[test]
    fn administrators_and_users_get_what_the_list_says() {
        let lab = Lab::boot().unwrap();
        let admin = lab.administrator("admin").unwrap();
        let user = lab.user("user").unwrap();
        let denied = Err(nt::sys::STATUS_ACCESS_DENIED);
        const READ: u32 = 0x8000_0000;
        const WRITE: u32 = 0x4000_0000;
        assert_eq!(ask(&admin, READ | WRITE, 1), (Ok(3), true));
        assert_eq!(ask(&user, READ, 1), (Ok(1), false));
        assert_eq!(ask(&user, WRITE, 1), (denied, false));
        assert_eq!(ask(&user, 0x80, 1), (denied, false));
        assert_eq!(ask(&user, MAXIMUM_ALLOWED, 1).0, Ok(1));
        assert_eq!(ask(&user, WRITE, 0).0, Ok(2), "the kernel may");
        let privileged = |program: &Program<'_>, privilege: u64, mode: u32| {
            program
                .as_kernel(|| invoke!(SeSinglePrivilegeCheck, privilege, mode) as u8)
                .unwrap()
        };
        assert_eq!(
            (privileged(&admin, 10, 1), privileged(&user, 10, 1)),
            (1, 0)
        );
        assert_eq!((privileged(&user, 23, 1), privileged(&user, 10, 0)), (1, 1));
    }

    #[test]
    fn contexts_that_are_not_captured_are_caught() {
        let lab = Lab::boot().unwrap();
        let result = lab.enter(|| {
            let mut context = SECURITY_SUBJECT_CONTEXT::zeroed();
            invoke!(SeReleaseSubjectContext, &raw mut context);
        });
        let Err(LabError::BugCheck(report)) = result else {
            panic!("no bugcheck");
        };
        assert_eq!(report.rule, Rule::BadObject);
    }
}
