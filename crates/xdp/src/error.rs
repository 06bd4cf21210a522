//! Errors that say what was tried, on what, why it failed and what to do.

use std::fmt;

use crate::status::NtStatus;

/// What kind of failure it was, for programs that decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is no XDP driver, or not one that can be used.
    DriverAbsent,
    /// The user may not do this.
    NotPermitted,
    /// The driver, the interface or this build cannot do this.
    NotSupported,
    /// There is no such interface.
    NoSuchInterface,
    /// Somebody else uses it in a way that does not go together.
    Busy,
    /// An argument is out of range.
    InvalidArgument,
    /// The interface went away, or was disabled, or its driver was restarted.
    InterfaceGone,
    /// The system has no memory left for it.
    OutOfMemory,
    /// The lab has stopped because the driver broke a rule.
    LabStopped,
    /// Something else.
    Failed,
}

impl Kind {
    /// The exit code with which the `xdp` command and the samples end for it: 3 without a driver, 4 when it is not
    /// permitted, 5 when it is not supported, 6 without the interface, 7 when somebody else uses it, 1 otherwise.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::DriverAbsent => 3,
            Self::NotPermitted => 4,
            Self::NotSupported => 5,
            Self::NoSuchInterface => 6,
            Self::Busy => 7,
            _ => 1,
        }
    }
}

/// Why a call failed.
///
/// Its text is one sentence: what was tried, on what, why it failed, with the status by name. [`Error::advice`] says
/// what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: Kind,
    call: Call,
    object: String,
    cause: String,
    advice: Option<String>,
    status: Option<NtStatus>,
}

/// What the system answered when it did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A status.
    Status(NtStatus),
    /// Something that is no status.
    Other {
        kind: Kind,
        cause: String,
        advice: Option<String>,
    },
}

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    Boot,
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    LoadDriver,
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    PlugIn,
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    EndLab,
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    ShareLab,
    #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
    UseFolder,
    ListInterfaces,
    FindInterface,
    ListObjects,
    OpenInterface,
    QueryRss,
    AttachProgram,
    CreatePortSet,
    AllocateUmem,
    CreateSocket,
    SetHook,
    Bind,
    Enable(&'static str),
    RegisterUmem,
    SizeRing(&'static str),
    MapRings,
    Activate,
    Poke,
    Wait,
    Send,
    Read(&'static str),
    CreateMap,
    InsertIntoMap,
    RemoveFromMap,
    DuplicateHandle,
    AdoptHandle,
    AdoptSocket,
    #[cfg_attr(
        not(all(feature = "lab", target_os = "linux", target_arch = "x86_64")),
        expect(dead_code, reason = "only labs have ends")
    )]
    UseEnd,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::Boot => "boot the lab",
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::LoadDriver => "boot the driver",
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::PlugIn => "use the end",
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::EndLab => "end the lab",
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::ShareLab => "share the lab",
            #[cfg(all(feature = "lab", target_os = "linux", target_arch = "x86_64"))]
            Self::UseFolder => "use the folder",
            Self::ListInterfaces => "list the interfaces",
            Self::FindInterface => "find the interface",
            Self::ListObjects => "list what there is in the driver",
            Self::OpenInterface => "open the interface",
            Self::QueryRss => "read the receive-side scaling",
            Self::AttachProgram => "attach a program",
            Self::CreatePortSet => "create a port set",
            Self::AllocateUmem => "allocate frame memory",
            Self::CreateSocket => "create a socket",
            Self::SetHook => "choose the hook of a socket",
            Self::Bind => "bind a socket",
            Self::Enable(what) => return write!(f, "enable {what}"),
            Self::RegisterUmem => "register frame memory",
            Self::SizeRing(ring) => return write!(f, "size the {ring} ring"),
            Self::MapRings => "map the rings",
            Self::Activate => "activate a socket",
            Self::Poke => "poke the driver",
            Self::Wait => "wait for a socket",
            Self::Send => "send",
            Self::Read(what) => return write!(f, "read {what}"),
            Self::CreateMap => "create a map",
            Self::InsertIntoMap => "insert a socket into a map",
            Self::RemoveFromMap => "remove a socket from a map",
            Self::DuplicateHandle => "make a handle of another process",
            Self::AdoptHandle => "take over a handle",
            Self::AdoptSocket => "take over a socket",
            Self::UseEnd => "use an end of the lab's network card",
        })
    }
}

impl Fault {
    pub(crate) fn of(kind: Kind, cause: impl Into<String>) -> Self {
        Self::Other {
            kind,
            cause: cause.into(),
            advice: None,
        }
    }

    /// Whether it means that there is no driver.
    pub(crate) fn says_no_driver(&self) -> bool {
        matches!(
            self,
            Self::Status(NtStatus::OBJECT_NAME_NOT_FOUND | NtStatus::OBJECT_PATH_NOT_FOUND)
        )
    }

