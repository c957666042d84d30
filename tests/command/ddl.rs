//! `ddl` prints statements that give a database the lake's tables; here they are run.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chrono::TimeDelta;
use serde_json::Value;

use crate::support::{
    api::ScriptedApi,
    duckdb::DuckDb,
    lake::{Lake, assert_untouched},
    program::{Ended, Sync, program, program_on, program_without_credentials, run},
    python,
    rows::{Records, assert_same_records, changes, elements, elements_in, records_in},
    s3::{Options, S3},
    sandbox::Sandbox,
    tables::{RESOURCES, Resource},
};

/// Without credentials and without an API.
fn ddl(lake: &Path, folder: &Path, args: &[&str]) -> Ended {
    run(program_without_credentials(folder).arg("ddl").args(args).arg("--lake").arg(lake))
}

/// The statements for DuckDB, which run there.
fn views(lake: &Lake) -> (DuckDb, String) {
    let printed = ddl(lake.path(), lake.folder(), &["duckdb"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:?}");
    let mut duckdb = DuckDb::start();
    duckdb.query(&printed.stdout);
    (duckdb, printed.stdout)
}

/// What the sandbox says is true of every resource that it serves.
fn truths(sandbox: &Sandbox) -> BTreeMap<&'static str, Records> {
    let resources = RESOURCES.map(|name| (name, Resource::named(name)));
    let served = resources.into_iter().filter(|(_, resource)| !resource.optional);
    served.map(|(name, resource)| (name, sandbox.truth(&resource))).collect()
}

fn count(duckdb: &mut DuckDb, sql: &str) -> u64 {
    duckdb.value(&format!("SELECT CAST(count(*) AS VARCHAR) FROM {sql}")).parse().unwrap()
}

#[test]
fn the_views_are_the_truth_at_every_sync_and_stay_so_as_the_lake_grows() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(61, 3000));
    Sync::new(&lake, &sandbox.url()).succeed();
    // Printed once, when there is one commit; what follows is seen all the same.
    let (mut duckdb, _) = views(&lake);
    let moment = |duckdb: &mut DuckDb| duckdb.value("SELECT CAST(max(observed_at) AS VARCHAR) FROM syncs");
    let mut said = vec![(moment(&mut duckdb), truths(&sandbox))];
    for days in [1, 1, 3, 7, 1, 14, 30, 1, 2, 1, 5] {
        sandbox.advance(TimeDelta::days(days));
        Sync::new(&lake, &sandbox.url()).arg("--accept-removals").succeed();
        said.push((moment(&mut duckdb), truths(&sandbox)));
    }
    let before = lake.listing();
    for (name, now) in &said.last().unwrap().1 {
        let resource = Resource::named(name);
        assert_same_records(&records_in(&mut duckdb, &resource, name), now, name);
        for (moment, then) in &said {
            let as_of = format!("{name}_as_of('{moment}')");
            // A resource that did not change was last observed before.
            assert_same_records(&records_in(&mut duckdb, &resource, &as_of), &then[name], &as_of);
        }
        for (list, table) in resource.flat_tables() {
            assert_eq!(elements_in(&mut duckdb, list, &table.name), elements(now, list), "{}", table.name);
            let latest = format!("{}_history WHERE is_current", table.name);
            assert_eq!(elements_in(&mut duckdb, list, &latest), elements(now, list), "{latest}");
            for (moment, then) in &said {
                let as_of = format!("{}_as_of('{moment}')", table.name);
                assert_eq!(elements_in(&mut duckdb, list, &as_of), elements(&then[name], list), "{as_of}");
            }
        }
        assert_history(&mut duckdb, &lake, &resource);
    }
    let commits = lake.files_below("changes").len() as u64;
    assert_eq!(count(&mut duckdb, "syncs"), commits);
    let rows = "SELECT CAST(sum(rows) AS VARCHAR) FROM syncs WHERE resource = 'trades'";
    assert_eq!(duckdb.value(rows), count(&mut duckdb, "trades_changes").to_string());
    assert_untouched(&before, &lake.listing(), "ddl and queries");
}

