//! A driver image in memory.

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};

use super::{
    bytes::{put_u64, slice_at, u32_at, u64_at},
    error::PeError,
    functions::FunctionTable,
    headers::{Directory, DirectoryIndex, Headers, Section},
    import::{self, Exported, Import},
    mapping::Mapping,
    registry, relocation,
};
use crate::symbols::Symbols;

/// What the resolver of imports answers for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// The address of the function or variable.
    Bound(u64),
    /// There is no such thing; the address is that of code that says so when it is called.
    Unimplemented(u64),
}

/// A loaded image. It stays at its address, inaccessible, after it has been unloaded, so that
/// late calls into it are recognised.
pub(crate) struct Image {
    name: String,
    file_size: usize,
    sha256: [u8; 32],
    headers: Headers,
    functions: FunctionTable,
    exports: Vec<Exported>,
    imports: Vec<Import>,
    unimplemented: Vec<Import>,
    mapping: Mapping,
    /// Bytes of headers, unwind data and tables as they were after relocation: what the kernel
    /// itself reads, whatever the driver does to its own image.
    pristine: Vec<u8>,
    unloaded: AtomicBool,
    init_discarded: AtomicBool,
    /// What its memory is filed under; 0 until somebody asks.
    owner: AtomicU16,
    symbols: OnceLock<Symbols>,
    symbol_file: Option<std::path::PathBuf>,
}

impl Image {
    /// Reads `path` and loads it.
    pub(crate) fn load_file(
        path: &Path,
        resolve: impl FnOnce(&[Import]) -> Result<Vec<Binding>, PeError>,
    ) -> Result<registry::Loaded, PeError> {
        let file = std::fs::read(path).map_err(PeError::Read)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let pdb = path.with_extension("pdb");
        let image = Image::build(&file, &name.to_string_lossy(), Some(pdb), resolve)?;
        registry::register(image)
    }

    /// Loads an image from the bytes of its file.
    pub(crate) fn load(
        file: &[u8],
        name: &str,
        resolve: impl FnOnce(&[Import]) -> Result<Vec<Binding>, PeError>,
    ) -> Result<registry::Loaded, PeError> {
        registry::register(Image::build(file, name, None, resolve)?)
    }

