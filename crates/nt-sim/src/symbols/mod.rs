//! Names of driver addresses.

use std::path::Path;

use crate::pe::Image;

pub(crate) struct Symbols {}

impl Symbols {
    pub(crate) fn of_image(_image: &Image, _pdb: Option<&Path>) -> Symbols {
        Symbols {}
    }
}
