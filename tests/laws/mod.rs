//! What is in the lake is what was observed: exactly, exactly once, and never less.

mod archive;
mod backfill;
mod caches;
mod disk;
mod empty;
mod endurance;
mod exactness;
mod formats;
mod guards;
mod hostile;
mod limits;
mod measure;
mod oddities;
mod profile;
mod quarantine;
mod race;
mod records;
mod reserved;
mod returns;
mod s3;
mod snapshots;
mod sweep;
mod torture;
mod verify;
mod walk;