    fn build(
        file: &[u8],
        name: &str,
        symbol_file: Option<std::path::PathBuf>,
        resolve: impl FnOnce(&[Import]) -> Result<Vec<Binding>, PeError>,
    ) -> Result<Image, PeError> {
        let headers = Headers::read(file)?;
        let mut mapping = Mapping::new(headers.image_size as usize).map_err(PeError::Map)?;
        let delta = (mapping.base() as u64).wrapping_sub(headers.image_base);
        let bytes = mapping.bytes_mut();
        lay_out(file, &headers, bytes)?;
        let relocations = headers.directory(DirectoryIndex::BaseRelocation);
        relocation::apply(bytes, relocations, delta)?;
        let functions = FunctionTable::read(bytes, headers.directory(DirectoryIndex::Exception))?;
        let exports = import::read_exports(bytes, headers.directory(DirectoryIndex::Export))?;
        let imports = import::read(bytes, headers.directory(DirectoryIndex::Import))?;
        let mut unimplemented = Vec::new();
        let bindings = resolve(&imports)?;
        assert_eq!(bindings.len(), imports.len(), "every import is answered");
        for (import, binding) in imports.iter().zip(bindings) {
            let address = match binding {
                Binding::Bound(address) => address,
                Binding::Unimplemented(address) => {
                    unimplemented.push(import.clone());
                    address
                }
            };
            import::bind(bytes, import, address)?;
        }
        seed_cookie(bytes, headers.directory(DirectoryIndex::LoadConfig), delta)?;
        let pristine = bytes.to_vec();
        mapping
            .protect_sections(&headers.sections)
            .map_err(PeError::Map)?;
        Ok(Image {
            name: name.to_owned(),
            file_size: file.len(),
            sha256: Sha256::digest(file).into(),
            headers,
            functions,
            exports,
            imports,
            unimplemented,
            mapping,
            pristine,
            unloaded: AtomicBool::new(false),
            init_discarded: AtomicBool::new(false),
            owner: AtomicU16::new(0),
            symbols: OnceLock::new(),
            symbol_file,
        })
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the image's memory, and everything else that it makes, is filed under.
    pub(crate) fn owner(&self) -> u16 {
        match self.owner.load(Ordering::Relaxed) {
            0 => {
                let owner = crate::kernel::kernel().mem.owner_of_image(self.base());
                self.owner.store(owner, Ordering::Relaxed);
                owner
            }
            known => known,
        }
    }

    pub(crate) fn base(&self) -> usize {
        self.mapping.base()
    }

    pub(crate) fn size(&self) -> usize {
        self.mapping.size()
    }

    pub(crate) fn contains(&self, address: usize) -> bool {
        address
            .checked_sub(self.base())
            .is_some_and(|offset| offset < self.size())
    }

    /// Address of `DriverEntry`.
    pub(crate) fn entry(&self) -> usize {
        self.base() + self.headers.entry as usize
    }

    pub(crate) fn file_size(&self) -> usize {
        self.file_size
    }

    pub(crate) fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    pub(crate) fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Imports that the simulated kernel does not have.
    pub(crate) fn unimplemented_imports(&self) -> &[Import] {
        &self.unimplemented
    }

    pub(crate) fn exports(&self) -> &[Exported] {
        &self.exports
    }

    /// The import that is called by the instruction before `return_address`, directly or through a
    /// jump in the image.
    pub(crate) fn import_called_before(&self, return_address: usize) -> Option<&Import> {
        let end = self.rva(return_address)? as usize;
        // `opcode` with a displacement from the instruction's end.
        let target = |opcode: &[u8], at: usize| {
            let from = at + opcode.len();
            (slice_at(&self.pristine, at, opcode.len()) == Some(opcode))
                .then(|| u32_at(&self.pristine, from))
                .flatten()
                .map(|offset| (from as u32 + 4).wrapping_add(offset))
        };
        let direct = end.checked_sub(6).and_then(|at| target(&[0xff, 0x15], at));
        let slot = direct.or_else(|| {
            let stub = target(&[0xe8], end.checked_sub(5)?)? as usize;
            target(&[0xff, 0x25], stub).or_else(|| target(&[0x48, 0xff, 0x25], stub))
        })?;
        self.imports.iter().find(|import| import.slot == slot)
    }

    /// Address of an exported function.
    #[cfg(test)]
    pub(crate) fn export(&self, name: &str) -> Option<usize> {
        let export = self.exports.iter().find(|e| e.name == name)?;
        Some(self.base() + export.rva as usize)
    }

    pub(crate) fn functions(&self) -> &FunctionTable {
        &self.functions
    }

    /// The relocated image as the loader left it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.pristine
    }

    /// Offset of `address` in the image.
    pub(crate) fn rva(&self, address: usize) -> Option<u32> {
        if !self.contains(address) {
            return None;
        }
        u32::try_from(address - self.base()).ok()
    }

    /// The section that `address` lies in.
    pub(crate) fn section_at(&self, address: usize) -> Option<&Section> {
        self.headers.section_at(self.rva(address)?)
    }

    /// Whether code of this image may run at `address`.
    pub(crate) fn is_code(&self, address: usize) -> bool {
        self.section_at(address).is_some_and(Section::executable)
    }

    /// An address of this image in words.
    pub(crate) fn describe(&self, address: usize) -> String {
        let rva = self.rva(address).unwrap_or(0);
        match self.symbols().name_of(rva) {
            Some((name, 0)) => format!("{}!{name}", self.name),
            Some((name, offset)) => format!("{}!{name}+{offset:#x}", self.name),
            None => format!("{}+{rva:#x}", self.name),
        }
    }

