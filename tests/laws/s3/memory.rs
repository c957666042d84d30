//! What is uploaded is not held in memory as a whole: a hundred and fifty megabytes that do not compress, and what the process
//! and the wire hold of them at most.

use std::{fs, thread, time::Duration};

use crate::support::{
    api::ScriptedApi,
    program::{Sync, Synced, end},
    random::Random,
    s3::{Options, S3, bucket::Verb},
};

const MIB: usize = 1 << 20;
/// Of the API's answer. A tenth of it is not random.
const BODY_BYTES: usize = 190 * MIB;
/// One object at a time, and its bytes once.
const PEAK_MIB_MAX: usize = 224;
/// The largest object that is written in one request, and the size of a part of a larger one.
const OBJECT_BYTES_MAX: usize = 72 * MIB;

/// Records of one month, with details that do not compress.
fn body(random: &mut Random) -> String {
    let alphabet: Vec<u8> = (b' '..=b'~').filter(|byte| !matches!(byte, b'"' | b'\\')).collect();
    let mut body = String::with_capacity(BODY_BYTES + 2048);
    let mut separator = '[';
    for number in 0.. {
        body.push(separator);
        separator = ',';
        body.push_str(&format!(
            r#"{{"transactionId":"W{number}","status":"PENDING","createdAt":"2026-03-03T00:00:00Z","withdrawDetails":{{"noise":""#
        ));
        for _ in 0..256 {
            let mut drawn = random.next();
            for _ in 0..8 {
                body.push(char::from(alphabet[(drawn % alphabet.len() as u64) as usize]));
                drawn /= alphabet.len() as u64;
            }
        }
        body.push_str("\"}}");
        if body.len() >= BODY_BYTES {
            break;
        }
    }
    body.push(']');
    body
}

#[test]
fn uploads_are_bounded_in_memory() {
    let (api, s3) = (ScriptedApi::start(), S3::start(Options::default()));
    api.serve("/api/v1/withdrawals", body(&mut Random::seeded(3102)));
    let folder = tempfile::tempdir().unwrap();
    let sync = || Sync::into_bucket(folder.path(), &s3.location(), &api.url()).arg("--resource").arg("withdrawals");
    let child = sync().spawn();
    let status = format!("/proc/{}/status", child.id());
    let watching = thread::spawn(move || peak_kib(&status));
    let synced = Synced::of(end(child));
    let peak_mib = watching.join().unwrap() / 1024;
    assert_eq!(synced.ended.code, Some(0), "{}", synced.ended.stderr);
    let written: usize = s3.contents().values().map(Vec::len).sum();
    let bytes = s3.peak_of_uploads();
    println!("peak {peak_mib} MiB, {} MiB written, at most {} MiB on the wire at once", written / MIB, bytes / MIB);
    let truth: usize =
        s3.contents().iter().filter(|(key, _)| key.starts_with("changes/")).map(|(_, bytes)| bytes.len()).sum();
    assert!(truth >= 140 * MIB, "{} MiB are too few to show anything", truth / MIB);
    assert!(peak_mib <= PEAK_MIB_MAX, "{peak_mib} MiB at once");
    assert!(bytes <= OBJECT_BYTES_MAX, "uploads of {} MiB at once", bytes / MIB);
    assert!(s3.seen().iter().any(|seen| seen.verb == Verb::Part), "what can be rebuilt is uploaded in parts");
    assert_eq!(sync().succeed().outcome("withdrawals"), "unchanged");
}

/// The most memory that a process has had, as long as it lives.
fn peak_kib(status: &str) -> usize {
    let mut peak = 0;
    while let Ok(text) = fs::read_to_string(status) {
        let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:")) else { break };
        peak = line.trim().trim_end_matches(" kB").parse().unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    peak
}
