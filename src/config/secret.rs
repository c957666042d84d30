//! Where a secret comes from: the environment, a file that is its owner's alone, or what a command prints.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, environment::OURS, handover::MARK};
use crate::redact;

/// A secret is a line, and no file.
const SECRET_BYTES_MAX: u64 = 8 << 10;
/// Time for a command to print a secret: a person may have to unlock a vault.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a secret comes from: the first of these that is set.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The environment variable, and what it says.
    pub variable: String,
    pub value: Option<SecretString>,
    /// The setting that names a file, and what it says.
    pub setting: &'static str,
    pub file: Option<PathBuf>,
    /// A program with its arguments.
    pub command: Vec<String>,
    /// What was taken from the environment that the program may need to reach a vault.
    pub command_secrets: Vec<(&'static str, SecretString)>,
}

impl Source {
    /// Whether anything is said of where it comes from.
    pub(super) fn is_set(&self) -> bool {
        self.value.is_some() || self.file.is_some() || !self.command.is_empty()
    }

    /// The secret, which is masked from here on.
    pub(super) fn read(&self) -> Result<SecretString, ConfigError> {
        let none = || ConfigError::NoCredential { variable: self.variable.clone(), setting: self.setting };
        let secret = match (&self.value, &self.file, self.command.split_first()) {
            (Some(value), ..) => value.clone(),
            (None, Some(file), _) => read_file(file)?,
            (None, None, Some((program, arguments))) => {
                run(program, arguments, &self.command_secrets, COMMAND_TIMEOUT)?
            }
            (None, None, None) => return Err(none()),
        };
        redact::register(&secret);
        if secret.expose_secret().is_empty() { Err(none()) } else { Ok(secret) }
    }
}

fn read_file(path: &Path) -> Result<SecretString, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(ConfigError::Exposed { path: path.to_owned(), mode });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(ConfigError::Foreign { path: path.to_owned(), owner });
    }
    let text = read_line(file).map_err(unreadable)?;
    text.ok_or_else(|| ConfigError::NoSecret { from: path.display().to_string(), problem: TOO_LONG.to_owned() })
}

const TOO_LONG: &str = "it gives more than 8 KiB, or what is no text";

/// Runs a program without a shell and without our own secrets. What it prints is never shown.
fn run(
    program: &str,
    arguments: &[String],
    secrets: &[(&'static str, SecretString)],
    timeout: Duration,
) -> Result<SecretString, ConfigError> {
    let failed = |problem: String| ConfigError::NoSecret { from: format!("`{program}`"), problem };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    for variable in OURS.into_iter().chain([MARK]) {
        command.env_remove(variable);
    }
    command.envs(secrets.iter().map(|(name, secret)| (name, secret.expose_secret())));
    let mut child = command.spawn().map_err(|error| failed(format!("it cannot be run: {error}")))?;
    let Some(output) = child.stdout.take() else { return Err(failed("it has no output".to_owned())) };
    let (sender, printed) = mpsc::channel();
    std::thread::spawn(move || drop(sender.send(read_line(output))));
    let text = printed.recv_timeout(timeout);
    if !matches!(text, Ok(Ok(Some(_)))) {
        // It may wait for us to read on, or for ever.
        drop(child.kill());
    }
    let ended = child.wait().map_err(|error| failed(format!("it cannot be waited for: {error}")))?;
    match text {
        Err(_) => Err(failed(format!("it takes longer than {}", humantime::format_duration(timeout)))),
        Ok(Err(error)) => Err(failed(format!("its output cannot be read: {error}"))),
        Ok(Ok(None)) => Err(failed(TOO_LONG.to_owned())),
        Ok(Ok(Some(_))) if !ended.success() => Err(failed(format!("it ends with {ended}"))),
        Ok(Ok(Some(secret))) => Ok(secret),
    }
}

/// All of a short text, without its line's end; `None` if it is too long or no text.
fn read_line(input: impl Read) -> std::io::Result<Option<SecretString>> {
    let mut bytes = Vec::new();
    input.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Ok(None);
    }
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(line.strip_suffix('\r').unwrap_or(line).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<SecretString, ConfigError> {
        run("sh", &["-c".to_owned(), script.to_owned()], &[], Duration::from_millis(500))
    }

    #[test]
    fn a_command_prints_a_secret_on_one_line() {
        for script in ["printf canary", "echo canary", "printf 'canary\\r\\n'"] {
            assert_eq!(shell(script).unwrap().expose_secret(), "canary", "{script}");
        }
        assert_eq!(
            shell("printf 'a\\n\\n'").unwrap().expose_secret(),
            "a\n",
            "more than one line's end is no line's end"
        );
    }

    #[test]
    fn a_command_that_does_not_is_refused_and_never_quoted() {
        let rows = [
            ("echo canary; exit 3", "exit status: 3"),
            ("sleep 20", "longer than 500ms"),
            ("yes canary", "more than 8 KiB"),
            ("printf 'canary\\377'", "no text"),
        ];
        for (script, problem) in rows {
            let message = shell(script).unwrap_err().to_string();
            assert!(message.contains(problem) && !message.contains("canary"), "{script}: {message}");
        }
        let missing = run("/nonexistent/vault", &[], &[], COMMAND_TIMEOUT).unwrap_err().to_string();
        assert!(missing.contains("`/nonexistent/vault`"), "{missing}");
    }

    #[test]
    fn a_command_is_not_told_our_secrets() {
        let names = OURS.map(|name| format!("${{{name}-}}")).concat();
        assert_eq!(shell(&format!("printf \"x{names}\"")).unwrap().expose_secret(), "x");
    }
}
