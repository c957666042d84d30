//! A lake in S3 is what a lake on disk is, whatever the server and the network do.
//!
//! | file | shows |
//! |---|---|
//! | `world` | a lake that already has commits, what comes next, and the check of what is there at the end |
//! | `matrix` | one fault of each kind, of each class of requests, before and after it took effect |
//! | `for_ever` | faults that do not go away, and writes that outlive their writer |
//! | `access` | credentials, permissions, regions, and stores that cannot hold a lake |
//! | `memory` | what is held of what is uploaded |
//! | `parts` | faults at the steps of an upload in parts |
//! | `real` | a real S3, end to end |

mod access;
mod for_ever;
mod matrix;
mod memory;
mod parts;
mod real;
mod world;
