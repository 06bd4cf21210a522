use super::*;
use crate::mem::{PAGE_SIZE, raw};

struct Machine {
    phys: Phys,
    va: KernelVa,
    pool: Pool,
    caller: Caller,
}

impl Machine {
    fn new(strict: bool, special_limit: usize) -> Self {
        let config = PoolConfig {
            strict,
            special_limit,
            shared_bytes: 32 << 20,
            executable_bytes: 1 << 20,
            history: 1000,
        };
        Self {
            phys: Phys::new(256 << 20).unwrap(),
            va: KernelVa::new(1 << 30).unwrap(),
            pool: Pool::new(config),
            caller: Caller {
                owner: 1,
                stack: [0x1000, 0x2000].into(),
                thread: 7,
            },
        }
    }

    fn all() -> [Self; 3] {
        [
            Self::new(false, 0),
            Self::new(true, 1000),
            Self::new(true, 0),
        ]
    }

    fn checked() -> [Self; 2] {
        [Self::new(true, 1000), Self::new(true, 0)]
    }

    fn try_alloc(&self, pool_type: u32, size: usize) -> Result<Option<usize>, Violation> {
        let request = Request::from_pool_type(pool_type, size, TAG.0).unwrap();
        self.pool
            .alloc(&self.phys, &self.va, &request, &self.caller)
    }

    fn alloc(&self, size: usize) -> usize {
        self.try_alloc(512, size).unwrap().unwrap()
    }

    fn free(&self, address: usize) -> Result<BlockInfo, Violation> {
        self.pool
            .free(&self.phys, &self.va, address, Some(TAG), &self.caller)
    }
}

const TAG: Tag = Tag::new(b"Test");

#[test]
fn blocks_are_aligned_apart_and_within_pages() {
    for machine in Machine::all() {
        let sizes = [
            1, 8, 15, 16, 17, 100, 1000, 2048, 4000, 4080, 4081, 4095, 4096, 4097, 10_000, 300_000,
        ];
        let mut blocks: Vec<(usize, usize)> = sizes
            .iter()
            .map(|&size| (machine.alloc(size), size))
            .collect();
        for (index, &(address, size)) in blocks.iter().enumerate() {
            assert!(address.is_multiple_of(16));
            if size >= PAGE_SIZE {
                assert!(address.is_multiple_of(PAGE_SIZE));
            } else {
                assert_eq!(
                    address / PAGE_SIZE,
                    (address + size - 1) / PAGE_SIZE,
                    "{size} bytes cross a page"
                );
            }
            raw::fill(address, size, index as u8);
        }
        for (index, &(address, size)) in blocks.iter().enumerate() {
            assert_eq!(raw::first_other(address, size, index as u8), None);
            assert_eq!(machine.pool.block(address).unwrap().size, size);
        }
        blocks.sort_unstable();
        assert!(
            blocks
                .windows(2)
                .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
        );
        for (address, _) in blocks {
            machine.free(address).unwrap();
        }
        assert!(machine.pool.leaks(1).is_empty());
    }
}

#[test]
fn cache_aligned_and_zeroed_when_asked() {
    for machine in Machine::all() {
        for size in [1, 70, 900, 3000, 4090] {
            let dirty = machine.alloc(size);
            raw::fill(dirty, size, 0xff);
            machine.free(dirty).unwrap();
            let block = machine.try_alloc(512 | 4 | 1024, size).unwrap().unwrap();
            assert!(block.is_multiple_of(64));
            assert_eq!(raw::first_other(block, size, 0), None);
            machine.free(block).unwrap();
        }
    }
}

#[test]
fn uninitialized_memory_is_not_zero() {
    for machine in Machine::checked() {
        let block = machine.alloc(100);
        assert_eq!(raw::first_other(block, 100, strict::UNINITIALIZED), None);
    }
}

#[test]
fn double_free_is_told_with_both_callers() {
    for machine in Machine::all() {
        let block = machine.alloc(40);
        machine.free(block).unwrap();
        let Err(Violation::DoubleFree { address, freed }) = machine.free(block) else {
            panic!("a double free passed")
        };
        assert_eq!(
            (address, freed.block.tag, freed.block.size),
            (block, TAG, 40)
        );
        if machine.pool.config.strict {
            assert_eq!(freed.block.caller, machine.caller);
            assert_eq!(freed.freed_by, machine.caller);
        }
    }
}

#[test]
fn foreign_and_interior_addresses_are_refused() {
    let on_stack = 0u128;
    for machine in Machine::all() {
        let block = machine.alloc(400);
        for address in [
            0,
            16,
            &raw const on_stack as usize,
            block + 8,
            block + 64,
            block + (1 << 24),
        ] {
            let got = machine.free(address);
            assert!(
                matches!(got, Err(Violation::NotPool { .. })),
                "{address:#x}: {got:?}"
            );
        }
        if machine.pool.config.strict {
            let Err(Violation::NotPool {
                inside: Some(around),
                ..
            }) = machine.free(block + 16)
            else {
                panic!("the block around the address was not found")
            };
            assert_eq!(around.address, block);
        }
        machine.free(block).unwrap();
    }
}

