//! All that happened in a simulation, in order.

use std::{fmt, sync::Arc};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Time since the simulation began.
    pub at_ms: u64,
    pub who: Arc<str>,
    pub what: &'static str,
    /// The object or resource.
    pub of: String,
    pub outcome: &'static str,
    /// Hash of the bytes that were written, read or served; 0 if there are none.
    pub hash: u64,
}

/// Everything that happened so far. An event's number is its place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Trace(pub Vec<Event>);

impl Trace {
    /// Notes an event and gives its number.
    pub(super) fn note(&mut self, event: Event) -> u64 {
        self.0.push(event);
        self.0.len() as u64 - 1
    }

    /// The last events as text.
    pub(super) fn tail(&self, count: usize) -> String {
        let from = self.0.len().saturating_sub(count);
        self.0[from..].iter().enumerate().map(|(place, event)| format!("{:>5} {event}\n", from + place)).collect()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ms, who, what, of, outcome, hash } = self;
        write!(f, "{at_ms:>9} ms  {who:<8} {what:<8} {of} {outcome}")?;
        if *hash == 0 { Ok(()) } else { write!(f, " {hash:016x}") }
    }
}
