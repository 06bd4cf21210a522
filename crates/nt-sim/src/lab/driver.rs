//! Drivers: loading, starting, unloading.

use std::{path::Path, sync::Arc};

use super::{Held, Lab, LabError, NtStatus, UnloadReport, leaks};
use crate::{
    io,
    kernel::kernel,
    pe::{Import, Module},
};

/// `DriverEntry` of a driver that is linked into this program.
pub type DriverEntry =
    unsafe extern "win64" fn(*mut nt::sys::DRIVER_OBJECT, *mut nt::sys::UNICODE_STRING) -> i32;

/// A loaded driver.
pub struct Driver<'lab> {
    lab: Held<'lab, Lab>,
    driver: Arc<io::driver::Driver>,
    image: Option<Arc<Module>>,
}

impl Lab {
    /// Loads a driver file and calls its `DriverEntry`. The driver's service is named after the
    /// file.
    ///
    /// # Errors
    /// When the file is no driver that can run here, or `DriverEntry` fails.
    pub fn load(&self, file: impl AsRef<Path>) -> Result<Driver<'_>, LabError> {
        let file = file.as_ref();
        let service = file
            .file_stem()
            .map_or_else(|| "driver".into(), |s| s.to_string_lossy().into_owned());
        self.load_as(file, &service)
    }

    /// As [`Lab::load`], with the service name given.
    ///
    /// # Errors
    /// As [`Lab::load`].
    pub fn load_as(&self, file: &Path, service: &str) -> Result<Driver<'_>, LabError> {
        let image = self.enter(|| Module::load_file(file))?;
        self.start_image(image, &file.display().to_string(), service)
    }

    /// Loads a driver from the bytes of its file and calls its `DriverEntry`.
    ///
    /// # Errors
    /// As [`Lab::load`].
    pub fn load_bytes(&self, bytes: &[u8], service: &str) -> Result<Driver<'_>, LabError> {
        let name = format!("{service}.sys");
        let image = self.enter(|| Module::load(bytes, &name))?;
        self.start_image(image, &name, service)
    }

    fn start_image(
        &self,
        image: Result<Module, crate::pe::PeError>,
        file: &str,
        service: &str,
    ) -> Result<Driver<'_>, LabError> {
        let image = image.map_err(|cause| LabError::Image {
            file: file.to_owned(),
            cause,
        })?;
        let image = Arc::new(image);
        // Unloaded images stay until the lab ends, so that late calls into them are recognised.
        self.images.lock().push(Arc::clone(&image));
        let entry = image.entry() as *const ();
        let range = (image.base(), image.size() as u32);
        self.start_driver(service, entry, range, Some(image))
    }

    /// Starts a driver that is linked into this program.
    ///
    /// # Errors
    /// When `DriverEntry` fails.
    pub fn start_linked(&self, service: &str, entry: DriverEntry) -> Result<Driver<'_>, LabError> {
        self.start_driver(service, entry as *const (), (0, 0), None)
    }

    fn start_driver(
        &self,
        service: &str,
        entry: *const (),
        range: (usize, u32),
        image: Option<Arc<Module>>,
    ) -> Result<Driver<'_>, LabError> {
        let path = format!("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{service}");
        let driver = self
            .enter(|| {
                kernel().registry.create(&path);
                io::driver::Driver::create(service, range.0, range.1)
            })?
            .map_err(|status| LabError::Status {
                what: format!("making the driver object of {service}"),
                status: NtStatus(status),
            })?;
        let entry = entry as usize;
        let status = self.enter(|| driver.start(entry as *const ()))?;
        if status < 0 {
            self.enter(|| {
                // A driver whose start fails is taken away without a word: it undoes what it did.
                let _ = leaks::check(&driver, "DriverEntry failed and");
                driver.remove();
                if let Some(image) = &image {
                    image.unload();
                }
            })?;
            return Err(LabError::Status {
                what: format!("DriverEntry of {service}"),
                status: NtStatus(status),
            });
        }
        if let Some(image) = &image {
            image.discard_init();
        }
        Ok(Driver {
            lab: Held::Borrowed(self),
            driver,
            image,
        })
    }
}

impl Driver<'_> {
    /// The same driver, keeping the lab alive.
    ///
    /// # Panics
    /// When it was loaded into another lab.
    pub fn shared(self, lab: &Arc<Lab>) -> Driver<'static> {
        assert!(std::ptr::eq(&*self.lab, &**lab), "the lab of the driver");
        Driver {
            lab: Held::Shared(Arc::clone(lab)),
            driver: self.driver,
            image: self.image,
        }
    }

    /// Service name.
    pub fn name(&self) -> &str {
        &self.driver.name
    }

    /// Size of the file in bytes; `None` for a linked driver.
    pub fn file_size(&self) -> Option<usize> {
        self.image.as_ref().map(|image| image.file_size())
    }

    /// SHA-256 of the file; `None` for a linked driver.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.image.as_ref().map(|image| *image.sha256())
    }

    /// What the file imports.
    pub fn imports(&self) -> &[Import] {
        self.image.as_ref().map_or(&[], |image| image.imports())
    }

    /// Imports that this kernel does not have. Calling one is a bugcheck.
    pub fn unimplemented_imports(&self) -> &[Import] {
        self.image
            .as_ref()
            .map_or(&[], |image| image.unimplemented_imports())
    }

    /// Calls the unload routine and looks for what the driver left.
    ///
    /// # Errors
    /// When the driver cannot be unloaded, or breaks a rule while it is.
    pub fn unload(self) -> Result<UnloadReport, LabError> {
        let unloaded = self.lab.enter(|| {
            // Open files keep a driver loaded.
            kernel().ob.settle();
            self.driver.unload()
        })?;
        if !unloaded {
            return Err(LabError::Invalid(format!(
                "{} has no unload routine",
                self.driver.name
            )));
        }
        self.lab.enter(|| {
            let report = leaks::check(&self.driver, "it unloaded and");
            self.driver.remove();
            if let Some(image) = &self.image {
                image.unload();
            }
            report
        })
    }
}
