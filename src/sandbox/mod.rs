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
//! | `GET /control` | answers the clock, and every switch with its state, by its name below |
//! | `GET /control/clock` | answers `{"clock":"2026-05-15T00:00:00Z"}` |
//! | `POST /control/advance?days=&hours=&seconds=` | moves the clock on, answers as above |
//! | `GET /control/truth/{resource}` | the typed values of every record that exists, as NDJSON (see `truth`) |
//! | `POST /control/reset` | sets every switch as at first, and leaves the clock where it is |
//!
//! The switches, which may be set at any moment, and answer with their state. With all of them as at first, the API is what the
//! reference says; a request that has begun is not affected. Each request sets the whole of its switch, with what is not named
//! as at first; only a style keeps what is not named, unless `reset` is.
//!
//! | request | does |
//! |---|---|
//! | `POST /control/style?reset&key_order=&whitespace=&numbers=&order=` | changes the form of what is served, never a value (see [`Style`]) |
//! | `POST /control/serve-optional?on=` | makes the undocumented `currencies` and `payment-routes` exist, or not |
//! | `POST /control/paginate?on=&shape=&size_max=&repeat=&endless=&shift=&ignore=` | serves lists page by page, rightly or wrongly (see `page`) |
//! | `POST /control/filters?dates=` | honours `dateFrom` and `dateTo` (see `filter`) |
//! | `POST /control/etags?on=` | gives lists an `ETag`, and answers 304 to an `If-None-Match` that has it (see `etag`) |
//! | `POST /control/single-reads?shape=` | makes single reads `same`, `narrow` or `missing` (see `single`) |
//! | `POST /control/fault?kind=&resource=&times=` | makes answers to requests for lists go wrong (see `fault`) |
//!
//! It does not offer the API's write operations: an exporter must never call them.

mod accounts;
mod assets;
mod beneficiaries;
mod body;
mod books;
mod broken;
mod clock;
mod control;
mod deposits;
mod directory;
mod draw;
mod envelope;
mod error;
mod etag;
mod fault;
mod filter;
mod ids;
mod json;
mod lifecycle;
mod list;
mod listing;
mod number;
mod options;
mod page;
mod parameters;
mod resource;
mod routes;
mod running;
mod series;
mod single;
mod stage;
mod style;
mod switches;
mod tamper;
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
