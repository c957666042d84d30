//! Prometheus's own checker, from Debian's packages, which are installed where it is missing.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::debian;

/// Runs it on what it reads, and gives what it says if it finds anything wrong.
pub fn promtool(args: &[&str], input: &str) -> Result<(), String> {
    debian::need("promtool", "prometheus");
    let mut command = Command::new("promtool");
    let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&told).into_owned()) }
}
