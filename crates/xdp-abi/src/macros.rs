//! Declarations repeated for every open enumeration, flag set, union and function table.

/// An enumeration that comes from outside: any number is a value, the known ones have names.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $repr:ty {
            $($(#[$value_meta:meta])* $value_name:ident = $value:literal, $c_name:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        impl $name {
            $($(#[$value_meta])* #[doc(alias = $c_name)] pub const $value_name: Self = Self($value);)+

            /// Every value with a name, and its C name.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self($value), $c_name)),+];

            /// The C name of this value, if it has one.
            #[must_use]
            pub const fn c_name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($c_name),)+
                    _ => None,
                }
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self.c_name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }
    };
}

/// A set of flags that comes from outside: unknown bits are kept until somebody checks for them.
macro_rules! open_flags {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: $repr:ty {
            $($(#[$($value_meta:tt)*])* $value_name:ident = $value:literal, $c_name:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, PartialEq, Eq, Hash, Default,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
        )]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        bitflags::bitflags! {
            impl $name: $repr {
                $($(#[$($value_meta)*])* #[doc(alias = $c_name)] const $value_name = $value;)+
            }
        }

        impl $name {
            /// Every flag with a name, and its C name.
            pub const NAMED: &'static [(Self, &'static str)] = &[$((Self($value), $c_name)),+];
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                bitflags::parser::to_writer(self, f)
            }
        }
    };
}

/// A member of a C union followed by the bytes it does not cover.
#[derive(zerocopy::FromBytes, zerocopy::KnownLayout, zerocopy::Immutable)]
#[repr(C)]
pub(crate) struct Padded<T, const PAD: usize> {
    pub(crate) member: T,
    pad: [u8; PAD],
}

/// Typed views of a C union that is stored as words.
macro_rules! union_views {
    (
        $union:ident {
            $($(#[$meta:meta])* $get:ident, $from:ident: $member:ty, $c_name:literal;)+
        }
    ) => {
        impl $union {
            $(
                $(#[$meta])*
                #[doc(alias = $c_name)]
                #[inline]
                #[must_use]
                pub fn $get(&self) -> $member {
                    const PAD: usize = size_of::<$union>() - size_of::<$member>();
                    let padded: $crate::macros::Padded<$member, PAD> = zerocopy::transmute!(self.words);
                    padded.member
                }

                #[doc = concat!("A union holding this `", $c_name, "`, every other byte zero.")]
                #[inline]
                #[must_use]
                pub fn $from(member: $member) -> Self {
                    use zerocopy::IntoBytes;
                    let mut union = Self::default();
                    if let Some(bytes) = union.as_mut_bytes().first_chunk_mut::<{ size_of::<$member>() }>() {
                        bytes.copy_from_slice(member.as_bytes());
                    }
                    union
                }
            )+
        }
    };
}

/// The type of a function in the Windows calling convention, absent or present.
///
/// On x86-64 the convention is named, so that a Linux process can hold and call such functions too.
#[cfg(target_arch = "x86_64")]
macro_rules! windows_fn {
    (fn($($arg:ty),* $(,)?) $(-> $ret:ty)?) => { unsafe extern "win64" fn($($arg),*) $(-> $ret)? }; // a type: to call it is unsafe
}
#[cfg(not(target_arch = "x86_64"))]
macro_rules! windows_fn {
    (fn($($arg:ty),* $(,)?) $(-> $ret:ty)?) => { unsafe extern "C" fn($($arg),*) $(-> $ret)? }; // a type: to call it is unsafe
}

pub(crate) use {open_enum, open_flags, union_views, windows_fn};
