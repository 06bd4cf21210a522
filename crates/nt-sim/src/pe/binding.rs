//! A driver file bound to the simulated kernel.

use std::{ops::Deref, path::Path};

use super::{Binding, Image, Import, Loaded, PeError};
use crate::{
    arch::{ThunkKind, ThunkPage},
    bugcheck,
    export::{self, Info, MaxIrql},
    kernel::strict,
    verifier::Rule,
};

/// An import that is not implemented. Boxed: a thunk holds its address.
type Missing = Box<Import>;

/// A loaded image whose imports are the simulated kernel's functions.
pub(crate) struct Module {
    image: Loaded,
    _thunks: ThunkPage,
    /// What the thunks of unimplemented imports point at.
    _missing: Vec<Missing>,
}

impl Deref for Module {
    type Target = Image;

    fn deref(&self) -> &Image {
        &self.image
    }
}

impl Module {
    /// Loads the driver at `path`.
    pub(crate) fn load_file(path: &Path) -> Result<Module, PeError> {
        Self::bind(|resolve| Image::load_file(path, resolve))
    }

    /// Loads a driver from the bytes of its file.
    pub(crate) fn load(file: &[u8], name: &str) -> Result<Module, PeError> {
        Self::bind(|resolve| Image::load(file, name, resolve))
    }

    fn bind(
        load: impl FnOnce(&mut Resolver<'_>) -> Result<Loaded, PeError>,
    ) -> Result<Module, PeError> {
        let mut thunks = None;
        let mut missing = Vec::new();
        let image = load(&mut |imports| {
            let mut page = ThunkPage::new(2 * imports.len()).map_err(PeError::Map)?;
            let bindings = imports
                .iter()
                .map(|import| bind_import(import, &mut page, &mut missing))
                .collect();
            page.seal().map_err(PeError::Map)?;
            thunks = Some(page);
            Ok(bindings)
        })?;
        let thunks = thunks.expect("loading resolves the imports");
        Ok(Module {
            image,
            _thunks: thunks,
            _missing: missing,
        })
    }
}

type Resolver<'a> = dyn FnMut(&[Import]) -> Result<Vec<Binding>, PeError> + 'a;

fn bind_import(import: &Import, page: &mut ThunkPage, missing: &mut Vec<Missing>) -> Binding {
    let Some(export) = export::lookup(&import.module, &import.name) else {
        let record = Box::new(import.clone());
        let argument = &raw const *record as u64;
        missing.push(record);
        let target = unimplemented_import as *const ();
        let named = page.add_with_argument(target, argument);
        return Binding::Unimplemented(page.add(ThunkKind::Plain, named) as u64);
    };
    let kind = match export.info {
        Info { data: true, .. } => return Binding::Bound(export.address as u64),
        Info { raises: true, .. } => ThunkKind::Raising,
        _ if strict() => ThunkKind::Plain,
        // On one stack, a function that raises nothing is called as it is.
        _ => return Binding::Bound(export.address as u64),
    };
    Binding::Bound(page.add(kind, export.address) as u64)
}

/// What the driver calls when it calls a function that is not there.
unsafe extern "win64" fn unimplemented_import(import: &Import) -> u64 {
    static INFO: Info = Info {
        name: "a function that is not implemented",
        max_irql: MaxIrql::ANY,
        raises: false,
        data: false,
    };
    export::enter(&INFO, || {
        bugcheck!(Rule::UnimplementedImport, 0;
            "{}!{} was called, which the simulated kernel does not implement",
            import.module, import.name)
    })
}
