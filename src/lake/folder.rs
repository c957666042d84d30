//! A lake's folder on this machine: what object storage has no words for.
//!
//! Files are made under a staged name (`…parquet#1`), synced, and hard-linked to their own; a crash leaves the staged one. It
//! matches no glob and no listing, and is removed once it is old.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};

use super::LakeError;

/// Makes the folder where `create` says so, and refuses one that is none.
pub(super) fn open(location: &str, create: bool) -> Result<PathBuf, LakeError> {
    let folder = Path::new(location);
    if create {
        fs::create_dir_all(folder).map_err(|source| LakeError::file("make the folder", location, source))?;
    } else if !folder.is_dir() {
        return Err(LakeError::Missing { location: location.to_owned() });
    }
    folder.canonicalize().map_err(|source| LakeError::file("open the folder", location, source))
}

/// Fails unless files can have a second name here, which is what makes a commit atomic. Both names are staged ones, so that
/// what a crash leaves of the trial is removed like any other.
pub(super) fn require_hard_links(root: &Path) -> Result<(), LakeError> {
    let location = root.display().to_string();
    let first = create_trial(root).map_err(|source| LakeError::file("write to", &location, source))?;
    let second = first.with_extension("second#1");
    let linked = fs::hard_link(&first, &second);
    // The first name goes last: who has it owns both.
    for name in [&second, &first] {
        let removed = fs::remove_file(name).or_else(unless_gone);
        removed.map_err(|source| LakeError::file("remove", &name.display().to_string(), source))?;
    }
    linked.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported => LakeError::Contract {
            location,
            law: format!("its file system makes no hard links ({source}), so no commit can be atomic"),
        },
        _ => LakeError::file("make a hard link in", &location, source),
    })
}

/// How the names of files begin that are made to see whether links can be.
const TRIAL: &str = "trial-";

/// A new file of a name that no other run has.
fn create_trial(root: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let path = root.join(format!("{TRIAL}{number}.first#1"));
        match fs::File::create_new(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What a lake's folder holds. It may be the root of a disk, or have other things beside the lake, which are not ours to look
/// into.
const TREES: [&str; 6] = ["changes", "current", "meta", "quarantine", "raw", "snapshots"];

/// Removes what a crash left before `abandoned`, and refuses links as [`look_through`] does.
pub(super) fn tidy(root: &Path, abandoned: DateTime<Utc>) -> Result<(), LakeError> {
    warn_if_open_to_others(root);
    look_through(root, |entry| {
        if !is_staged(&entry.path()) || !was_modified_before(entry, abandoned) {
            return Ok(());
        }
        tracing::info!(file = %entry.path().display(), "removing what a crash left");
        fs::remove_file(entry.path()).or_else(unless_gone)
    })
}

/// Calls `each` with every file of the lake. A symbolic link would take reads and writes elsewhere, and is refused.
pub(super) fn look_through(root: &Path, each: impl Fn(&fs::DirEntry) -> io::Result<()>) -> Result<(), LakeError> {
    let is_ours = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.to_str().is_some_and(|name| TREES.contains(&name) || name.starts_with(TRIAL))
    };
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |source| LakeError::file("list", &folder.display().to_string(), source);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if folder == root && !is_ours(&entry) {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                let key = entry.path().strip_prefix(root).unwrap_or(&entry.path()).display().to_string();
                return Err(LakeError::damaged(&key, "is a symbolic link, and nothing in a lake may lead out of it"));
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                each(&entry).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Makes the names of files last, and those of the folders around them: until its folder is synced, a loss of power may
/// take a file away that everybody has already seen.
pub(super) fn persist(root: &Path, keys: &[String]) -> Result<(), LakeError> {
    let mut synced = HashSet::new();
    for key in keys {
        let path = root.join(key);
        for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
            if synced.insert(folder.to_owned()) {
                let sync = fs::File::open(folder).and_then(|folder| folder.sync_all());
                sync.map_err(|source| LakeError::file("sync the folder of", key, source))?;
            }
        }
    }
    Ok(())
}

/// Whether this is the staged name of an object: its own, `#` and a number.
fn is_staged(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn unless_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn was_modified_before(entry: &fs::DirEntry, time: DateTime<Utc>) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| DateTime::<Utc>::from(modified) < time)
}

fn warn_if_open_to_others(root: &Path) {
    let mode = fs::metadata(root).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & 0o077 != 0 {
        let mode = format!("{mode:04o}");
        tracing::warn!(folder = %root.display(), mode, "others may enter the lake's folder; its files are for their owner");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_leftovers_are_removed_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("changes/deposits");
        fs::create_dir_all(&folder).unwrap();
        for name in ["foreign.txt#1", "trial-1.first#1"] {
            fs::write(root.path().join(name), "").unwrap();
        }
        fs::create_dir(root.path().join("lost+found")).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("lost+found/elsewhere")).unwrap();
        let old = ["1.parquet#1", "1.parquet#12"];
        let kept = ["1.parquet", "2.parquet#1", "x#", "x#y", "#"];
        for name in old.iter().chain(&kept) {
            fs::write(folder.join(name), name).unwrap();
        }
        let (an_hour, a_day) = (chrono::TimeDelta::hours(1), chrono::TimeDelta::days(1));
        let now = DateTime::<Utc>::from(fs::metadata(folder.join("1.parquet")).unwrap().modified().unwrap());
        for name in old.iter().chain(&["1.parquet", "x#y"]) {
            let file = fs::File::options().write(true).open(folder.join(name)).unwrap();
            file.set_modified((now - a_day - an_hour).into()).unwrap();
        }
        tidy(root.path(), now - a_day).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["#", "1.parquet", "2.parquet#1", "x#", "x#y"]);
        tidy(root.path(), DateTime::<Utc>::MAX_UTC).unwrap();
        assert!(root.path().join("foreign.txt#1").exists() && !root.path().join("trial-1.first#1").exists());
    }

    #[test]
    fn nothing_in_a_lake_may_lead_out_of_it() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(root.path().join("changes/deposits")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.path().join("changes/deposits/event_month=2026-05")).unwrap();
        let error = tidy(root.path(), DateTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("changes/deposits/event_month=2026-05: is a symbolic link"), "{error}");
    }

    #[test]
    fn this_file_system_makes_hard_links_and_keeps_nothing_of_the_trial() {
        let root = tempfile::tempdir().unwrap();
        require_hard_links(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }
}
