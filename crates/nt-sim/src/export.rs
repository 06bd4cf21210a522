//! Functions and data that drivers import: how they are declared, found and entered.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

use crate::{arch, irql, kernel, sched, verifier};

/// Highest IRQL at which a function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::upper_case_acronyms,
    reason = "levels are written as the reference pages write them"
)]
pub(crate) enum MaxIrql {
    PASSIVE,
    APC,
    DISPATCH,
    ANY,
}

impl MaxIrql {
    fn level(self) -> u8 {
        match self {
            MaxIrql::PASSIVE => irql::PASSIVE,
            MaxIrql::APC => irql::APC,
            MaxIrql::DISPATCH => irql::DISPATCH,
            MaxIrql::ANY => irql::HIGH,
        }
    }
}

/// One name that a driver can import.
pub(crate) struct Export {
    pub(crate) module: &'static str,
    pub(crate) info: Info,
    pub(crate) address: *const (),
}

/// What is checked when an exported function is entered.
#[derive(Clone, Copy)]
pub(crate) struct Info {
    pub(crate) name: &'static str,
    pub(crate) max_irql: MaxIrql,
    /// The function may raise a structured exception into its caller.
    pub(crate) raises: bool,
    /// The name is data, not code.
    pub(crate) data: bool,
}

// SAFETY: the address is that of a function or of a static; nothing is reached through it here.
unsafe impl Sync for Export {}
// SAFETY: as above.
unsafe impl Send for Export {}

/// Lists of every part of the simulated system.
fn lists() -> Vec<&'static [Export]> {
    let mut lists = crate::ke::exports();
    lists.extend(crate::cm::exports());
    lists.extend(crate::ex::exports());
    lists.extend(crate::io::exports());
    lists.extend(crate::mm::exports());
    lists.extend(crate::ob::exports());
    lists.extend(crate::ps::exports());
    lists.extend(crate::rtl::exports());
    lists.extend(crate::trace::exports());
    lists.push(crate::nmr::EXPORTS);
    lists.push(crate::seh::EXPORTS);
    lists.extend(crate::ndis::exports());
    lists
}

fn table() -> &'static HashMap<(&'static str, &'static str), &'static Export> {
    static TABLE: OnceLock<HashMap<(&'static str, &'static str), &'static Export>> =
        OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = HashMap::new();
        for export in lists().into_iter().flatten() {
            let old = table.insert((export.module, export.info.name), export);
            assert!(old.is_none(), "{} is exported twice", export.info.name);
        }
        table
    })
}

/// Every exported name.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static Export> {
    table().values().copied()
}

/// Whether some module exports a function of this name.
pub(crate) fn is_exported(name: &str) -> bool {
    table().keys().any(|(_, known)| *known == name)
}

/// Finds what a driver means by `name` of `module`. Module names compare without case; the names
/// of hal.dll are forwarders to ntoskrnl.exe since Windows 10 2004, and are here for every version.
pub(crate) fn lookup(module: &str, name: &str) -> Option<&'static Export> {
    let module = module.to_ascii_lowercase();
    let module = match module.as_str() {
        "hal.dll" | "ntoskrnl.exe" | "ntoskrnl" => "ntoskrnl.exe",
        "ndis.sys" | "ndis" => "ndis.sys",
        "netio.sys" | "netio" => "netio.sys",
        _ => return None,
    };
    table().get(&(module, name)).copied()
}

/// What leaves an exported function other than by returning. Panic payloads.
pub(crate) enum Exit {
    /// The kernel has stopped; the thread ends.
    Stopped,
    /// A structured exception with this status (and information words) goes to the caller.
    Raise(Raise),
}

/// A software exception on its way to the driver.
#[derive(Clone, Debug)]
pub(crate) struct Raise {
    pub(crate) code: u32,
    pub(crate) information: Vec<u64>,
}

