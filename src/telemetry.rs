//! Log lines, on standard error. Standard output is for data. No line leaves this process with a secret in it.
//!
//! WARN: nothing is lost, but somebody may want to know. ERROR: something was not done, or a person is needed.

use std::{
    io::{self, IsTerminal, Write},
    panic,
};

use tracing_subscriber::{EnvFilter, fmt};

use crate::redact::redact;

/// Starts logging. `verbose` counts the `-v`.
pub fn start(verbose: u8, no_color: bool) {
    let directives = match verbose {
        0 => "warn",
        1 => "warn,lumetrade_export=info",
        2 => "warn,lumetrade_export=debug",
        _ => "debug,lumetrade_export=trace",
    };
    let logging = fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(|| Redacted)
        .with_ansi(io::stderr().is_terminal() && !no_color)
        .with_target(false)
        .try_init();
    // A second start, as a test may make it, keeps the first.
    drop(logging);
    panic::set_hook(Box::new(|panic| drop(Redacted.write_all(format!("{panic}\n").as_bytes()))));
}

/// Standard error, without secrets. A log line is written in one piece. That nobody can be told changes nothing of what is
/// done.
struct Redacted;

impl Write for Redacted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        drop(io::stderr().write_all(redact(&String::from_utf8_lossy(bytes)).as_bytes()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        drop(io::stderr().flush());
        Ok(())
    }
}
