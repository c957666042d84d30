//! The whole of it in seconds, without credentials: a sandbox, a sync, a week, a sync, and queries to try.

use std::{fmt::Write, sync::Arc};

use chrono::TimeDelta;

use crate::{
    config::{Config, Environment, Flags},
    error::Error,
    lake::{LakeError, Store},
    sandbox,
    sync::{self, Ambient, Brake, Progress, Report},
};

/// What the demo shows.
pub struct Demo {
    /// Where its lake is.
    pub lake: String,
    /// The first sync.
    pub first: Report,
    /// The second, a week of the sandbox's time later.
    pub second: Report,
    /// Files and bytes of the lake.
    pub size: (u64, u64),
}

/// Transactions in the demo's world.
const RECORDS: u64 = 5_000;

/// Runs the demo in `lake`, or in a new folder for temporary files.
///
/// # Errors
///
/// [`Error::DemoLake`] if there is a lake already, and whatever a sync fails with.
pub async fn run(lake: Option<String>, environment: &Environment, machine: &Ambient) -> Result<Demo, Error> {
    let options = sandbox::Options { records: RECORDS, ..sandbox::Options::default() };
    let environment = environment.with_credentials(&options.key, &options.secret);
    let api = Arc::new(sandbox::start(options, 0).await?);
    let given = lake.is_some();
    let lake = lake.map_or_else(new_folder, Ok)?;
    let flags = Flags { base_url: Some(api.base_url()), lake: Some(lake.clone()), ..Flags::default() };
    let config = Config::without_file(flags, &environment)?;
    if given {
        refuse_a_lake_that_is_there(&config).await?;
    }
    // Polls happen in the sandbox's time, so that what the lake says of them fits what the records say.
    let (clock, machine) = (api.clone(), machine.clone());
    let ambient = Ambient::new(move || clock.clock(), move || machine.random());
    let first = sync::run(&config, &ambient, &Brake::default(), &Progress::default()).await?;
    api.advance(TimeDelta::days(7))?;
    let second = sync::run(&config, &ambient, &Brake::default(), &Progress::default()).await?;
    let size = Store::open(&lake, &config.s3, false)?.size().await?;
    Ok(Demo { lake, first, second, size })
}

async fn refuse_a_lake_that_is_there(config: &Config) -> Result<(), Error> {
    match Store::open(&config.lake, &config.s3, false) {
        Err(LakeError::Missing { .. }) => Ok(()),
        Ok(store) if store.size().await? == (0, 0) => Ok(()),
        Ok(_) => Err(Error::DemoLake { location: config.lake.clone() }),
        Err(error) => Err(error.into()),
    }
}

fn new_folder() -> Result<String, Error> {
    let folder = tempfile::Builder::new().prefix("lumetrade-demo-").tempdir();
    let folder = folder.map_err(|source| LakeError::file("make", "a folder for the demo's lake", source))?;
    Ok(folder.keep().display().to_string())
}

impl Demo {
    /// Three queries that show what the lake is for, each a statement for DuckDB.
    #[must_use]
    pub fn queries(&self) -> [String; 3] {
        let lake = self.lake.replace('\'', "''");
        [
            format!(
                "-- What was paid in, by month and currency, exact to the last digit\n\
                 SELECT event_month, currency, count(*) AS deposits, sum(amount) AS amount\n\
                 FROM read_parquet('{lake}/current/deposits/**/*.parquet')\n\
                 WHERE status = 'COMPLETED' GROUP BY ALL ORDER BY ALL DESC LIMIT 12;"
            ),
            format!(
                "-- The withdrawals that changed within the week: every version that was seen\n\
                 SELECT transaction_id, _seq, _op, status, amount, _observed_at\n\
                 FROM read_parquet('{lake}/changes/withdrawals/**/*.parquet')\n\
                 QUALIFY count(*) OVER (PARTITION BY transaction_id) > 1\n\
                 ORDER BY transaction_id, _seq LIMIT 12;"
            ),
            format!(
                "-- Fills that do not add up to their trade: none\n\
                 SELECT t.transaction_id, t.to_amount, sum(f.to_currency_amount) AS filled\n\
                 FROM read_parquet('{lake}/current/trades/**/*.parquet') t\n\
                 JOIN read_parquet('{lake}/current/trade_fills/**/*.parquet') f ON f.trade_id = t.transaction_id\n\
                 GROUP BY ALL HAVING filled <> t.to_amount;"
            ),
        ]
    }

    /// The demo's story, for people.
    ///
    /// # Errors
    ///
    /// None: writing to a string does not fail.
    pub fn tell(&self) -> Result<String, std::fmt::Error> {
        let mut story = String::new();
        writeln!(story, "First sync: two years of history\n\n{}", self.first)?;
        writeln!(story, "A week later\n\n{}", self.second)?;
        let (files, bytes) = self.size;
        writeln!(story, "The lake has {files} files and {:.1} MiB: {}\n", bytes as f64 / (1 << 20) as f64, self.lake)?;
        writeln!(story, "Paste these into duckdb:\n")?;
        for query in self.queries() {
            writeln!(story, "{query}\n")?;
        }
        Ok(story)
    }

    /// The exit code: that of the first sync that failed.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        [self.first.exit_code(), self.second.exit_code()].into_iter().find(|code| *code != 0).unwrap_or(0)
    }
}
