//! Pages as a browser shows them: what is wrong with them for whoever reads them, and the tables that they have.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Deserialize;

use super::{debian, python};

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser_driver.py");

/// A page that was looked at.
#[derive(Deserialize)]
pub struct Page {
    views: Vec<View>,
    /// Rows of cells by the table's caption, of which the first is the head's.
    tables: BTreeMap<String, Vec<Vec<String>>>,
}

/// A page at one size, in one scheme.
#[derive(Deserialize)]
struct View {
    view: String,
    problems: Vec<String>,
}

impl Page {
    /// Looks at a file. Pictures of it stay in the folder that `LUMETRADE_TEST_PICTURES` names, if it does.
    pub fn open(file: &Path) -> Self {
        debian::need("chromium", "chromium");
        let mut command = Command::new(python::of_browser());
        command.arg(DRIVER).arg(file).args(std::env::var_os("LUMETRADE_TEST_PICTURES"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Fails if anything is wrong for anybody.
    #[track_caller]
    pub fn assert_readable(&self) {
        assert_eq!(self.views.len(), 7);
        let bad = self.views.iter().filter(|view| !view.problems.is_empty());
        let bad: Vec<_> = bad.map(|View { view, problems }| format!("{view}:\n{}\n", problems.join("\n"))).collect();
        assert!(bad.is_empty(), "{}", bad.concat());
    }

    /// Captions of all tables.
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// The rows of a table behind its head, each by its column's name.
    #[track_caller]
    pub fn table(&self, caption: &str) -> Vec<BTreeMap<&str, &str>> {
        let rows = self.tables.get(caption).unwrap_or_else(|| panic!("no table `{caption}`"));
        let (head, rows) = rows.split_first().unwrap();
        rows.iter().map(|row| head.iter().map(String::as_str).zip(row.iter().map(String::as_str)).collect()).collect()
    }
}
