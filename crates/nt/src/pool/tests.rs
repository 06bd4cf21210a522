extern crate std;

use std::rc::Rc;
use std::string::{String, ToString};

use super::{Arc, Box, Tag, Vec};
use crate::fake::{ALLOWED, blocks};
use crate::status::Status;

const TAG: Tag = Tag::new(b"Test");

/// Notes when it is dropped.
struct Noted<'a>(&'a core::cell::Cell<u32>);

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn tags_read_in_the_order_they_are_written() {
    assert_eq!(TAG.0.to_le_bytes(), *b"Test");
}

#[test]
fn a_box_drops_its_value_once_and_frees_its_block() {
    let drops = core::cell::Cell::new(0);
    let value = Box::new(TAG, Noted(&drops)).unwrap();
    assert_eq!((blocks(), drops.get()), (1, 0));
    drop(value);
    assert_eq!((blocks(), drops.get()), (0, 1));
    let inner = Box::new(TAG, Noted(&drops)).unwrap().into_inner();
    assert_eq!((blocks(), drops.get()), (0, 1));
    drop(inner);
    assert_eq!(drops.get(), 2);
}

#[test]
fn a_failed_allocation_is_a_status_and_drops_the_value() {
    let drops = core::cell::Cell::new(0);
    ALLOWED.set(0);
    assert_eq!(
        Box::new(TAG, Noted(&drops)).err(),
        Some(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!(
        Arc::new(TAG, Noted(&drops)).err(),
        Some(Status::INSUFFICIENT_RESOURCES)
    );
    let mut values = Vec::new(TAG);
    assert_eq!(
        values.push(Noted(&drops)),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!(drops.get(), 3);
}

#[test]
fn empty_values_need_no_block() {
    ALLOWED.set(0);
    let unit = Box::new(TAG, ()).unwrap();
    let none = Box::<[u64]>::zeroed_slice(TAG, 0).unwrap();
    let mut units = Vec::new(TAG);
    for _ in 0..100 {
        units.push(()).unwrap();
    }
    assert_eq!((none.len(), units.len(), blocks()), (0, 100, 0));
    drop((unit, units.into_boxed_slice()));
}

#[test]
fn cache_lines_are_aligned_and_larger_alignments_refused() {
    #[repr(align(64))]
    struct Line(u8);
    #[repr(align(4096))]
    struct Page(u8);
    let line = Box::new(TAG, Line(7)).unwrap();
    assert_eq!(Box::as_ptr(&line).addr() % 64, 0);
    assert_eq!(line.0, 7);
    assert_eq!(
        Box::new(TAG, Page(7)).map(|page| page.0).err(),
        Some(Status::NOT_SUPPORTED)
    );
}

#[test]
fn a_vector_grows_keeps_its_values_and_gives_up_cleanly() {
    let mut values = Vec::<String>::new(TAG);
    for number in 0..1000 {
        values.push(number.to_string()).unwrap();
    }
    assert_eq!(values.len(), 1000);
    assert!(
        values
            .iter()
            .enumerate()
            .all(|(index, text)| *text == index.to_string())
    );
    assert_eq!(values.swap_remove(0).as_deref(), Some("0"));
    assert_eq!(values[0], "999");
    assert_eq!(values.swap_remove(999), None);

    let capacity = values.capacity();
    while values.len() < capacity {
        values.push(String::new()).unwrap();
    }
    ALLOWED.set(0);
    assert_eq!(
        values.push(String::new()),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!((values.len(), values[0].as_str()), (capacity, "999"));
    ALLOWED.set(usize::MAX);
    assert_eq!(
        values.reserve(usize::MAX),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    values.truncate(3);
    let boxed = values.into_boxed_slice();
    assert_eq!((boxed.len(), blocks()), (3, 1));
    drop(boxed);
    assert_eq!(blocks(), 0);
}

#[test]
fn an_emptied_vector_frees_its_block_when_boxed() {
    let values = Vec::<u32>::with_capacity(TAG, 10).unwrap();
    assert_eq!(blocks(), 1);
    let boxed = values.into_boxed_slice();
    assert_eq!((boxed.len(), blocks()), (0, 0));
}

#[test]
fn slices_are_made_in_order_or_not_at_all() {
    let squares = Box::<[usize]>::try_from_fn(TAG, 5, |index| Ok(index * index)).unwrap();
    assert_eq!(&*squares, [0, 1, 4, 9, 16]);
    drop(squares);
    let drops = core::cell::Cell::new(0);
    let made = Box::<[Noted<'_>]>::try_from_fn(TAG, 5, |index| {
        if index < 3 {
            Ok(Noted(&drops))
        } else {
            Err(Status::CANCELLED)
        }
    });
    assert_eq!(made.err(), Some(Status::CANCELLED));
    assert_eq!((drops.get(), blocks()), (3, 0));
}

#[test]
fn zeroed_memory_is_zero() {
    assert!(
        Box::<[u32]>::zeroed_slice(TAG, 64)
            .unwrap()
            .iter()
            .all(|word| *word == 0)
    );
    assert_eq!(*Box::<u64>::zeroed(TAG).unwrap(), 0);
    assert_eq!(
        Box::<[u64]>::zeroed_slice(TAG, usize::MAX).err(),
        Some(Status::INSUFFICIENT_RESOURCES)
    );
}

#[test]
fn the_last_reference_drops_the_value() {
    let drops = core::cell::Cell::new(0);
    let mut first = Arc::new(TAG, Noted(&drops)).unwrap();
    assert!(Arc::get_mut(&mut first).is_some());
    let second = first.clone();
    assert!(Arc::get_mut(&mut first).is_none());
    assert_eq!(
        (Arc::references(&first), Arc::ptr_eq(&first, &second)),
        (2, true)
    );
    let raw = Arc::into_raw(second);
    // SAFETY: given away just now.
    let third = unsafe { Arc::clone_raw(raw) };
    drop(first);
    drop(third);
    assert_eq!(drops.get(), 0);
    // SAFETY: given away above, taken back once.
    drop(unsafe { Arc::from_raw(raw) });
    assert_eq!((drops.get(), blocks()), (1, 0));
}

#[test]
fn a_reference_finds_its_block_whatever_the_alignment() {
    #[repr(align(64))]
    struct Line([u8; 3]);
    let raw = Arc::into_raw(Arc::new(TAG, Line([1, 2, 3])).unwrap());
    assert_eq!(raw.addr() % 64, 0);
    // SAFETY: given away just now.
    let line = unsafe { Arc::from_raw(raw) };
    assert_eq!(line.0, [1, 2, 3]);
}

#[test]
fn vectors_insert_and_remove_in_the_middle() {
    let before = blocks();
    let mut values = Vec::new(TAG);
    for (index, value) in [(0, 3), (0, 1), (1, 2), (9, 4)] {
        values.insert(index, Rc::new(value)).unwrap();
    }
    let numbers = |values: &Vec<Rc<i32>>| values.iter().map(|v| **v).collect::<std::vec::Vec<_>>();
    assert_eq!(numbers(&values), [1, 2, 3, 4]);
    assert_eq!(values.remove(4), None);
    assert_eq!(values.remove(usize::MAX), None);
    assert_eq!(values.remove(1).map(|value| *value), Some(2));
    assert_eq!(values.remove(2).map(|value| *value), Some(4));
    assert_eq!(numbers(&values), [1, 3]);
    let kept = values[1].clone();
    assert_eq!(Rc::strong_count(&kept), 2);
    for value in 5..9 {
        values.push(Rc::new(value)).unwrap();
    }
    values.retain(|value| **value % 2 == 0);
    assert_eq!(
        (numbers(&values), Rc::strong_count(&kept)),
        (std::vec![6, 8], 1)
    );
    values.retain(|_| false);
    assert_eq!(values.remove(0), None);
    ALLOWED.set(0);
    let full = values.capacity();
    while values.len() < full {
        values.insert(0, Rc::new(0)).unwrap();
    }
    assert_eq!(
        values.insert(0, kept.clone()),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!((values.len(), Rc::strong_count(&kept)), (full, 1));
    drop(values);
    assert_eq!(blocks(), before);
}

#[test]
fn room_is_reserved_exactly() {
    let mut values = Vec::<u64>::new(TAG);
    values.reserve_exact(3).unwrap();
    assert_eq!(values.capacity(), 3);
    values.extend_from_slice(&[1, 2, 3]).unwrap();
    values.reserve_exact(0).unwrap();
    values.reserve_exact(1).unwrap();
    assert_eq!((values.capacity(), &values[..]), (4, &[1, 2, 3][..]));
    assert_eq!(
        values.reserve_exact(usize::MAX),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!(
        values.reserve_exact(usize::MAX / 16),
        Err(Status::INSUFFICIENT_RESOURCES)
    );
    assert_eq!(values.capacity(), 4);
}