/// Each version holds from when it was seen until the next was, or the record had gone.
fn assert_history(duckdb: &mut DuckDb, lake: &Lake, resource: &Resource) {
    let name = &resource.name;
    let mut expected = BTreeSet::new();
    let versions = changes(duckdb, lake, resource);
    for (nth, version) in versions.iter().enumerate() {
        let next = versions[nth + 1..].iter().find(|later| later.key == version.key);
        if version.operation != "removed" {
            let until = next.map_or("null".to_owned(), |next| next.observed_at.clone());
            expected.insert((version.seq.to_string(), version.key.clone(), version.observed_at.clone(), until));
        }
    }
    let key = format!("coalesce({})", resource.key.join(", "));
    let time = |column: &str| format!("strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S.%f')");
    let sql = format!(
        "SELECT CAST(_seq AS VARCHAR), {key}, {}, coalesce({}, 'null'), CAST(is_current AS VARCHAR) FROM {name}_history",
        time("valid_from"),
        time("valid_to"),
    );
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    let rows = duckdb.query(&sql).rows;
    assert!(rows.iter().all(|row| (text(&row[3]) == "null") == (row[4] == "true")), "{name}");
    let found: Vec<_> = rows.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]), text(&row[3]))).collect();
    assert_eq!(found.len(), expected.len(), "{name}");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected, "{name}");
}

#[test]
fn open_records_are_those_that_are_expected_to_change() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(62, 2000));
    Sync::new(&lake, &sandbox.url()).succeed();
    let (mut duckdb, _) = views(&lake);
    let mut expected = BTreeSet::new();
    for (name, records) in truths(&sandbox) {
        let Some(status) = Resource::named(name).status else { continue };
        let is_open = |row: &&Value| status.open.iter().any(|open| **row == **open);
        let open = records.iter().filter(|(_, row)| row.get(&status.column).filter(is_open).is_some());
        expected.extend(
            open.map(|(key, row)| (name.to_owned(), key.clone(), row[&status.column].as_str().unwrap().to_owned())),
        );
    }
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    let found = duckdb.query("SELECT resource, key, status FROM open_records").rows;
    let found: BTreeSet<_> = found.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn every_column_is_described_and_what_is_not_there_yet_is_empty() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(63, 50));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let (mut duckdb, _) = views(&lake);
    for resource in Resource::all() {
        for view in ["", "_changes", "_history"] {
            let rows = count(&mut duckdb, &format!("{}{view}", resource.name));
            assert_eq!(rows > 0, resource.name == "trades", "{}{view}", resource.name);
        }
        let described = duckdb.describe(&format!("FROM {}", resource.name));
        for column in &resource.columns {
            let found = described.iter().find(|(name, _)| *name == column.name);
            assert_eq!(found, Some(&(column.name.clone(), column.duckdb_type())), "{}", resource.name);
            let comment = format!(
                "SELECT comment FROM duckdb_columns() WHERE table_name = '{}' AND column_name = '{}'",
                resource.name, column.name
            );
            assert_eq!(duckdb.value(&comment), column.doc);
        }
    }
    let undescribed = "duckdb_columns() WHERE NOT internal AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
    let undescribed = "duckdb_views() WHERE NOT internal AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
    let undescribed = "duckdb_functions() WHERE NOT internal AND function_type = 'table_macro' AND comment IS NULL";
    assert_eq!(count(&mut duckdb, undescribed), 0);
}

#[test]
fn a_filter_on_the_partition_reads_its_files_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(64, 2000));
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    let (mut duckdb, _) = views(&lake);
    for view in ["trades", "trades_changes", "trades_history"] {
        let sql = format!("EXPLAIN ANALYZE SELECT sum(to_amount) FROM {view} WHERE event_month = '2026-03'");
        let plan = duckdb.query(&sql).rows[0][1].as_str().unwrap().to_owned();
        assert!(plan.contains("Total Files Read: 1"), "{view}: {plan}");
    }
}

