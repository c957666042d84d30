//! Parse, run, print, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
    slice,
    time::Duration,
};

use lumetrade_export::{
    check,
    cli::{
        BackfillArgs, CheckArgs, Cli, Command, CompactArgs, Database, DdlArgs, ReconcileArgs, ReplayArgs, ReportArgs,
        SandboxArgs, StatusArgs, SyncArgs, VerifyArgs,
    },
    compact,
    config::{Config, Environment},
    ddl, demo,
    error::{Error, Kind},
    lake::Depth,
    operate::{self, Requests, Witness},
    reconcile,
    redact::redact,
    replay, report, sandbox, status,
    sync::{self, Ambient, Brake, Failure, PastRun, Report, Stopwatch},
    telemetry, verify,
};
use rustix::{
    fs::Mode,
    process::{Resource, Rlimit, getrlimit, setrlimit, umask},
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::sleep,
};

/// Several threads take and give back memory at each record, which musl's own allocator has one lock for.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_to_itself();
    let cli = Cli::read();
    let (environment, runtime) = match start() {
        Ok(started) => started,
        Err(error) => return fail(&error),
    };
    telemetry::start(cli.verbose, &environment, cli.log_json);
    let requests = Requests::default();
    let goes_on = matches!(&cli.command, Command::Sync(args) if args.every.is_some());
    // In a task of its own, a panic becomes an exit code.
    let code = runtime.block_on(async {
        tokio::select! {
            ended = tokio::spawn(run(cli, environment, requests.clone())) => match ended {
                Ok(Ok(code)) => ExitCode::from(code),
                Ok(Err(error)) => fail(&error),
                Err(panic) => fail(&Error::Bug(panic.to_string())),
            },
            code = interrupted(goes_on.then_some(&requests)) => code,
        }
    });
    telemetry::hide();
    // What is still running is left where it is: every step of a sync may end anywhere.
    runtime.shutdown_background();
    code
}

/// Nothing that this program writes is for others to read, whatever the mask it was started with, and its memory is for
/// nobody: neither as a core dump nor for other programs of the same user. What the system does not grant, it goes without.
fn keep_to_itself() {
    umask(Mode::RWXG | Mode::RWXO);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Files that must be allowed to be open at once: with fewer, not even signals can be received.
const OPEN_FILES_MIN: u64 = 16;

/// Threads that wait for the disk. Each keeps memory of its own, of which a hundred of them come to as much as all the rest. They
/// stay when they have nothing to do, since what one leaves behind goes to whatever thread is begun next, which has no use for it.
const DISK_THREADS: usize = 8;

/// Takes the secrets out of the environment and starts the threads: as many as the machine has cores, or as many as are
/// asked for.
fn start() -> Result<(Environment, Runtime), Error> {
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < OPEN_FILES_MIN) {
        let why = format!("only {limit} files may be open at once (ulimit -n), at least {OPEN_FILES_MIN} are needed");
        return Err(Error::Start(io::Error::other(why)));
    }
    let environment = Environment::take().map_err(Error::Start)?;
    let mut builder = Builder::new_multi_thread();
    builder.max_blocking_threads(DISK_THREADS).thread_keep_alive(Duration::MAX);
    if let Some(count) = environment.threads()? {
        builder.worker_threads(count).max_blocking_threads(count);
    }
    Ok((environment, builder.enable_all().build().map_err(Error::Start)?))
}

async fn run(cli: Cli, environment: Environment, requests: Requests) -> Result<u8, Error> {
    let ambient = Ambient::of_this_machine();
    let profiles = |flags| Config::load_all(flags, &environment);
    match cli.command {
        Command::Demo(args) => {
            let demo = demo::run(args.lake, &environment, &ambient).await?;
            print(&demo.tell().map_err(|error| Error::Bug(error.to_string()))?)?;
            tell_failures(None, demo.first.failures());
            tell_failures(None, demo.second.failures());
            Ok(demo.exit_code())
        }
        Command::Sync(args) => match args.every {
            Some(period) => sync_every(period, &args, &environment, &ambient, &requests).await,
            None => of_each(&profiles(args.flags())?, |config| sync(&args, config, &ambient)).await,
        },
        Command::Backfill(args) => backfill(&args, &environment, &ambient).await,
        Command::Check(args) => of_each(&profiles(args.flags())?, |config| check(&args, config, &ambient)).await,
        Command::Status(args) => of_each(&profiles(args.flags())?, |config| status(&args, config)).await,
        Command::Verify(args) => of_each(&profiles(args.flags())?, |config| verify(&args, config, &ambient)).await,
        Command::Reconcile(args) => of_each(&profiles(args.flags())?, |config| reconcile(&args, config)).await,
        Command::Compact(args) => of_each(&profiles(args.flags())?, |config| compact(&args, config)).await,
        Command::Replay(args) => replay(&args, &environment, &ambient).await,
        Command::Report(args) => report(&args, &environment, &ambient).await,
        Command::Ddl(args) => ddl(&args, &environment, &ambient).await,
        Command::Sandbox(args) => sandbox(&args).await,
        Command::Completions(args) => print(&args.script()).map(|()| 0),
        Command::Man => print(&Cli::manual().map_err(|error| Error::Bug(error.to_string()))?).map(|()| 0),
    }
}

