//! Secrets leave the environment before anything is done with them.
//!
//! What is in a process's environment goes to every program that it starts, and the system shows it for as long as the
//! process lives, as it was when it began. So the program begins once more, in the same process: without its secrets in
//! the environment, and with a pipe as its standard input that holds them until they are read.
//!
//! ```text
//! environment ──▶ pipe ──▶ exec ──▶ Environment
//! ```

use std::{
    env,
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::CommandExt,
    },
    process::{self, Command},
};

/// Says which process has secrets waiting on its standard input. To any other it means nothing.
pub(super) const MARK: &str = "LUMETRADE_SECRETS_OF";

/// The variables that are secrets, which are not in the environment any more. Begins the program again if they are, and
/// returns in that case only if it cannot.
pub(super) fn take(is_secret: impl Fn(&str) -> bool) -> io::Result<Vec<(String, OsString)>> {
    let own_mark = process::id().to_string();
    if env::var_os(MARK).is_some_and(|mark| mark == *own_mark) {
        return read(is_secret, io::stdin().lock());
    }
    let variables = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let found: Vec<_> = variables.filter(|(name, _)| is_secret(name)).collect();
    if found.is_empty() { Ok(found) } else { Err(begin_again(&found, &own_mark)) }
}

fn begin_again(secrets: &[(String, OsString)], mark: &str) -> io::Error {
    let command = || {
        let (reader, mut writer) = io::pipe()?;
        // Nobody reads until all is written, so more than a pipe holds must fail and not wait.
        rustix::io::ioctl_fionbio(&writer, true)?;
        write(secrets, &mut writer)?;
        let mut arguments = env::args_os();
        let mut command = Command::new(env::current_exe()?);
        command.arg0(arguments.next().unwrap_or_default()).args(arguments).env(MARK, mark).stdin(reader);
        for (name, _) in secrets {
            command.env_remove(name);
        }
        Ok(command)
    };
    let why = command().map_or_else(|error| error, |mut command| command.exec());
    let problem = format!("the program cannot begin again without its secrets in the environment ({why})");
    io::Error::other(format!("{problem}; give them by file or by command"))
}

/// No name and no value of an environment has a NUL.
fn write(secrets: &[(String, OsString)], to: &mut impl Write) -> io::Result<()> {
    let each = secrets.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    to.write_all(&each.collect::<Vec<_>>().concat())
}

fn read(is_secret: impl Fn(&str) -> bool, mut from: impl Read) -> io::Result<Vec<(String, OsString)>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let secret = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let name = std::str::from_utf8(&entry[..at]).ok().filter(|name| is_secret(name))?;
        Some((name.to_owned(), OsString::from_vec(entry[at + 1..].to_vec())))
    };
    Ok(bytes.split(|byte| *byte == 0).filter_map(secret).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let secrets = vec![
            ("A".to_owned(), OsString::from("plain")),
            ("B".to_owned(), OsString::from("a=b=\nc")),
            ("C".to_owned(), OsString::from_vec(vec![0xff, b'='])),
            ("D".to_owned(), OsString::new()),
        ];
        let mut pipe = Vec::new();
        write(&secrets, &mut pipe).unwrap();
        assert_eq!(read(|name| "ABCD".contains(name), pipe.as_slice()).unwrap(), secrets);
        assert!(read(|name| name == "E", pipe.as_slice()).unwrap().is_empty());
    }

    #[test]
    fn where_there_are_none_nothing_happens() {
        assert!(take(|name| name == "LUMETRADE_NOT_SET").unwrap().is_empty());
    }
}