#[test]
fn columns_that_were_declared_later_are_null_before() {
    let (lake, api) = (Lake::new(), ScriptedApi::start());
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"ZAR","label":"a"}]"#);
    let schemas = lake.folder().join("schemas");
    fs::create_dir(&schemas).unwrap();
    let builtin = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/wallets.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&builtin).unwrap();
    Sync::of(&lake, &api.url(), "wallets").succeed();
    let label = serde_json::json!({"name": "label", "json": "label", "type": "string", "doc": "A label."});
    schema["columns"].as_array_mut().unwrap().push(label);
    fs::write(schemas.join("wallets.json"), schema.to_string()).unwrap();
    let printed = ddl(lake.path(), lake.folder(), &["duckdb", "--schemas", schemas.to_str().unwrap()]);
    let mut duckdb = DuckDb::start();
    duckdb.query(&printed.stdout);
    let labels = "SELECT coalesce(string_agg(coalesce(label, 'null'), ',' ORDER BY _seq), '') FROM wallets_changes";
    assert_eq!(duckdb.value(labels), "null", "declared, and in no file");
    api.serve("/api/v1/wallets", r#"[{"id":"w1","currency":"ZAR","label":"a"},{"id":"w2","label":"b"}]"#);
    Sync::of(&lake, &api.url(), "wallets").schemas(schemas).succeed();
    assert_eq!(duckdb.value(labels), "null,a,b");
}

#[test]
fn a_folder_may_have_any_name() {
    let (place, sandbox) = (tempfile::tempdir().unwrap(), Sandbox::start(65, 20));
    for name in ["it's", "a [b] *?", "\"x\" -- y", "üñí", "semi;colon"] {
        let lake = place.path().join(name);
        let mut sync = program(place.path());
        let ended = run(sync.args(["sync", "--resource", "trades", "--base-url", &sandbox.url(), "--lake"]).arg(&lake));
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        let printed = ddl(&lake, place.path(), &["duckdb"]);
        let mut duckdb = DuckDb::start();
        duckdb.query(&printed.stdout);
        assert!(count(&mut duckdb, "trades_history") > 0, "{name}");
    }
}

#[test]
fn without_a_lake_there_is_nothing_to_print_and_athena_reads_from_s3_alone() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(66, 20));
    let missing = ddl(lake.path(), lake.folder(), &["duckdb"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(78), ""), "{missing:?}");
    Sync::of(&lake, &sandbox.url(), "trades").succeed();
    for args in [&["athena"][..], &["athena", "--glue"]] {
        let local = ddl(lake.path(), lake.folder(), args);
        assert_eq!((local.code, local.stdout.as_str()), (Some(78), ""), "{local:?}");
        assert!(local.stderr.contains("Athena and Glue read from S3"), "{}", local.stderr);
    }
}

/// A project for dbt with models of the lake, into which `write` wrote them.
fn project(folder: &Path, write: impl FnOnce(&str) -> Ended) -> PathBuf {
    let project = folder.join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("dbt_project.yml"), "name: books\nversion: '1.0'\nprofile: books\n").unwrap();
    let profile = "books: {target: dev, outputs: {dev: {type: duckdb, path: books.duckdb, threads: 1}}}\n";
    fs::write(project.join("profiles.yml"), profile).unwrap();
    let written = write("project");
    assert_eq!(written.code, Some(0), "{written:?}");
    assert!(written.stdout.lines().all(|file| folder.join(file).is_file()), "{}", written.stdout);
    project
}

/// Every model that dbt made gives what DuckDB's view of it gives.
fn models_are_views(duckdb: &mut DuckDb, project: &Path) {
    duckdb.query(&format!("ATTACH '{}' AS books (READ_ONLY)", project.join("books.duckdb").display()));
    for name in ["accounts", "wallets", "beneficiaries", "deposits", "withdrawals", "trades", "trade_fills"] {
        let forms: &[&str] = if name == "trade_fills" { &[""] } else { &["", "_history"] };
        for form in forms {
            let (model, view) = (format!("books.stg_lumetrade__{name}{form}"), format!("{name}{form}"));
            let columns: Vec<String> =
                duckdb.describe(&format!("FROM {view}")).into_iter().map(|column| column.0).collect();
            let model = format!("(SELECT {} FROM {model})", columns.join(", "));
            assert_eq!(duckdb.rows_apart(&model, &view), "0", "{name}{form}");
        }
    }
}

/// Runs dbt in a project, to its end.
fn dbt(project: &Path, args: &[&str]) -> Ended {
    let mut command = Command::new(python::of_dbt().with_file_name("dbt"));
    command.args(["--no-use-colors"]).args(args).args(["--profiles-dir", "."]).current_dir(project);
    run(command.env("DBT_SEND_ANONYMOUS_USAGE_STATS", "false"))
}