/// Runs a command with the settings of each profile, one after the other, whatever becomes of those before. The exit code is the
/// gravest.
async fn of_each<'c, R>(configs: &'c [Config], run: impl Fn(&'c Config) -> R) -> Result<u8, Error>
where
    R: Future<Output = Result<u8, Error>>,
{
    let mut codes = Vec::new();
    for config in configs {
        codes.push(match (telemetry::within_profile(config, run(config)).await, &config.profile) {
            (Err(error), Some(name)) => {
                telemetry::tell_failure(Some(name), &error.to_string(), None, error.hint());
                error.kind().exit_code()
            }
            (ended, _) => ended?,
        });
    }
    Ok(Kind::gravest_code(codes.into_iter()))
}

async fn sync(args: &SyncArgs, config: &Config, ambient: &Ambient) -> Result<u8, Error> {
    let mut witness = Witness::new(slice::from_ref(config)).await;
    let (started_at, began) = (ambient.now(), Stopwatch::start());
    let ended = operate::sync_shown(config, ambient, &Brake::default()).await;
    // A webhook that is slow keeps nobody from the report.
    let told = ended.as_ref().map_or(Ok(()), |report| tell_report(config, report, args.json));
    witness.note(config, PastRun::of(started_at, began, &ended), &ended).await;
    told?;
    Ok(ended?.exit_code())
}

async fn sync_every(
    period: Duration,
    args: &SyncArgs,
    environment: &Environment,
    ambient: &Ambient,
    requests: &Requests,
) -> Result<u8, Error> {
    let load = || Config::load_all(args.flags(), environment);
    let tell = |config: &Config, ended: &Result<Report, Error>| {
        let told = match ended {
            Ok(report) => tell_report(config, report, args.json),
            Err(error) => {
                telemetry::tell_failure(config.profile.as_deref(), &error.to_string(), None, error.hint());
                Ok(())
            }
        };
        // What cannot be printed is no reason not to sync.
        if let Err(error) = told {
            tell_error(&error);
        }
    };
    operate::run(period, load, ambient, requests, tell).await
}

fn tell_report(config: &Config, report: &Report, json: bool) -> Result<(), Error> {
    let text =
        if json { report.to_json_lines().map_err(|error| Error::Bug(error.to_string()))? } else { report.to_string() };
    tell_failures(config.profile.as_deref(), report.failures());
    print_of(config, &text, json)
}

async fn backfill(args: &BackfillArgs, environment: &Environment, ambient: &Ambient) -> Result<u8, Error> {
    let config = Config::load(args.flags(), environment)?;
    let plan = sync::backfill(&config, &args.wanted(), ambient).await?;
    print_of(&config, &if args.json { plan.to_json_lines()? } else { plan.to_string() }, args.json)?;
    Ok(0)
}

async fn check(args: &CheckArgs, config: &Config, ambient: &Ambient) -> Result<u8, Error> {
    let report = check::run(config, ambient, args.reserved).await;
    print_of(config, &if args.json { report.to_json_lines()? } else { report.to_string() }, args.json)?;
    report.hints().for_each(|hint| telemetry::tell_hint(Some(hint)));
    Ok(report.exit_code())
}

async fn status(args: &StatusArgs, config: &Config) -> Result<u8, Error> {
    if args.runs {
        let runs = operate::past_runs(config).await?;
        print_of(config, &if args.json { status::run_lines(&runs)? } else { status::runs(&runs) }, args.json)?;
        return Ok(0);
    }
    let statuses = status::read(config).await?;
    print_of(config, &if args.json { status::json_lines(&statuses)? } else { status::table(&statuses) }, args.json)?;
    Ok(0)
}

async fn verify(args: &VerifyArgs, config: &Config, ambient: &Ambient) -> Result<u8, Error> {
    let depth = if args.quick { Depth::Quick } else { Depth::Full };
    let report = verify::run(config, depth, args.against_api.then_some(ambient)).await?;
    print_of(config, &if args.json { report.to_json_lines()? } else { report.to_string() }, args.json)?;
    tell_failures(config.profile.as_deref(), report.failures());
    Ok(report.exit_code())
}

async fn reconcile(args: &ReconcileArgs, config: &Config) -> Result<u8, Error> {
    let report = reconcile::run(config).await?;
    print_of(config, &if args.json { report.to_json_lines()? } else { report.to_string() }, args.json)?;
    Ok(report.exit_code())
}

async fn compact(args: &CompactArgs, config: &Config) -> Result<u8, Error> {
    let report = compact::run(config, args.min_commits).await?;
    print_of(config, &if args.json { report.to_json_lines()? } else { report.to_string() }, args.json)?;
    tell_failures(config.profile.as_deref(), report.failures());
    Ok(report.exit_code())
}

async fn replay(args: &ReplayArgs, environment: &Environment, ambient: &Ambient) -> Result<u8, Error> {
    let config = Config::load(args.flags(), environment)?;
    let report = replay::run(&config, &args.from, ambient).await?;
    print_of(&config, &if args.json { report.to_json_lines()? } else { report.to_string() }, args.json)?;
    tell_failures(config.profile.as_deref(), report.failures());
    Ok(report.exit_code())
}

async fn report(args: &ReportArgs, environment: &Environment, ambient: &Ambient) -> Result<u8, Error> {
    let config = Config::load(args.flags(), environment)?;
    let page = report::run(&config, ambient.now().timestamp_micros()).await?;
    match &args.output {
        Some(file) => report::write(&page, file)?,
        None => print(&page)?,
    }
    Ok(0)
}

async fn ddl(args: &DdlArgs, environment: &Environment, ambient: &Ambient) -> Result<u8, Error> {
    let dialect = match (args.database, args.glue) {
        (Database::Duckdb, _) => ddl::Dialect::DuckDb,
        (Database::Athena, false) => ddl::Dialect::Athena,
        (Database::Athena, true) => ddl::Dialect::Glue,
        (Database::Dbt, _) => ddl::Dialect::Dbt,
    };
    let configs = Config::load_all(args.flags(), environment)?;
    let files = ddl::make(&configs, dialect, ambient).await?;
    match &args.into {
        Some(folder) if dialect == ddl::Dialect::Dbt => print(&ddl::write(&files, folder)?)?,
        _ => print(&ddl::show(&files))?,
    }
    Ok(0)
}

async fn sandbox(args: &SandboxArgs) -> Result<u8, Error> {
    let options = sandbox::Options { seed: args.seed, records: args.records, ..sandbox::Options::default() };
    let (key, secret) = (options.key.clone(), options.secret.clone());
    let running = sandbox::start(options, args.port).await?;
    print(&format!(
        "listening on {url}, with {records} transactions from seed {seed}\n\n\
         export LUMETRADE_BASE_URL={url} LUMETRADE_API_KEY={key} LUMETRADE_API_SECRET={secret}\n\
         curl -X POST '{url}/control/advance?days=7'    # lets a week pass\n\
         curl '{url}/control'    # shows the switches for what may go wrong\n",
        url = running.base_url(),
        records = args.records,
        seed = args.seed,
    ))?;
    std::future::pending().await
}

/// How long a process that goes on may take to end where it leaves least to be done.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Ends at a signal, with its exit code. A process that goes on is asked to end by itself at the first, and reads its settings
/// again at a hangup.
async fn interrupted(goes_on: Option<&Requests>) -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let mut ending = async || tokio::select! { _ = interrupt.recv() => 130, _ = terminate.recv() => 143 };
    let mut code = tokio::select! { code = ending() => code, () = hung_up(goes_on) => 0 };
    telemetry::tell("interrupted: what was committed is in the lake, and the next run goes on from there");
    if let Some(requests) = goes_on {
        requests.stop(code);
        code = tokio::select! { code = ending() => code, () = sleep(STOP_WITHIN) => code };
    }
    ExitCode::from(code)
}

