//! The program under strace: which system calls it makes on the files of some folders, and what becomes of it if one of them
//! kills it or fails.
//!
//! strace counts calls for each thread by itself. With one thread for work and one for the disk, and counting only the calls on
//! one path, the same call comes at the same count in every run: a [`Point`]. Which is asserted: a fault tells if it was met.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fmt, fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::OnceLock,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    debian,
    program::{Ended, behind, end, spawn},
};

/// A system call that a run makes: the `nth` of this name on this path by one thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    pub call: String,
    /// All paths, if it is empty.
    pub path: PathBuf,
    pub nth: usize,
    /// Whether the call may make a new file.
    pub creates: bool,
}

/// A point that a run came to.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub point: Point,
    /// Its count among the calls of its name on any path, if no other thread had come to that count.
    pub anywhere: Option<usize>,
}

/// What happens at a point, instead of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// The call fails with this error.
    Once(&'static str),
}

/// A run that met a fault.
#[derive(Debug)]
pub struct Struck {
    pub ended: Ended,
    /// The call that was met, as strace writes it.
    pub met: Option<String>,
}

impl Point {
    /// The same point of a run on another folder.
    pub fn moved(&self, from: &Path, to: &Path) -> Self {
        let path = self.path.strip_prefix(from).map_or_else(|_| self.path.clone(), |path| to.join(path));
        Self { path, ..self.clone() }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} of {}", self.call, self.nth, self.path.display())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill => f.write_str("SIGKILL"),
            Fault::Once(error) => f.write_str(error),
        }
    }
}

/// Where a command is traced.
pub struct Tracer {
    /// The file for what strace writes.
    trace: PathBuf,
    /// A folder that is a file system of its own while the command runs, so that even nameless files in it are the same
    /// ones in each run.
    mounted: Option<PathBuf>,
}

impl Tracer {
    pub fn new(trace: PathBuf) -> Self {
        Self { trace, mounted: None }
    }

    /// With a folder that begins empty in each run, if this machine permits that.
    pub fn mounting(self, folder: PathBuf) -> Self {
        Self { mounted: can_mount().then_some(folder), ..self }
    }

    /// Runs a command to its end, and lists its calls on files below these folders, in their order.
    pub fn record(&self, command: &Command, folders: &[&Path]) -> (Ended, Vec<Recorded>) {
        let ended = end(self.spawn(command, ["-e", &trace("%file,%desc")]));
        let (mut on_path, mut by_thread, mut reached) = (HashMap::new(), HashMap::new(), HashSet::new());
        let mut recorded = Vec::new();
        for line in fs::read_to_string(&self.trace).unwrap().lines() {
            let Some((thread, call)) = line.split_once(' ') else { continue };
            let Some((name, arguments)) = split_call(call.trim_start()) else { continue };
            let any = count(&mut by_thread, (thread.to_owned(), name.to_owned()));
            let is_first = reached.insert((name.to_owned(), any));
            // The library asks whether a descriptor that it closes is open, and ends the program if not.
            if name == "fcntl" && !arguments.contains("F_DUPFD") {
                continue;
            }
            let Some(path) = first_path(arguments, folders) else { continue };
            let nth = count(&mut on_path, (thread.to_owned(), name.to_owned(), path.clone()));
            let point = Point { call: name.to_owned(), path, nth, creates: arguments.contains("O_CREAT|") };
            recorded.push(Recorded { point, anywhere: is_first.then_some(any) });
        }
        (ended, recorded)
    }