#[test]
fn dbt_builds_the_models_and_what_is_to_hold_holds() {
    let (lake, sandbox) = (Lake::new(), Sandbox::start(69, 1000));
    Sync::new(&lake, &sandbox.url()).succeed();
    sandbox.advance(TimeDelta::days(3));
    sandbox.switch("fault?kind=unknown-status&resource=withdrawals");
    Sync::new(&lake, &sandbox.url()).succeed();
    let project = project(lake.folder(), |into| ddl(lake.path(), lake.folder(), &["dbt", "--into", into]));
    let printed = ddl(lake.path(), lake.folder(), &["dbt"]).stdout;
    assert!(printed.contains("# models/staging/lumetrade/_lumetrade__sources.yml\n"), "{printed}");
    let built = dbt(&project, &["build"]);
    assert_eq!(built.code, Some(0), "{}", built.stdout);
    // The status that nobody knows is told of, in the table and in the log, and no more.
    assert!(built.stdout.contains(" WARN=2 ERROR=0 SKIP=0 "), "{}", built.stdout);
    assert!(dbt(&project, &["source", "freshness"]).stdout.contains("PASS freshness of lumetrade.deposits"));
    let (mut duckdb, _) = views(&lake);
    models_are_views(&mut duckdb, &project);
}

#[test]
fn dbts_models_over_all_profiles_keep_apart_what_has_the_same_keys() {
    let lake = Lake::new();
    for (name, seed, days) in [("aa", 71, 4), ("bb", 71, 9), ("of_nobody", 72, 1)] {
        let (sandbox, place) = (Sandbox::start(seed, 400), lake.path().join(format!("source={name}")));
        for days in [days, 0] {
            let mut sync = program(lake.folder());
            let ended = run(sync.args(["sync", "--base-url", &sandbox.url(), "--lake"]).arg(&place));
            assert_eq!(ended.code, Some(0), "{ended:?}");
            sandbox.advance(TimeDelta::days(days));
        }
    }
    fs::write(lake.folder().join("lumetrade-export.toml"), "[profiles.aa]\n[profiles.bb]\n").unwrap();
    let project = project(lake.folder(), |into| ddl(lake.path(), lake.folder(), &["dbt", "--into", into]));
    let built = dbt(&project, &["build"]);
    assert_eq!(built.code, Some(0), "{}", built.stdout);
    assert!(built.stdout.contains(" WARN=0 ERROR=0 SKIP=0 "), "{}", built.stdout);
    assert!(dbt(&project, &["source", "freshness"]).stdout.contains("PASS freshness of lumetrade.deposits"));
    let (mut duckdb, _) = views(&lake);
    let shared = "(SELECT transaction_id FROM trades GROUP BY 1 HAVING count(DISTINCT source) = 2)";
    assert!(count(&mut duckdb, shared) > 100);
    models_are_views(&mut duckdb, &project);
    // A record that is there twice is told of, and so is a fill whose trade is in another lake alone.
    drop(duckdb);
    let [twice, lost] = ["deposits", "trades"].map(|table| {
        let partitions = lake.path().join(format!("source=aa/current/{table}"));
        fs::read_dir(partitions).unwrap().next().unwrap().unwrap().path().join("data.parquet")
    });
    fs::copy(&twice, twice.with_file_name("again.parquet")).unwrap();
    fs::remove_file(lost).unwrap();
    let built = dbt(&project, &["build"]);
    assert_eq!(built.code, Some(1), "{}", built.stdout);
    assert!(built.stdout.contains("Failure in test source_unique_lumetrade_deposits_"), "{}", built.stdout);
    assert!(built.stdout.contains("Failure in test source_relationships_lumetrade_trade_fills_"), "{}", built.stdout);
}

/// A lake on S3 with a sandbox's history of a few syncs, and the statements for Athena and Glue.
struct OnS3 {
    s3: S3,
    folder: tempfile::TempDir,
}

