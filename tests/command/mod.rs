//! What the commands print, and the codes they end with.

mod api_errors;
mod demo;
mod readme;
mod sandbox;
mod settings;
mod status;
mod verify;
