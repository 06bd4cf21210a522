//! The usual scene: a lab, the driver, a NIC, a program; and the clearing up afterwards, which is checked.

use std::sync::atomic::{AtomicBool, Ordering};

use nt_sim::{ClockMode, Driver, Lab, Nic, NicBuilder};
use xdp_abi::Rule;

use crate::{
    client::Client,
    load,
    program::Program,
    socket::{Setup, Socket},
};

/// Where the driver reads its settings.
pub const PARAMETERS: &str = r"\Registry\Machine\System\CurrentControlSet\Services\xdp\Parameters";

/// What a scenario plays on.
pub struct Scene<'s> {
    /// The lab.
    pub lab: &'s Lab,
    /// The only NIC, `eth0`.
    pub nic: &'s Nic<'s>,
    /// A program of an administrator.
    pub app: Client<'s>,
    /// The driver under test.
    pub driver: &'s Driver<'s>,
    unplugged: AtomicBool,
}

/// How a scene is set.
#[derive(Clone, Debug)]
#[must_use]
pub struct Stage {
    cpus: u32,
    queues: u32,
    mtu: u32,
    virtual_clock: bool,
    seed: Option<u64>,
    inline: bool,
    rss: bool,
    lawless: bool,
    hides_attributes: bool,
    registry: Vec<(&'static str, u32)>,
}

impl Default for Stage {
    fn default() -> Self {
        Stage {
            cpus: 2,
            queues: 1,
            mtu: 1500,
            virtual_clock: false,
            seed: None,
            inline: false,
            rss: true,
            lawless: false,
            hides_attributes: false,
            registry: Vec::new(),
        }
    }
}

impl Stage {
    /// The usual: two processors, one queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of processors.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Number of receive queues.
    pub fn queues(mut self, queues: u32) -> Self {
        self.queues = queues;
        self
    }

    /// The MTU.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Time passes only when the test says so.
    pub fn virtual_clock(mut self) -> Self {
        self.virtual_clock = true;
        self
    }

    /// One thread at a time, as the seed decides.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Frames are indicated on the thread that sends them.
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// The protocol stack leaves RSS off.
    pub fn without_rss(mut self) -> Self {
        self.rss = false;
        self
    }

    /// The NIC breaks the rules of NDIS where the test asks for it.
    pub fn lawless(mut self) -> Self {
        self.lawless = true;
        self
    }

    /// The NIC's filters restart without attributes, so they do not learn the MTU.
    pub fn hides_attributes(mut self) -> Self {
        self.hides_attributes = true;
        self
    }

    /// Sets a value of the driver's parameters before it starts.
    pub fn registry(mut self, name: &'static str, value: u32) -> Self {
        self.registry.push((name, value));
        self
    }

    /// Plays: sets the scene, runs the test, ends the program, takes the NIC away and unloads the driver, which
    /// must leave nothing behind.
    ///
    /// # Panics
    /// When anything fails.
    pub fn play(&self, test: impl FnOnce(&Scene<'_>)) {
        let mut lab = Lab::builder().cpus(self.cpus);
        if let Some(seed) = self.seed {
            lab = lab.seed(seed);
        } else if self.virtual_clock {
            lab = lab.clock(ClockMode::Virtual);
        }
        let lab = lab.boot().expect("the lab boots");
        for (name, value) in &self.registry {
            lab.set_registry_dword(PARAMETERS, name, *value)
                .expect("a registry value");
        }
        let driver = load(&lab).unwrap_or_else(|e| panic!("the driver loads: {e}"));
        {
            let nic = self.nic(&lab, "eth0").create().expect("a NIC");
            lab.settle().expect("the NIC is up");
            let scene = Scene {
                lab: &lab,
                nic: &nic,
                app: Client::new(&lab, "app"),
                driver: &driver,
                unplugged: AtomicBool::new(false),
            };
            test(&scene);
            let unplugged = scene.is_unplugged();
            scene.app.terminate();
            if !unplugged {
                nic.unplug().unwrap_or_else(|e| panic!("{e}"));
            }
        }
        let report = driver.unload().unwrap_or_else(|e| panic!("{e}"));
        assert!(report.is_clean(), "{report}");
        assert!(report.deepest_stack <= STACK, "{report}");
    }

    /// A NIC as the scene's own, under another name.
    pub fn nic<'lab>(&self, lab: &'lab Lab, name: &str) -> NicBuilder<'lab> {
        let mut nic = lab.nic(name).queues(self.queues).mtu(self.mtu);
        if self.inline {
            nic = nic.inline();
        }
        if !self.rss {
            nic = nic.without_rss();
        }
        if self.lawless {
            nic = nic.lawless();
        }
        if self.hides_attributes {
            nic = nic.hides_attributes();
        }
        nic
    }
}

/// Whether something that the driver does on a thread of its own happens within five seconds.
pub fn eventually(mut happened: impl FnMut() -> bool) -> bool {
    for _ in 0..500 {
        if happened() {
            return true;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    false
}

/// Bytes of a kernel stack that the driver may need: half of it, the other half is for the drivers around it.
const STACK: usize = 12 * 1024;

/// Plays on the usual scene.
pub fn scene(test: impl FnOnce(&Scene<'_>)) {
    Stage::new().play(test);
}

impl<'s> Scene<'s> {
    /// Takes the NIC away.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn unplug(&self) {
        if !self.unplugged.swap(true, Ordering::Relaxed) {
            self.nic.unplug().unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// Whether the NIC was taken away.
    pub fn is_unplugged(&self) -> bool {
        self.unplugged.load(Ordering::Relaxed)
    }

    /// Runs threads of programs side by side until all have ended.
    ///
    /// # Panics
    /// When the kernel stopped, or one of them panics.
    pub fn side_by_side(&self, bodies: &[&(dyn Fn() + Sync)]) {
        self.lab
            .side_by_side(bodies)
            .unwrap_or_else(|e| panic!("{e}"));
    }

    /// Attaches a program of one rule to the first queue of the NIC.
    ///
    /// # Panics
    /// When the driver refuses it.
    #[track_caller]
    pub fn attach(&self, rule: Rule) -> Program<'_> {
        let program = self.app.program(self.nic).rule(rule).create();
        program.expect("the program attaches")
    }

    /// Makes a socket that has all of its memory to receive into.
    ///
    /// # Panics
    /// When the driver refuses it.
    #[track_caller]
    pub fn receiver(&self, setup: Setup) -> Socket<'_> {
        let socket = self.app.socket(self.nic, setup);
        let socket = socket.expect("the socket is made");
        socket.fill_all();
        socket
    }

    /// Starts another program.
    pub fn client(&self, name: &str) -> Client<'s> {
        Client::new(self.lab, name)
    }

    /// Puts a frame on the wire; it has been inspected when this returns.
    ///
    /// # Panics
    /// When the kernel stopped.
    #[track_caller]
    pub fn arrive(&self, frame: impl Into<nt_sim::nic::Frame>) {
        self.nic
            .wire()
            .send(frame)
            .unwrap_or_else(|e| panic!("{e}"));
    }

    /// The bytes of the frames that reached the stack since the last look.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn passed(&self) -> Vec<Vec<u8>> {
        let stack = self.nic.stack();
        std::iter::from_fn(|| stack.try_receive().unwrap_or_else(|e| panic!("{e}")))
            .map(|frame| frame.data)
            .collect()
    }

    /// The bytes of the frames that were sent out since the last look.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        let wire = self.nic.wire();
        std::iter::from_fn(|| wire.try_receive().unwrap_or_else(|e| panic!("{e}")))
            .map(|frame| frame.data)
            .collect()
    }
}
