//! Names.

use std::sync::Arc;

use nt::sys::{
    NTSTATUS, OBJECT_ATTRIBUTES, STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_NOT_FOUND,
};

use super::{Kind, Ob, Object};

/// Directories that exist from the start.
const ROOTS: &[&str] = &[
    "\\",
    "\\device",
    "\\driver",
    "\\callback",
    "\\??",
    "\\basenamedobjects",
    "\\registry",
];

/// A name that led to an object.
pub(crate) struct Resolved {
    pub(crate) object: Arc<Object>,
    /// What of the name lies behind the object: for a device, the file's name.
    pub(crate) rest: String,
}

/// What an `OBJECT_ATTRIBUTES` says.
pub(crate) struct Attributes {
    pub(crate) path: Option<String>,
    pub(crate) attributes: u32,
    pub(crate) security: usize,
}

/// Text of a `UNICODE_STRING` at `address`; `None` for a null pointer.
pub(crate) fn unicode_string(address: *const nt::sys::UNICODE_STRING) -> Option<String> {
    // SAFETY: null or a counted string, as every function that takes one asks for.
    let string = unsafe { address.as_ref() }?;
    if string.Buffer.is_null() {
        return Some(String::new());
    }
    // SAFETY: a counted string names `Length` bytes at `Buffer`.
    let units =
        unsafe { std::slice::from_raw_parts(string.Buffer, usize::from(string.Length) / 2) };
    Some(String::from_utf16_lossy(units))
}

/// Reads an `OBJECT_ATTRIBUTES`, whose root directory may be a directory or key handle.
pub(crate) fn parse_object_attributes(
    attributes: *const OBJECT_ATTRIBUTES,
) -> Result<Attributes, NTSTATUS> {
    // SAFETY: null or an initialised OBJECT_ATTRIBUTES, as the callers' callers pass.
    let Some(attributes) = (unsafe { attributes.as_ref() }) else {
        return Ok(Attributes {
            path: None,
            attributes: 0,
            security: 0,
        });
    };
    let name = unicode_string(attributes.ObjectName);
    let root = attributes.RootDirectory as usize;
    let path = if root == 0 {
        name
    } else {
        let handle = super::table_of(root).lookup(root, None, 0, false)?;
        let root = handle.object.name.lock().clone().unwrap_or_default();
        let name = name.unwrap_or_default();
        if name.starts_with('\\') {
            return Err(STATUS_OBJECT_PATH_SYNTAX_BAD);
        }
        Some(if name.is_empty() {
            root
        } else {
            format!("{root}\\{name}")
        })
    };
    Ok(Attributes {
        path,
        attributes: attributes.Attributes,
        security: attributes.SecurityDescriptor as usize,
    })
}

fn fold(path: &str) -> String {
    one_name(path).to_lowercase()
}

/// The directory of names for programs has three names; `\\??` stands for all of them.
fn one_name(path: &str) -> String {
    for other in ["\\DosDevices", "\\GLOBAL??"] {
        if let Some((head, rest)) = path.split_at_checked(other.len())
            && head.eq_ignore_ascii_case(other)
            && (rest.is_empty() || rest.starts_with('\\'))
        {
            return format!("\\??{rest}");
        }
    }
    path.to_owned()
}

impl Ob {
    /// Makes the directories of a fresh system.
    pub(crate) fn make_roots(&self) {
        for root in ROOTS {
            let body = super::Body::new(64);
            let object = self.create(Kind::Directory, Ok(body), Arc::new(()));
            *object.name.lock() = Some((*root).to_owned());
            self.names.lock().insert((*root).to_owned(), object);
        }
    }

    /// Gives an object its name. The parent must be a directory.
    pub(crate) fn name(&self, object: &Arc<Object>, path: &str) -> Result<(), NTSTATUS> {
        let folded = fold(path);
        if !folded.starts_with('\\') || folded.len() < 2 || folded.ends_with('\\') {
            return Err(STATUS_OBJECT_NAME_INVALID);
        }
        let parent = match folded.rfind('\\') {
            Some(0) | None => "\\",
            Some(at) => &folded[..at],
        };
        let mut names = self.names.lock();
        match names.get(parent) {
            Some(parent) if parent.kind == Kind::Directory => {}
            _ => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
        }
        if names.contains_key(&folded) {
            return Err(STATUS_OBJECT_NAME_COLLISION);
        }
        *object.name.lock() = Some(folded.clone());
        names.insert(folded, Arc::clone(object));
        Ok(())
    }

    /// Takes an object's name away.
    pub(crate) fn unname(&self, object: &Object) {
        if let Some(name) = object.name.lock().take() {
            self.names.lock().remove(&name);
        }
    }

    /// Finds the object with exactly this name.
    pub(crate) fn find_name(&self, path: &str) -> Option<Arc<Object>> {
        self.names.lock().get(&fold(path)).cloned()
    }

    /// Walks `path` to an object; symbolic links are followed. What lies behind a device goes to
    /// the device.
    pub(crate) fn resolve(&self, path: &str) -> Result<Resolved, NTSTATUS> {
        let mut path = path.to_owned();
        for _ in 0..32 {
            match self.step(&path)? {
                Step::Found(found) => return Ok(found),
                Step::Again(target) => path = target,
            }
        }
        Err(STATUS_OBJECT_NAME_INVALID)
    }

    fn step(&self, path: &str) -> Result<Step, NTSTATUS> {
        if !path.starts_with('\\') {
            return Err(STATUS_OBJECT_PATH_SYNTAX_BAD);
        }
        let names = self.names.lock();
        let path = &*one_name(path);
        let folded = fold(path);
        // Lower-casing may change lengths outside ASCII; names with such letters match whole only.
        let mut end = folded.len();
        loop {
            let prefix = &folded[..end];
            if let Some(object) = names.get(prefix) {
                let rest = path.get(end..).unwrap_or_default().to_owned();
                return match object.kind {
                    Kind::SymbolicLink => {
                        let target = object.data::<String>().unwrap_or_default();
                        Ok(Step::Again(format!("{target}{rest}")))
                    }
                    Kind::Device => Ok(Step::Found(Resolved {
                        object: Arc::clone(object),
                        rest,
                    })),
                    _ if rest.is_empty() => Ok(Step::Found(Resolved {
                        object: Arc::clone(object),
                        rest,
                    })),
                    Kind::Directory if !rest.trim_start_matches('\\').contains('\\') => {
                        Err(STATUS_OBJECT_NAME_NOT_FOUND)
                    }
                    _ => Err(STATUS_OBJECT_PATH_NOT_FOUND),
                };
            }
            match prefix.rfind('\\') {
                Some(0) if prefix.len() > 1 => end = 1,
                Some(at) if at > 0 => end = at,
                _ => return Err(STATUS_OBJECT_PATH_NOT_FOUND),
            }
        }
    }
}

const STATUS_OBJECT_PATH_SYNTAX_BAD: NTSTATUS = 0xC000_003B_u32 as i32;

enum Step {
    Found(Resolved),
    Again(String),
}
