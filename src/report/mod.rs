//! What the lake says, as one page for people: a file of HTML that asks no network and runs no script.
//!
//! ```text
//! History of each resource ─▶ Lives, a partition at a time ─▶ Life: statuses, ages, restatements ─┐
//!                             └─▶ Volumes a currency and day ─────────────────────────────────────┤
//! heads, quarantine ─▶ Health     listing ─▶ sizes     reconcile ─▶ books ────────────────────────┴▶ Figures ─▶ html::page
//! ```
//!
//! In: the lake, and the time. Out: text, which for the same lake and time is the same to the byte. What is told of records
//! is as of the heads that were found first, so that no section is of another moment than the next. The law: an amount is told to its last digit; what
//! is drawn may be rounded. No value of a column with personal data leaves here, whatever the settings keep.
//!
//! The lake is read and nothing is written to it. Held in memory are, of each record of one partition, its statuses, times and
//! amounts (some 200 bytes); of those that changed after their end the rows, a partition at a time; of each that was seen open and
//! then ended, eight bytes; sums a currency and day; and what [`reconcile`] holds.

mod figures;
mod health;
mod html;
mod life;
mod lives;
mod output;
mod restated;
#[cfg(test)]
mod tests;
mod volume;

pub use self::output::write;
use self::{figures::Figures, health::Health, life::Life, lives::Lives, volume::Volumes};
use crate::{
    config::Config,
    error::Error,
    lake::{History, Lake, Quarantine, Store},
    reconcile::{self, Names},
};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Makes the page for the lake at the time `now`, in microseconds. The API is not asked, and no credentials are needed.
///
/// # Errors
///
/// If there is no lake, or it is damaged or cannot be read. What does not add up is on the page.
pub async fn run(config: &Config, now: i64) -> Result<String, Error> {
    let store = Store::open(&config.lake, &config.s3, false)?;
    let lake = Lake::open(store.clone()).await?;
    // All heads before any row: a sync that commits meanwhile is left out.
    let mut histories = Vec::new();
    for resource in &config.resources {
        histories.push(History::open(&lake, resource, &config.spool).await?);
    }
    let (mut health, mut lives) = (Vec::new(), Vec::<Life>::new());
    let (mut names, mut volumes) = (Names::default(), Volumes::default());
    for history in &histories {
        let quarantined = Quarantine::new(&lake, history.resource(), &config.spool).count().await?;
        health.push(Health::of(history, quarantined));
        if history.head().seq > 0 && history.resource().statuses.is_some() {
            let counted = volumes.counted(history.resource(), &config.reconciling)?;
            lives.push(Lives::new(history.resource(), now, counted, &mut volumes, &mut names).fold(history).await?);
        }
    }
    let books = match reconcile::reckon(&lake, config, &histories).await {
        Err(error @ Error::NoBooks { .. }) => Err(error.to_string()),
        reckoned => Ok(reckoned?),
    };
    let (location, sizes) = (lake.location(), store.sizes().await?);
    let figures = Figures { now, location, health, volumes: volumes.conclude(now), lives, books, sizes };
    Ok(html::page(&figures))
}

/// The day in UTC of a time in microseconds, as days since 1970.
fn day_of(micros: i64) -> i64 {
    micros.div_euclid(DAY)
}
