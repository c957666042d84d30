//! The folder that a lake is in: full, not ours, without hard links, with links out of it, seen by others.
//!
//! Single failing calls are met in `sweep`; here the machine itself is as bad as machines are.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, behind, executable, program, program_without_credentials, run},
    strace::{Fault, Point, Tracer, can_mount},
    tiny::{self, RESOURCES, Time},
    verified::assert_verified,
};

/// The lake's own user may do what it likes; this one may not.
const NOBODY: &str = "65534";

fn api(time: Time) -> ScriptedApi {
    let api = ScriptedApi::start();
    tiny::serve(&api, time);
    api
}

fn sync(lake: &Lake, api: &ScriptedApi) -> Command {
    let sync = Sync::new(lake, &api.url());
    RESOURCES.iter().fold(sync, |sync, (resource, _)| sync.arg("--resource").arg(resource)).command()
}

/// Runs a command in a shell that does something first.
fn after(script: &str, command: &Command) -> Ended {
    run(&mut behind(["sh", "-c", &format!("{script} && exec \"$0\" \"$@\"")], command))
}

/// Checks that the lake is whole, and has all that there is at this time.
fn assert_holds(lake: &Lake, time: Time, what: &str) {
    assert_verified(lake);
    let held = tiny::held(&mut DuckDb::start(), lake.folder()).remove("lake").unwrap_or_default();
    for (resource, _) in RESOURCES {
        let expected: BTreeMap<String, u32> = tiny::rows(resource, time).into_values().map(|row| (row, 1)).collect();
        assert_eq!(held.current_of(resource), &expected, "{what}: {resource}");
        assert!(held.changes_of(resource).values().all(|count| *count == 1), "{what}: {resource}");
    }
}

/// A file's or folder's mode.
fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Everything below a folder, itself included.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    if folder.is_dir() {
        found.extend(fs::read_dir(folder).unwrap().flat_map(|entry| tree(&entry.unwrap().path())));
    }
    found
}

#[test]
fn a_disk_that_is_full_is_told_and_what_was_committed_stays() {
    if !can_mount() {
        println!("this machine lets us mount nothing; `sweep` meets ENOSPC at every call");
        return;
    }
    let (mut full, mut enough) = (0, 0);
    for kib in (16..320).step_by(16) {
        let (lake, api) = (Lake::new(), api(Time::Before));
        let (mounted, left) = (lake.path().to_owned(), lake.folder().join("left"));
        fs::create_dir_all(&mounted).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kib}k none {lake} && \"$0\" \"$@\"; code=$?; cp -a {lake} {left}; exit $code",
            lake = mounted.display(),
            left = left.display()
        );
        let ended = run(&mut behind(["unshare", "-rm", "sh", "-c", &script], &sync(&lake, &api)));
        match ended.code {
            Some(0) => enough += 1,
            Some(74) => {
                assert!(ended.stderr.contains("No space left on device"), "{kib} KiB: {}", ended.stderr);
                full += 1;
            }
            _ => panic!("{kib} KiB: {ended:?}"),
        }
        fs::remove_dir(&mounted).unwrap();
        fs::rename(&left, &mounted).unwrap();
        let mended = run(&mut sync(&lake, &api));
        assert_eq!(mended.code, Some(0), "{kib} KiB: {}", mended.stderr);
        assert_holds(&lake, Time::Before, &format!("{kib} KiB"));
    }
    assert!(full >= 5 && enough >= 2, "{full} disks were too small, {enough} large enough");
}

#[test]
fn few_descriptors_are_an_error_of_the_machine_and_never_of_the_program() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    tiny::serve(&api, Time::After);
    let mut codes = BTreeMap::new();
    for limit in 3..40 {
        let lake = Lake::copy_of(lake.path());
        let ended = after(&format!("ulimit -n {limit}"), &sync(&lake, &api));
        // Under a handful, it is the loader that cannot open the program's libraries.
        let is_told = matches!(ended.code, Some(0 | 69 | 74 | 79)) || (limit < 5 && ended.code == Some(127));
        assert!(is_told, "{limit} descriptors: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{limit} descriptors: {}", ended.stderr);
        *codes.entry(ended.code).or_insert(0) += 1;
        assert_eq!(run(&mut sync(&lake, &api)).code, Some(0), "{limit} descriptors");
        assert_holds(&lake, Time::After, &format!("{limit} descriptors"));
    }
    assert!(codes.contains_key(&Some(0)) && codes.contains_key(&Some(74)), "{codes:?}");
}

/// The command as somebody who may not write to the lake: as it is, or as nobody if it would be root's.
fn as_another(command: &Command) -> Command {
    if !rustix::process::getuid().is_root() {
        return behind(["env"], command);
    }
    let ids = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    behind(["setpriv"].into_iter().chain(ids), command)
}

/// A folder in which nobody may write, until this is dropped; everybody may enter and read everything.
struct ReadOnly {
    folder: PathBuf,
    /// The program, which may be where only its owner goes.
    ours: PathBuf,
    modes: Vec<(PathBuf, u32)>,
}

