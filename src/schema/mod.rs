//! What a resource looks like: its columns, key, times and statuses, and the tables it becomes.
//!
//! ```text
//! schemas/*.json ──▶ Resource ──▶ Table ──▶ Arrow schema
//! ```
//!
//! The descriptions of the documented resources are compiled in ([`Schemas::builtin`]); a folder of the user's own
//! may replace them or add resources ([`Schemas::with_overrides`]). A description is validated once, here, so that
//! every other module may rely on it. Nothing in this module reads a record.

mod definition;
mod partition;
mod resource;
mod schemas;
mod table;

pub use definition::SchemaError;
pub use partition::{EventPartition, Granularity, SOURCE_COLUMN, is_partition_column};
pub use resource::{Column, HmacKey, LastChange, List, Resource, Statuses, Treatment, Type};
pub use schemas::Schemas;
pub use table::{DECIMAL_PRECISION, DECIMAL_SCALE, SYSTEM_COLUMNS, Table, TableRows, data_type, declared_columns};
