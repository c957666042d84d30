//! The code keeps to its floors and doors, as the design has them.
//!
//! A module imports from the floors below its own, never from its own or one above; each outside dependency, the
//! environment, the clock and randomness come in by one door. Tests in `src/` may do as they like.

mod faults;
mod source;

use std::path::Path;

use source::{Source, Use};

/// From the lowest up. Modules of one floor do not know each other.
const FLOORS: [&[&str]; 9] = [
    &["figure", "record", "redact", "schema"],
    &["catalog", "decode", "diff"],
    &["api", "lake"],
    &["config"],
    &["error"],
    &["sync"],
    &["check", "cli", "compact", "ddl", "demo", "metrics", "reconcile", "replay", "status", "telemetry", "verify"],
    &["operate", "report"],
    &["main"],
];

/// The sandbox stands beside the house: it knows nobody, and these alone know it.
const SANDBOX: &str = "sandbox";
const SANDBOX_GUESTS: [&str; 3] = ["demo", "error", "main"];

/// A dependency and the modules that may name it.
const DOORS: [(&str, &[&str]); 7] = [
    ("reqwest", &["api", "lake"]),
    ("object_store", &["lake"]),
    ("parquet", &["lake"]),
    ("axum", &["metrics", "sandbox"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
];

/// Who may ask for the time and for random numbers: one file of `sync`, and modules that no run depends on.
const AMBIENT_FILE: &str = "src/sync/ambient.rs";
const AMBIENT_MODULES: [&str; 3] = ["main", "sandbox", "telemetry"];
const CLOCKS: [&str; 4] = ["SystemTime", "Utc", "Local", "Instant"];
const RANDOM_CRATES: [&str; 5] = ["rand", "rand_chacha", "rand_core", "getrandom", "fastrand"];
const RANDOM_CALLS: [&str; 4] = ["new_v1", "new_v4", "now_v6", "now_v7"];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Everything in a file that it must not do, as `file:line: what`.
fn faults(source: &Source) -> Vec<String> {
    let module = source.module();
    let mut faults = Vec::new();
    let mut fault = |line: usize, what: String| faults.push(format!("{}:{line}: {what}", source.file));
    for Use { line, module: other } in source.imports() {
        if other != module && !may_import(module, &other) {
            fault(line, format!("`{module}` imports `{other}`"));
        }
    }
    for (dependency, doors) in DOORS {
        if !doors.contains(&module) {
            source.crates(dependency).for_each(|line| fault(line, format!("`{dependency}` belongs to {doors:?}")));
        }
    }
    if module != "config" {
        source.words("env").for_each(|line| fault(line, "the environment belongs to `config`".to_owned()));
    }
    if source.file != AMBIENT_FILE && !AMBIENT_MODULES.contains(&module) {
        // Deadlines are the network's; a run that is simulated has none.
        for clock in CLOCKS.into_iter().filter(|clock| (module, *clock) != ("api", "Instant")) {
            source
                .calls(clock, "now")
                .for_each(|line| fault(line, format!("`{clock}::now` belongs to {AMBIENT_FILE}")));
        }
        for name in RANDOM_CRATES {
            source.crates(name).for_each(|line| fault(line, format!("`{name}` belongs to {AMBIENT_FILE}")));
        }
        for call in RANDOM_CALLS {
            source.words(call).for_each(|line| fault(line, format!("`{call}` belongs to {AMBIENT_FILE}")));
        }
    }
    faults
}

fn may_import(module: &str, other: &str) -> bool {
    match (module, other) {
        (SANDBOX, _) => false,
        (_, SANDBOX) => SANDBOX_GUESTS.contains(&module),
        _ => floor_of(other) < floor_of(module) && floor_of(other).is_some(),
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    source::files(&root.join("src")).iter().filter_map(|file| Source::read(root, file)).collect()
}

#[test]
fn every_module_keeps_to_its_floor_and_every_dependency_to_its_door() {
    let faults: Vec<String> = sources().iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    for source in sources() {
        let module = source.module();
        assert!(module == "lib" || module == SANDBOX || floor_of(module).is_some(), "{}: no floor", source.file);
    }
}

#[test]
fn what_breaks_the_house_is_found_by_file_and_line() {
    let rows = [
        ("lake/log.rs", "use std::fmt;\nuse crate::api::Client;", "src/lake/log.rs:2: `lake` imports `api`"),
        (
            "diff/x.rs",
            "use crate::{\n    schema::Resource,\n    decode::{Row, Cell},\n};",
            "src/diff/x.rs:3: `diff` imports `decode`",
        ),
        ("schema/mod.rs", "fn f() { crate::lake::x() }", "src/schema/mod.rs:1: `schema` imports `lake`"),
        ("decode/row.rs", "use super::super::sync::Report;", "src/decode/row.rs:1: `decode` imports `sync`"),
        ("record/mod.rs", "use super::decode;", "src/record/mod.rs:1: `record` imports `decode`"),
        ("sandbox/world.rs", "use crate::schema::Table;", "src/sandbox/world.rs:1: `sandbox` imports `schema`"),
        ("sync/mod.rs", "use crate::sandbox;", "src/sync/mod.rs:1: `sync` imports `sandbox`"),
        ("config.rs", "type E = crate::error::Error;", "src/config.rs:1: `config` imports `error`"),
        ("sync/mod.rs", "use reqwest::Url;", "src/sync/mod.rs:1: `reqwest` belongs to [\"api\", \"lake\"]"),
        ("sync/mod.rs", "use ::parquet::X;", "src/sync/mod.rs:1: `parquet` belongs to [\"lake\"]"),
        ("api/x.rs", "fn f(e: object_store::Error) {}", "src/api/x.rs:1: `object_store` belongs to [\"lake\"]"),
        ("sync/mod.rs", "use std::env::var;", "src/sync/mod.rs:1: the environment belongs to `config`"),
        ("lake/x.rs", "let t = chrono::Utc::now();", "src/lake/x.rs:1: `Utc::now` belongs to src/sync/ambient.rs"),
        ("sync/mod.rs", "map(Utc::now)", "src/sync/mod.rs:1: `Utc::now` belongs to src/sync/ambient.rs"),
        ("lake/x.rs", "uuid::Uuid::new_v4()", "src/lake/x.rs:1: `new_v4` belongs to src/sync/ambient.rs"),
        ("diff/x.rs", "use rand_chacha::ChaCha8Rng;", "src/diff/x.rs:1: `rand_chacha` belongs to src/sync/ambient.rs"),
        ("main.rs", "use lumetrade_export::sync;\nuse clap::Parser;", "src/main.rs:2: `clap` belongs to [\"cli\"]"),
    ];
    for (file, text, expected) in rows {
        assert_eq!(faults(&Source::of(&format!("src/{file}"), text)), [expected], "{text}");
    }
}

#[test]
fn what_the_house_allows_is_not_taken_for_a_fault() {
    let rows = [
        ("sync/mod.rs", "use crate::{api, lake::{Log, parquet_file}, config::Config, error::Error};"),
        ("lake/log.rs", "use super::{Head, store::Store};\nuse crate::schema::Resource;\nuse parquet::X;"),
        ("demo.rs", "use crate::sandbox;"),
        ("main.rs", "use lumetrade_export::{cli::Cli, sandbox, sync};"),
        (
            "lake/x.rs",
            "// use crate::sync;\n/* reqwest::get */ let s = \"crate::sync::x Utc::now\"; let r = r#\"rand::x\"#;",
        ),
        (
            "lake/x.rs",
            "/// See [`Log`](crate::sync::Log).\nfn f<'a>(c: &'a char) -> bool { *c == '\"' }\nfn g() { env!(\"X\"); }",
        ),
        ("lake/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::sync::X;\n    fn f() { Utc::now(); }\n}"),
        ("lake/mod.rs", "#[cfg(test)]\nmod tests;\npub use x::Y;"),
        ("telemetry.rs", "let now = Instant::now(); tracing.with_env_filter(x)"),
        ("sync/ambient.rs", "Self::new(Utc::now, || uuid::Uuid::new_v4().as_u128())"),
    ];
    for (file, text) in rows {
        assert_eq!(faults(&Source::of(&format!("src/{file}"), text)), [""; 0], "{text}");
    }
}