impl ReadOnly {
    fn of(lake: &Lake) -> Self {
        let (folder, ours) = (lake.folder().to_owned(), lake.folder().join("program"));
        fs::copy(executable(), &ours).unwrap();
        let all = tree(&folder);
        let modes = all.iter().map(|path| (path.clone(), mode(path))).collect();
        for path in all.iter().rev() {
            let mode = if path.is_dir() || *path == ours { 0o555 } else { 0o444 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        Self { folder, ours, modes }
    }

    /// Runs a command here as somebody who may only read.
    fn run(&self, usual: &Command) -> Ended {
        let mut command = Command::new(&self.ours);
        command.args(usual.get_args()).env_clear().current_dir(&self.folder).env("TMPDIR", std::env::temp_dir());
        usual.get_envs().filter(|(name, _)| *name != OsStr::new("TMPDIR")).for_each(|(name, value)| {
            command.env(name, value.unwrap_or_default());
        });
        run(&mut as_another(&command))
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        for (path, mode) in &self.modes {
            fs::set_permissions(path, Permissions::from_mode(*mode)).unwrap();
        }
    }
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named_with_what_to_do() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    tiny::serve(&api, Time::After);
    let read_only = ReadOnly::of(&lake);
    let contents = lake.contents();
    let refused = read_only.run(&sync(&lake, &api));
    assert_eq!(lake.contents(), contents);
    // Not to be read at all is told as well.
    fs::set_permissions(lake.path(), Permissions::from_mode(0o000)).unwrap();
    let hidden = read_only.run(&sync(&lake, &api));
    drop(read_only);
    for (what, ended) in [("not to be written to", refused), ("not to be entered", hidden)] {
        assert_eq!(ended.code, Some(77), "{what}: {ended:?}");
        assert!(ended.stderr.contains(lake.path().to_str().unwrap()), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains("check the folder's owner and mode"), "{what}: {}", ended.stderr);
    }
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    assert_holds(&lake, Time::After, "writable again");
}

#[test]
fn a_lake_that_may_only_be_read_is_compared_with_the_api() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    let mut verify = program(lake.folder());
    verify.args(["verify", "--against-api", "--base-url", &api.url(), "--lake"]).arg(lake.path());
    verify.args(RESOURCES.iter().flat_map(|(resource, _)| ["--resource", resource]));
    let (equal, differs, before) = {
        let read_only = ReadOnly::of(&lake);
        let (before, equal) = (lake.listing(), read_only.run(&verify));
        tiny::serve(&api, Time::After);
        let differs = read_only.run(&verify);
        assert_untouched(&before, &lake.listing(), "a comparison");
        (equal, differs, before)
    };
    assert!(!before.is_empty());
    assert_eq!(equal.code, Some(0), "{equal:?}");
    assert_eq!(differs.code, Some(65), "{differs:?}");
}

#[test]
fn a_file_system_without_hard_links_is_refused_before_anything_is_written() {
    for error in ["EPERM", "EOPNOTSUPP", "ENOSYS"] {
        let (lake, api) = (Lake::new(), api(Time::Before));
        let point = Point { call: "linkat".into(), path: PathBuf::new(), nth: 1, creates: false };
        let struck = Tracer::new(lake.folder().join("trace")).strike(&sync(&lake, &api), &point, Fault::Once(error));
        assert!(struck.met.is_some(), "{error}");
        assert_eq!(struck.ended.code, Some(76), "{error}: {:?}", struck.ended);
        assert!(struck.ended.stderr.contains("makes no hard links"), "{error}: {}", struck.ended.stderr);
        assert!(struck.ended.stderr.contains("keep the lake in another store"), "{error}: {}", struck.ended.stderr);
        assert_eq!(fs::read_dir(lake.path()).unwrap().count(), 0, "{error}");
    }
}

#[test]
fn a_lake_may_be_reached_by_a_link_and_none_may_lead_out_of_it() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    let elsewhere = lake.folder().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, lake.path()).unwrap();
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0), "the lake itself is behind a link");
    assert_holds(&lake, Time::Before, "behind a link");

    tiny::serve(&api, Time::After);
    let out = lake.folder().join("out");
    for inside in ["changes/trades/event_month=2026-03", "current/trades", "meta/trades/log", "quarantine"] {
        let lake = Lake::copy_of(&elsewhere);
        fs::create_dir_all(&out).unwrap();
        let place = lake.path().join(inside);
        if place.exists() {
            fs::remove_dir_all(&out).unwrap();
            fs::rename(&place, &out).unwrap();
        }
        symlink(&out, &place).unwrap();
        let before = tree(&out);
        let refused = run(&mut sync(&lake, &api));
        assert_eq!(refused.code, Some(76), "{inside}: {refused:?}");
        assert!(refused.stderr.contains(&format!("{inside}: is a symbolic link")), "{inside}: {}", refused.stderr);
        assert_eq!(tree(&out), before, "{inside}");
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn a_lake_that_was_made_in_a_bucket_goes_on_in_a_folder() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    // A folder cannot replace on condition, and its files have other ETags.
    let identity = lake.path().join("meta/lake.json");
    let text = fs::read_to_string(&identity).unwrap();
    let moved = text.replace("\"conditional_replace\": false", "\"conditional_replace\": true");
    assert_ne!(moved, text);
    fs::write(&identity, moved).unwrap();
    let copy = Lake::of(&lake.contents());
    tiny::serve(&api, Time::After);
    let ended = run(&mut sync(&copy, &api));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_holds(&copy, Time::After, "moved");
}