impl OnS3 {
    fn new(seed: u64) -> Self {
        let (s3, folder) = (S3::start(Options::default()), tempfile::tempdir().unwrap());
        let sandbox = Sandbox::start(seed, 500);
        for days in [1, 9, 3] {
            Sync::into_bucket(folder.path(), &s3.location(), &sandbox.url()).succeed();
            sandbox.advance(TimeDelta::days(days));
        }
        Self { s3, folder }
    }

    fn print(&self, args: &[&str]) -> String {
        let printed = run(program_on(&self.s3.location(), self.folder.path(), "ddl").args(args));
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{printed:?}");
        printed.stdout
    }

    /// The lake as a folder.
    fn lake(&self) -> Lake {
        Lake::of(&self.s3.contents())
    }
}

/// Statements one by one, as Athena takes them: some are Hive's, and some Trino's. Each with its kind, in DuckDB's dialect.
fn as_athena_reads(athena: &mut DuckDb, printed: &str) -> Vec<(String, String)> {
    let each = printed.split(";\n").filter(|text| text.lines().any(|line| !line.is_empty() && !line.starts_with("--")));
    each.flat_map(|statement| athena.read_as_athena(statement)).collect()
}

/// Makes the view that Athena has of a table's history beside our own, as `…_history_of_athena`.
fn make_history_of_athena(ours: &mut DuckDb, statements: &[(String, String)], name: &str) {
    if name != "trade_fills" {
        ours.query(&as_micros(&Resource::named(name), &format!("{name}_changes"), &format!("{name}_changes_us")));
    }
    let history = statements.iter().find(|(_, sql)| sql.contains(&format!("VIEW {name}_history")));
    let sql = history.unwrap().1.replace("_history", "_history_of_athena");
    // In Athena a list of rows becomes columns by itself.
    let sql = sql.replace("UNNEST(record.fills)", "LATERAL (SELECT UNNEST(record.fills, recursive := true))");
    ours.query(&sql);
}

#[test]
fn athenas_statements_are_of_its_grammar_and_its_views_hold_what_duckdbs_hold() {
    let on_s3 = OnS3::new(67);
    let mut athena = DuckDb::start();
    let printed = on_s3.print(&["athena"]);
    let statements = as_athena_reads(&mut athena, &printed);
    let lake = on_s3.lake();
    let (mut ours, _) = views(&lake);
    let kinds = |kind: &str| statements.iter().filter(|(found, _)| found == kind).count();
    let resources = RESOURCES.len();
    // Two tables of the log and one for each table; a view and a prepared statement for each table.
    assert_eq!(
        (kinds("Create"), statements.len()),
        (3 * resources + 1 + resources + 1, 5 * resources + 3),
        "{statements:?}"
    );
    for name in RESOURCES.into_iter().chain(["trade_fills"]) {
        make_history_of_athena(&mut ours, &statements, name);
        let times: Vec<String> = ours
            .describe(&format!("FROM {name}_history"))
            .into_iter()
            .filter(|(_, kind)| kind.starts_with("TIMESTAMP"))
            .map(|(column, _)| column)
            .collect();
        assert!(times.iter().any(|time| time == "valid_to"), "{times:?}");
        let columns = ours
            .describe(&format!("FROM {name}_history"))
            .into_iter()
            .filter(|(column, kind)| !kind.starts_with("TIMESTAMP") && column != "fills");
        let columns = columns.map(|(column, _)| column).collect::<Vec<_>>().join(", ");
        let exact = times.iter().map(|time| format!("epoch_us({time}) AS {time}_us")).collect::<Vec<_>>().join(", ");
        let whole = times.iter().map(|time| format!("{time}_us")).collect::<Vec<_>>().join(", ");
        let expected = format!("(SELECT {columns}, {exact} FROM {name}_history)");
        let found = format!("(SELECT {columns}, {whole} FROM {name}_history_of_athena)");
        assert_eq!(ours.rows_apart(&expected, &found), "0", "{name}");
        for time in times {
            let wrong = format!("{name}_history_of_athena WHERE epoch_ms({time}) <> {time}_us // 1000");
            assert_eq!(count(&mut ours, &wrong), 0, "{name}.{time}");
        }
        let prepared =
            printed.split(&format!("PREPARE {name}_as_of FROM\n")).nth(1).unwrap().split(';').next().unwrap();
        let resource = if name == "trade_fills" { "trades" } else { name };
        let moments = "SELECT DISTINCT CAST(observed_at AS VARCHAR) FROM syncs";
        for moment in ours.query(&format!("{moments} WHERE resource = '{resource}'")).rows {
            // One millisecond later, since Athena does not take more of a time.
            let moment = moment[0].as_str().unwrap();
            let later = format!("TIMESTAMP '{}' + INTERVAL '1' MILLISECOND", moment.trim_end_matches("+00"));
            let as_of = athena.read_as_athena(&prepared.replace('?', &later));
            let as_of = as_of[0].1.replace("_history", "_history_of_athena");
            let expected = count(&mut ours, &format!("{name}_as_of('{moment}')"));
            assert_eq!(count(&mut ours, &format!("({as_of})")), expected, "{name} at {moment}");
        }
    }
}

