//! `report` makes a page of what the lake says: here a browser reads it to everybody, and DuckDB holds it to the lake.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{
    api::ScriptedApi,
    browser::Page,
    debian,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, behind, program_without_credentials, run},
    sandbox::Sandbox,
    tables::Resource,
};

/// When the first sync is.
const BEGIN: &str = "2026-05-15T00:00:00Z";
/// The name of a flow, and the columns of its currency and amount.
type Flow = (&'static str, &'static str, &'static str);
/// Resources with statuses, with their flows.
const FLOWS: [(&str, &[Flow]); 3] = [
    ("deposits", &[("Deposits", "currency", "amount")]),
    ("withdrawals", &[("Withdrawals", "currency", "amount")]),
    ("trades", &[("Trades out", "from_currency", "from_amount"), ("Trades in", "to_currency", "to_amount")]),
];

/// Commands run as if this were the time, which goes on from there.
struct Clock(DateTime<Utc>);

impl Clock {
    fn begin() -> Self {
        debian::need("faketime", "faketime");
        Self(BEGIN.parse().unwrap())
    }

    fn run(&self, command: &mut std::process::Command) -> Ended {
        let time = self.0.format("@%Y-%m-%d %H:%M:%S").to_string();
        run(&mut behind(["faketime", "--exclude-monotonic", "-f", &time], command.env("TZ", "UTC")))
    }

    /// Both this and the sandbox's clock go on; then there is a sync.
    fn sync_after(&mut self, hours: i64, lake: &Lake, sandbox: &Sandbox) {
        self.0 += TimeDelta::hours(hours);
        sandbox.advance(TimeDelta::hours(hours));
        self.sync(lake, &sandbox.url());
    }

    fn sync(&self, lake: &Lake, url: &str) {
        let ended = self.run(&mut Sync::new(lake, url).arg("--accept-removals").command());
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    }

    fn report(&self, lake: &Lake, args: &[&str]) -> Ended {
        self.run(&mut report_command(lake, args))
    }

    /// The page in a file of this name beside the lake.
    fn page(&self, lake: &Lake, name: &str) -> PathBuf {
        let file = lake.folder().join(name);
        let ended = self.report(lake, &["--output", file.to_str().unwrap()]);
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
        file
    }
}

fn report_command(lake: &Lake, args: &[&str]) -> std::process::Command {
    let mut command = program_without_credentials(lake.folder());
    command.args(["report", "--lake"]).arg(lake.path()).args(args);
    command
}

/// A lake with polls of two months, in which records end, are reversed, vanish and come back, and one account is a cent off.
fn lake_with_a_past() -> (Lake, Clock) {
    let (lake, sandbox, mut clock) = (Lake::new(), Sandbox::start(71, 3000), Clock::begin());
    for hours in [0, 6, 6, 12, 24, 24, 48, 72, 7 * 24, 14 * 24, 20 * 24] {
        clock.sync_after(hours, &lake, &sandbox);
    }
    for (fault, hours) in [
        ("kind=short&resource=withdrawals", 6),
        ("kind=no-id&resource=trades", 6),
        ("kind=unknown-status&resource=deposits", 30),
        ("kind=lost-fill&resource=trades", 6),
        ("kind=wrong-balance&resource=accounts", 6),
    ] {
        sandbox.switch("fault?reset");
        sandbox.switch(&format!("fault?{fault}"));
        clock.sync_after(hours, &lake, &sandbox);
    }
    clock.0 += TimeDelta::minutes(195);
    (lake, clock)
}

#[test]
fn what_the_page_tells_is_what_duckdb_finds_in_the_lake_and_everybody_can_read_it() {
    let (lake, clock) = lake_with_a_past();
    let mut compact = program_without_credentials(lake.folder());
    assert_eq!(run(compact.args(["compact", "--min-commits", "1", "--lake"]).arg(lake.path())).code, Some(0));
    assert!(!lake.files_below("snapshots").is_empty());
    let before = lake.listing();
    let file = clock.page(&lake, "report.html");
    assert_untouched(&before, &lake.listing(), "report");
    let (page, mut truth) = (Page::open(&file), Truth::of(&lake));
    page.assert_readable();
    let now = moment(&fs::read_to_string(&file).unwrap());
    assert!((now - clock.0).num_seconds() < 60, "{now}");
    truth.assert_volumes(&page);
    truth.assert_statuses(&page);
    truth.assert_ages(&page, now);
    truth.assert_restatements(&page);
    assert_health(&fs::read_to_string(&file).unwrap(), &lake);
    assert_sizes(&page, &lake);
    assert_books(&page, &lake);
}

/// The time in the page's first line.
fn moment(page: &str) -> DateTime<Utc> {
    let (_, rest) = page.split_once("<time datetime=\"").unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

/// The lake as DuckDB reads it.
struct Truth<'l> {
    lake: &'l Lake,
    duckdb: DuckDb,
}

type Cells = Vec<String>;

impl<'l> Truth<'l> {
    fn of(lake: &'l Lake) -> Self {
        Self { lake, duckdb: DuckDb::start() }
    }

    /// Rows of a statement with every version of a resource as `v`, the last of each listed record as `last`, and those behind
    /// one that had ended, with the one before each, as `restated`. An event time is `happened`.
    fn rows(&mut self, resource: &str, sql: &str) -> Vec<Cells> {
        let declared = Resource::named(resource);
        let (key, times) = (declared.key.join(", "), declared.event_time.join(", "));
        let ended = "coalesce(status IN ('COMPLETED', 'FAILED', 'CANCELLED', 'REVERSED'), false)";
        let sql = format!(
            "WITH v AS (SELECT *, coalesce({key}) AS key, coalesce({times}, _first_seen_at) AS happened, {ended} AS ended FROM {}), \
             last AS (SELECT * FROM v QUALIFY row_number() OVER (PARTITION BY key ORDER BY _seq DESC) = 1), \
             listed AS (SELECT * FROM last WHERE _op <> 'removed'), \
             restated AS (SELECT * FROM (SELECT *, lag(v) OVER w AS before, bool_or(ended) OVER \
                 (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS had_ended FROM v WINDOW w AS (PARTITION BY key ORDER BY _seq)) \
                 WHERE had_ended) {sql}",
            self.lake.scan("changes", resource)
        );
        let text = |cell: &Value| cell.as_str().unwrap_or("–").to_owned();
        self.duckdb.query(&sql).rows.iter().map(|row| row.iter().map(text).collect()).collect()
    }

    /// Each day's sum of each currency and flow, within 90 days of the last.
    fn assert_volumes(&mut self, page: &Page) {
        let mut expected = BTreeMap::new();
        for (resource, sides) in FLOWS {
            for (flow, currency, amount) in sides {
                let sql = format!(
                    "SELECT {currency}, CAST(CAST(happened AS DATE) AS VARCHAR), sum({amount}) FROM listed \
                     WHERE status = 'COMPLETED' GROUP BY ALL"
                );
                for row in self.rows(resource, &sql) {
                    expected.insert((row[0].clone(), row[1].clone(), (*flow).to_owned()), plain(&row[2]));
                }
            }
        }
        let last: chrono::NaiveDate = expected.keys().map(|(_, day, _)| day).max().unwrap().parse().unwrap();
        let first = (last - TimeDelta::days(89)).to_string();
        expected.retain(|(_, day, _), _| *day >= first);
        let mut found = BTreeMap::new();
        let captions = page.captions().filter_map(|caption| Some((caption, caption.strip_suffix(": amounts a day")?)));
        for (caption, currency) in captions {
            let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
            let rows = page.table(caption);
            for row in &rows[1..] {
                for (flow, amount) in row.iter().filter(|(column, amount)| **column != "Day" && **amount != "0") {
                    found.insert((currency.to_owned(), row["Day"].to_owned(), (*flow).to_owned()), plain(amount));
                    *totals.entry(flow).or_default() += scaled(amount);
                }
            }
            assert_eq!(rows[0]["Day"], "All days");
            for (flow, total) in totals {
                assert_eq!(scaled(rows[0][flow]), total, "{currency} {flow}");
            }
        }
        assert!(expected.len() > 100);
        assert_eq!(found, expected);
    }

    fn assert_statuses(&mut self, page: &Page) {
        for (resource, _) in FLOWS {
            let sql = "SELECT status, \
                 CAST(count(DISTINCT v.key) AS VARCHAR), \
                 CAST((SELECT count(*) FROM listed WHERE listed.status = v.status) AS VARCHAR) FROM v GROUP BY status";
            let ever = self.rows(resource, sql);
            let timed = "SELECT status, CAST(count(*) AS VARCHAR), CAST(quantile_disc(took, 0.5) AS VARCHAR), \
                 CAST(quantile_disc(took, 0.95) AS VARCHAR) FROM (SELECT status, epoch_us(reached) - epoch_us(opened) AS took FROM \
                 (SELECT key, status, min(_observed_at) AS reached FROM v WHERE ended GROUP BY ALL) JOIN \
                 (SELECT key, min(_observed_at) AS opened FROM v WHERE NOT ended GROUP BY ALL) USING (key) \
                 WHERE opened < reached) GROUP BY status";
            let timed = self.rows(resource, timed);
            let table = page.table(&format!("{resource}: records by status"));
            let mut listed = BTreeSet::new();
            for row in &table {
                let status = row["Status"];
                let counted = ever.iter().find(|ever| ever[0] == status);
                let expected = counted.map_or(["0", "0"], |ever| [&ever[1], &ever[2]]);
                let found = ["Ever", "Now"].map(|column| row[column].replace(',', ""));
                assert_eq!(found, expected, "{resource} {status}");
                let expected = match timed.iter().find(|timed| timed[0] == status) {
                    Some(timed) => [&timed[1], &timed[2], &timed[3]].map(String::as_str),
                    None => [if row["Means"] == "ended" { "0" } else { "–" }, "–", "–"],
                };
                let found = [&row["Timed"].replace(',', ""), row["Median"], row["95th percentile"]];
                assert_eq!(found, expected, "{resource} {status}");
                listed.insert(status);
            }
            assert!(ever.iter().all(|ever| listed.contains(ever[0].as_str())), "{resource}: {listed:?}");
            assert!(timed.iter().any(|timed| timed[0] == "COMPLETED" && timed[1] != "1"), "{resource}: {timed:?}");
        }
    }

    fn assert_ages(&mut self, page: &Page, now: DateTime<Utc>) {
        const HOURS: [(&str, &str); 7] = [
            ("< 1 h", "age < 1"),
            ("1–6 h", "age >= 1 AND age < 6"),
            ("6–24 h", "age >= 6 AND age < 24"),
            ("1–3 d", "age >= 24 AND age < 72"),
            ("3–7 d", "age >= 72 AND age < 168"),
            ("7–30 d", "age >= 168 AND age < 720"),
            ("≥ 30 d", "age >= 720"),
        ];
        let table = page.table("Open records by age");
        let mut all = 0;
        for (row, (resource, _)) in table.iter().zip(FLOWS) {
            assert_eq!(row["Resource"], resource);
            let counts = HOURS.map(|(_, hours)| format!("CAST(count(*) FILTER ({hours}) AS VARCHAR)")).join(", ");
            let age = format!("({} - epoch_us(happened)) / 3600000000.0", now.timestamp_micros());
            let sql = format!(
                "SELECT {counts}, CAST(count(*) AS VARCHAR), CAST({} - epoch_us(min(happened)) AS VARCHAR) \
                 FROM (SELECT *, {age} AS age FROM listed WHERE NOT ended)",
                now.timestamp_micros()
            );
            let expected = self.rows(resource, &sql).remove(0);
            let found: Cells =
                HOURS.iter().map(|(name, _)| row[name]).chain([row["All"], row["Oldest"]]).map(str::to_owned).collect();
            assert_eq!(found, expected, "{resource}");
            all += row["All"].parse::<u64>().unwrap();
        }
        assert!(all > 0);
    }

    fn assert_restatements(&mut self, page: &Page) {
        let (mut columns, mut days) = (BTreeSet::new(), BTreeSet::new());
        for (row, (resource, _)) in page.table("Records that changed after their end").iter().zip(FLOWS) {
            let sql = "SELECT CAST((SELECT count(DISTINCT key) FROM v WHERE ended) AS VARCHAR), \
                 CAST(count(DISTINCT key) AS VARCHAR), CAST(count(*) AS VARCHAR) FROM restated";
            let expected = self.rows(resource, sql).remove(0);
            let found =
                ["Records that ended", "Of these changed later", "Versions"].map(|column| row[column].replace(',', ""));
            assert_eq!(found.to_vec(), expected, "{resource}");
            let declared = Resource::named(resource);
            let flat = declared.columns.iter().filter(|column| column.columns.is_empty());
            let flat: Vec<&str> = flat.map(|column| column.name.as_str()).collect();
            let parts = flat.iter().map(|column| {
                format!(
                    "SELECT '{column}', CAST(count(*) AS VARCHAR) FROM restated \
                     WHERE _op <> 'removed' AND {column} IS DISTINCT FROM before.{column}"
                )
            });
            let marks = [("no longer listed", "removed"), ("listed again", "added")].map(|(mark, operation)| {
                format!("SELECT '{mark}', CAST(count(*) AS VARCHAR) FROM restated WHERE _op = '{operation}'")
            });
            let sql = parts.chain(marks).collect::<Vec<_>>().join(" UNION ALL ");
            for row in self.rows(resource, &sql).into_iter().filter(|row| row[1] != "0") {
                columns.insert((resource.to_owned(), row[0].clone(), row[1].clone()));
            }
            let sql = "SELECT CAST(CAST(_observed_at AS DATE) AS VARCHAR), CAST(count(*) AS VARCHAR), \
                 CAST(CAST(min(happened) AS DATE) AS VARCHAR), CAST(CAST(max(happened) AS DATE) AS VARCHAR) FROM restated GROUP BY ALL";
            for row in self.rows(resource, sql) {
                let span = if row[2] == row[3] { row[2].clone() } else { format!("{} to {}", row[2], row[3]) };
                days.insert((row[0].clone(), resource.to_owned(), row[1].clone(), span));
            }
        }
        let text = |row: &BTreeMap<&str, &str>, column: &str| row[column].to_owned();
        let found = page.table("What changed");
        // What differs within a list, DuckDB is not asked.
        let found = found.iter().filter(|row| !row["Column"].starts_with("fills") && row["Column"] != "_extra");
        let found: BTreeSet<_> =
            found.map(|row| (text(row, "Resource"), text(row, "Column"), text(row, "Versions"))).collect();
        assert_eq!(found, columns);
        let kinds: BTreeSet<&str> = columns.iter().map(|(_, column, _)| column.as_str()).collect();
        assert!(["status", "no longer listed", "listed again"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
        let found = page.table("When it was seen, and which days it restates");
        let found: BTreeSet<_> = found
            .iter()
            .map(|row| {
                let happened = text(row, "Of records that happened");
                (text(row, "Seen on"), text(row, "Resource"), text(row, "Versions").replace(',', ""), happened)
            })
            .collect();
        assert_eq!(found, days);
    }
}

/// Each resource's card has the figures of `status`.
fn assert_health(page: &str, lake: &Lake) {
    let ended = run(program_without_credentials(lake.folder()).args(["status", "--json", "--lake"]).arg(lake.path()));
    let mut told = 0;
    for line in ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let name = line["resource"].as_str().unwrap();
        let card = page
            .split("<article class=\"card\">")
            .find(|card| card.starts_with(&format!("<h3>{name} <span class=\"state")));
        let Some(card) = card else {
            assert_eq!(line["head"], 0, "{name}");
            continue;
        };
        for (member, term) in [("head", "Commit"), ("known", "Records"), ("open", "Of these open")] {
            let (_, rest) = card.split_once(&format!("<dt>{term}</dt><dd>")).unwrap_or(("", "0</dd>"));
            assert_eq!(rest.split_once('<').unwrap().0.replace(',', ""), line[member].to_string(), "{name}: {term}");
        }
        let observed = DateTime::from_timestamp_micros(line["observed_at"].as_i64().unwrap()).unwrap();
        assert!(card.contains(&observed.format("<time datetime=\"%Y-%m-%dT%H:%M:%S%.6fZ\">").to_string()), "{name}");
        told += 1;
    }
    assert_eq!(told, 6);
}

/// Sizes and numbers of files are those on disk.
fn assert_sizes(page: &Page, lake: &Lake) {
    let mut expected: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for file in lake.files() {
        let parts: Vec<&str> = file.split('/').collect();
        let is_table = parts.len() > 2 && parts[1] != "probe";
        let table = if is_table { parts[1] } else { "Everything else" };
        let layer = ["changes", "current", "snapshots", "quarantine", "meta"]
            .into_iter()
            .find(|layer| *layer == parts[0])
            .unwrap();
        let bytes = fs::metadata(lake.path().join(&file)).unwrap().len();
        for table in [table, "All"] {
            for layer in [layer, "All"] {
                *expected.entry((table.to_owned(), layer)).or_default() += bytes;
            }
        }
    }
    let mut found = BTreeMap::new();
    for row in page.table("Size and objects by table and layer") {
        for layer in ["changes", "current", "snapshots", "quarantine", "meta", "All"] {
            if row[layer] != "–" {
                found.insert((row["Table"].to_owned(), layer), row[layer].parse().unwrap());
            }
        }
    }
    assert_eq!(found, expected);
}

/// The books are those of `reconcile`.
fn assert_books(page: &Page, lake: &Lake) {
    let mut command = program_without_credentials(lake.folder());
    let ended = run(command.args(["reconcile", "--json", "--lake"]).arg(lake.path()));
    assert_eq!(ended.code, Some(65), "{}", ended.stderr);
    let told: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lines: Vec<&Value> = told.iter().filter(|line| line.get("verdict").is_some()).collect();
    let table = page.table("Books by currency");
    assert_eq!(table.len(), lines.len());
    let columns = [
        ("currency", "Currency"),
        ("difference", "Difference"),
        ("held", "Balance + locked"),
        ("expected", "Expected"),
        ("opening", "Opening"),
        ("deposits", "Deposits"),
        ("withdrawals", "Withdrawals"),
        ("fees", "Fees"),
        ("trades_in", "Trades in"),
        ("trades_out", "Trades out"),
    ];
    for (line, row) in lines.iter().zip(&table) {
        for (member, column) in columns {
            let found = if member == "currency" { row[column].to_owned() } else { plain(row[column]) };
            assert_eq!(line[member], found, "{line}");
        }
        assert_eq!(row["Verdict"] == "▲ OFF", line["verdict"] == "off", "{line}");
    }
    let findings: Vec<&Value> = told.iter().filter(|line| line.get("finding").is_some()).collect();
    assert!(!findings.is_empty());
    let table = page.table("Findings");
    for (finding, row) in findings.iter().zip(&table) {
        let found = ["Finding", "Resource", "Record", "What is the case"].map(|column| json!(row[column]));
        assert_eq!(found, ["finding", "resource", "key", "problem"].map(|member| finding[member].clone()));
    }
    assert_eq!(table.len(), findings.len().min(10));
}

/// An amount as `reconcile` writes it: without what sets thousands off, and without zeros behind the last digit.
fn plain(amount: &str) -> String {
    let amount = amount.replace(',', "").replace('\u{2212}', "-");
    if amount.contains('.') { amount.trim_end_matches('0').trim_end_matches('.').to_owned() } else { amount }
}

/// An amount times 10^18.
fn scaled(amount: &str) -> i128 {
    let amount = plain(amount);
    let (integer, fraction) = amount.split_once('.').unwrap_or((&amount, ""));
    format!("{integer}{fraction:0<18}").parse().unwrap()
}

#[test]
fn whatever_the_api_says_the_page_is_a_page_and_tells_nothing_personal() {
    let (lake, api, mut clock) = (Lake::new(), ScriptedApi::without_records(), Clock::begin());
    let (script, right_to_left, long) =
        ("<script>alert(1)</script>", "\u{202e}\u{645}\u{631}\u{62d}", "x".repeat(10_000));
    let amount = "99999999999999999999.123456789012345678";
    let deposit = |id: &str, currency: &str, status: &str, completed: &str| {
        let (id, currency, status) = (json!(id), json!(currency), json!(status));
        format!(
            r#"{{"transactionId":{id},"currency":{currency},"amount":{amount},"fee":0,"status":{status},"completedAt":{completed}}}"#
        )
    };
    let withdrawal = |status: &str, iban: &str| {
        format!(
            r#"[{{"transactionId":"W1","currency":"C01","amount":0.000000000000000001,"fee":0,"status":"{status}",
              "createdAt":"2026-04-01T00:00:00Z","withdrawDetails":{{"iban":"{iban}"}}}}]"#
        )
    };
    let mut deposits: Vec<String> = (0..60)
        .map(|n| {
            deposit(
                &format!("D{n}"),
                &format!("C{n:02}"),
                "COMPLETED",
                &format!("\"2026-05-{:02}T10:00:00\"", 1 + n % 9),
            )
        })
        .collect();
    for currency in [script, right_to_left, &long] {
        deposits.push(deposit(currency, currency, "COMPLETED", "\"2026-05-09T23:59:59.999999\""));
        deposits.push(deposit(&format!("2{currency}"), currency, "COMPLETED", "\"2026-05-09T00:00:00\""));
        deposits.push(deposit(&format!("3{currency}"), currency, currency, "null"));
    }
    deposits.push(deposit("future", "C01", "COMPLETED", "\"9999-12-31T23:59:59\""));
    deposits.push(deposit("past", "OLD", "COMPLETED", "\"0001-01-01T00:00:00\""));
    api.serve("/api/v1/deposits", format!("[{}]", deposits.join(",")));
    api.serve(
        "/api/v1/accounts",
        format!(r#"[{{"id":{0},"currency":{0},"balance":1,"lockedBalance":0}}]"#, json!(script)),
    );
    for (status, iban) in [("PENDING", "IBAN-ONE"), ("COMPLETED", "IBAN-ONE"), ("COMPLETED", "IBAN-TWO")] {
        api.serve("/api/v1/withdrawals", withdrawal(status, iban));
        clock.sync(&lake, &api.url());
        clock.0 += TimeDelta::days(9);
    }
    clock.0 += TimeDelta::minutes(30);
    let file = clock.page(&lake, "hostile.html");
    let (text, page) = (fs::read_to_string(&file).unwrap(), Page::open(&file));
    page.assert_readable();
    for told in ["<script", "\u{202e}", "IBAN-", &long[..500]] {
        assert!(!text.contains(told), "{told} is on the page");
    }
    let of_script = page.table("<script>alert(1)<…cript>: amounts a day");
    let amounts: Vec<_> = of_script.iter().map(|row| (row["Day"], row["Deposits"])).collect();
    assert_eq!(amounts, [("All days", "too large"), ("2026-05-09", "too large")]);
    assert_eq!(page.table("C00: amounts a day")[0]["Deposits"], "99,999,999,999,999,999,999.123456789012345678");
    assert_eq!(page.table("C01: amounts a day")[0]["Withdrawals"], "0.000000000000000001");
    let last = page.table("The last restatements");
    assert_eq!(
        last.iter().map(|row| (row["Record"], row["What changed"])).collect::<Vec<_>>(),
        [("W1", "withdraw_details")]
    );
    for told in [
        "Moved before these days alone",
        "1 movement is on days that are still to come",
        "Nothing new for 9 d: are syncs",
    ] {
        assert!(text.contains(told), "{told}");
    }
}