#[test]
fn what_lies_beside_a_lake_is_not_looked_into() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    for folder in ["lost+found", "photos"] {
        fs::create_dir_all(lake.path().join(folder)).unwrap();
    }
    let (note, link) = (lake.path().join("photos/note#1"), lake.path().join("latest"));
    fs::write(&note, "mine").unwrap();
    let old = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    fs::File::options().write(true).open(&note).unwrap().set_modified(old).unwrap();
    symlink("photos", &link).unwrap();
    fs::set_permissions(lake.path().join("lost+found"), Permissions::from_mode(0o000)).unwrap();
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    assert!(note.exists() && link.exists());
    assert_holds(&lake, Time::Before, "beside other things");
}

#[test]
fn nobody_else_may_read_a_lake_whatever_the_mask() {
    for mask in ["000", "022", "077"] {
        let (lake, api) = (Lake::new(), api(Time::Before));
        assert_eq!(after(&format!("umask {mask}"), &sync(&lake, &api)).code, Some(0));
        tiny::serve(&api, Time::After);
        assert_eq!(after(&format!("umask {mask}"), &sync(&lake, &api)).code, Some(0));
        let all = tree(lake.path());
        assert!(all.len() > 20 && all.iter().any(|path| path.starts_with(lake.path().join("quarantine"))));
        for path in all {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{:04o} under {mask}: {}", mode(&path), path.display());
        }
    }
}

#[test]
fn what_a_crash_left_is_seen_by_nobody_and_swept_when_it_is_old() {
    let (lake, api) = (Lake::new(), api(Time::Before));
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    let commit = lake.path().join("changes/trades/event_month=2026-01/00000000000000000001.parquet");
    assert!(commit.is_file());
    let leftovers: Vec<(PathBuf, bool)> = [
        ("changes/trades/event_month=2026-01/00000000000000000009.parquet#1", true),
        ("changes/trades/event_month=2026-01/00000000000000000009.parquet#2", false),
        ("current/accounts/data.parquet#1", true),
        ("meta/trades/log/00000000000000000009.json#7", true),
    ]
    .map(|(name, is_old)| (lake.path().join(name), is_old))
    .into();
    let two_days_ago = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    for (path, is_old) in &leftovers {
        fs::copy(&commit, path).unwrap();
        if *is_old {
            fs::File::options().write(true).open(path).unwrap().set_modified(two_days_ago).unwrap();
        }
    }
    assert_holds(&lake, Time::Before, "with leftovers");
    tiny::serve(&api, Time::After);
    assert_eq!(run(&mut sync(&lake, &api)).code, Some(0));
    for (path, is_old) in &leftovers {
        assert_eq!(path.exists(), !is_old, "{}", path.display());
    }
    assert_holds(&lake, Time::After, "swept");
}

#[test]
fn a_report_that_nobody_reads_changes_nothing_and_one_that_cannot_be_written_is_told() {
    for (streams, code) in [(">&-", 74), ("2>&-", 0), (">/dev/full", 74), ("2>/dev/full", 0), (">&- 2>&-", 74)] {
        let (lake, api) = (Lake::new(), api(Time::Before));
        let ended = run(&mut behind(["sh", "-c", &format!("exec \"$0\" \"$@\" {streams}")], &sync(&lake, &api)));
        // The library opens /dev/null in place of a stream that is closed.
        let expected = if streams.contains(">&-") { 0 } else { code };
        assert_eq!(ended.code, Some(expected), "{streams}: {ended:?}");
        assert_holds(&lake, Time::Before, streams);
    }
    let (lake, api) = (Lake::new(), api(Time::Before));
    let script = "{ \"$0\" \"$@\"; echo $? > code; } | true";
    run(&mut behind(["sh", "-c", script], &sync(&lake, &api)));
    assert_eq!(fs::read_to_string(lake.folder().join("code")).unwrap(), "0\n", "a reader that has gone");
    assert_holds(&lake, Time::Before, "a reader that has gone");
    let mut status = program_without_credentials(lake.folder());
    status.args(["status", "--lake"]).arg(lake.path());
    let told = run(&mut behind(["sh", "-c", "exec \"$0\" \"$@\" >/dev/full"], &status));
    assert_eq!(told.code, Some(74), "{told:?}");
    assert!(told.stderr.contains("cannot write to standard output"), "{}", told.stderr);
}