#[test]
fn athenas_tables_over_all_profiles_keep_apart_what_has_the_same_keys() {
    let (s3, folder) = (S3::start(Options::default()), tempfile::tempdir().unwrap());
    // Of one seed: the same records, of which either has come another way.
    let sandboxes = ["aa", "bb"].map(|name| (name, Sandbox::start_with_key(71, 400, &format!("key-of-{name}"))));
    let profile = |(name, sandbox): &(&str, Sandbox)| format!("[profiles.{name}]\nbase_url = \"{}\"\n", sandbox.url());
    let settings = sandboxes.iter().map(profile).collect::<String>();
    fs::write(folder.path().join("lumetrade-export.toml"), format!("requests_per_second = 1000.0\n{settings}"))
        .unwrap();
    let command = |name: &str, args: &[&str]| {
        let mut command = program_on(&s3.location(), folder.path(), name);
        for name in ["aa", "bb"] {
            let upper = name.to_uppercase();
            command.env(format!("LUMETRADE_API_KEY_{upper}"), format!("key-of-{name}"));
            command.env(format!("LUMETRADE_API_SECRET_{upper}"), "sandbox-secret");
        }
        let ended = run(command.args(args));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    };
    for days in [1, 9, 3] {
        sandboxes[0].1.advance(TimeDelta::days(days));
        sandboxes[1].1.advance(TimeDelta::days(2 * days));
        command("sync", &[]);
    }
    let lake = Lake::of(&s3.contents());
    let mut ours = DuckDb::start();
    let mut ddl = program_without_credentials(folder.path());
    ours.query(&run(ddl.args(["ddl", "duckdb", "--lake"]).arg(lake.path())).stdout);
    let mut athena = DuckDb::start();
    let printed = command("ddl", &["athena"]);
    let statements = as_athena_reads(&mut athena, &printed);
    for name in RESOURCES.into_iter().chain(["trade_fills"]) {
        make_history_of_athena(&mut ours, &statements, name);
        let columns = "source, _seq, _op, _poll_id, is_current";
        let expected = format!("(SELECT {columns}, epoch_us(valid_from), epoch_us(valid_to) FROM {name}_history)");
        let found = format!("(SELECT {columns}, valid_from_us, valid_to_us FROM {name}_history_of_athena)");
        assert_eq!(ours.rows_apart(&expected, &found), "0", "{name}");
    }
    let shared =
        "SELECT count(*) FROM (SELECT transaction_id FROM trades GROUP BY 1 HAVING count(DISTINCT source) = 2)";
    assert!(ours.value(&shared.replace("count(*)", "CAST(count(*) AS VARCHAR)")).parse::<u64>().unwrap() > 100);

    // Rules of the type `enum`: <https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>.
    let lines = command("ddl", &["athena", "--glue"]);
    let inputs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(inputs.len(), 3 * RESOURCES.len() + 1);
    for input in &inputs {
        let (table, parameters) = (&input["TableInput"], &input["TableInput"]["Parameters"]);
        let location = table["StorageDescriptor"]["Location"].as_str().unwrap();
        assert_eq!(location, format!("{}/", s3.location().location));
        assert_eq!(
            (&parameters["projection.enabled"], &parameters["projection.source.type"]),
            (&"true".into(), &"enum".into())
        );
        assert_eq!(parameters["projection.source.values"], "aa,bb");
        let keys = table["PartitionKeys"].as_array().unwrap().iter().map(|key| key["Name"].as_str().unwrap());
        let keys: Vec<&str> = keys.collect();
        let template = parameters["storage.location.template"].as_str().unwrap();
        // What the template says of each lake, is there.
        let of_lake = template.replace("${source}", "bb").replace("${event_month}", "*");
        let is_partitioned = keys == ["source", "event_month"];
        assert!(is_partitioned || keys == ["source"], "{keys:?}");
        assert_eq!(template.contains("/event_month=${event_month}/"), is_partitioned, "{template}");
        let local = of_lake.replace(&s3.location().location, lake.path().to_str().unwrap());
        let name = table["Name"].as_str().unwrap().replace("_us", "");
        let optional = ["currencies", "payment_routes"].iter().any(|absent| name.starts_with(absent));
        if !optional {
            let rows = |from: &str| format!("SELECT CAST(count(*) AS VARCHAR) FROM {from}");
            let there = ours.value(&rows(&format!("read_parquet('{local}*.parquet')")));
            assert_eq!(there, ours.value(&rows(&format!("{name} WHERE source = 'bb'"))), "{name}");
        }
    }
}