#[test]
fn the_tag_must_match() {
    for machine in Machine::all() {
        let block = machine.alloc(40);
        let other = Tag::new(b"Else");
        let got = machine.pool.free(
            &machine.phys,
            &machine.va,
            block,
            Some(other),
            &machine.caller,
        );
        assert!(matches!(got, Err(Violation::WrongTag { given, .. }) if given == other));
        machine
            .pool
            .free(&machine.phys, &machine.va, block, None, &machine.caller)
            .unwrap();
    }
}

#[test]
fn bytes_around_a_block_are_watched() {
    for machine in Machine::checked() {
        for size in [1, 33, 50, 4095] {
            let block = machine.alloc(size);
            let slack = size.next_multiple_of(16) - size;
            assert!(slack > 0);
            raw::fill(block + size, 1, 0);
            assert!(matches!(
                machine.pool.verify(),
                Err(Violation::Overrun { .. })
            ));
            let Err(Violation::Overrun { at, .. }) = machine.free(block) else {
                panic!("an overrun of one byte passed")
            };
            assert_eq!(at, block + size);
            raw::fill(block + size, 1, strict::BORDER);
            if block.is_multiple_of(PAGE_SIZE) {
                machine.free(block).unwrap();
                continue;
            }
            raw::fill(block - 1, 1, 0);
            assert!(
                matches!(machine.free(block), Err(Violation::Underrun { at, .. }) if at == block - 1)
            );
            raw::fill(block - 1, 1, strict::BORDER);
            machine.free(block).unwrap();
        }
    }
}

#[test]
fn freed_memory_is_unmapped_and_its_story_kept() {
    let machine = Machine::new(true, 1000);
    let block = machine.alloc(100);
    assert_eq!(
        machine.va.find(block).unwrap().usage,
        crate::mem::va::Use::SpecialPool
    );
    let behind = block.next_multiple_of(PAGE_SIZE) + 5;
    assert_eq!(
        machine.va.find(behind),
        None,
        "the guard page is not mapped"
    );
    assert!(
        matches!(machine.pool.describe(behind), Some(PoolAddress::Behind(b)) if b.address == block)
    );
    assert!(
        matches!(machine.pool.describe(block - 1), Some(PoolAddress::Before(b)) if b.address == block)
    );
    machine.free(block).unwrap();
    assert_eq!(machine.va.find(block), None);
    let Some(PoolAddress::Freed(freed)) = machine.pool.describe(block + 99) else {
        panic!("forgotten")
    };
    assert_eq!(freed.block.address, block);
    assert_eq!(machine.phys.live_pages(), 0);
}

#[test]
fn writes_to_freed_shared_blocks_are_found() {
    let machine = Machine::new(true, 0);
    let block = machine.alloc(100);
    machine.free(block).unwrap();
    machine.pool.verify().unwrap();
    raw::fill(block + 50, 1, 1);
    let Err(Violation::WriteAfterFree { freed, at }) = machine.pool.verify() else {
        panic!("passed")
    };
    assert_eq!((freed.block.address, at), (block, block + 50));
    let mut found = false;
    for _ in 0..10_000 {
        let other = machine.alloc(100);
        if let Err(Violation::WriteAfterFree { .. }) = machine.free(other) {
            found = true;
            break;
        }
    }
    assert!(found, "leaving the quarantine did not look at the block");
}

#[test]
fn leaks_are_grouped_by_tag_and_stack() {
    let machine = Machine::new(true, 1000);
    for line in [1usize, 1, 2] {
        let caller = Caller {
            owner: 3,
            stack: [line].into(),
            thread: 0,
        };
        let request = Request::from_pool_type(512, 10, TAG.0).unwrap();
        machine
            .pool
            .alloc(&machine.phys, &machine.va, &request, &caller)
            .unwrap()
            .unwrap();
    }
    machine.alloc(10);
    let leaks = machine.pool.leaks(3);
    assert_eq!(leaks.len(), 1);
    assert_eq!((leaks[0].blocks, leaks[0].bytes), (3, 30));
    let counts: Vec<u64> = leaks[0].examples.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn exhaustion_is_a_refusal_and_memory_comes_back() {
    for machine in Machine::all() {
        assert_eq!(machine.try_alloc(512, usize::MAX), Ok(None));
        for round in 0..2 {
            let mut blocks = Vec::new();
            while let Some(block) = machine.try_alloc(512, 1 << 20).unwrap() {
                blocks.push(block);
                assert!(blocks.len() < 1000);
            }
            assert!(blocks.len() > 20, "{} in round {round}", blocks.len());
            for block in blocks {
                machine.free(block).unwrap();
            }
        }
    }
}

#[test]
fn threads_free_what_others_allocate() {
    for machine in Machine::all() {
        let (sender, receiver) = std::sync::mpsc::sync_channel::<usize>(100);
        std::thread::scope(|scope| {
            let machine = &machine;
            scope.spawn(move || {
                for block in receiver {
                    machine.free(block).unwrap();
                }
            });
            for index in 0..5000 {
                let block = machine.alloc(index % 700 + 1);
                raw::store(block, 0u8);
                sender.send(block).unwrap();
            }
            drop(sender);
        });
        let counts = machine.pool.counts()[&(TAG, 1)];
        assert_eq!(
            (counts.allocations, counts.live(), counts.live_bytes()),
            (5000, 0, 0)
        );
    }
}
