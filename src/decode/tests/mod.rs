//! What is decoded against what another parser says of the same text.

mod mutants;
