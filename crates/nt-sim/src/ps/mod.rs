//! Processes and system threads.

mod exports;
mod process;
mod watch;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::sync::Mutex;

pub(crate) use self::{
    process::{Process, ProcessKind},
    watch::left_by as watches_left_by,
};
use crate::{
    export::Export,
    kernel::kernel,
    mem::user,
    ob::{Kind, Object},
    sched,
};

/// Process state of the kernel.
pub(crate) struct Ps {
    pub(crate) system: Arc<Process>,
    pub(crate) processes: Mutex<Vec<Arc<Process>>>,
    /// Processes that have ended, as long as somebody refers to their object.
    ended: Mutex<Vec<Arc<Process>>>,
    /// Which process each attached thread belongs to, by thread number.
    attached: Mutex<std::collections::BTreeMap<u32, Vec<Arc<Process>>>>,
    thread_objects: Mutex<std::collections::BTreeMap<u32, Arc<Object>>>,
    next_id: AtomicUsize,
    /// Who is told about processes.
    pub(crate) watches: watch::Watches,
}

impl Ps {
    pub(crate) fn new() -> Ps {
        Ps {
            system: Arc::new(Process::new(4, "System", ProcessKind::System, None)),
            processes: Mutex::new(Vec::new()),
            ended: Mutex::new(Vec::new()),
            attached: Mutex::new(std::collections::BTreeMap::new()),
            thread_objects: Mutex::new(std::collections::BTreeMap::new()),
            next_id: AtomicUsize::new(0x1000),
            watches: watch::Watches::default(),
        }
    }

    /// Makes a user process with an address space of its own.
    pub(crate) fn create(&self, name: &str, kind: ProcessKind) -> std::io::Result<Arc<Process>> {
        let id = self.next_id.fetch_add(4, Ordering::Relaxed);
        let space = kernel().mem.create_space()?;
        let process = Arc::new(Process::new(id, name, kind, Some(space)));
        self.processes.lock().push(Arc::clone(&process));
        self.watches.tell(self.system.id, id, true);
        Ok(process)
    }

    /// Notes that a process has ended; whoever waits for it goes on.
    pub(crate) fn end(&self, process: &Arc<Process>) {
        self.processes.lock().retain(|p| !Arc::ptr_eq(p, process));
        if let Some(object) = process.known_object() {
            self.ended.lock().push(Arc::clone(process));
            crate::ke::dispatcher::update(object.address, |_| 1);
            kernel().ob.dereference(&object);
        }
    }

    /// Forgets a process that has ended and to which nobody refers any more.
    pub(crate) fn forget(&self, object: &Object) {
        let other = |p: &Arc<Process>| p.object().address != object.address;
        let gone: Vec<_> = self.ended.lock().extract_if(.., |p| !other(p)).collect();
        drop(gone);
    }

    /// The process with an object, also one that has ended.
    fn find(&self, object: usize) -> Option<Arc<Process>> {
        let mut all = vec![Arc::clone(&self.system)];
        all.extend(self.processes.lock().iter().cloned());
        all.extend(self.ended.lock().iter().cloned());
        all.into_iter().find(|p| p.object().address == object)
    }
}

/// The process whose address space and handles the current thread uses.
pub(crate) fn current_process() -> Arc<Process> {
    let ps = &kernel().ps;
    let Some(thread) = sched::try_current() else {
        return Arc::clone(&ps.system);
    };
    ps.attached
        .lock()
        .get(&thread.id)
        .and_then(|stack| stack.last().cloned())
        .unwrap_or_else(|| Arc::clone(&ps.system))
}

/// The process that the current thread belongs to, whatever it is attached to.
pub(crate) fn own_process() -> Arc<Process> {
    let ps = &kernel().ps;
    let thread = sched::current();
    ps.attached
        .lock()
        .get(&thread.id)
        .and_then(|stack| stack.first().cloned())
        .unwrap_or_else(|| Arc::clone(&ps.system))
}

/// Runs `body` as a thread of `process`.
pub(crate) fn attached<R>(process: &Arc<Process>, body: impl FnOnce() -> R) -> R {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            detach();
        }
    }
    attach(process);
    let _leave = Leave;
    body()
}

fn attach(process: &Arc<Process>) {
    let id = sched::current().id;
    let mut attached = kernel().ps.attached.lock();
    attached.entry(id).or_default().push(Arc::clone(process));
    drop(attached);
    user::switch_to(process.space.as_ref().map(|space| space.id()));
}

fn detach() {
    let id = sched::current().id;
    let mut attached = kernel().ps.attached.lock();
    let mut space = None;
    if let Some(stack) = attached.get_mut(&id) {
        stack.pop();
        space = stack
            .last()
            .and_then(|p| p.space.as_ref().map(|space| space.id()));
        if stack.is_empty() {
            attached.remove(&id);
        }
    }
    drop(attached);
    user::switch_to(space);
}

/// The object of the current thread.
pub(crate) fn current_thread_object() -> Arc<Object> {
    thread_object(sched::current())
}

/// The object of a thread, made when first asked for.
pub(crate) fn thread_object(thread: &sched::Thread) -> Arc<Object> {
    let kernel = kernel();
    let mut objects = kernel.ps.thread_objects.lock();
    Arc::clone(objects.entry(thread.id).or_insert_with(|| {
        let keep: Arc<dyn std::any::Any + Send + Sync> = match thread.weak().upgrade() {
            Some(thread) => Arc::new(thread),
            None => Arc::new(()),
        };
        kernel
            .ob
            .create(Kind::Thread, Err(thread.kthread() as usize), keep)
    }))
}

/// What this part exports.
pub(crate) fn exports() -> Vec<&'static [Export]> {
    vec![exports::EXPORTS, watch::EXPORTS]
}
