//! The program under test, started as its users start it, with nothing in its environment but what it is given.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use serde_json::Value;

use super::lake::Lake;

/// The credentials that a sandbox takes.
pub const KEY: &str = "sandbox-key";
pub const SECRET: &str = "sandbox-secret";

/// No command of the tests takes a tenth of this; one that hangs is a failure and not the end of the suite.
const TIME_MAX: Duration = Duration::from_secs(120);

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The program: what was built with the tests, or whatever `LUMETRADE_TEST_PROGRAM` names, as the release.
pub fn executable() -> PathBuf {
    let named = std::env::var_os("LUMETRADE_TEST_PROGRAM").filter(|path| !path.is_empty());
    let path = named.map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_lumetrade-export")), PathBuf::from);
    assert!(path.is_file(), "LUMETRADE_TEST_PROGRAM: there is no {}", path.display());
    std::path::absolute(path).unwrap()
}

/// The command in a folder of its own, without credentials.
pub fn program_without_credentials(folder: &Path) -> Command {
    let mut command = Command::new(executable());
    command.env_clear().env("HOME", folder).env("TMPDIR", folder).current_dir(folder);
    // Everything that the API says is held to what the lake says; what is not stored has tests of its own.
    command.env("LUMETRADE_PERSONAL_DATA", "keep");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// The command in a folder of its own, with the sandbox's credentials.
pub fn program(folder: &Path) -> Command {
    let mut command = program_without_credentials(folder);
    command.env("LUMETRADE_API_KEY", KEY).env("LUMETRADE_API_SECRET", SECRET);
    command
}

/// The command as another program starts it: that program with its arguments, then the command with its own.
pub fn behind<S: AsRef<OsStr>>(starter: impl IntoIterator<Item = S>, command: &Command) -> Command {
    let mut starter = starter.into_iter();
    let mut started = Command::new(starter.next().expect("a program that starts it"));
    started.args(starter).arg(command.get_program()).args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        started.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        started.current_dir(folder);
    }
    started
}

/// A command on a lake in a bucket, to be run in `folder` without the API's credentials.
pub fn program_on(lake: &S3Location, folder: &Path, name: &str) -> Command {
    let mut command = program_without_credentials(folder);
    command.args([name, "--lake", &lake.location]).envs(&lake.environment);
    command
}

/// Starts a command whose end is waited for with [`end`].
pub fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a command.
pub fn end(mut child: Child) -> Ended {
    let stdout = read_to_end(child.stdout.take().unwrap());
    let stderr = read_to_end(child.stderr.take().unwrap());
    let Some(status) = await_end(&mut child) else {
        child.kill().unwrap();
        let stderr = stderr.join().unwrap();
        panic!("the command has not ended within {TIME_MAX:?}\n{stderr}");
    };
    Ended { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Waits for a process to end by itself, as long as there is hope.
pub fn await_end(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + TIME_MAX;
    loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            status => return status,
        }
    }
}

/// Runs a command to its end. What it tells is searched for the sandbox's credentials, which only a sandbox tells.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    let ended = end(spawn(command));
    if !command.get_args().any(|argument| argument == "sandbox") {
        assert_without_secrets(&ended);
    }
    ended
}

/// Reads a stream to its end, while others do other things.
pub fn read_to_end(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The credentials in every form in which they could leak.
pub fn secret_forms() -> Vec<String> {
    let forms = |secret: &str| [secret.to_owned(), hex::encode(secret), BASE64_STANDARD_NO_PAD.encode(secret)];
    [KEY, SECRET].into_iter().flat_map(forms).collect()
}

/// Fails if any form of a credential was told, however the command ended.
#[track_caller]
pub fn assert_without_secrets(ended: &Ended) {
    let told = format!("{}{}", ended.stdout, ended.stderr);
    for form in secret_forms() {
        assert!(!told.contains(&form), "{form} is told:\n{told}");
    }
}

/// A `sync --json`, to be started.
pub struct Sync {
    command: Command,
}

/// A lake in a bucket, and the environment in which a command finds it.
#[derive(Debug, Clone)]
pub struct S3Location {
    pub location: String,
    pub environment: BTreeMap<&'static str, String>,
}

/// A `sync --json` that has ended.
#[derive(Debug)]
pub struct Synced {
    pub ended: Ended,
    /// Each resource's line of the report.
    pub resources: BTreeMap<String, Value>,
}

impl Sync {
    /// Of all resources. It tells all that it can, which is searched for secrets.
    pub fn new(lake: &Lake, base_url: &str) -> Self {
        let mut command = program(lake.folder());
        command.args(["sync", "-vvv", "--json", "--base-url", base_url, "--lake"]).arg(lake.path());
        Self { command }
    }

    /// Of all resources. It tells no more than users are told.
    pub fn quietly(lake: &Lake, base_url: &str) -> Self {
        let mut command = program(lake.folder());
        command.args(["sync", "--json", "--base-url", base_url, "--lake"]).arg(lake.path());
        Self { command }
    }

    /// Of all resources, into a lake in a bucket, with what its environment says of it. It runs in `folder`.
    pub fn into_bucket(folder: &Path, s3: &S3Location, base_url: &str) -> Self {
        let mut command = program(folder);
        command.args(["sync", "-vvv", "--json", "--base-url", base_url, "--lake", &s3.location]).envs(&s3.environment);
        Self { command }
    }

    /// However it is started.
    pub fn of_command(command: Command) -> Self {
        Self { command }
    }

    /// Of one resource.
    pub fn of(lake: &Lake, base_url: &str, resource: &str) -> Self {
        Self::new(lake, base_url).arg("--resource").arg(resource)
    }

    pub fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    /// With a settings file of this content, in its folder.
    pub fn settings(self, text: &str) -> Self {
        let file = self.command.get_current_dir().unwrap().join("settings.toml");
        fs::write(&file, text).unwrap();
        self.arg("--config").arg(file.to_str().unwrap())
    }

    /// With another variable in its environment.
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Without a variable in its environment.
    pub fn without(mut self, variable: &str) -> Self {
        self.command.env_remove(variable);
        self
    }

    pub fn schemas(mut self, folder: PathBuf) -> Self {
        self.command.arg("--schemas").arg(folder);
        self
    }

    /// The command itself.
    pub fn command(self) -> Command {
        self.command
    }

    pub fn spawn(mut self) -> Child {
        spawn(&mut self.command)
    }

    pub fn run(self) -> Synced {
        Synced::of(run(&mut self.command()))
    }

    /// Runs it, and fails the test if it does.
    pub fn succeed(self) -> Synced {
        let synced = self.run();
        assert_eq!(synced.ended.code, Some(0), "{}\n{}", synced.ended.stdout, synced.ended.stderr);
        synced
    }
}

impl Synced {
    pub fn of(ended: Ended) -> Self {
        let lines = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        let resources = lines.filter_map(|line| Some((line["resource"].as_str()?.to_owned(), line)));
        Self { resources: resources.collect(), ended }
    }

    /// A figure of a resource's line.
    pub fn figure(&self, resource: &str, name: &str) -> u64 {
        self.resources[resource][name].as_u64().unwrap_or_else(|| panic!("{resource} has no {name}"))
    }

    /// `committed`, `unchanged`, `absent` or `failed`.
    pub fn outcome(&self, resource: &str) -> &str {
        self.resources[resource]["outcome"].as_str().unwrap()
    }

    /// Why a resource failed.
    pub fn failure(&self, resource: &str) -> &str {
        self.resources[resource]["failure"]["message"].as_str().unwrap_or_else(|| panic!("{resource} has not failed"))
    }
}
