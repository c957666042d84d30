//! DuckDB in a child process, from an environment that is made when it is first needed.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use super::python;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/duckdb_driver.py");

/// A connection to a DuckDB of its own.
pub struct DuckDb {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What a statement is answered with: texts, lists of texts, and nulls.
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl DuckDb {
    pub fn start() -> Self {
        let mut child = Command::new(python::of_duckdb())
            .arg(DRIVER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Python of the tests starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Runs one statement; DuckDB's message if it fails.
    pub fn try_query(&mut self, sql: &str) -> Result<Answer, String> {
        self.ask(&json!({ "sql": sql }))
    }

    /// Loads an extension that `requirements.txt` names.
    pub fn load(&mut self, extension: &str) {
        self.ask(&json!({ "load": extension })).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Statements for Athena, each with its kind and as DuckDB would have it; an error where Athena's grammar is not kept.
    pub fn read_as_athena(&mut self, sql: &str) -> Vec<(String, String)> {
        let answer = self.ask(&json!({ "athena": sql })).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        let text = |cell: &Value| cell.as_str().unwrap().to_owned();
        answer.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }

    fn ask(&mut self, request: &Value) -> Result<Answer, String> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{request}").and_then(|()| input.flush()).expect("DuckDB runs");
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("DuckDB ended at: {request}"));
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let names = answer["columns"].as_array().unwrap().iter();
        let columns = names.map(|name| name.as_str().unwrap().to_owned()).collect();
        let Value::Array(rows) = answer["rows"].take() else { panic!("no rows: {request}") };
        let cells = |row| if let Value::Array(cells) = row { cells } else { panic!("no row: {request}") };
        Ok(Answer { columns, rows: rows.into_iter().map(cells).collect() })
    }

    /// Runs one statement that must not fail.
    pub fn query(&mut self, sql: &str) -> Answer {
        self.try_query(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"))
    }

    /// The one value of a statement.
    pub fn value(&mut self, sql: &str) -> String {
        let answer = self.query(sql);
        assert_eq!((answer.rows.len(), answer.columns.len()), (1, 1), "{sql}");
        answer.rows[0][0].as_str().unwrap_or_else(|| panic!("null: {sql}")).to_owned()
    }

    /// How many rows are in one source and not, or not as often, in the other.
    pub fn rows_apart(&mut self, one: &str, other: &str) -> String {
        let apart = format!("((FROM {one} EXCEPT ALL FROM {other}) UNION ALL (FROM {other} EXCEPT ALL FROM {one}))");
        self.value(&format!("SELECT CAST(count(*) AS VARCHAR) FROM {apart}"))
    }

    /// Column names with their types, as `DESCRIBE` gives them.
    pub fn describe(&mut self, sql: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let answer = self.query(&format!("DESCRIBE {sql}"));
        answer.rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect()
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // The driver ends with its input.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
