//! What tests of several modules stand on.

pub(crate) mod fuzz;
pub(crate) mod json;
pub(crate) mod random;
