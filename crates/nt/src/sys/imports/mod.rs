//! Functions and variables that the kernel's modules export, by module.
//!
//! Only what Windows Server 2019 (build 17763) exports is declared; newer functions are looked up at run time. On a
//! Windows target each module binds through its import table; elsewhere these are plain externs that the simulated
//! kernel defines.

/// Declares exports of a module: functions of the kernel's calling convention.
macro_rules! imports {
    ($module:literal {
        $( fn $name:ident($($param:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?; )*
    }) => {
        #[cfg(target_arch = "x86_64")]
        #[cfg_attr(windows, link(name = $module, kind = "raw-dylib", modifiers = "+verbatim"))]
        unsafe extern "win64" {
            $( pub fn $name($($param: $ty),*) $(-> $ret)?; )*
        }

        #[cfg(not(target_arch = "x86_64"))]
        #[cfg_attr(windows, link(name = $module, kind = "raw-dylib", modifiers = "+verbatim"))]
        unsafe extern "C" {
            $( pub fn $name($($param: $ty),*) $(-> $ret)?; )*
        }

        #[cfg(test)]
        pub(crate) const IMPORTS: &[$crate::sys::imports::Import] = &[$(
            $crate::sys::imports::Import {
                module: $module,
                name: stringify!($name),
                params: &[$(size_of::<$ty>()),*],
                ret: 0 $(+ size_of::<$ret>())?,
            },
        )*];
    };
}

pub mod hal;
pub mod ndis;
pub mod netio;
pub mod ntoskrnl;

/// One declared import, for the test against the fact tables.
#[cfg(test)]
pub(crate) struct Import {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) params: &'static [usize],
    pub(crate) ret: usize,
}