/// Runs the body of an exported function.
///
/// The body may stop the kernel or raise an exception by unwinding: its own frames are cleaned up
/// by Rust, and only the frames of the driver, for which Rust has no clean-up, are skipped.
#[inline]
pub(crate) fn enter<R>(info: &'static Info, body: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(|| {
        if kernel::strict() {
            check(info);
        }
        body()
    })) {
        Ok(result) => result,
        Err(payload) => arch::leave_by_unwinding(payload),
    }
}

#[cold]
#[inline(never)]
fn check(info: &'static Info) {
    sched::stop_if_crashed();
    let level = irql::current();
    if level > info.max_irql.level() {
        crate::bugcheck!(
            verifier::Rule::IrqlTooHigh, level, info.max_irql.level();
            "{} was called at {}, the highest allowed is {}",
            info.name, irql::name(level), irql::name(info.max_irql.level())
        );
    }
    sched::yield_point();
}

/// An argument of an exported function, as [`check_argument`] wants it: what has a `target` of its
/// own is a pointer, everything else borrows that of [`NoPointer`].
pub(crate) struct Argument<T>(pub(crate) T);

/// An argument that is no pointer.
pub(crate) struct NoPointer;

impl<T> Argument<*mut T> {
    #[inline]
    pub(crate) fn target(&self) -> Option<(usize, usize)> {
        Argument(self.0.cast_const()).target()
    }
}

impl<T> Argument<*const T> {
    /// The address and the alignment that the type asks for; `None` for untyped memory.
    #[inline]
    pub(crate) fn target(&self) -> Option<(usize, usize)> {
        (align_of::<T>() > 1).then_some((self.0 as usize, align_of::<T>()))
    }
}

impl NoPointer {
    #[inline]
    pub(crate) fn target(&self) -> Option<(usize, usize)> {
        None
    }
}

impl<T> std::ops::Deref for Argument<T> {
    type Target = NoPointer;

    fn deref(&self) -> &NoPointer {
        &NoPointer
    }
}

/// Stops the kernel if an argument is a pointer to where nothing of its type can be. Found here,
/// before the function has taken a lock.
#[inline]
pub(crate) fn check_argument(
    function: &'static Info,
    argument: &str,
    target: Option<(usize, usize)>,
) {
    if let Some((address, alignment)) = target
        // Null is often allowed, and so are the dangling pointers of empty slices.
        && address != 0
        && address != alignment
        && kernel::strict()
    {
        check_pointer(function, argument, address, alignment);
    }
}

fn check_pointer(function: &'static Info, argument: &str, address: usize, alignment: usize) {
    const NULL_AREA: usize = 0x1_0000;
    /// Families that know their objects by address have rules for stale ones, which say more.
    const KNOW_THEIR_OBJECTS: [&str; 4] = ["Ndis", "Mm", "IoFreeMdl", "ExpInterlocked"];
    let knows = KNOW_THEIR_OBJECTS
        .iter()
        .any(|family| function.name.starts_with(family));
    if !address.is_multiple_of(alignment) {
        if function.name.contains("SList") {
            return;
        }
        crate::bugcheck!(
            verifier::Rule::MisalignedArgument, address, alignment;
            "{} was passed {address:#x} as \"{argument}\", which must be a multiple of {alignment}",
            function.name
        );
    }
    let user = crate::mem::is_user(address);
    let what = if address < NULL_AREA {
        "an offset from a null pointer"
    } else if user && function.raises {
        // What user addresses mean is for the function to say.
        return;
    } else if user {
        "a user address"
    } else if crate::fault::readable(address) {
        return;
    } else {
        "there is no memory"
    };
    if kernel::kernel().mem.pool.describe(address).is_some() {
        if knows {
            return;
        }
        crate::mem::report::bad_access(address, crate::mem::user::Access::Read);
    }
    crate::bugcheck!(
        verifier::Rule::BadPointerArgument, address;
        "{} was passed {address:#x} as \"{argument}\": {what}",
        function.name
    );
}