#[test]
fn a_lake_with_little_or_nothing_in_it_has_a_page_too() {
    let (lake, api, clock) = (Lake::new(), ScriptedApi::without_records(), Clock::begin());
    let nothing = clock.report(&lake, &[]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(78), ""), "{}", nothing.stderr);
    let failed = clock.run(&mut Sync::of(&lake, "http://127.0.0.1:9", "trades").command());
    assert_eq!(failed.code, Some(69), "{}", failed.stderr);
    let empty = clock.report(&lake, &[]);
    assert_eq!(empty.code, Some(0), "{}", empty.stderr);
    for told in [
        "Nothing has been synced yet.",
        "Nothing has moved yet.",
        "there are no books without accounts: no sync has brought them yet",
    ] {
        assert!(empty.stdout.contains(told), "{told}");
    }
    let trade = r#"{"transactionId":"T1","fromCurrency":"ZAR","toCurrency":"BTC","fromAmount":1,"toAmount":2,"status":"COMPLETED",
        "createdAt":"2026-05-14T23:00:00Z"}"#;
    api.serve("/api/v1/trades", format!("[{trade}]"));
    let synced = clock.run(&mut Sync::of(&lake, &api.url(), "trades").command());
    assert_eq!(synced.code, Some(0), "{}", synced.stderr);
    let file = clock.page(&lake, "one.html");
    let (text, page) = (fs::read_to_string(&file).unwrap(), Page::open(&file));
    page.assert_readable();
    for told in
        ["1 of 6 resources have changed", "Never synced: accounts, wallets, beneficiaries, deposits, withdrawals"]
    {
        assert!(text.contains(told), "{told}");
    }
    assert_eq!(page.table("BTC: amounts a day")[1]["Trades in"], "2");
    assert_eq!(page.table("ZAR: amounts a day")[1]["Trades out"], "1");
}

