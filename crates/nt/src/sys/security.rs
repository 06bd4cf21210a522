//! Security descriptors, access lists and access states.

use crate::sys::*;

foreign! {
    pub struct ACE_HEADER(0x4, 2) {
        0x00 AceType: u8,
        0x01 AceFlags: u8,
        0x02 AceSize: u16,
    }

    pub struct ACCESS_ALLOWED_ACE(0xc, 4) {
        0x00 Header: ACE_HEADER,
        0x04 Mask: u32,
        0x08 SidStart: u32,
    }

    pub struct ACL(0x8, 2) {
        0x00 AclRevision: u8,
        0x01 Sbz1: u8,
        0x02 AclSize: u16,
        0x04 AceCount: u16,
        0x06 Sbz2: u16,
    }

    pub struct SID(0xc, 4) {
        0x00 Revision: u8,
        0x01 SubAuthorityCount: u8,
        0x02 IdentifierAuthority: SID_IDENTIFIER_AUTHORITY,
        0x08 SubAuthority: [u32; 1],
    }

    pub struct SID_IDENTIFIER_AUTHORITY(0x6, 1) {
        0x00 Value: [u8; 6],
    }

    pub struct SECURITY_DESCRIPTOR(0x28, 8) {
        0x00 Revision: u8,
        0x01 Sbz1: u8,
        0x02 Control: u16,
        0x08 Owner: *mut SID,
        0x10 Group: *mut SID,
        0x18 Sacl: *mut ACL,
        0x20 Dacl: *mut ACL,
    }

    pub struct SECURITY_DESCRIPTOR_RELATIVE(0x14, 4) {
        0x00 Revision: u8,
        0x01 Sbz1: u8,
        0x02 Control: u16,
        0x04 Owner: u32,
        0x08 Group: u32,
        0x0c Sacl: u32,
        0x10 Dacl: u32,
    }

    pub struct SECURITY_QUALITY_OF_SERVICE(0xc, 4) {
        0x00 Length: u32,
        0x04 ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
        0x08 ContextTrackingMode: u8,
        0x09 EffectiveOnly: u8,
    }

    pub struct SECURITY_SUBJECT_CONTEXT(0x20, 8) {
        0x00 ClientToken: PVOID,
        0x08 ImpersonationLevel: SECURITY_IMPERSONATION_LEVEL,
        0x10 PrimaryToken: PVOID,
        0x18 ProcessAuditId: PVOID,
    }

    pub union ACCESS_STATE_Privileges(0x2c, 4) {
        0x00 InitialPrivilegeSet: INITIAL_PRIVILEGE_SET,
        0x00 PrivilegeSet: PRIVILEGE_SET,
    }

    pub struct ACCESS_STATE(0xa0, 8) {
        0x00 OperationID: LUID,
        0x08 SecurityEvaluated: u8,
        0x09 GenerateAudit: u8,
        0x0a GenerateOnClose: u8,
        0x0b PrivilegesAllocated: u8,
        0x0c Flags: u32,
        0x10 RemainingDesiredAccess: u32,
        0x14 PreviouslyGrantedAccess: u32,
        0x18 OriginalDesiredAccess: u32,
        0x20 SubjectSecurityContext: SECURITY_SUBJECT_CONTEXT,
        0x40 SecurityDescriptor: PVOID,
        0x48 AuxData: PVOID,
        0x50 Privileges: ACCESS_STATE_Privileges,
        0x7c AuditPrivileges: u8,
        0x80 ObjectName: UNICODE_STRING,
        0x90 ObjectTypeName: UNICODE_STRING,
    }

    pub struct GENERIC_MAPPING(0x10, 4) {
        0x00 GenericRead: u32,
        0x04 GenericWrite: u32,
        0x08 GenericExecute: u32,
        0x0c GenericAll: u32,
    }

    pub struct LUID_AND_ATTRIBUTES(0xc, 4) {
        0x00 Luid: LUID,
        0x08 Attributes: u32,
    }

    pub struct PRIVILEGE_SET(0x14, 4) {
        0x00 PrivilegeCount: u32,
        0x04 Control: u32,
        0x08 Privilege: [LUID_AND_ATTRIBUTES; 1],
    }

    pub struct INITIAL_PRIVILEGE_SET(0x2c, 4) {
        0x00 PrivilegeCount: u32,
        0x04 Control: u32,
        0x08 Privilege: [LUID_AND_ATTRIBUTES; 3],
    }
}