    /// The error of a call on an object.
    pub(crate) fn during(self, call: Call, object: impl Into<String>) -> Error {
        let (kind, cause, advice, status) = match self {
            Self::Status(status) => {
                let (kind, cause, advice) = explain(call, status);
                let advice = (!advice.is_empty()).then(|| advice.to_owned());
                (kind, cause.to_owned(), advice, Some(status))
            }
            Self::Other {
                kind,
                cause,
                advice,
            } => (kind, cause, advice, None),
        };
        Error(Box::new(Inner {
            kind,
            call,
            object: object.into(),
            cause,
            advice,
            status,
        }))
    }
}

impl Error {
    /// An error that was found here, without asking the system.
    pub(crate) fn new(
        kind: Kind,
        call: Call,
        object: impl Into<String>,
        cause: impl Into<String>,
    ) -> Self {
        Fault::of(kind, cause).during(call, object)
    }

    /// Says what to do.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.0.advice = Some(advice.into());
        self
    }

    /// It turns out that it is not supported.
    pub(crate) fn become_unsupported(mut self, cause: &str, advice: &str) -> Self {
        self.0.kind = Kind::NotSupported;
        self.0.cause = cause.to_owned();
        self.advise(advice)
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What was tried, such as `bind a socket`.
    #[must_use]
    pub fn call(&self) -> String {
        self.0.call.to_string()
    }

    /// On what it was tried, such as `queue 3 of Ethernet 2`; empty where there is only one thing it can be.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.0.object
    }

    /// The likely cause.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.0.cause
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The result that a C program would have had from the call, if the system was asked.
    #[doc(alias = "HRESULT")]
    #[must_use]
    pub fn hresult(&self) -> Option<u32> {
        self.status().map(NtStatus::hresult)
    }

    /// What the system answered, if it was asked.
    #[must_use]
    pub fn status(&self) -> Option<NtStatus> {
        self.0.status
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        write!(f, "cannot {}", inner.call)?;
        if !inner.object.is_empty() {
            write!(f, " ({})", inner.object)?;
        }
        write!(f, ": {}", inner.cause)?;
        match inner.status {
            Some(status) => write!(f, " ({status})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

const MEMORY: &str = "close other programs, or ask for less: fewer frames, smaller rings";
const RECREATE: &str = "open the socket and attach the program again once the interface is back; handles do not come back by themselves";

/// Kind, likely cause and advice for what a call was answered.
fn explain(call: Call, status: NtStatus) -> (Kind, &'static str, &'static str) {
    use NtStatus as S;
    match (call, status) {
        (_, S::OBJECT_NAME_NOT_FOUND | S::OBJECT_PATH_NOT_FOUND) => (
            Kind::DriverAbsent,
            "the XDP driver is not running",
            "install the driver and start it (`sc start xdp`)",
        ),
        (
            Call::InsertIntoMap | Call::AttachProgram,
            S::INVALID_HANDLE | S::OBJECT_TYPE_MISMATCH,
        ) => (
            Kind::InvalidArgument,
            "a redirect target is no open socket or map of this process",
            "redirect to sockets and maps that are open",
        ),
        (Call::AdoptHandle, S::INVALID_HANDLE) => (
            Kind::InvalidArgument,
            "this process has no such handle",
            "pass the value that duplicating it into this process gave",
        ),
        (
            Call::AdoptSocket,
            S::INVALID_HANDLE
            | S::NOT_SUPPORTED
            | S::INVALID_DEVICE_REQUEST
            | S::OBJECT_TYPE_MISMATCH,
        ) => (
            Kind::InvalidArgument,
            "the handle is not one of a socket",
            "pass the handles in the order in which they were made",
        ),
        (Call::DuplicateHandle, S::ACCESS_DENIED) => (
            Kind::NotPermitted,
            "the handle of the other process does not allow to duplicate handles into it",
            "open the process with PROCESS_DUP_HANDLE",
        ),
        (Call::DuplicateHandle, S::PROCESS_IS_TERMINATING) => {
            (Kind::Failed, "the other process has ended", "")
        }
        (_, S::ACCESS_DENIED) => (
            Kind::NotPermitted,
            "only administrators may use XDP here",
            "run as administrator, or have one open the device to you (`xdpcfg SetDeviceSddl`)",
        ),
        (_, S::NO_MEMORY | S::INSUFFICIENT_RESOURCES) => (
            Kind::OutOfMemory,
            "the system has no memory left for it",
            MEMORY,
        ),
        (_, S::DELETE_PENDING | S::DEVICE_REMOVED) => {
            (Kind::InterfaceGone, "the interface is going away", RECREATE)
        }
        (Call::Bind | Call::AttachProgram | Call::OpenInterface, S::NOT_FOUND) => (
            Kind::NoSuchInterface,
            "XDP is not on this interface, or not in the mode and at the hook that were asked for",
            "check the interface and the mode with `xdp interfaces`; generic mode is on every Ethernet interface",
        ),
        (Call::Bind, S::INVALID_PARAMETER) => (
            Kind::InvalidArgument,
            "the interface has no such queue",
            "queues count from 0; `xdp interfaces` shows how many there are",
        ),
        (Call::AttachProgram, S::INVALID_PARAMETER) => (
            Kind::InvalidArgument,
            "the interface has no such queue, or a rule is not valid",
            "queues count from 0; check the rules with `xdp filter check`",
        ),
        (Call::AttachProgram, S::INVALID_DEVICE_STATE) => (
            Kind::Busy,
            "an eBPF program has the queue, or a redirect target is not bound to an interface",
            "detach the eBPF program; bind sockets before rules redirect to them",
        ),
        (Call::AttachProgram, S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "the queue cannot do what a rule asks for: send frames back, or receive on a socket that only sends",
            "redirect to a socket that receives; forward on interfaces that can",
        ),
        (Call::Bind, S::DEVICE_NOT_READY) => (
            Kind::Failed,
            "the interface does not know its MTU yet",
            "try again once the interface is up",
        ),
        (Call::Bind | Call::SetHook, S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "a socket cannot receive or send at that hook",
            "receive where frames are inspected, send where they are injected",
        ),
        (Call::Enable(_), S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "the interface or the driver does not have it",
            "see `xdp features`; leave the option away",
        ),
        (Call::Enable(_), S::INVALID_DEVICE_STATE) => (
            Kind::Busy,
            "the queue is in use without it, by a program or another socket",
            "open this socket before the queue is used, or close what uses it",
        ),
        (Call::Poke | Call::Wait | Call::Activate, S::INVALID_DEVICE_STATE) => (
            Kind::InterfaceGone,
            "the socket is detached from its interface",
            RECREATE,
        ),
        (Call::OpenInterface | Call::CreateSocket | Call::CreateMap, S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "the driver serves 64-bit programs only, or is older than this kind of object",
            "build the program for 64 bits, or update the driver",
        ),
        (Call::ListObjects, S::INVALID_DEVICE_REQUEST | S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "the driver has no such list",
            "update the driver",
        ),
        (Call::Read(_), S::NOT_FOUND) => (
            Kind::NotSupported,
            "it was not enabled when the socket was opened",
            "enable it in the builder of the socket",
        ),
        (_, S::SHARING_VIOLATION) => (Kind::Busy, "somebody else has it open", ""),
        (_, S::NOT_SUPPORTED) => (
            Kind::NotSupported,
            "the driver does not support it",
            "update the driver, or do without",
        ),
        (_, S::INVALID_PARAMETER) => (
            Kind::InvalidArgument,
            "the driver does not take one of the values",
            "",
        ),
        (_, S::INVALID_DEVICE_STATE) => (
            Kind::Busy,
            "the object is in a state in which that cannot be done",
            "",
        ),
        (_, S::TIMEOUT) => (Kind::Failed, "nothing happened in time", ""),
        (_, S::CANCELLED) => (Kind::Failed, "it was cancelled", ""),
        _ => (Kind::Failed, "the driver refused", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_on_what_why_and_what_to_do() {
        let error =
            Fault::Status(NtStatus::INVALID_PARAMETER).during(Call::Bind, "queue 7 of nic0");
        assert_eq!(
            error.to_string(),
            "cannot bind a socket (queue 7 of nic0): the interface has no such queue (STATUS_INVALID_PARAMETER)"
        );
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert_eq!(error.status(), Some(NtStatus::INVALID_PARAMETER));
        assert!(
            error
                .advice()
                .is_some_and(|advice| advice.contains("count from 0"))
        );
    }

    #[test]
    fn statuses_are_sorted_into_kinds() {
        for (call, status, kind) in [
            (
                Call::CreateSocket,
                NtStatus::OBJECT_PATH_NOT_FOUND,
                Kind::DriverAbsent,
            ),
            (
                Call::CreateSocket,
                NtStatus::ACCESS_DENIED,
                Kind::NotPermitted,
            ),
            (Call::Bind, NtStatus::NOT_FOUND, Kind::NoSuchInterface),
            (Call::Bind, NtStatus::DELETE_PENDING, Kind::InterfaceGone),
            (
                Call::AttachProgram,
                NtStatus::INVALID_DEVICE_STATE,
                Kind::Busy,
            ),
            (
                Call::AttachProgram,
                NtStatus::INVALID_HANDLE,
                Kind::InvalidArgument,
            ),
            (
                Call::Enable("timestamps"),
                NtStatus::NOT_SUPPORTED,
                Kind::NotSupported,
            ),
            (
                Call::Wait,
                NtStatus::INVALID_DEVICE_STATE,
                Kind::InterfaceGone,
            ),
            (
                Call::RegisterUmem,
                NtStatus::INSUFFICIENT_RESOURCES,
                Kind::OutOfMemory,
            ),
            (Call::RegisterUmem, NtStatus(0xC123_4567), Kind::Failed),
        ] {
            let error = Fault::Status(status).during(call, "");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn a_status_without_a_name_is_a_number() {
        let error = Fault::Status(NtStatus(0xC123_4567)).during(Call::Activate, "");
        assert_eq!(
            error.to_string(),
            "cannot activate a socket: the driver refused (status 0xc1234567)"
        );
    }
}
