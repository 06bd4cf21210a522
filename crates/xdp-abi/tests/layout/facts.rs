//! The fact tables, and what they are compared with.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use zerocopy::FromBytes;

/// Facts about the application interface.
pub(crate) fn application() -> Value {
    serde_json::from_str(include_str!("../../abi/xdp.json")).expect("the table is JSON")
}

/// Facts about the NIC driver interface.
pub(crate) fn native() -> Value {
    serde_json::from_str(include_str!("../../abi/xdp-driver.json")).expect("the table is JSON")
}

/// Size of the field a closure points at.
pub(crate) fn field_size<T, F>(_: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// `Type { field, field as "CName", ... }` as a [`Declared`].
macro_rules! declared {
    ($ty:ty { $($field:ident $(. $inner:ident)* $(as $c_name:literal)?),* $(,)? }) => {
        $crate::facts::Declared::new(size_of::<$ty>(), align_of::<$ty>())
            $(.field(
                $crate::facts::c_name(stringify!($field), None::<&str>$(.or(Some($c_name)))?),
                core::mem::offset_of!($ty, $field $(. $inner)*),
                $crate::facts::field_size(|value: &$ty| &value.$field $(. $inner)*),
            ))*
    };
}
pub(crate) use declared;

/// The C name of a field: its own, or what remains when case and underscores are ignored.
pub(crate) fn c_name(field: &str, c_name: Option<&str>) -> String {
    normal(c_name.unwrap_or(field))
}

fn normal(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// Reads a bit field from the bytes of its type.
type ReadBits = Box<dyn Fn(&[u8]) -> u64>;

/// What a Rust type says about itself.
pub(crate) struct Declared {
    size: usize,
    align: usize,
    fields: BTreeMap<String, (usize, usize)>,
    bits: BTreeMap<String, ReadBits>,
}

impl Declared {
    pub(crate) fn new(size: usize, align: usize) -> Self {
        Self {
            size,
            align,
            fields: BTreeMap::new(),
            bits: BTreeMap::new(),
        }
    }

    pub(crate) fn field(mut self, name: String, offset: usize, size: usize) -> Self {
        self.fields.insert(name, (offset, size));
        self
    }

    /// A member of a C union that is a view here.
    pub(crate) fn also(self, name: &str, offset: usize, size: usize) -> Self {
        self.field(normal(name), offset, size)
    }

    /// A bit field that is an accessor here.
    pub(crate) fn bits<T: FromBytes>(
        mut self,
        name: &str,
        read: impl Fn(T) -> u64 + 'static,
    ) -> Self {
        let read =
            move |bytes: &[u8]| read(T::read_from_bytes(bytes).expect("the size is the type's"));
        self.bits.insert(normal(name), Box::new(read));
        self
    }

    fn compare(&self, c_type: &str, fact: &Value) {
        let number = |value: &Value, key: &str| {
            usize::try_from(
                value[key]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{c_type}: no {key}")),
            )
            .expect("fits")
        };
        assert_eq!(self.size, number(fact, "size"), "size of {c_type}");
        assert_eq!(self.align, number(fact, "align"), "alignment of {c_type}");
        let mut compared = BTreeSet::new();
        for field in fact["fields"].as_array().expect("a structure has fields") {
            let name = field["name"].as_str().expect("a field has a name");
            let (offset, size) = (number(field, "offset"), number(field, "size"));
            let key = normal(name);
            if let Some(shift) = field["bit_offset"].as_u64() {
                let read = self
                    .bits
                    .get(&key)
                    .unwrap_or_else(|| panic!("{c_type}.{name} has no accessor"));
                let width = field["bit_width"]
                    .as_u64()
                    .expect("a bit field has a width");
                self.compare_bits(&format!("{c_type}.{name}"), read, offset, shift, width);
            } else if let Some(&declared) = self.fields.get(&key) {
                assert_eq!(
                    declared,
                    (offset, size),
                    "offset and size of {c_type}.{name}"
                );
            } else {
                let outer = name.split_once('.').map(|(outer, _)| normal(outer));
                let (start, length) = *outer
                    .as_ref()
                    .and_then(|outer| self.fields.get(outer))
                    .unwrap_or_else(|| panic!("{c_type}.{name} has no counterpart"));
                assert!(
                    start <= offset && offset + size <= start + length,
                    "{c_type}.{name} sticks out"
                );
            }
            compared.insert(key);
        }
        for name in self.fields.keys().chain(self.bits.keys()) {
            let padding = name.starts_with("padding");
            assert!(
                padding || compared.contains(name),
                "{c_type} has no field like {name}"
            );
        }
    }

    /// The accessor sees exactly the bits of the fact: all of them, and none besides.
    fn compare_bits(&self, name: &str, read: &ReadBits, offset: usize, shift: u64, width: u64) {
        let mask = (u128::MAX >> (128 - width)) << (offset as u64 * 8 + shift);
        let image = |bits: u128| {
            let mut bytes = vec![0; self.size.max(16)];
            bytes[..16].copy_from_slice(&bits.to_le_bytes());
            bytes.truncate(self.size);
            bytes
        };
        assert_eq!(
            u128::from(read(&image(mask))),
            u128::MAX >> (128 - width),
            "bits of {name}"
        );
        assert_eq!(read(&image(!mask)), 0, "bits around {name}");
    }
}

/// Compares all structures of a table; `arm64` entries replace others on that architecture.
pub(crate) fn compare_structs(facts: &Value, declared: BTreeMap<&str, Declared>) {
    let mut structs = facts["structs"]
        .as_object()
        .expect("there are structures")
        .clone();
    if cfg!(target_arch = "aarch64") {
        for (name, fact) in facts["structs_arm64_diff"]
            .as_object()
            .expect("there are differences")
        {
            structs.insert(name.clone(), fact.clone());
        }
    }
    for (name, fact) in &structs {
        let declared = declared
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no counterpart"));
        declared.compare(name, fact);
    }
    for name in declared.keys() {
        assert!(structs.contains_key(*name), "{name} is not in the table");
    }
}

/// Compares one structure with a fact that is not in the table of structures.
pub(crate) fn compare_struct(name: &str, fact: &Value, declared: &Declared) {
    declared.compare(name, fact);
}

/// The named values of an enumeration or a set of flags, and its size.
pub(crate) struct Enumeration {
    pub(crate) size: u64,
    pub(crate) values: BTreeMap<&'static str, u64>,
}

/// `Type` as an [`Enumeration`].
macro_rules! enumeration {
    ($ty:ty) => {
        $crate::facts::Enumeration {
            size: size_of::<$ty>() as u64,
            values: <$ty>::NAMED
                .iter()
                .map(|(value, name)| (*name, u64::from(value.0)))
                .collect(),
        }
    };
}
pub(crate) use enumeration;

/// Compares all enumerations of a table. Types in `narrow` are stored in fewer bytes than a C `enum` has.
pub(crate) fn compare_enums(facts: &Value, declared: BTreeMap<&str, Enumeration>, narrow: &[&str]) {
    let enums = facts["enums"].as_object().expect("there are enumerations");
    for (name, fact) in enums {
        let declared = declared
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} has no counterpart"));
        if !narrow.contains(&name.as_str()) {
            assert_eq!(Some(declared.size), fact["size"].as_u64(), "size of {name}");
        }
        let values = fact["values"]
            .as_object()
            .expect("an enumeration has values");
        for (value_name, value) in values {
            // C enumerators are signed; the newtypes are not.
            let value = u64::from(value.as_i64().expect("a number") as u32);
            if value == 0 && value_name.ends_with("_NONE") {
                continue;
            }
            assert_eq!(
                declared.values.get(value_name.as_str()),
                Some(&value),
                "{value_name}"
            );
        }
        for value_name in declared.values.keys() {
            assert!(
                values.contains_key(*value_name),
                "{value_name} is not in the table"
            );
        }
    }
    for name in declared.keys() {
        assert!(enums.contains_key(*name), "{name} is not in the table");
    }
}