/// Declares functions that drivers import.
///
/// `#[irql(LEVEL)]` is the highest allowed IRQL. `hosted` leaves the C symbol out (names that
/// would replace the host's C library); `raises` marks functions that may raise an exception into
/// the driver.
#[macro_export]
#[doc(hidden)]
macro_rules! exports {
    ($module:literal => $vis:vis $list:ident;
     $( $(#[doc = $doc:literal])* #[irql($irql:ident)] $(#[$flag:ident])*
        fn $name:ident($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block )*) => {
        $(
            $crate::export_fn!([$($flag)*] [$($doc)*] $irql $name ($($arg: $ty),*) ($($ret)?) $body);
        )*
        $vis static $list: &[$crate::export::Export] = &[
            $( $crate::export::Export {
                module: $module,
                info: $crate::export::Info {
                    name: stringify!($name),
                    max_irql: $crate::export::MaxIrql::$irql,
                    raises: $crate::export_flag!(raises $($flag)*),
                    data: false,
                },
                address: $name as *const (),
            } ),*
        ];
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! export_flag {
    (raises) => { false };
    (raises raises $($rest:ident)*) => { true };
    (raises $other:ident $($rest:ident)*) => { $crate::export_flag!(raises $($rest)*) };
}

#[macro_export]
#[doc(hidden)]
macro_rules! export_fn {
    ([hosted $($flag:ident)*] [$($doc:literal)*] $irql:ident $name:ident ($($arg:ident: $ty:ty),*) ($($ret:ty)?) $body:block) => {
        $crate::export_fn!(@emit {} [$($flag)*] [$($doc)*] $irql $name ($($arg: $ty),*) ($($ret)?) $body);
    };
    ([raises hosted] $($rest:tt)*) => { $crate::export_fn!([hosted raises] $($rest)*); };
    ([$($flag:ident)*] [$($doc:literal)*] $irql:ident $name:ident ($($arg:ident: $ty:ty),*) ($($ret:ty)?) $body:block) => {
        $crate::export_fn!(@emit {#[unsafe(no_mangle)]} [$($flag)*] [$($doc)*] $irql $name ($($arg: $ty),*) ($($ret)?) $body);
    };
    (@emit {$(#[$attr:meta])*} [$($flag:ident)*] [$($doc:literal)*] $irql:ident $name:ident ($($arg:ident: $ty:ty),*) ($($ret:ty)?) $body:block) => {
        $(#[doc = $doc])*
        ///
        /// # Safety
        /// The caller is a driver: it passes what the function's reference page asks for.
        $(#[$attr])*
        pub(crate) unsafe extern "win64" fn $name($($arg: $ty),*) $(-> $ret)? {
            static INFO: $crate::export::Info = $crate::export::Info {
                name: stringify!($name),
                max_irql: $crate::export::MaxIrql::$irql,
                raises: $crate::export_flag!(raises $($flag)*),
                data: false,
            };
            $crate::export::enter(&INFO, move || {
                $(
                    let target = $crate::export::Argument($arg).target();
                    $crate::export::check_argument(&INFO, stringify!($arg), target);
                )*
                $body
            })
        }
    };
}

/// Declares a static of this crate as data that drivers import.
#[macro_export]
#[doc(hidden)]
macro_rules! export_data {
    ($module:literal, $name:ident) => {
        $crate::export_data!($module, stringify!($name), &raw const $name)
    };
    ($module:literal, $name:expr, $address:expr) => {
        $crate::export::Export {
            module: $module,
            info: $crate::export::Info {
                name: $name,
                max_irql: $crate::export::MaxIrql::ANY,
                raises: false,
                data: true,
            },
            address: $address as *const (),
        }
    };
}

/// Raises a structured exception into the driver that called the exported function (which must be
/// marked `raises`).
pub(crate) fn raise(code: u32) -> ! {
    std::panic::resume_unwind(Box::new(Exit::Raise(Raise {
        code,
        information: Vec::new(),
    })))
}

#[cfg(test)]
mod tests;
