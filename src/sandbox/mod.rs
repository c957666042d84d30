//! A Lumetrade that runs here: the documented read API on loopback, with a history that comes from a seed.
//!
//! ```text
//! Options{seed, records} ─► World ── at a clock ──► Snapshot ── record i ──► Value tree ─┬─ json  ─► what the API serves
//!                        (pure; nothing                                                  └─ truth ─► what it means
//!                         is stored per record)
//! ```
//!
//! Record *i* of a resource is a pure function of (seed, *i*), and its state a pure function of (seed, *i*, clock). So a list of
//! any length is generated while it is sent, in flat memory; asking twice, or in another order, gives the same bytes; and
//! what the exporter should have stored can be asked for too (`/control/truth/…`). The clock moves on command only.
//!
//! # The books
//!
//! The reference does not say whether amounts are gross or net. Here:
//!
//! | transaction | while open | COMPLETED | REVERSED, FAILED, CANCELLED |
//! |---|---|---|---|
//! | deposit | – | balance + (amount − fee) | – |
//! | withdrawal | (amount + fee) moves from balance to lockedBalance | balance − (amount + fee) | – |
//! | trade | – | balance − fromAmount, balance + toAmount in the other currency | – |
//!
//! A reversal undoes the whole transaction. Nothing else moves money, so at every clock and for every currency
//! `balance + lockedBalance` = Σ completed deposits (amount − fee) − Σ completed withdrawals (amount + fee) ± completed trades,
//! exactly. The first deposit of each currency funds it so amply that no balance is negative before [`World::end`].
//!
//! # Control
//!
//! Beside `/api`, without credentials, since the sandbox listens on loopback only:
//!
//! | request | does |
//! |---|---|
//! | `GET /control/clock` | answers `{"clock":"2026-05-15T00:00:00Z"}` |
//! | `POST /control/advance?days=&hours=&seconds=` | moves the clock on, answers as above |
//! | `GET /control/truth/{resource}` | the typed values of every record that exists, as NDJSON (see `truth`) |
//! | `POST /control/style?reset&key_order=&whitespace=&numbers=&order=` | changes the form of what is served, never a value; answers the [`Style`] |
//! | `POST /control/serve-optional?on=` | makes the undocumented `currencies` and `payment-routes` exist, or not |
//!
//! It does not offer the API's write operations: an exporter must never call them.

mod accounts;
mod assets;
mod beneficiaries;
mod body;
mod books;
mod clock;
mod control;
mod deposits;
mod directory;
mod draw;
mod envelope;
mod error;
mod ids;
mod json;
mod lifecycle;
mod number;
mod options;
mod resource;
mod routes;
mod running;
mod series;
mod stage;
mod style;
mod text;
mod timestamp;
mod trades;
mod truth;
mod value;
mod wallets;
mod withdrawals;
mod world;

#[cfg(test)]
mod tests;

pub use body::Body;
pub use error::Error;
pub use options::{Options, RECORDS_MAX};
pub use resource::Resource;
pub use running::{Running, serve, start};
pub use style::{KeyOrder, ListOrder, Numbers, Style, Whitespace};
pub use world::{Snapshot, World};
