//! The macros that declare foreign types, constants and callbacks, and the records they leave for the tests.

use core::marker::PhantomData;

/// A type whose all-zero bytes are a valid value.
///
/// # Safety
///
/// Every byte of the type may be zero: no references, no non-null pointers, no enums without a zero variant.
pub unsafe trait Zeroable: Copy {}

macro_rules! zeroable {
    ($($ty:ty),*) => { $(
        // SAFETY: zero is a value of every integer and a null raw pointer or absent function of every pointer.
        unsafe impl Zeroable for $ty {}
    )* };
}
zeroable!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

// SAFETY: null is a valid raw pointer.
unsafe impl<T> Zeroable for *mut T {}
// SAFETY: null is a valid raw pointer.
unsafe impl<T> Zeroable for *const T {}
// SAFETY: each element may be zero.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

macro_rules! zeroable_callbacks {
    ($($param:ident)*) => {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a zero function pointer is `None`.
        unsafe impl<Ret, $($param),*> Zeroable for Option<unsafe extern "win64" fn($($param),*) -> Ret> {}
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: a zero function pointer is `None`.
        unsafe impl<Ret, $($param),*> Zeroable for Option<unsafe extern "C" fn($($param),*) -> Ret> {}
    };
}
zeroable_callbacks!();
zeroable_callbacks!(A);
zeroable_callbacks!(A B);
zeroable_callbacks!(A B C);
zeroable_callbacks!(A B C D);
zeroable_callbacks!(A B C D E);
zeroable_callbacks!(A B C D E F);
zeroable_callbacks!(A B C D E F G);
zeroable_callbacks!(A B C D E F G H);
zeroable_callbacks!(A B C D E F G H I);

/// An integer made of named bit fields.
pub trait Bits: Copy {}

/// One named field of a [`Bits`] integer.
pub struct BitField<B> {
    /// Lowest bit.
    pub low: u32,
    /// Number of bits.
    pub width: u32,
    owner: PhantomData<B>,
}

impl<B> Clone for BitField<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for BitField<B> {}

impl<B> BitField<B> {
    pub(crate) const fn new(low: u32, high: u32) -> Self {
        Self {
            low,
            width: high - low,
            owner: PhantomData,
        }
    }
}

/// What a declared type looks like, for the layout test.
#[cfg(test)]
pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) size: usize,
    pub(crate) align: usize,
    pub(crate) fields: &'static [Field],
}

/// One field of a [`Layout`].
#[cfg(test)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) ty: &'static str,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    /// First bit and number of bits, for a field of a `bits!` type.
    pub(crate) bits: Option<(u32, u32)>,
}

/// A declared constant, for the value test.
#[cfg(test)]
pub(crate) struct Constant {
    pub(crate) name: &'static str,
    /// The enumeration it belongs to, or nothing.
    pub(crate) of: &'static str,
    pub(crate) value: i128,
    pub(crate) size: usize,
}

/// Declares C structs and unions: name, (size, alignment), then each field after its offset.
///
/// A nested anonymous aggregate is declared as a type of its own and used as a field; fields whose name starts with
/// an underscore are explicit padding.
macro_rules! foreign {
    ($(
        $(#[$meta:meta])*
        pub $kind:tt $name:ident($size:literal, $align:literal) {
            $($offset:literal $field:ident: $ty:ty,)*
        }
    )*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub $kind $name {
                $(pub $field: $ty,)*
            }

            // SAFETY: the assertions below hold each field to the same bound.
            unsafe impl $crate::sys::Zeroable for $name {}

            impl $name {
                /// The value whose every byte is zero.
                #[must_use]
                #[inline]
                pub const fn zeroed() -> Self {
                    // SAFETY: the type is `Zeroable`.
                    unsafe { core::mem::zeroed() }
                }
            }

            const _: () = {
                const fn zeroable<T: $crate::sys::Zeroable>() {}
                $(
                    zeroable::<$ty>();
                    assert!(
                        core::mem::offset_of!($name, $field) == $offset,
                        concat!("offset of ", stringify!($name), ".", stringify!($field))
                    );
                )*
                assert!(size_of::<$name>() == $size, concat!("size of ", stringify!($name)));
                assert!(align_of::<$name>() == $align, concat!("alignment of ", stringify!($name)));
            };
        )*

        #[cfg(test)]
        pub(crate) const LAYOUTS: &[$crate::sys::declare::Layout] = &[$(
            $crate::sys::declare::Layout {
                name: stringify!($name),
                kind: stringify!($kind),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: &[$(
                    $crate::sys::declare::Field {
                        name: stringify!($field),
                        ty: stringify!($ty),
                        offset: core::mem::offset_of!($name, $field),
                        size: size_of::<$ty>(),
                        bits: None,
                    },
                )*],
            },
        )*];
    };
}

