//! Functions and variables that the kernel's modules export.

/// One declared import, for the test against the fact tables.
#[cfg(test)]
pub(crate) struct Import {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    pub(crate) params: &'static [usize],
    pub(crate) ret: usize,
}