/// Asks Spark about external tables, which it makes: what each query gives, as text.
fn spark(statements: &[String], queries: &[String], home: &Path) -> Vec<Vec<Vec<String>>> {
    const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/spark_driver.py");
    let mut command = Command::new(python::of_spark());
    command.arg(DRIVER).current_dir(home).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let asked = serde_json::json!({"statements": statements, "queries": queries, "home": home});
    // It is read to its end before anything is told.
    child.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let told = String::from_utf8(ended.stdout).unwrap();
    serde_json::from_str(told.lines().next_back().unwrap()).unwrap()
}

#[test]
fn spark_finds_in_athenas_tables_what_duckdb_finds_in_the_lake() {
    let on_s3 = OnS3::new(70);
    let lake = on_s3.lake();
    let (mut ours, _) = views(&lake);
    let printed = on_s3.print(&["athena"]).replace(&on_s3.s3.location().location, lake.path().to_str().unwrap());
    let is_table = |text: &&str| text.contains("CREATE EXTERNAL TABLE");
    let statements: Vec<String> = printed.split(";\n").filter(is_table).map(str::to_owned).collect();
    let tables = ["deposits", "withdrawals", "trades", "trade_fills", "deposits_changes", "trades_changes"];
    let amount = |table: &str| match table {
        table if table.starts_with("trades") => "sum(to_amount)",
        "trade_fills" => "sum(to_currency_amount)",
        _ => "sum(amount)",
    };
    let sums = |table: &str| format!("SELECT count(*), {}, max(event_month) FROM {table}", amount(table));
    let exact = "SELECT count(*), sum(CAST(created_at AS DECIMAL(38,0))), sum(_observed_at) FROM trades_changes_us";
    let fill = "SELECT count(*), sum(CAST(f.created_at AS DECIMAL(38,0))) FROM trades_changes_us LATERAL VIEW explode(fills) e AS f";
    let queries = tables.map(sums).into_iter().chain([exact.to_owned(), fill.to_owned()]).collect::<Vec<_>>();
    let found = spark(&statements, &queries, on_s3.folder.path());
    let mut expect = |sql: &str| -> Vec<String> {
        let row = ours.query(sql).rows.remove(0);
        row.iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
    };
    for (table, rows) in tables.into_iter().zip(&found) {
        assert_eq!(rows[0], expect(&sums(table)), "{table}");
    }
    let exact = "SELECT count(*), sum(epoch_us(created_at)), sum(epoch_us(_observed_at)) FROM trades_changes";
    assert_eq!(found[tables.len()][0], expect(exact));
    let fills = "SELECT count(*), sum(epoch_us(created_at)) FROM trade_fills_changes";
    assert_eq!(found[tables.len() + 1][0], expect(fills));
    assert_eq!(statements.len(), 3 * RESOURCES.len() + 1);
}

