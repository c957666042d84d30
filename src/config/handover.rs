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

/// The secrets of these names, which are not in the environment any more. Begins the program again if they are, and
/// returns in that case only if it cannot.
pub(super) fn take(names: &[&'static str]) -> io::Result<Vec<(&'static str, OsString)>> {
    let own_mark = process::id().to_string();
    if env::var_os(MARK).is_some_and(|mark| mark == *own_mark) {
        return read(names, io::stdin().lock());
    }
    let found: Vec<_> = names.iter().filter_map(|name| Some((*name, env::var_os(name)?))).collect();
    if found.is_empty() { Ok(found) } else { Err(begin_again(&found, &own_mark)) }
}

fn begin_again(secrets: &[(&'static str, OsString)], mark: &str) -> io::Error {
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
fn write(secrets: &[(&'static str, OsString)], to: &mut impl Write) -> io::Result<()> {
    let each = secrets.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    to.write_all(&each.collect::<Vec<_>>().concat())
}

fn read(names: &[&'static str], mut from: impl Read) -> io::Result<Vec<(&'static str, OsString)>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let secret = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let name = names.iter().find(|name| name.as_bytes() == &entry[..at])?;
        Some((*name, OsString::from_vec(entry[at + 1..].to_vec())))
    };
    Ok(bytes.split(|byte| *byte == 0).filter_map(secret).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let secrets = vec![
            ("A", OsString::from("plain")),
            ("B", OsString::from("a=b=\nc")),
            ("C", OsString::from_vec(vec![0xff, b'='])),
            ("D", OsString::new()),
        ];
        let mut pipe = Vec::new();
        write(&secrets, &mut pipe).unwrap();
        assert_eq!(read(&["D", "C", "B", "A"], pipe.as_slice()).unwrap(), secrets);
        assert!(read(&["E"], pipe.as_slice()).unwrap().is_empty());
    }

    #[test]
    fn where_there_are_none_nothing_happens() {
        assert!(take(&["LUMETRADE_NOT_SET"]).unwrap().is_empty());
    }
}
