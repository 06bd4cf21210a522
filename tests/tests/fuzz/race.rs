//! Several threads of the hostile program at once.

use std::time::Duration;

use scenarios::xsk::notify_in;
use xdp_abi::{
    ioctl::xsk,
    xsk::{NotifyFlags, NotifyIn},
};
use zerocopy::IntoBytes;

use crate::{
    hostile::{Hostile, survive},
    random::Random,
};

/// Requests on everything, corruption, traffic and closed handles side by side, while the adapter does what adapters do.
pub(crate) fn side_by_side(hostile: &Hostile<'_>, random: &mut Random) {
    let seeds = [(); 5].map(|()| random.next());
    let nic = hostile.scene.nic;
    let requests = || {
        let random = &mut Random::new(seeds[0]);
        for _ in 0..6 {
            match random.below(5) {
                0 => hostile.configure(random, &hostile.socket.xsk),
                1 => hostile.configure(random, &hostile.fresh),
                2 => hostile.request(random),
                3 => hostile.change_map(random),
                _ => hostile.program(random),
            }
        }
    };
    let waits = || {
        let random = &mut Random::new(seeds[1]);
        for _ in 0..4 {
            match random.below(3) {
                0 => hostile.wait(random),
                1 => hostile.poke(random),
                _ => drop(hostile.wait_later(random)),
            }
        }
    };
    let corruption = || {
        let random = &mut Random::new(seeds[2]);
        for _ in 0..12 {
            hostile.corrupt(random);
            match random.below(6) {
                0 => hostile.change_memory(random),
                1 => hostile.poke(random),
                _ => {}
            }
        }
    };
    // A driver that indicates while its adapter is taken down takes the machine with it.
    let misbehaves = hostile.lawless && Random::new(seeds[4]).below(10) > 3;
    let traffic = || {
        let random = &mut Random::new(seeds[3]);
        for _ in 0..4 {
            hostile.traffic(random);
            if misbehaves && random.once_in(3) {
                hostile.misbehave(random);
            }
        }
    };
    let events = || {
        let random = &mut Random::new(seeds[4]);
        match random.below(10) {
            0 => hostile.scene.unplug(),
            1 => drop(survive(nic.reset())),
            2 => {
                survive(nic.pause());
                survive(nic.restart());
            }
            3 => drop(survive(nic.set_mtu(1280 + random.below(300) as u32))),
            4 => hostile.scale(random),
            n => {
                // A handle is closed while the other threads have requests on it.
                if let Some(handle) = hostile.handles().get(n as usize - 5) {
                    survive(hostile.app.close_handle(handle.value()));
                }
            }
        }
    };
    hostile
        .scene
        .side_by_side(&[&requests, &waits, &corruption, &traffic, &events]);
}

/// The end of the process: killed from outside or of its own will, with a thread that waits for ever, one that pokes and
/// frames from both ends.
pub(crate) fn death(hostile: &Hostile<'_>, random: &mut Random) {
    let seed = random.next();
    // From here on the process may be gone at any moment: requests take their input from where it lies now.
    let scratch = hostile.scratch;
    let place = |at: usize, input: NotifyIn| {
        scratch.write(at, input.as_bytes());
        (scratch.address() + at, size_of::<NotifyIn>())
    };
    let wait = NotifyFlags::WAIT_RX | NotifyFlags::WAIT_TX;
    let for_ever = place(0, notify_in(wait, None));
    let poke = place(16, notify_in(NotifyFlags::POKE_TX, Some(Duration::ZERO)));
    let handle = hostile.socket.xsk.handle();
    let die = || {
        if seed.is_multiple_of(2) {
            survive(hostile.app.kill());
        }
        survive(hostile.app.exit());
    };
    let waits = || {
        let code = match seed % 3 {
            0 => xsk::NOTIFY_ASYNC,
            _ => xsk::NOTIFY,
        };
        survive(handle.control_raw(code, for_ever, (0, 0)));
    };
    let pokes = || {
        for _ in 0..3 {
            survive(handle.control_raw(xsk::NOTIFY, poke, (0, 0)));
        }
    };
    let traffic = || {
        let random = &mut Random::new(seed);
        for _ in 0..3 {
            hostile.traffic(random);
        }
    };
    hostile
        .scene
        .side_by_side(&[&die, &waits, &pokes, &traffic]);
}
