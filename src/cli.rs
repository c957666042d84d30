//! The command line: what the user typed, what shells complete of it and its manual page, and no behaviour.

use std::{io, path::PathBuf, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use crate::{config::Flags, sync::Wanted};

/// What the program is called.
const PROGRAM: &str = "lumetrade-export";

/// Exports the Lumetrade API to a Parquet lake: incrementally, exactly once, exact to the last digit.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, about, long_about = None, arg_required_else_help = true)]
#[command(
    after_help = "Credentials come from LUMETRADE_API_KEY and LUMETRADE_API_SECRET, or from files or commands named in the settings."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Say more on standard error; twice for the finest detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say it in JSON, one line each
    #[arg(long, global = true)]
    pub log_json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all without credentials: a sandbox API on this machine, two syncs with a week between, queries to try
    Demo(DemoArgs),
    /// Poll the API and commit to the lake what is new, changed or gone
    Sync(SyncArgs),
    /// Bring in records of a range of dates, or from files, after a look at what that changes
    Backfill(BackfillArgs),
    /// Try the settings, the credentials, the clock and the lake, and say what would keep a sync from working
    Check(CheckArgs),
    /// Show how far each resource has come, from the lake alone
    Status(StatusArgs),
    /// Hold the whole lake to its laws and say what is wrong and where; nothing is written
    Verify(VerifyArgs),
    /// Reckon what each account should hold from all deposits, withdrawals and trades, and say what does not add up
    Reconcile(ReconcileArgs),
    /// Copy small commits into snapshots, so that reading all versions stays quick
    Compact(CompactArgs),
    /// Make a lake anew from what polls were answered with, where `raw_archive` in the settings has kept it
    Replay(ReplayArgs),
    /// Make a page of HTML of how the lake is: freshness, volumes, statuses, open records, restatements, books, size
    Report(ReportArgs),
    /// Print what gives a database, or dbt, the lake's tables
    Ddl(DdlArgs),
    /// Run a Lumetrade API on this machine, with a history made from a seed
    Sandbox(SandboxArgs),
    /// Print a script with which a shell completes commands and flags
    Completions(CompletionsArgs),
    /// Print the manual page, as man reads it
    Man,
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where to make the demo's lake; a new folder for temporary files unless given
    #[arg(long, value_name = "URL")]
    pub lake: Option<String>,
}

/// Flags of `sync`.
#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[arg(long, value_name = "URL", help = "Where the API is [default: https://api.lumetrade.com]")]
    base_url: Option<String>,
    /// Take whatever the API no longer lists for removed, however much it is
    #[arg(long, conflicts_with = "every")]
    accept_removals: bool,
    /// Stay, and sync again every so often, as 15m or 1h, until told to stop
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    pub every: Option<Duration>,
    /// Print the report as JSON, one line a resource and one for the run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `backfill`. A plan is made for one resource.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[arg(long, value_name = "URL", help = "Where the API is [default: https://api.lumetrade.com]")]
    base_url: Option<String>,
    /// The resource
    #[arg(long, value_name = "NAME")]
    resource: String,
    /// Only what happened on this day (UTC) or later, as 2026-01-31
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
    /// Only what happened on this day (UTC) or before
    #[arg(long, value_name = "DATE")]
    to: Option<NaiveDate>,
    /// Read these files instead of the API's list: JSON arrays, plain or compressed by gzip or zstd, all of the same moment
    #[arg(long = "input", value_name = "FILE", num_args = 1..)]
    inputs: Vec<PathBuf>,
    /// That moment, as 2026-01-31T12:00:00Z; files of `raw/` say it themselves
    #[arg(long, value_name = "TIME", requires = "inputs")]
    observed_at: Option<DateTime<Utc>>,
    /// Print what would be committed, with the hash of this plan, and write nothing
    #[arg(long, conflicts_with = "plan", required_unless_present = "plan")]
    dry_run: bool,
    /// Commit what --dry-run has printed, or the rest of it after an interruption, if it is still the same
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Take whatever the API no longer lists for removed, however much it is
    #[arg(long, conflicts_with = "inputs")]
    accept_removals: bool,
    /// Print the plan as JSON, one line a partition, one a sampled value and one for the whole
    #[arg(long)]
    pub json: bool,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[arg(long, value_name = "URL", help = "Where the API is [default: https://api.lumetrade.com]")]
    base_url: Option<String>,
    /// Try too what the contract reserves (pages, `dateFrom`, ETags), which reads each list a few times
    #[arg(long)]
    pub reserved: bool,
    /// Print what was found as JSON, one line each
    #[arg(long)]
    pub json: bool,
}

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The lake whose archive is replayed; into itself if it is the one that is made
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Print what was replayed as JSON, one line a resource and one for the run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Show the last runs instead, as many as `runs_kept` in the settings keeps
    #[arg(long)]
    pub runs: bool,
    /// Print the status as JSON, one line a resource or a run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[arg(long, value_name = "URL", help = "Where the API is [default: https://api.lumetrade.com]")]
    base_url: Option<String>,
    /// Look at the chain of commits and the sizes of objects, and read no rows
    #[arg(long)]
    pub quick: bool,
    /// Poll the API too, and compare what it says with the lake, value by value
    #[arg(long)]
    pub against_api: bool,
    /// Print what was found as JSON, one line a resource, one a difference and one for the run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `compact`.
#[derive(Debug, Args)]
pub struct CompactArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Leave a resource alone while fewer commits than this are in no snapshot
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub min_commits: u64,
    /// Print what was done as JSON, one line a resource and one for the run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `ddl`.
