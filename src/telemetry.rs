//! Log lines, on standard error. Standard output is for data.
//!
//! WARN: nothing is lost, but somebody may want to know. ERROR: something was not done, or a person is needed.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

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
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color)
        .with_target(false)
        .try_init();
    // A second start, as a test may make it, keeps the first.
    drop(logging);
}
