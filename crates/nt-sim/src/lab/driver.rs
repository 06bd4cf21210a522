//! Drivers: loading, starting, unloading, and what they left behind.

use std::{fmt, path::Path, sync::Arc};

use super::{Lab, LabError, NtStatus};
use crate::{
    io,
    kernel::{kernel, strict},
    mem::caller::LINKED,
    pe::{Import, Module},
    verifier::Rule,
};

/// A loaded driver.
pub struct Driver<'lab> {
    lab: &'lab Lab,
    driver: Arc<io::driver::Driver>,
    image: Option<Arc<Module>>,
}

/// Something that a driver did not give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What kind of thing it is.
    pub kind: &'static str,
    /// How many.
    pub count: usize,
    /// Which, in words.
    pub details: String,
}

/// What was left when a driver had unloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct UnloadReport {
    /// What the driver did not give back; empty for a clean unload.
    pub leaks: Vec<Leak>,
    /// Most bytes of kernel stack that a thread used.
    pub deepest_stack: usize,
}

impl UnloadReport {
    /// Whether everything was given back.
    pub fn is_clean(&self) -> bool {
        self.leaks.is_empty()
    }
}

impl fmt::Display for UnloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(
                f,
                "clean: no memory, NBL, MDL, handle, object or thread left; deepest kernel stack {} bytes",
                self.deepest_stack
            );
        }
        for leak in &self.leaks {
            writeln!(f, "leaked {} {}: {}", leak.count, leak.kind, leak.details)?;
        }
        Ok(())
    }
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
    pub fn start_linked(
        &self,
        service: &str,
        entry: unsafe extern "win64" fn(
            *mut nt::sys::DRIVER_OBJECT,
            *mut nt::sys::UNICODE_STRING,
        ) -> i32,
    ) -> Result<Driver<'_>, LabError> {
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
                let _ = check_clean(&driver, "DriverEntry failed and");
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
            lab: self,
            driver,
            image,
        })
    }
}

impl Driver<'_> {
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
        let unloaded = self.lab.enter(|| self.driver.unload())?;
        if !unloaded {
            return Err(LabError::Invalid(format!(
                "{} has no unload routine",
                self.driver.name
            )));
        }
        self.lab.enter(|| {
            let report = check_clean(&self.driver, "it unloaded and");
            self.driver.remove();
            if let Some(image) = &self.image {
                image.unload();
            }
            report
        })
    }
}

/// Kinds of leaks that are the memory's.
const POOL_BLOCKS: &str = "pool blocks";
const MDLS: &str = "MDLs, locks or mappings";

/// Looks for what a driver left; in strict mode anything stops the kernel.
fn check_clean(driver: &Arc<io::driver::Driver>, when: &str) -> UnloadReport {
    let report = UnloadReport {
        leaks: leaks(driver),
        deepest_stack: kernel().verifier.deepest_stack_now(),
    };
    if strict() {
        // Damage and pure leaks of memory have rules of their own.
        let memory_only = report
            .leaks
            .iter()
            .all(|leak| leak.kind == POOL_BLOCKS || leak.kind == MDLS);
        if memory_only {
            kernel()
                .mem
                .check_unloaded(memory_owner(driver), &driver.name);
        }
    }
    if strict() && !report.is_clean() {
        crate::bugcheck!(Rule::LeakAtUnload, report.leaks.len();
            "{}: {when} left things behind\n{report}", driver.name);
    }
    report
}

/// What the driver's memory is filed under.
fn memory_owner(driver: &io::driver::Driver) -> u16 {
    match driver.image_base() {
        0 => LINKED,
        // Who called is not looked up in fast mode.
        _ if !strict() => LINKED,
        base => kernel().mem.owner_of_image(base),
    }
}

/// What is left of a driver.
fn leaks(driver: &Arc<io::driver::Driver>) -> Vec<Leak> {
    let kernel = kernel();
    let mut leaks = Vec::new();
    let mut count = |kind: &'static str, count: usize, details: String| {
        if count > 0 {
            leaks.push(Leak {
                kind,
                count,
                details,
            });
        }
    };
    let devices: Vec<_> = {
        let devices = kernel.io.devices.lock();
        let mine = devices.values().filter(|d| Arc::ptr_eq(&d.driver, driver));
        mine.map(|d| {
            d.object
                .name
                .lock()
                .clone()
                .unwrap_or_else(|| "without a name".into())
        })
        .collect()
    };
    count("devices", devices.len(), devices.join(", "));
    let handles = kernel.ob.kernel_handles.describe();
    count("system handles", handles.len(), handles.join(", "));
    count("work items", io::work_item::alive(), String::new());
    count("ETW providers", crate::trace::etw_alive(), String::new());
    count("counter sets", crate::trace::pcw_alive(), String::new());
    count("network modules", crate::nmr::alive(), String::new());
    count("timers", crate::ex::timers_alive(), String::new());
    count(
        "callback registrations",
        crate::ex::callbacks_alive(),
        String::new(),
    );
    count(
        "rundown references",
        crate::ex::rundown_alive(),
        String::new(),
    );
    let objects: Vec<_> = kernel
        .verifier
        .objects
        .lock()
        .iter()
        .map(|(address, object)| format!("{} at {address:#x}", object.kind))
        .collect();
    count("objects in use", objects.len(), objects.join(", "));
    let irps: Vec<_> = {
        let irps = kernel.io.irps.lock();
        irps.values().map(|i| i.what.clone()).collect()
    };
    count("requests", irps.len(), irps.join(", "));
    let threads: Vec<_> = {
        let threads = kernel.sched.threads.lock();
        let mine = threads
            .iter()
            .filter(|t| t.name.starts_with("driver thread"));
        mine.map(|t| t.name.clone()).collect()
    };
    count("threads", threads.len(), threads.join(", "));
    let owner = memory_owner(driver);
    for leak in kernel.mem.pool.leaks(owner) {
        leaks.push(Leak {
            kind: POOL_BLOCKS,
            count: leak.blocks as usize,
            details: format!(
                "tag '{}', {} bytes{}",
                leak.tag,
                leak.bytes,
                crate::mem::report::leak_places(&leak)
            ),
        });
    }
    let mdls = kernel.mem.mdl_leaks(Some(owner));
    if !mdls.is_empty() {
        leaks.push(Leak {
            kind: MDLS,
            count: mdls.len(),
            details: mdls
                .iter()
                .map(|m| format!("{:#x} {}", m.address, m.what))
                .collect::<Vec<_>>()
                .join(", "),
        });
    }
    leaks
}
