//! As much of an IAM policy as the lake's need: statements that allow actions on resources, some on a condition.

use std::path::Path;

use serde_json::Value;

use super::{BUCKET, PREFIX, bucket::Verb, http::Head};

/// What is allowed; everything else is not.
pub struct Policy {
    statements: Vec<Value>,
}

impl Policy {
    /// Of a file in `config/`, for the lake of these tests.
    pub fn of_config(file: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
        let json = std::fs::read_to_string(path).unwrap().replace("BUCKET", BUCKET).replace("PREFIX", PREFIX);
        let policy: Value = serde_json::from_str(&json).unwrap();
        let Value::Array(statements) = policy["Statement"].clone() else { panic!("no statements: {policy}") };
        assert!(statements.iter().all(|statement| statement["Effect"] == "Allow"), "only what is allowed: {policy}");
        Self { statements }
    }

    pub fn allows(&self, verb: Verb, key: &str, head: &Head) -> bool {
        let action = match verb {
            Verb::List => "s3:ListBucket",
            Verb::Get | Verb::Head => "s3:GetObject",
            Verb::Create | Verb::Put | Verb::Begin | Verb::Part | Verb::Complete => "s3:PutObject",
            Verb::Abort => "s3:AbortMultipartUpload",
            Verb::Delete | Verb::Unknown => "s3:DeleteObject",
        };
        let resource = match verb {
            Verb::List => format!("arn:aws:s3:::{BUCKET}"),
            _ => format!("arn:aws:s3:::{BUCKET}/{key}"),
        };
        self.allow(action, &resource, |name| match name {
            "s3:if-none-match" => head.header("if-none-match"),
            "s3:prefix" => head.query.get("prefix").map(String::as_str),
            other => panic!("this server knows no condition on {other}"),
        })
    }

    /// Whether one who asks for what is not there may learn so: that takes the right to list.
    pub fn tells_what_is_missing(&self) -> bool {
        self.allow("s3:ListBucket", &format!("arn:aws:s3:::{BUCKET}"), |_| None)
    }

    fn allow<'r>(&self, action: &str, resource: &str, context: impl Fn(&str) -> Option<&'r str>) -> bool {
        self.statements.iter().any(|statement| {
            texts(&statement["Action"]).any(|pattern| matches(pattern, action))
                && texts(&statement["Resource"]).any(|pattern| matches(pattern, resource))
                && holds(&statement["Condition"], &context)
        })
    }
}

fn holds<'r>(condition: &Value, context: &impl Fn(&str) -> Option<&'r str>) -> bool {
    let Some(operators) = condition.as_object() else { return true };
    operators.iter().all(|(operator, operands)| {
        operands.as_object().unwrap().iter().all(|(name, expected)| {
            let found = context(name);
            let like = |found: &str| texts(expected).any(|pattern| matches(pattern, found));
            match operator.as_str() {
                "Null" => texts(expected).all(|is_null| found.is_none() == (is_null == "true")),
                "StringLike" => found.is_some_and(like),
                "StringLikeIfExists" => found.is_none_or(like),
                other => panic!("this server knows no operator {other}"),
            }
        })
    })
}

/// One text, or a list of them.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let several = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    several.iter().map(|text| text.as_str().unwrap())
}

/// `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))),
    }
}