#[test]
fn the_page_is_the_same_for_the_same_lake_and_time_in_a_file_for_its_owner_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(72, 300));
    let clock = Clock::begin();
    clock.sync(&lake, &sandbox.url());
    // A clock that stands.
    let stopped = |args: &[&str]| {
        let time = "2026-05-15 09:00:00";
        run(&mut behind(["faketime", "--exclude-monotonic", "-f", time], report_command(&lake, args).env("TZ", "UTC")))
    };
    let printed = stopped(&[]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    let file = lake.folder().join("morning.html");
    fs::write(&file, "yesterday's").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for name in [file.to_str().unwrap(), "morning.html"] {
        let written = stopped(&["--output", name]);
        assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""), "{}", written.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), printed.stdout);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let nowhere = stopped(&["--output", "no/such/folder.html"]);
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (Some(74), ""));
    assert!(nowhere.stderr.contains("cannot write no/such/folder.html"), "{}", nowhere.stderr);
    assert_no_debris(lake.folder());
}

#[test]
fn a_lake_that_is_damaged_has_no_page_and_the_last_one_stays() {
    let (lake, sandbox, clock) = (Lake::new(), Sandbox::start(73, 200), Clock::begin());
    clock.sync(&lake, &sandbox.url());
    let file = clock.page(&lake, "report.html");
    let before = fs::read(&file).unwrap();
    let key = lake.files_below("changes/withdrawals").remove(3);
    fs::write(lake.path().join(&key), "short").unwrap();
    let ended = clock.report(&lake, &["--output", file.to_str().unwrap()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(76), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains(&key), "{}", ended.stderr);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_no_debris(lake.folder());
    assert_eq!(clock.report(&lake, &[]).stdout, "");
}

/// Beside the lake there are no files but pages.
fn assert_no_debris(folder: &Path) {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let others: Vec<_> = names.filter(|name| name != "lake" && !name.ends_with(".html")).collect();
    assert!(others.is_empty(), "{others:?}");
}