/// Declares integers made of bit fields: name, (integer), then each field with its range of bits.
macro_rules! bits {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident($int:ty) { $($field:ident: $low:literal..$high:literal),* $(,)? }
    )*) => {
        $(
            $(#[$meta])*
            #[repr(transparent)]
            #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
            pub struct $name(pub $int);

            // SAFETY: an integer.
            unsafe impl $crate::sys::Zeroable for $name {}

            impl $crate::sys::Bits for $name {}

            impl $name {
                $(pub const $field: $crate::sys::BitField<Self> = $crate::sys::BitField::new($low, $high);)*

                /// The value of a field.
                #[must_use]
                #[inline]
                pub const fn get(self, field: $crate::sys::BitField<Self>) -> $int {
                    (self.0 >> field.low) & Self::mask(field)
                }

                /// The same bits with a field replaced; bits of `value` that do not fit are dropped.
                #[must_use]
                #[inline]
                pub const fn with(self, field: $crate::sys::BitField<Self>, value: $int) -> Self {
                    let mask = Self::mask(field);
                    Self(self.0 & !(mask << field.low) | (value & mask) << field.low)
                }

                const fn mask(field: $crate::sys::BitField<Self>) -> $int {
                    <$int>::MAX >> (<$int>::BITS - field.width)
                }
            }
        )*

        #[cfg(test)]
        pub(crate) const BITS: &[$crate::sys::declare::Layout] = &[$(
            $crate::sys::declare::Layout {
                name: stringify!($name),
                kind: "bits",
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: &[$(
                    $crate::sys::declare::Field {
                        name: stringify!($field),
                        ty: "",
                        offset: 0,
                        size: size_of::<$name>(),
                        bits: Some(($low, $high - $low)),
                    },
                )*],
            },
        )*];
    };
}

/// Declares constants, grouped by the type they are given.
macro_rules! constants {
    ($( $ty:ty { $($name:ident = $value:literal,)* } )*) => {
        $($(pub const $name: $ty = $value;)*)*

        #[cfg(test)]
        pub(crate) const CONSTANTS: &[$crate::sys::declare::Constant] = &[$($(
            $crate::sys::declare::Constant {
                name: stringify!($name), of: "", value: $name as i128, size: size_of::<$ty>(),
            },
        )*)*];
    };
}

/// Declares status codes from their unsigned form.
macro_rules! statuses {
    ($ty:ty { $($name:ident = $value:literal,)* }) => {
        $(pub const $name: $ty = $value as u32 as $ty;)*

        #[cfg(test)]
        pub(crate) const CONSTANTS: &[$crate::sys::declare::Constant] = &[$(
            $crate::sys::declare::Constant {
                name: stringify!($name), of: "", value: $name as i128, size: size_of::<$ty>(),
            },
        )*];
    };
}

/// Declares C enumerations as integers with constants: values come from outside, so they are open.
macro_rules! enumerations {
    ($( $(#[$meta:meta])* pub type $name:ident { $($variant:ident = $value:literal,)* } )*) => {
        $(
            $(#[$meta])*
            pub type $name = i32;
            $(pub const $variant: $name = $value;)*
        )*

        #[cfg(test)]
        pub(crate) const CONSTANTS: &[$crate::sys::declare::Constant] = &[$($(
            $crate::sys::declare::Constant {
                name: stringify!($variant), of: stringify!($name), value: $variant as i128, size: size_of::<$name>(),
            },
        )*)*];
    };
}

/// Declares types of functions that the kernel calls; absent is `None`.
macro_rules! callbacks {
    ($( $(#[$meta:meta])* pub type $name:ident = fn($($param:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?; )*) => { $(
        $(#[$meta])*
        #[cfg(target_arch = "x86_64")]
        pub type $name = Option<unsafe extern "win64" fn($($param: $ty),*) $(-> $ret)?>;
        $(#[$meta])*
        #[cfg(not(target_arch = "x86_64"))]
        pub type $name = Option<unsafe extern "C" fn($($param: $ty),*) $(-> $ret)?>;
    )* };
}
