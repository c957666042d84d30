//! A lake in S3 is what a lake on disk is, whatever the server and the network do.
//!
//! | file | shows |
//! |---|---|
//! | `world` | a lake that already has commits, what comes next, and the check of what is there at the end |
//! | `matrix` | one fault of each kind, of each class of requests, before and after it took effect |

mod matrix;
mod world;
