//! What a sandbox is made from.

/// The most records a sandbox can be asked for. Beyond it the funding of an 18-decimal asset would outgrow 28 digits.
pub const RECORDS_MAX: u64 = 50_000_000;

/// What a sandbox is made from. Equal options give equal bytes, on every machine.
///
/// No `Debug`: it holds a secret.
#[derive(Clone)]
pub struct Options {
    /// Where everything random comes from.
    pub seed: u64,
    /// Transactions (deposits, withdrawals and trades) that exist at the start clock; at most [`RECORDS_MAX`].
    /// More appear as the clock moves, as many in two years again.
    pub records: u64,
    /// The value of `X-API-KEY` that is let in.
    pub key: String,
    /// The value of `X-API-SECRET` that is let in.
    pub secret: String,
}

impl Default for Options {
    fn default() -> Self {
        Options { seed: 7, records: 10_000, key: "sandbox-key".into(), secret: "sandbox-secret".into() }
    }
}