    /// Runs a command with a fault at a point.
    pub fn strike(&self, command: &Command, point: &Point, fault: Fault) -> Struck {
        let Point { call, path, nth, .. } = point;
        let inject = match fault {
            Fault::Kill => format!("inject={call}:delay_enter={HELD_S}s:when={nth}"),
            Fault::Once(error) => format!("inject={call}:error={error}:when={nth}"),
        };
        let calls = trace(call);
        let mut options: Vec<&OsStr> = vec!["-e".as_ref(), calls.as_ref(), "-e".as_ref(), inject.as_ref()];
        if !path.as_os_str().is_empty() {
            options.extend(["-P".as_ref(), path.as_os_str()]);
        }
        let mut child = self.spawn(command, options);
        if fault == Fault::Kill {
            let met = self.kill_when_held(&mut child, point);
            return Struck { ended: end(child), met };
        }
        let ended = end(child);
        let met = fs::read_to_string(&self.trace).unwrap();
        Struck { ended, met: met.lines().find(|line| line.ends_with("(INJECTED)")).map(str::to_owned) }
    }

    /// Kills the program as soon as a thread of it is held at the point, where strace has just written of the call.
    fn kill_when_held(&self, child: &mut Child, point: &Point) -> Option<String> {
        let begin = format!(" {}(", point.call);
        while child.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&self.trace).unwrap_or_default();
            let mut counts = HashMap::new();
            for line in text.lines().filter(|line| line.contains(&begin)) {
                let thread = line.split(' ').next().unwrap();
                if count(&mut counts, thread) == point.nth {
                    let thread = Pid::from_raw(thread.parse().unwrap()).unwrap();
                    kill_process(thread, Signal::KILL).unwrap();
                    // strace would wait for the thread that it holds.
                    child.kill().unwrap();
                    return Some(line.to_owned());
                }
            }
            thread::sleep(Duration::from_millis(1));
        }
        None
    }

    fn spawn<S: AsRef<OsStr>>(&self, command: &Command, options: impl IntoIterator<Item = S>) -> Child {
        debian::need("strace", "strace");
        let mut starter: Vec<OsString> = Vec::new();
        if let Some(folder) = &self.mounted {
            starter.extend(MOUNT.map(OsString::from));
            starter.push(folder.into());
        }
        starter.extend(["strace", "--seccomp-bpf", "-f", "-y", "-qq", "-o"].map(OsString::from));
        starter.push((&self.trace).into());
        starter.extend(options.into_iter().map(|option| option.as_ref().to_owned()));
        spawn(&mut behind(starter, command))
    }
}

/// How long a thread is held at most; it is killed at once.
const HELD_S: u32 = 100;

/// What strace is to look at. A thread runs freely between these calls only after it has made the first of them, so there
/// is one that every thread begins with.
fn trace(calls: &str) -> String {
    format!("trace={calls},prctl")
}

/// Runs what follows with a folder that is a file system in memory, for it alone.
const MOUNT: [&str; 5] = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs none \"$0\" && exec \"$@\""];

/// Whether this machine lets us mount, for processes of ours alone.
pub fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let tried = Command::new(MOUNT[0]).args(&MOUNT[1..]).arg(folder.path()).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    })
}

fn count<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: K) -> usize {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count
}

/// A call's name and its arguments.
fn split_call(line: &str) -> Option<(&str, &str)> {
    let (name, arguments) = line.split_once('(')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && name != "execve").then_some((name, arguments))
}

fn first_path(arguments: &str, folders: &[&Path]) -> Option<PathBuf> {
    folders.iter().filter_map(|folder| path_below(arguments, folder)).min().map(|(_, path)| path)
}

/// Where the first path that is the folder or below it begins: a whole string, or what a descriptor stands for.
fn path_below(arguments: &str, folder: &Path) -> Option<(usize, PathBuf)> {
    let folder = folder.to_str().unwrap();
    for (quote, end) in [("\"", '"'), ("<", '>')] {
        for (at, _) in arguments.match_indices(&format!("{quote}{folder}")) {
            let path = arguments[at + 1..].split(end).next()?;
            if matches!(path.as_bytes().get(folder.len()), None | Some(b'/')) {
                return Some((at, PathBuf::from(path)));
            }
        }
    }
    None
}
