//! What the commands print, and the codes they end with.

mod against_api;
mod api_errors;
mod check;
mod ddl;
mod demo;
mod every;
mod metrics;
mod network;
mod otlp;
mod packaging;
mod personal_data;
mod profiles;
mod progress;
mod readme;
mod reconcile;
mod report;
mod sandbox;
mod settings;
mod status;
mod verify;
