//! How far a sync has come is seen in a terminal while it runs, and nowhere else; what is told beside it stands whole.

use std::{fs, process::Command, time::Duration};

use serde_json::Value;

use crate::support::{
    api::{Answer, Framing, ScriptedApi},
    lake::Lake,
    program::{Sync, program},
    terminal::Terminal,
};

const DEPOSITS: &str = "/api/v1/deposits";
const WITHDRAWALS: &str = "/api/v1/withdrawals";
const RECORDS: u64 = 3000;

/// What an environment has more.
type Variables = &'static [(&'static str, &'static str)];

/// An API that takes some three seconds for deposits, of which it says how long the list is, and for withdrawals, of which it does
/// not. Both are asked for at once.
fn slow_api() -> ScriptedApi {
    let api = ScriptedApi::without_records();
    let records: Vec<_> =
        (0..RECORDS).map(|n| format!(r#"{{"transactionId":"X{n:06}","status":"PENDING"}}"#)).collect();
    let list = Answer::ok(format!("[{}]", records.join(",\n"))).slowly(Duration::from_millis(20));
    api.answer(DEPOSITS, [list.clone()]);
    api.answer(WITHDRAWALS, [list.framed(Framing::Chunked)]);
    api
}

/// A sync whose report is for people.
fn sync(lake: &Lake, api: &ScriptedApi) -> Command {
    let mut command = program(lake.folder());
    command.args(["sync", "--base-url", &api.url(), "--lake"]).arg(lake.path());
    command
}

fn of<'l>(lines: &'l [String], resource: &str) -> Vec<&'l str> {
    let lines = lines.iter().map(String::as_str);
    lines.filter(|line| line.split(' ').next() == Some(resource)).collect()
}

/// Whether both lists are on their way.
fn are_coming(lines: &[String]) -> bool {
    ["deposits", "withdrawals"].iter().all(|resource| of(lines, resource).iter().any(|line| line.contains("KiB/s")))
}

#[test]
fn one_line_a_resource_is_followed_by_the_report_and_nothing_else() {
    for columns in [80, 200] {
        let (lake, api) = (Lake::new(), slow_api());
        let terminal = Terminal::start(columns, &sync(&lake, &api), "");
        let lines = terminal.lines_once(|lines| are_coming(lines) && lines.iter().any(|line| line.ends_with(" left")));
        for resource in ["accounts", "wallets", "beneficiaries", "deposits", "withdrawals"] {
            assert_eq!(of(&lines, resource).len(), 1, "{resource}\n{}", lines.join("\n"));
        }
        assert_eq!(lines.len(), 5, "{}", lines.join("\n"));
        let words: Vec<_> = of(&lines, "deposits")[0].split_whitespace().collect();
        let [_, received, "KiB", records, "records", rate, "KiB/s", _, "s", "left"] = words[..] else {
            panic!("{words:?}")
        };
        assert!(received.parse::<f64>().unwrap() > 0.0 && rate.parse::<f64>().unwrap() > 0.0, "{words:?}");
        assert!((1..RECORDS).contains(&records.replace(',', "").parse().unwrap()), "{words:?}");
        assert!(
            of(&lines, "withdrawals")[0].ends_with("KiB/s"),
            "of what has no length, nobody knows how long it takes"
        );
        assert!(of(&lines, "accounts")[0].ends_with("0 records  committed"), "{}", lines.join("\n"));

        let lines = terminal.lines_in_the_end();
        assert_eq!(lines.last().unwrap(), "ended 0");
        assert!(lines[0].starts_with("resource ") && lines[0].ends_with(" head"), "{}", lines.join("\n"));
        let figures = |resource| of(&lines, resource)[0].split_whitespace().skip(1).collect::<Vec<_>>();
        assert_eq!(figures("deposits"), ["committed", "3000", "0", "0", "0", "1"]);
        assert_eq!(figures("accounts"), ["committed", "0", "0", "0", "0", "1"]);
        assert_eq!(lines.len(), 10, "a heading, eight resources and the end:\n{}", lines.join("\n"));
        assert!(lines.iter().all(|line| line.len() < 80 && !line.contains("KiB")), "{}", lines.join("\n"));
    }
}