    /// Names of addresses, read on first use.
    pub(crate) fn symbols(&self) -> &Symbols {
        self.symbols
            .get_or_init(|| Symbols::of_image(self, self.symbol_file.as_deref()))
    }

    /// RVA of each section, in file order.
    pub(crate) fn section_starts(&self) -> Vec<u32> {
        self.headers.sections.iter().map(|s| s.rva).collect()
    }

    /// Data of the CodeView debug record, by which a PDB is matched.
    pub(crate) fn debug_record(&self) -> Option<&[u8]> {
        const CODEVIEW: u32 = 2;
        let table = self.headers.directory(DirectoryIndex::Debug);
        (0..table.size as usize / 28).find_map(|i| {
            let entry = slice_at(&self.pristine, table.rva as usize + i * 28, 28)?;
            if u32_at(entry, 12)? != CODEVIEW {
                return None;
            }
            let (size, rva) = (u32_at(entry, 16)?, u32_at(entry, 20)?);
            slice_at(&self.pristine, rva as usize, size as usize)
        })
    }

    /// Frees what is only needed until `DriverEntry` has returned.
    pub(crate) fn discard_init(&self) {
        for section in &self.headers.sections {
            if section.discardable() && section.executable() {
                let revoked = self
                    .mapping
                    .revoke(section.rva as usize, section.size as usize);
                revoked.expect("giving memory back cannot fail");
            }
        }
        self.init_discarded.store(true, Ordering::Release);
    }

    pub(crate) fn init_discarded(&self) -> bool {
        self.init_discarded.load(Ordering::Acquire)
    }

    /// Frees the image's memory; its addresses stay reserved.
    pub(crate) fn unload(&self) {
        self.unloaded.store(true, Ordering::Release);
        let revoked = self.mapping.revoke(0, self.mapping.size());
        revoked.expect("giving memory back cannot fail");
    }

    pub(crate) fn unloaded(&self) -> bool {
        self.unloaded.load(Ordering::Acquire)
    }
}

fn lay_out(file: &[u8], headers: &Headers, image: &mut [u8]) -> Result<(), PeError> {
    let outside = |name: &str| PeError::BadHeader(format!("{name} does not fit the image"));
    let mut copy = |at: u32, data: Option<&[u8]>, name: &str| {
        let data = data.ok_or_else(|| outside(name))?;
        super::bytes::put(image, at as usize, data).ok_or_else(|| outside(name))
    };
    let head = slice_at(file, 0, headers.headers_size as usize);
    copy(0, head, "the headers")?;
    for section in &headers.sections {
        copy(section.rva, section.data(file), &section.name)?;
    }
    Ok(())
}

/// Gives the stack cookie a value of its own. Drivers stop the system when it still has the
/// linker's at their entry.
fn seed_cookie(image: &mut [u8], config: Directory, delta: u64) -> Result<(), PeError> {
    const COOKIE: usize = 0x58;
    static NEXT: AtomicU64 = AtomicU64::new(0x1d2f_83c5_9b61);
    let at = config.rva as usize;
    let size = u32_at(image, at).unwrap_or(0);
    if config.rva == 0 || size < COOKIE as u32 + 8 {
        return Ok(());
    }
    let base = image.as_ptr() as u64;
    let bad = || PeError::directory("load configuration", "its cookie is outside of the image");
    let cookie = u64_at(image, at + COOKIE).ok_or_else(bad)?;
    if cookie == 0 {
        return Ok(());
    }
    let offset = usize::try_from(cookie.wrapping_sub(base)).map_err(|_| bad())?;
    // Not a secret: it only has to differ from the linker's value and leave the upper 16 bits zero.
    let value = NEXT.fetch_add(0x0101_0101_0101, Ordering::Relaxed) ^ delta.rotate_right(12);
    put_u64(image, offset, value & 0xffff_ffff_ffff).ok_or_else(bad)
}