/// Passes on each hangup, for ever. Without anybody to pass them on to, they do what they do by themselves.
async fn hung_up(goes_on: Option<&Requests>) {
    let (Some(requests), Ok(mut hangup)) = (goes_on, signal(SignalKind::hangup())) else {
        return std::future::pending().await;
    };
    while hangup.recv().await.is_some() {
        requests.reload();
    }
    std::future::pending().await
}

/// A reader that has gone, as of a pipe, is no failure: what was done is done.
fn print(text: &str) -> Result<(), Error> {
    match io::stdout().write_all(redact(text).as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// What is said of a profile, so that it can be told from what is said of others: for people below a heading, in JSON with its
/// name in each line. Without profiles, as it is.
fn print_of(config: &Config, text: &str, json: bool) -> Result<(), Error> {
    match &config.profile {
        None => print(text),
        Some(name) if json => {
            let line = |line: &str| line.replacen('{', &format!("{{\"profile\":\"{name}\","), 1) + "\n";
            print(&text.lines().map(line).collect::<String>())
        }
        Some(name) => print(&format!("# {name}\n\n{text}\n")),
    }
}

fn tell_failures<'f>(profile: Option<&str>, failures: impl Iterator<Item = (&'f str, &'f Failure)>) {
    for (what, Failure { message, state, hint, .. }) in failures {
        let what = profile.map_or_else(|| what.to_owned(), |profile| format!("{profile}/{what}"));
        telemetry::tell_failure(Some(&what), message, Some(state), *hint);
    }
}

fn fail(error: &Error) -> ExitCode {
    tell_error(error);
    let kind: Kind = error.kind();
    ExitCode::from(kind.exit_code())
}

fn tell_error(error: &Error) {
    telemetry::tell_failure(None, &error.to_string(), None, error.hint());
}
