//! x
pub mod decode;
pub mod diff;
pub mod record;
pub mod schema;
