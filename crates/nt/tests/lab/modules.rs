//! The Network Module Registrar.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nt::nmr::{
    AttachingClient, Client, ClientRegistration, Detach, OfferedProvider, Provider,
    ProviderRegistration, Registration,
};
use nt::sys::GUID;
use nt::{Arc, Passive, Result, Status};

use crate::driver::{CLASS, TAG};

const NPI: GUID = GUID { Data1: 7, ..CLASS };

struct Half {
    detached: AtomicBool,
    number: u32,
    refuse: bool,
}

impl Provider for Half {
    type Binding = Half;

    fn attach(
        &self,
        client: &AttachingClient<'_>,
        _: Passive<'_>,
    ) -> Result<(Arc<Half>, *const std::ffi::c_void)> {
        assert_eq!((client.peer.number(), client.peer.version()), (3, 1));
        assert_eq!(client.peer.module(), Some(CLASS));
        if self.refuse {
            return Err(Status::NOINTERFACE);
        }
        let binding = Arc::new(
            TAG,
            Half {
                detached: AtomicBool::new(false),
                number: 40,
                refuse: false,
            },
        )?;
        Ok((binding, std::ptr::null()))
    }

    fn detach(&self, binding: &Arc<Half>, _: Passive<'_>) -> Detach {
        assert_eq!(binding.number, 40);
        self.detached.store(true, Ordering::Relaxed);
        Detach::Done
    }
}

struct Other {
    attached: AtomicU32,
    detached: AtomicBool,
}

impl Client for Other {
    fn offered(&self, provider: &OfferedProvider<'_>, _: Passive<'_>) -> Result<()> {
        assert_eq!(provider.peer.number(), 3);
        // SAFETY: this interface has no functions.
        let attached = unsafe { provider.attach(std::ptr::null()) };
        self.attached
            .store(if attached.is_ok() { 1 } else { 2 }, Ordering::Relaxed);
        attached.map(|_| ())
    }

    fn detach(&self, _: Passive<'_>) -> Detach {
        self.detached.store(true, Ordering::Relaxed);
        Detach::Done
    }
}

pub(crate) fn modules(passive: Passive<'_>) -> Result<usize> {
    let registration = Registration {
        npi: NPI,
        module: CLASS,
        number: 3,
        version: 1,
        characteristics: std::ptr::null(),
    };
    let mut attached = 0;
    for refuse in [false, true] {
        let provider = Arc::new(
            TAG,
            Half {
                detached: AtomicBool::new(false),
                number: 1,
                refuse,
            },
        )?;
        let client = Arc::new(
            TAG,
            Other {
                attached: AtomicU32::new(0),
                detached: AtomicBool::new(false),
            },
        )?;
        let provided = ProviderRegistration::new(TAG, &registration, provider.clone(), passive)?;
        let used = ClientRegistration::new(TAG, &registration, client.clone(), passive)?;
        attached += usize::try_from(client.attached.load(Ordering::Relaxed)).unwrap();
        drop(provided);
        let bound = !refuse;
        assert_eq!(provider.detached.load(Ordering::Relaxed), bound);
        assert_eq!(client.detached.load(Ordering::Relaxed), bound);
        drop(used);
    }
    Ok(attached)
}