/// A view of a resource's log with times as microseconds, as Athena's second table has them.
fn as_micros(resource: &Resource, from: &str, name: &str) -> String {
    let column = |column: &crate::support::tables::Column, value: &str| match column.kind.as_str() {
        "timestamp" => format!("epoch_us({value})"),
        _ => value.to_owned(),
    };
    let replaced = resource.columns.iter().filter_map(|found| match found.kind.as_str() {
        "timestamp" => Some(format!("{} AS {}", column(found, &found.name), found.name)),
        "list" => {
            let members = found
                .columns
                .iter()
                .map(|member| format!("{} := {}", member.name, column(member, &format!("e.{}", member.name))));
            let members = members.chain(["_extra := e._extra".to_owned()]).collect::<Vec<_>>().join(", ");
            Some(format!("list_transform({0}, lambda e: struct_pack({members})) AS {0}", found.name))
        }
        _ => None,
    });
    let system = ["_observed_at", "_first_seen_at"].map(|time| format!("epoch_us({time}) AS {time}"));
    let replaced = replaced.chain(system).collect::<Vec<_>>().join(", ");
    format!("CREATE VIEW {name} AS SELECT * REPLACE ({replaced}) FROM {from}")
}

#[test]
fn glue_is_given_the_tables_that_athena_is() {
    let on_s3 = OnS3::new(68);
    let (sql, lines) = (on_s3.print(&["athena"]), on_s3.print(&["athena", "--glue"]));
    let inputs: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(inputs.len(), 3 * RESOURCES.len() + 1);
    for input in inputs {
        let table = &input["TableInput"];
        let name = table["Name"].as_str().unwrap();
        let statement =
            sql.split("CREATE ").find(|text| text.starts_with(&format!("EXTERNAL TABLE IF NOT EXISTS `{name}` ")));
        let statement = statement.unwrap_or_else(|| panic!("{name}"));
        let (storage, parameters) = (&table["StorageDescriptor"], table["Parameters"].as_object().unwrap());
        let location = storage["Location"].as_str().unwrap();
        assert!(statement.contains(&format!("LOCATION '{location}'")) && location.ends_with('/'), "{statement}");
        for column in storage["Columns"].as_array().unwrap().iter().chain(table["PartitionKeys"].as_array().unwrap()) {
            let comment = column["Comment"].as_str().unwrap();
            // https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html
            assert!(!comment.is_empty() && comment.len() <= 255, "{name}: {column}");
            let declared =
                format!("`{}` {} COMMENT", column["Name"].as_str().unwrap(), column["Type"].as_str().unwrap());
            assert!(statement.contains(&declared), "{declared}: {statement}");
        }
        for (key, value) in parameters.iter().filter(|(key, _)| *key != "EXTERNAL") {
            let property = format!("'{key}' = '{}'", value.as_str().unwrap());
            assert!(statement.contains(&property), "{property}: {statement}");
        }
        assert_projection_is_as_documented(table);
    }
}

/// Rules of <https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html> for the type `date`, and of
/// the page before it for the location.
fn assert_projection_is_as_documented(table: &Value) {
    let (name, parameters) = (table["Name"].as_str().unwrap(), &table["Parameters"]);
    let location = table["StorageDescriptor"]["Location"].as_str().unwrap();
    let keys = table["PartitionKeys"].as_array().unwrap();
    if keys.is_empty() {
        assert!(parameters.get("projection.enabled").is_none(), "{name}");
        return;
    }
    assert_eq!(
        (keys.len(), &keys[0]["Name"], &keys[0]["Type"]),
        (1, &"event_month".into(), &"string".into()),
        "{name}"
    );
    let property = |what: &str| parameters[&format!("projection.event_month.{what}")].as_str().unwrap();
    assert_eq!(parameters["projection.enabled"], "true");
    assert_eq!((property("type"), property("format")), ("date", "yyyy-MM"));
    // Without days in the format, both must be given.
    assert_eq!((property("interval"), property("interval.unit")), ("1", "MONTHS"));
    let (from, to) = property("range").split_once(',').unwrap();
    assert!(chrono::NaiveDate::parse_from_str(&format!("{from}-01"), "%Y-%m-%d").is_ok(), "{from}");
    let ahead = to.strip_prefix("NOW+").and_then(|ahead| ahead.strip_suffix("MONTHS")).unwrap();
    assert!(ahead.parse::<u32>().unwrap() > 0, "{to}");
    let template = parameters["storage.location.template"].as_str().unwrap();
    assert_eq!(template, format!("{location}event_month=${{event_month}}/"));
}
