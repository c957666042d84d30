//! What people are told, on standard error: log lines, and why something was not done. Standard output is for data. No line
//! leaves this process with a secret in it. On request each line is JSON, for programs. On a terminal, a run is followed by lines
//! at its foot.
//!
//! WARN: nothing is lost, but somebody may want to know. ERROR: something was not done, or a person is needed.

mod lines;

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{Instrument, Span};
use tracing_subscriber::{EnvFilter, fmt};

pub use self::lines::{Shown, hide};
use crate::{
    config::{Config, Environment},
    redact::{printable, redact},
    sync::Progress,
};

/// Whether lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);
/// Whether somebody looks on who can be shown how far a run has come.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Starts logging. `verbose` counts the `-v`.
pub fn start(verbose: u8, environment: &Environment, json: bool) {
    let is_terminal = io::stderr().is_terminal() && !json;
    JSON.store(json, Ordering::Relaxed);
    WATCHED.store(is_terminal && environment.is_watched, Ordering::Relaxed);
    let directives = match verbose {
        0 => "warn",
        1 => "warn,lumetrade_export=info",
        2 => "warn,lumetrade_export=debug",
        _ => "debug,lumetrade_export=trace",
    };
    let logging = fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(|| Redacted)
        .with_ansi(is_terminal && environment.colors)
        .with_target(false);
    let logging = if json { logging.json().flatten_event(true).try_init() } else { logging.try_init() };
    // A second start, as a test may make it, keeps the first.
    drop(logging);
    panic::set_hook(Box::new(|panic| {
        if JSON.load(Ordering::Relaxed) {
            tracing::error!("{panic}");
        } else {
            drop(Redacted.write_all(format!("{panic}\n").as_bytes()));
        }
    }));
}

/// Does something with the settings of a profile, whose name stands in every log line of it; without one, as it is.
pub async fn within_profile<T>(config: &Config, work: impl Future<Output = T>) -> T {
    let name = config.profile.as_deref();
    // At the gravest level, so that it is there whatever is logged.
    let span = name.map_or_else(Span::none, |name| tracing::error_span!("of", profile = name));
    work.instrument(span).await
}

/// Shows how far a run has come, of a profile if there are profiles, until what it gives is dropped, if somebody looks on.
#[must_use]
pub fn show(progress: &Arc<Progress>, profile: Option<&str>) -> Option<Shown> {
    WATCHED.load(Ordering::Relaxed).then(|| Shown::start(progress, profile))
}

/// Tells one line. That nobody can be told changes nothing of what was done.
pub fn tell(line: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::warn!("{line}");
    } else {
        // A secret is masked before anything in it is replaced.
        drop(Redacted.write_all(format!("{}\n", printable(&redact(line))).as_bytes()));
    }
}

/// Tells why something was not done, the state that things are in, and what may help.
pub fn tell_failure(what: Option<&str>, message: &str, state: Option<&str>, hint: Option<&str>) {
    if JSON.load(Ordering::Relaxed) {
        tracing::error!(what, state, hint, "{message}");
        return;
    }
    tell(&match what {
        Some(what) => format!("error: {what}: {message}"),
        None => format!("error: {message}"),
    });
    if let Some(state) = state {
        tell(&format!("  {state}"));
    }
    tell_hint(hint);
}

/// Tells what may help.
pub fn tell_hint(hint: Option<&str>) {
    if let Some(hint) = hint {
        tell(&format!("  hint: {hint}"));
    }
}

/// Standard error, without secrets. A log line is written in one piece. That nobody can be told changes nothing of what is
/// done.
struct Redacted;

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = redact(&text);
        drop(lines::above(|| io::stderr().write_all(text.as_bytes())));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        drop(io::stderr().flush());
        Ok(())
    }
}
