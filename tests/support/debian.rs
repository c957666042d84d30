//! Programs of Debian's that a test needs, installed where they are missing.

use std::{fs::File, path::Path, process::Command};

/// Installs the package unless the program, which it has, is there. A machine that cannot have it fails the test.
pub fn need(program: &str, package: &str) {
    let is_there = || Command::new(program).arg("--version").output().is_ok();
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("apt-get.lock")).unwrap();
    lock.lock().unwrap();
    if !is_there() {
        // Without a list of packages, or with an old one, the first attempt fails.
        if !install(package) {
            apt_get(&["update"]);
            install(package);
        }
        assert!(is_there(), "{package} could not be installed (apt install {package})");
    }
}

fn install(package: &str) -> bool {
    apt_get(&["install", "--yes", "--no-install-recommends", package])
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    // Tests of other processes may install something at the same time.
    command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).status.success()
}