#[derive(Debug, Args)]
pub struct DdlArgs {
    /// Who is to read the lake
    #[arg(value_enum)]
    pub database: Database,
    /// For Athena: print the tables as `aws glue create-table --cli-input-json` takes them, one line each
    #[arg(long)]
    pub glue: bool,
    /// For dbt: write the files into this project instead of printing them
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Who reads the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Database {
    /// Views over the files; run them at the beginning of a session
    Duckdb,
    /// External tables and views, to be run one by one
    Athena,
    /// Sources and staging models for dbt-duckdb and dbt-athena
    Dbt,
}

/// Flags of `reconcile`. It needs all resources that move money, so none can be picked.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print the books as JSON, one line a currency, one a finding, and one for the run
    #[arg(long)]
    pub json: bool,
}

/// Flags of `report`. It is of the whole lake, so no resource can be picked.
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Write the page to this file, in place of one that is there, instead of printing it
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only this resource; may be given more than once
    #[arg(long = "resource", value_name = "NAME")]
    resources: Vec<String>,
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// The settings file [default: lumetrade-export.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the lake is: a folder, or s3://bucket/prefix [default: ./lake]
    #[arg(long, value_name = "URL")]
    lake: Option<String>,
    /// A folder with schemas of your own
    #[arg(long, value_name = "FOLDER")]
    schemas: Option<PathBuf>,
    /// Only this profile of the settings; may be given more than once
    #[arg(long = "profile", value_name = "NAME")]
    profiles: Vec<String>,
}

/// Flags of `sandbox`.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The port to listen on; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// What the world is made from
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Deposits, withdrawals and trades at the beginning
    #[arg(long, default_value_t = 10_000)]
    pub records: u64,
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Syncs that are further apart are better begun by others.
const PERIOD_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The time between two syncs.
fn period(text: &str) -> Result<Duration, String> {
    let period = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if period.is_zero() || period > PERIOD_MAX {
        return Err("it is not between no time and 30 days".to_owned());
    }
    Ok(period)
}

impl Cli {
    /// Reads the command line. What cannot be understood ends the process, with exit code 2 and a message.
    #[must_use]
    pub fn read() -> Self {
        Self::parse()
    }

    /// The manual page: the program, and a section for each command, in roff.
    ///
    /// # Errors
    ///
    /// If the page cannot be rendered.
    pub fn manual() -> io::Result<String> {
        let mut program = Self::command().disable_help_subcommand(true);
        // Without it, commands do not have the program's name before their own.
        program.build();
        // Where nothing is the date, what follows would be taken for it.
        let page = Man::new(program.clone()).date(" ").manual("User Commands");
        let mut text = Vec::new();
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_options_section(&mut text)?;
        program.get_subcommands().try_for_each(|command| render_command(command, &mut text))?;
        page.render_extra_section(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// A section that says what a command does, and lists the flags that are its own.
fn render_command(command: &clap::Command, text: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or_default();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    Roff::new().control("SH", [name]).text([roman(about)]).to_writer(text)?;
    let own = command.clone().mut_args(|argument| {
        let is_own = !argument.is_global_set() && argument.get_id() != "help";
        argument.hide(!is_own)
    });
    let mut flags = Vec::new();
    Man::new(own).render_options_section(&mut flags)?;
    // They stand in the command's section, without a heading of their own.
    let flags = String::from_utf8_lossy(&flags);
    text.extend(flags.split_once(".SH OPTIONS\n").map_or("", |(_, listed)| listed).bytes());
    Ok(())
}

impl SyncArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags { base_url: self.base_url.clone(), accept_removals: self.accept_removals, ..self.settings.flags() }
    }
}

impl BackfillArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags {
            base_url: self.base_url.clone(),
            resources: vec![self.resource.clone()],
            accept_removals: self.accept_removals,
            ..self.place.flags()
        }
    }

    /// What is to be brought in.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let Self { from, to, observed_at, .. } = *self;
        Wanted { from, to, observed_at, inputs: self.inputs.clone(), plan: self.plan.clone() }
    }
}

impl CheckArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags { base_url: self.base_url.clone(), ..self.settings.flags() }
    }
}

impl ReplayArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.settings.flags()
    }
}

impl StatusArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.settings.flags()
    }
}

impl VerifyArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags { base_url: self.base_url.clone(), ..self.settings.flags() }
    }
}

impl CompactArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.settings.flags()
    }
}

impl DdlArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.settings.flags()
    }
}

impl ReconcileArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.place.flags()
    }
}

impl ReportArgs {
    /// What the flags set.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.place.flags()
    }
}

impl CompletionsArgs {
    /// The script.
    #[must_use]
    pub fn script(&self) -> String {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), PROGRAM, &mut script);
        // For bash, in half of the places, the hyphen in the program's name is taken for one before a command's
        // (clap-rs/clap#6421), and no flag of a command is found.
        String::from_utf8_lossy(&script).replace("lumetrade__subcmd__export", "lumetrade__export")
    }
}

impl SettingsArgs {
    fn flags(&self) -> Flags {
        Flags { resources: self.resources.clone(), ..self.place.flags() }
    }
}

impl PlaceArgs {
    fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            lake: self.lake.clone(),
            schemas: self.schemas.clone(),
            profiles: self.profiles.clone(),
            ..Flags::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_has_no_flag_for_a_secret() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            let secrets = command.get_arguments().filter(|argument| argument.get_id().as_str().contains("secret"));
            assert_eq!(secrets.count(), 0, "{}", command.get_name());
        }
    }
}
