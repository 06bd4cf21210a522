//! Programs that run beside a test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal};

/// A running program; dropping it ends it.
pub struct Program {
    child: Child,
    reader: Option<JoinHandle<()>>,
    said: Arc<Mutex<String>>,
}

impl Program {
    /// Starts a program and waits for a line of its standard output that holds `ready`. Its lines are shown with `prefix`
    /// before them, if there is one.
    ///
    /// # Errors
    ///
    /// The program cannot be started, ends too early, or is not ready within `limit`.
    pub fn start(
        mut command: Command,
        ready: &str,
        limit: Duration,
        prefix: Option<&'static str>,
    ) -> Result<Self> {
        // Its own process group: Ctrl-C must end the caller's steps first, and the program by the caller's word.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let pipe = child.stdout.take().context("no standard output")?;
        let said = Arc::new(Mutex::new(String::new()));
        let (tell, is_ready) = mpsc::channel();
        let (words, ready) = (Arc::clone(&said), ready.to_owned());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if let Some(prefix) = prefix {
                    println!("{prefix}{line}");
                }
                {
                    let mut said = words.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_str(&line);
                    said.push('\n');
                }
                if line.contains(&ready) {
                    // The other side may have given up waiting.
                    let _ = tell.send(());
                }
            }
        });
        let mut program = Self {
            child,
            reader: Some(reader),
            said,
        };
        if is_ready.recv_timeout(limit).is_err() {
            let status = program.child.try_wait().context("the program is gone")?;
            let status = status.map_or("still trying".into(), |status| status.to_string());
            bail!("{command:?} was not ready ({status}):\n{}", program.said());
        }
        Ok(program)
    }

    /// What it has printed so far.
    #[must_use]
    pub fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.clone()
    }

    /// Ends it as Ctrl-C does; returns all that it printed.
    ///
    /// # Errors
    ///
    /// It ended with another exit code than 0 or 130.
    pub fn stop(mut self) -> Result<String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("the program has no process number")?;
        rustix::process::kill_process(pid, Signal::INT).context("cannot stop the program")?;
        let status = self.wait()?;
        ensure!(
            status.success() || status.code() == Some(130),
            "the program ended with {status}:\n{}",
            self.said()
        );
        Ok(self.said())
    }

    /// Waits until it ends by itself; returns how, and all that it printed.
    ///
    /// # Errors
    ///
    /// The process cannot be waited for.
    pub fn finish(mut self) -> Result<(ExitStatus, String)> {
        let status = self.wait()?;
        Ok((status, self.said()))
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().context("the program is gone")?;
        if let Some(reader) = self.reader.take() {
            let joined = reader.join();
            ensure!(joined.is_ok(), "reading the program's output panicked");
        }
        Ok(status)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.wait();
    }
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
///
/// It cannot be run, or fails; then with all that it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} failed ({}):\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}
