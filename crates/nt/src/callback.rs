//! Functions with the kernel's calling convention.

/// Defines functions that the kernel calls: on x86-64 with the Windows calling convention whatever the host.
#[macro_export]
macro_rules! kernel_fn {
    ($(
        $(#[$meta:meta])*
        $vis:vis unsafe fn $name:ident $(<$generic:ident: $bound:path>)? ($($param:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
        $body:block
    )*) => { $(
        #[cfg(target_arch = "x86_64")]
        $(#[$meta])*
        $vis unsafe extern "win64" fn $name $(<$generic: $bound>)? ($($param: $ty),*) $(-> $ret)? $body

        #[cfg(not(target_arch = "x86_64"))]
        $(#[$meta])*
        $vis unsafe extern "C" fn $name $(<$generic: $bound>)? ($($param: $ty),*) $(-> $ret)? $body
    )* };
}
