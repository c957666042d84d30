//! A `sync --every` that runs, run by run.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    process::Child,
    sync::mpsc::{Receiver, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::program::{Ended, Sync, assert_without_secrets, await_end, read_to_end, spawn};

/// No run of the tests takes a tenth of this.
const RUN_MAX: Duration = Duration::from_secs(60);

/// A process that goes on.
pub struct Service {
    child: Running,
    lines: Receiver<String>,
    told: String,
    /// What it tells people, which is read all the while: it would wait for that.
    stderr: JoinHandle<String>,
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
    }
}

/// One of its runs.
#[derive(Debug)]
pub struct Run {
    pub exit_code: u64,
    /// Each resource's line of the report.
    pub resources: BTreeMap<String, Value>,
}

impl Service {
    pub fn start(sync: Sync, period: &str) -> Self {
        let mut child = spawn(&mut sync.arg("--every").arg(period).command());
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let stderr = read_to_end(child.stderr.take().unwrap());
        Self { child: Running(child), lines, told: String::new(), stderr }
    }

    /// The next run, once it has ended.
    #[track_caller]
    pub fn next_run(&mut self) -> Run {
        let mut resources = BTreeMap::new();
        loop {
            let line = self.lines.recv_timeout(RUN_MAX).expect("a run ends, and tells of itself");
            self.told.push_str(&line);
            let line: Value = serde_json::from_str(&line).expect("a line of JSON");
            match line["resource"].as_str() {
                Some(name) => drop(resources.insert(name.to_owned(), line.clone())),
                None => return Run { exit_code: line["run"]["exit_code"].as_u64().unwrap(), resources },
            }
        }
    }

    /// The first run, of so many, that ends with this code.
    #[track_caller]
    pub fn run_with(&mut self, exit_code: u64, runs_max: usize) -> Run {
        let mut codes = Vec::new();
        for _ in 0..runs_max {
            let run = self.next_run();
            if run.exit_code == exit_code {
                return run;
            }
            codes.push(run.exit_code);
        }
        panic!("no run ends with {exit_code}: {codes:?}");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Resident memory in KiB, and open files.
    pub fn footprint(&self) -> (u64, usize) {
        let process = format!("/proc/{}", self.child.0.id());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let files = fs::read_dir(format!("{process}/fd")).expect("root may look at any process").count();
        (resident.trim().trim_end_matches(" kB").parse().unwrap(), files)
    }

    /// Asks it to stop, and waits until it has.
    #[track_caller]
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let code = await_end(&mut self.child.0).expect("it ends").code();
        let ended = Ended { code, stdout: self.told, stderr: self.stderr.join().unwrap() };
        assert_without_secrets(&ended);
        ended
    }
}
