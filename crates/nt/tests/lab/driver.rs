//! The driver: a device whose control codes each exercise a part of the crate.

use nt::io::{
    Completion, Control, Create, Device, DeviceConfig, Driver, DriverObject, DriverSlot,
    FastControl, Irp, IrpSlot,
};
use nt::memory::{Mode, UserMapping};
use nt::pcw::Instance;
use nt::security::SecurityDescriptor;
use nt::string::UnicodeStr;
use nt::sync::PushLock;
use nt::sys::{FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, GUID, REG_BINARY};
use nt::work::WorkItem;
use nt::{Arc, Passive, Result, Status, Tag, Vec};

use crate::answers::{
    UserWait, deferred, events, locks, processors, rundown, thread, timer, trace,
};
use crate::counters::{Values, count, counters};
use crate::keys::{CLASS_KEY, close, create_key, registry, set_value, watch};
use crate::memory::{fill, lend, look};
use crate::modules::modules;
use crate::published::published;
use crate::signal::Signal;

pub(crate) const TAG: Tag = Tag::new(b"NtWr");
pub(crate) const CLASS: GUID = GUID {
    Data1: 0x1234_5678,
    Data2: 0x9abc,
    Data3: 0xdef0,
    Data4: [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
};

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, function, method, FILE_WRITE_ACCESS)`.
pub(crate) const fn code(function: u32, method: u32) -> u32 {
    FILE_DEVICE_UNKNOWN << 16 | 2 << 14 | function << 2 | method
}

pub(crate) const NEITHER: u32 = 3;
pub(crate) const THREAD: u32 = code(1, 0);
pub(crate) const TIMER: u32 = code(2, 0);
pub(crate) const DPC: u32 = code(3, 0);
pub(crate) const WORK: u32 = code(4, 0);
pub(crate) const COPY: u32 = code(5, NEITHER);
pub(crate) const FILL: u32 = code(6, NEITHER);
pub(crate) const MAP: u32 = code(7, 0);
pub(crate) const PARK: u32 = code(8, NEITHER);
pub(crate) const FINISH: u32 = code(9, 0);
pub(crate) const WATCH: u32 = code(10, 0);
pub(crate) const REGISTRY: u32 = code(11, 0);
pub(crate) const NMR: u32 = code(12, 0);
pub(crate) const TRACE: u32 = code(13, 0);
pub(crate) const RUNDOWN: u32 = code(14, 0);
pub(crate) const LOCKS: u32 = code(15, 0);
pub(crate) const FAST: u32 = code(16, NEITHER);
pub(crate) const ECHO: u32 = code(17, 0);
pub(crate) const PROCESSORS: u32 = code(18, 0);
pub(crate) const LOOK: u32 = code(19, 0);
pub(crate) const PUBLISHED: u32 = code(20, 0);
pub(crate) const EVENTS: u32 = code(21, 0);
pub(crate) const START_COUNTING: u32 = code(22, 0);
pub(crate) const COUNT: u32 = code(23, 0);
pub(crate) const WAIT: u32 = code(24, 0);
pub(crate) const WAITED: u32 = code(25, 0);

/// What is behind a handle: a waiting request, and pages lent to the process.
pub(crate) struct Object {
    waiting: Arc<IrpSlot>,
    wait: UserWait,
    pub(crate) lent: PushLock<Option<UserMapping>>,
    pub(crate) counted: PushLock<Option<Instance<Values>>>,
}

pub(crate) struct Wrapped {
    device: Device,
    /// What is open, and may have lent pages to a process.
    objects: PushLock<Vec<Arc<Object>>>,
}

pub(crate) static RUNNING: DriverSlot<Wrapped> = DriverSlot::new();

impl Driver for Wrapped {
    type File = Object;

    const FAST_IO: bool = true;
    const WATCHES_PROCESSES: bool = true;
    const TAG: Tag = TAG;

    fn slot() -> &'static DriverSlot<Self> {
        &RUNNING
    }

    fn load(
        object: DriverObject,
        registry_path: UnicodeStr<'_>,
        passive: Passive<'_>,
    ) -> Result<Self> {
        let config = DeviceConfig {
            name: nt::utf16!(r"\Device\wrapped"),
            device_type: FILE_DEVICE_UNKNOWN,
            characteristics: FILE_DEVICE_SECURE_OPEN,
            class: CLASS,
            sddl: "D:P(A;;GA;;;SY)(A;;GA;;;BA)",
            kind: 77,
            tag: TAG,
        };
        // The service's name decides whether an administrator has stored another descriptor: everybody may open.
        if registry_path.as_slice().ends_with(nt::utf16!("everybody")) {
            let descriptor = SecurityDescriptor::parse(TAG, "D:P(A;;GA;;;WD)")?;
            let key = create_key(CLASS_KEY)?;
            set_value(
                key,
                nt::utf16!("Security"),
                REG_BINARY,
                descriptor.as_bytes(),
            )?;
            close(key);
        }
        Ok(Self {
            device: Device::create(object, &config, passive)?,
            objects: PushLock::new(Vec::new(TAG)),
        })
    }

    fn unload(self, _: Passive<'_>) {}

    fn create(&self, request: &Create<'_>, passive: Passive<'_>) -> Result<Option<Arc<Object>>> {
        assert_eq!(request.device_kind(), 77);
        match request.first_ea() {
            None => Ok(None),
            Some(ea) if ea.name == b"Open" && request.eas().count() == 1 => {
                let waiting = Arc::new(TAG, IrpSlot::new())?;
                let object = Object {
                    waiting,
                    wait: UserWait::new()?,
                    lent: PushLock::new(None),
                    counted: PushLock::new(None),
                };
                let object = Arc::new(TAG, object)?;
                self.objects.write(passive).push(object.clone())?;
                Ok(Some(object))
            }
            Some(_) => Err(Status::INVALID_PARAMETER),
        }
    }

    fn cleanup(&self, file: &Arc<Object>, passive: Passive<'_>) {
        if let Some(irp) = file.waiting.take() {
            let _ = irp.complete(Status::CANCELLED, 0);
        }
        // In whatever process the last handle is closed.
        drop(file.lent.write(passive).take());
        drop(file.counted.write(passive).take());
        let mut objects = self.objects.write(passive);
        let at = objects.iter().position(|object| Arc::ptr_eq(object, file));
        drop(at.and_then(|at| objects.swap_remove(at)));
    }

    fn process_ended(&self, id: usize, passive: Passive<'_>) {
        for object in &**self.objects.read(passive) {
            let mut lent = object.lent.write(passive);
            if lent.as_ref().is_some_and(|lent| lent.process().id() == id) {
                drop(lent.take());
            }
        }
    }

    fn control(
        &self,
        file: &Arc<Object>,
        mut request: Control,
        passive: Passive<'_>,
    ) -> Completion {
        if request.code() == PARK {
            return park(file, request.into_irp());
        }
        if request.code() == ECHO {
            let len = request.input_len().min(request.output_len());
            request.output()[..len].reverse();
            return request.complete(Status::SUCCESS, len);
        }
        let answered = self.answer(file, &request, passive);
        match answered {
            Ok(number) if request.output_len() >= 8 && request.code() & 3 == 0 => {
                request.output()[..8].copy_from_slice(&number.to_le_bytes());
                request.complete(Status::SUCCESS, 8)
            }
            Ok(number) => request.complete(Status::SUCCESS, number),
            Err(status) => request.complete(status, 0),
        }
    }

    fn fast_control(
        &self,
        _: &Arc<Object>,
        request: &FastControl<'_>,
        _: Passive<'_>,
    ) -> Option<(Status, usize)> {
        (request.code() == FAST).then(|| {
            assert_eq!(request.requestor().mode(), Mode::User);
            let written = request.output().write(0, b"fast");
            (Status::of(&written), request.input().len())
        })
    }
}

pub(crate) fn park(file: &Arc<Object>, irp: Irp) -> Completion {
    IrpSlot::park(&file.waiting, irp).unwrap_or_else(|irp| irp.complete(Status::DEVICE_BUSY, 0))
}

impl Wrapped {
    fn answer(&self, file: &Arc<Object>, request: &Control, passive: Passive<'_>) -> Result<usize> {
        match request.code() {
            THREAD => thread(passive),
            TIMER => timer(passive),
            DPC => deferred(passive),
            WORK => self.work(passive),
            COPY => {
                let mut bytes = [0; 32];
                let len = request.input_len().min(bytes.len());
                request.user_input().read(0, &mut bytes[..len])?;
                bytes[..len].reverse();
                request.user_output().write(0, &bytes[..len])?;
                Ok(len)
            }
            FILL => fill(request, passive),
            MAP => lend(file, passive),
            LOOK => look(file, passive),
            PUBLISHED => published(passive),
            EVENTS => events(passive),
            START_COUNTING => counters(file, passive),
            COUNT => count(file, passive),
            WAIT => Ok(file.wait.wait(passive)),
            WAITED => Ok(file.wait.outcome()),
            FINISH => {
                let irp = file.waiting.take().ok_or(Status::NOT_FOUND)?;
                let _ = irp.complete(Status::SUCCESS, 5);
                Ok(0)
            }
            WATCH => watch(passive),
            REGISTRY => registry(passive),
            NMR => modules(passive),
            TRACE => trace(passive),
            RUNDOWN => rundown(passive),
            LOCKS => locks(passive),
            PROCESSORS => processors(passive),
            _ => Err(Status::NOT_SUPPORTED),
        }
    }

    fn work(&self, passive: Passive<'_>) -> Result<usize> {
        let signal = Signal::new()?;
        let item = WorkItem::new(TAG, &self.device, signal.clone())?;
        assert!(item.queue());
        signal.next(passive)?;
        item.queue();
        signal.next(passive)?;
        // What is queued runs although the item is gone.
        item.queue();
        drop(item);
        signal.next(passive)
    }
}
