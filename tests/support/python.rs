//! Environments of Python with what a test needs of it, each made when it is first needed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

use super::debian;

/// A Python that has DuckDB.
pub fn of_duckdb() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| with("requirements.txt", "duckdb, duckdb_extension_httpfs, pytz, sqlglot"))
}

/// A Python that has dbt, with its program beside it.
pub fn of_dbt() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| with("requirements-dbt.txt", "dbt.adapters.duckdb, dbt.cli.main"))
}

/// A Python that drives a browser.
pub fn of_browser() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| with("requirements-browser.txt", "axe_playwright_python.sync_playwright"))
}

/// A Python that has OpenTelemetry's messages.
pub fn of_otlp() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| with("requirements-otlp.txt", "opentelemetry.proto, google.protobuf"))
}

/// A Python with programs beside it that judge files of Kubernetes, containers, GitHub and shells.
pub fn of_packaging() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        with("requirements-packaging.txt", "check_jsonschema, dockerfile_parse, kubernetes_validate, yaml")
    })
}

/// A Python that has Spark, and the Java that it runs on.
pub fn of_spark() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        debian::need("java", "openjdk-17-jre-headless");
        with("requirements-spark.txt", "pyspark")
    })
}

/// Made once, even if several processes ask for it.
fn with(requirements: &str, modules: &str) -> PathBuf {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(requirements);
    let named = std::fs::read(&requirements).unwrap();
    let hash: String = Sha256::digest(&named).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{hash}"));
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let python = folder.join("bin/python");
    let is_ready = || {
        let import = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !is_ready() {
        make(&folder, &python, &requirements);
        assert!(is_ready(), "{} has no {modules} although it was installed", folder.display());
    }
    python
}

fn make(folder: &Path, python: &Path, requirements: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{}: {error}", folder.display()),
        _ => {}
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(python).args(pip).arg(requirements));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} (Debian: apt install python3-venv)\n{told}");
}
