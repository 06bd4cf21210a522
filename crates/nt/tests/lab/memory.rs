//! Locked pages of programs, and pages lent to them.

use core::sync::atomic::Ordering;

use nt::io::Control;
use nt::memory::{Access, KernelPages, LockedPages};
use nt::process::Process;
use nt::{Arc, Passive, Result, Status};

use crate::driver::{Object, TAG};

/// Fills the input with 0x5a, and says how much that was.
pub(crate) fn fill(request: &Control, passive: Passive<'_>) -> Result<usize> {
    let read_only = LockedPages::lock(&request.user_input(), Access::Read, passive)?;
    let pages = LockedPages::lock(&request.user_input(), Access::Modify, passive)?;
    let len = pages.len();
    assert!(!read_only.write(0, b"x"));
    assert_eq!(read_only.byte(0), Some(0));
    let mut bytes = [0; 100];
    bytes.fill(0x5a);
    for start in (0..len).step_by(bytes.len()) {
        let count = bytes.len().min(len - start);
        assert!(pages.write(start, &bytes[..count]));
    }
    assert_eq!(read_only.byte(len - 1), Some(0x5a));

    // Nothing behind the end is there.
    assert!(!pages.write(len - 1, b"xy") && !pages.write(usize::MAX, b"x"));
    let mut last = [0; 2];
    assert!(!pages.read(len - 1, &mut last) && !pages.read(len + 1, &mut []));
    assert_eq!((pages.byte(len), pages.byte(usize::MAX)), (None, None));
    assert!(pages.read(len - 2, &mut last) && pages.read(len, &mut []));
    assert_eq!(last, [0x5a; 2]);
    Ok(len)
}

/// Lends two pages to the current process and says where.
pub(crate) fn lend(file: &Object, passive: Passive<'_>) -> Result<usize> {
    let pages = Arc::new(TAG, KernelPages::new(TAG, 5000)?)?;
    assert_eq!(pages.len(), 8192);
    assert_eq!((pages.words().len(), pages.halves().len()), (1024, 2048));
    assert_eq!(pages.words().as_ptr().addr() as u64, pages.kernel_address());
    // The byte at 4999.
    pages.words()[624].store(0x77 << 56, Ordering::Relaxed);
    assert_eq!(pages.halves()[1249].load(Ordering::Relaxed), 0x77 << 24);
    let mapping = KernelPages::map_to_user(&pages, passive)?;
    assert!(mapping.process().is_current());
    assert_eq!(*mapping.process(), Process::current().clone());
    // A second mapping of the same pages comes and goes.
    let second = KernelPages::map_to_user(&pages, passive)?;
    assert_ne!(second.address(), mapping.address());
    drop(second);
    let address = mapping.address() as usize;
    *file.lent.write(passive) = Some(mapping);
    Ok(address)
}

/// The sum of the word at 16 and the half at 20 of what is lent.
pub(crate) fn look(file: &Object, passive: Passive<'_>) -> Result<usize> {
    let lent = file.lent.read(passive);
    let mapping = lent.as_ref().ok_or(Status::NOT_FOUND)?;
    let owner = mapping.process();
    let before = Process::current();
    owner.attached(passive, |_| {
        assert!(owner.is_current());
        assert_eq!(Process::current().id(), owner.id());
    });
    assert!(before.is_current());
    let word = mapping.pages().words()[2].load(Ordering::Acquire);
    let half = mapping.pages().halves()[5].load(Ordering::Acquire);
    Ok((word + u64::from(half)) as usize)
}
