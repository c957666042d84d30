//! The exact text of a record, as a typed row.
//!
//! ```text
//! record text ──▶ Decoder ──▶ Row ──▶ digest        (equal for rows that are equal by value)
//!                    │         ├───▶ differences   (from another row, column by column)
//!                    │         └───▶ Columns ──▶ RecordBatch
//!                    └──▶ Refusal: malformed (the whole body is refused) or rejected (this record is quarantined)
//! ```
//!
//! The law: nothing is converted lossily. A number's own digits become the decimal; what a column cannot hold whole is
//! kept as text in `_extra`, or the record is rejected with a reason. No float occurs anywhere. All functions are pure.

mod columns;
mod compare;
mod date_time;
mod decimal;
mod digest;
mod json;
mod personal;
mod record;
mod row;
#[cfg(test)]
mod tests;

pub use columns::{Columns, Operation, Stamp, flatten};
pub use compare::{ColumnDifference, Values};
pub use date_time::Zone;
pub use decimal::{parse_plain, to_plain};
pub use digest::{Seed, key_hash};
pub use personal::{treated, without_personal};
pub use record::{Decoder, Refusal, Rejection};
pub use row::{Cell, Row};
