//! The full-screen view.

mod tables;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Sparkline};

use super::Args;
use super::lines::short;
use super::sample::{Change, QueueKey, Sample};
use super::source::Source;
use crate::args::si;
use crate::error::Failure;
use crate::interrupt::{self, interrupted};

/// Intervals that are remembered.
const HISTORY: usize = 400;
/// How soon a key is seen.
const POLL: Duration = Duration::from_millis(50);
/// From this width on there are two columns.
const WIDE: u16 = 110;

const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const TRAFFIC: Style = Style::new().fg(Color::Green);

/// A screen that is drawn on needs somebody who looks.
pub(super) fn require_terminal() -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage("--tui needs a terminal")
        .because("standard output is none")
        .hint("leave --tui away for a line each second"))
}

/// Gives the terminal back however the view ends.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Leave,
    Interrupt,
    Nothing,
}

/// What is shown.
pub(super) struct View {
    title: String,
    now: Sample,
    change: Change,
    /// Frames a second of all queues together, or of all wires where that is known.
    frames: VecDeque<u64>,
    by_queue: BTreeMap<QueueKey, VecDeque<u64>>,
    is_paused: bool,
    is_detailed: bool,
    has_ended: bool,
}

impl View {
    pub(super) fn new(title: String, first: Sample) -> Self {
        Self {
            title,
            now: first,
            change: Change::default(),
            frames: VecDeque::new(),
            by_queue: BTreeMap::new(),
            is_paused: false,
            is_detailed: false,
            has_ended: false,
        }
    }

    /// Whether a queue is shown: where frames are sent, only if any were.
    fn is_shown(&self, key: &QueueKey) -> bool {
        key.hook == "receive"
            || self
                .now
                .queues
                .get(key)
                .is_some_and(|frames| frames.seen() > 0)
    }

    /// Takes the next sample. A paused view shows what it showed, and misses nothing.
    pub(super) fn take(&mut self, sample: Sample) {
        if self.is_paused {
            return;
        }
        self.change = sample.since(&self.now);
        self.now = sample;
        let change = &self.change;
        let queues: u64 = change
            .queues
            .values()
            .map(super::sample::Frames::seen)
            .sum();
        let wires: u64 = change.traffic.iter().map(|traffic| traffic.received).sum();
        remember(
            &mut self.frames,
            change.per_second(queues.max(wires)) as u64,
        );
        // Queues come and go with what is on them.
        self.by_queue
            .retain(|key, _| change.queues.contains_key(key));
        for (key, frames) in &change.queues {
            let history = self.by_queue.entry(key.clone()).or_default();
            remember(history, change.per_second(frames.seen()) as u64);
        }
    }

    fn key(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::Nothing;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Interrupt,
            KeyCode::Char('q') | KeyCode::Esc => Wish::Leave,
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                Wish::Nothing
            }
            KeyCode::Char('e') => {
                self.is_detailed = !self.is_detailed;
                Wish::Nothing
            }
            _ => Wish::Nothing,
        }
    }

    /// Draws it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let queues = self
            .change
            .queues
            .keys()
            .filter(|key| self.is_shown(key))
            .count();
        let queues = (queues.max(1) as u16 + 3).min(frame.area().height / 3);
        let [top, graph, middle, bottom, keys] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(7),
            Constraint::Length(queues.max(4)),
            Constraint::Min(3),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.headline(), top);
        self.graph(frame, graph);
        self.queues(frame, middle);
        let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
        let [rules, talkers] = match bottom.width >= WIDE {
            true => Layout::horizontal(halves).areas(bottom),
            false => Layout::vertical(halves).areas(bottom),
        };
        self.rules(frame, rules);
        self.talkers(frame, talkers);
        let key = |key: &'static str, what: &'static str| {
            [Span::styled(key, Modifier::BOLD), Span::styled(what, QUIET)]
        };
        let pause = if self.is_paused {
            " go on   "
        } else {
            " pause   "
        };
        let losses = if self.is_detailed {
            " fewer columns"
        } else {
            " why frames are lost"
        };
        let help: Vec<Span<'_>> =
            [key("q", " leave   "), key("p", pause), key("e", losses)].concat();
        frame.render_widget(Line::from(help), keys);
    }

    fn headline(&self) -> Line<'_> {
        let mut parts = vec![
            Span::styled(format!("xdp monitor {}", self.title), Modifier::BOLD),
            Span::raw(format!("   {:.0} s", self.now.at.as_secs_f64())),
        ];
        for traffic in &self.change.traffic {
            let rate = |frames: u64, bytes: u64| {
                format!(
                    "{}, {}",
                    si(self.change.per_second(frames), "f/s"),
                    si(self.change.per_second(bytes) * 8.0, "bit/s")
                )
            };
            parts.push(Span::raw(format!(
                "   {}: in {}; out {}",
                traffic.interface,
                rate(traffic.received, traffic.received_bytes),
                rate(traffic.sent, traffic.sent_bytes)
            )));
        }
        if self.is_paused {
            parts.push(Span::styled("   paused", Modifier::REVERSED));
        }
        if self.has_ended {
            parts.push(Span::styled("   the capture has ended", QUIET));
        }
        Line::from(parts)
    }

    fn graph(&self, frame: &mut Frame<'_>, area: Rect) {
        let last = self.frames.back().copied().unwrap_or(0);
        let most = self.frames.iter().copied().max().unwrap_or(0);
        let block = Block::bordered()
            .title(" Frames a second ")
            .title_bottom(format!(
                " now {}, most {} ",
                short(last as f64),
                short(most as f64)
            ));
        let room = block.inner(area).width as usize;
        let start = self.frames.len().saturating_sub(room);
        let shown: Vec<u64> = self.frames.iter().skip(start).copied().collect();
        frame.render_widget(
            Sparkline::default()
                .block(block)
                .data(&shown)
                .style(TRAFFIC),
            area,
        );
    }
}

fn remember(history: &mut VecDeque<u64>, value: u64) {
    if history.len() == HISTORY {
        history.pop_front();
    }
    history.push_back(value);
}

/// Shows the view until it is left.
pub(super) fn run(
    args: &Args,
    source: &Source<'_>,
    start: Instant,
    is_over: impl Fn() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let title = args
        .interface
        .get()
        .map_or("all interfaces", |named| named.as_str());
    let mut view = View::new(title.to_owned(), source.look(start)?);
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::new("cannot use the terminal").because(error))?;
    let _restore = Restore;
    let mut next = args.interval;
    let mut intervals = 0;
    loop {
        terminal.draw(|frame| view.draw(frame))?;
        loop {
            let now = start.elapsed();
            if interrupted() || args.duration.is_some_and(|limit| now >= limit) {
                return Ok(());
            }
            if now >= next {
                break;
            }
            if event::poll((next - now).min(POLL))? {
                match event::read()? {
                    Event::Key(key) => match view.key(key) {
                        Wish::Leave => return Ok(()),
                        Wish::Interrupt => interrupt::interrupt(),
                        Wish::Nothing => {}
                    },
                    Event::Resize(..) => {}
                    _ => continue,
                }
                terminal.draw(|frame| view.draw(frame))?;
            }
        }
        view.take(source.look_again(start)?);
        view.has_ended = is_over()?;
        intervals += 1;
        if args.count.is_some_and(|count| intervals >= count) {
            return Ok(());
        }
        next = (next + args.interval).max(start.elapsed());
    }
}

#[cfg(test)]
mod tests;