#[test]
fn log_lines_that_come_meanwhile_stand_whole_above_the_lines() {
    let (lake, api) = (Lake::new(), slow_api());
    let mut command = sync(&lake, &api);
    let terminal = Terminal::start(200, command.arg("-v"), "");
    let lines = terminal.lines_once(|lines| are_coming(lines) && lines[0].contains("synced"));
    let logged = lines.iter().rposition(|line| line.contains(" INFO ")).unwrap();
    assert!(lines[logged + 1].starts_with("accounts  "), "{}", lines.join("\n"));
    let lines = terminal.lines_in_the_end();
    let logged: Vec<_> = lines.iter().filter(|line| line.contains("synced")).collect();
    assert_eq!(logged.len(), 8, "{}", lines.join("\n"));
    for line in logged {
        let (time, rest) = line.split_once("Z  INFO synced resource=\"").unwrap_or_else(|| panic!("{line}"));
        assert!(
            time.starts_with("20") && rest.ends_with("outcome=committed") || rest.ends_with("outcome=unchanged"),
            "{line}"
        );
    }
}

#[test]
fn standard_output_is_data_whatever_the_terminal_shows() {
    let (lake, api) = (Lake::new(), slow_api());
    let terminal = Terminal::start(80, &Sync::quietly(&lake, &api.url()).command(), "> report");
    terminal.lines_once(are_coming);
    assert_eq!(terminal.lines_in_the_end(), ["ended 0"]);
    let report = fs::read_to_string(lake.folder().join("report")).unwrap();
    let lines: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 9, "eight resources and the run");
}

#[test]
fn who_interrupts_it_has_a_clean_terminal() {
    let (lake, api) = (Lake::new(), slow_api());
    let terminal = Terminal::start(80, &sync(&lake, &api), "");
    terminal.lines_once(are_coming);
    terminal.press("C-c");
    let lines = terminal.lines_in_the_end();
    assert_eq!(lines.last().unwrap(), "ended 130");
    assert!(lines.iter().any(|line| line.starts_with("interrupted: ")), "{}", lines.join("\n"));
    assert!(!lines.iter().any(|line| line.contains("records")), "{}", lines.join("\n"));
}

#[test]
fn nothing_is_shown_to_programs() {
    let rows: [(Variables, &[&str], &str); 4] = [
        (&[("CI", "true")], &[], ""),
        (&[("TERM", "dumb")], &[], ""),
        (&[], &["--log-json"], ""),
        (&[], &[], "2> errors"),
    ];
    for (environment, arguments, redirections) in rows {
        let (lake, api) = (Lake::new(), slow_api());
        let mut command = sync(&lake, &api);
        let terminal = Terminal::start(80, command.envs(environment.iter().copied()).args(arguments), redirections);
        assert_eq!(terminal.lines_in_the_end().len(), 10);
        let written = terminal.written();
        assert!(!written.contains("records") && !written.contains('\x1b'), "{environment:?} {arguments:?}\n{written}");
        if !redirections.is_empty() {
            assert_eq!(fs::read_to_string(lake.folder().join("errors")).unwrap(), "");
        }
    }
}

#[test]
fn a_terminal_is_coloured_unless_it_is_asked_not_to_be() {
    let rows: [(Variables, &str, bool); 5] = [
        (&[], "", true),
        (&[("NO_COLOR", "1")], "", false),
        (&[("CLICOLOR", "0")], "", false),
        (&[("TERM", "dumb")], "", false),
        (&[], "2>&1 | cat", false),
    ];
    for (environment, redirections, is_coloured) in rows {
        let (lake, api) = (Lake::new(), ScriptedApi::without_records());
        let mut command = sync(&lake, &api);
        let terminal = Terminal::start(200, command.envs(environment.iter().copied()).arg("-v"), redirections);
        let lines = terminal.lines_in_the_end();
        assert_eq!(lines.iter().filter(|line| line.contains("synced")).count(), 8, "{}", lines.join("\n"));
        // A graphic rendition, as terminals call it.
        let is_rendered =
            terminal.written().split("\x1b[").skip(1).any(|rest| {
                rest.trim_start_matches(|byte: char| byte.is_ascii_digit() || byte == ';').starts_with('m')
            });
        assert_eq!(is_rendered, is_coloured, "{environment:?} {redirections}");
    }
}
