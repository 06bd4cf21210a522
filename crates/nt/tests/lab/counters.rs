//! Performance counters.

use core::sync::atomic::{AtomicU64, Ordering};

use nt::pcw::{Counted, Counter, CounterSet, Instance};
use nt::string::UnicodeStr;
use nt::{Arc, Passive, Result, Status};

use crate::driver::{Object, TAG};

/// Three values, of which a set counts the outer two.
pub(crate) struct Values([AtomicU64; 3]);

impl Counted for Values {
    fn values(&self) -> &[AtomicU64] {
        &self.0
    }
}

const COUNTERS: &[Counter] = &[Counter { id: 1, index: 0 }, Counter { id: 7, index: 2 }];

fn name(text: &[u16]) -> UnicodeStr<'_> {
    UnicodeStr::new(text).unwrap()
}

/// Registers a set and an instance that lasts as long as the handle does.
pub(crate) fn counters(file: &Object, passive: Passive<'_>) -> Result<usize> {
    let set_name = name(nt::utf16!("Wrapped Values"));
    let register = |counters: &[Counter]| CounterSet::register(TAG, set_name, counters, passive);
    assert_eq!(register(&[]).err(), Some(Status::INVALID_PARAMETER));
    let far = Counter { id: 1, index: 8192 };
    assert_eq!(register(&[far]).err(), Some(Status::INVALID_PARAMETER));

    let numbers = || Arc::new(TAG, Values([1, 2, 3].map(AtomicU64::new)));
    let more = Counter { id: 1, index: 3 };
    let larger = Arc::new(TAG, register(&[COUNTERS[0], more])?)?;
    let instance = Instance::create(&larger, name(nt::utf16!("few")), numbers()?, passive);
    assert_eq!(instance.err(), Some(Status::INVALID_BUFFER_SIZE));
    drop(larger);

    let set = Arc::new(TAG, register(COUNTERS)?)?;
    let instance = Instance::create(&set, name(nt::utf16!("one")), numbers()?, passive)?;
    drop(Instance::create(
        &set,
        name(nt::utf16!("two")),
        numbers()?,
        passive,
    )?);
    // The instance keeps its set.
    drop(set);
    *file.counted.write(passive) = Some(instance);
    Ok(0)
}

/// Adds to the last value.
pub(crate) fn count(file: &Object, passive: Passive<'_>) -> Result<usize> {
    let counted = file.counted.read(passive);
    let instance = counted.as_ref().ok_or(Status::NOT_FOUND)?;
    let values = instance.counted().values();
    Ok(values[2].fetch_add(0x1_0000_0000, Ordering::Relaxed) as usize)
}
