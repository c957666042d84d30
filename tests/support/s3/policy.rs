//! As much of an IAM policy as the lake's need: statements that allow actions on resources, some on a condition.

use serde_json::Value;

use super::{BUCKET, bucket::Verb, http::Head};

/// What is allowed; everything else is not.
pub struct Policy {
    statements: Vec<Value>,
}

impl Policy {
    /// From its JSON, with the bucket's and the lake's placeholders filled in already.
    pub fn parse(json: &str) -> Self {
        let policy: Value = serde_json::from_str(json).unwrap();
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
        self.statements.iter().any(|statement| {
            texts(&statement["Action"]).any(|pattern| matches(pattern, action))
                && texts(&statement["Resource"]).any(|pattern| matches(pattern, &resource))
                && holds(&statement["Condition"], head)
        })
    }
}

fn holds(condition: &Value, head: &Head) -> bool {
    let Some(operators) = condition.as_object() else { return true };
    operators.iter().all(|(operator, operands)| {
        operands.as_object().unwrap().iter().all(|(name, expected)| {
            let found = match name.as_str() {
                "s3:if-none-match" => head.header("if-none-match"),
                "s3:prefix" => Some(head.query.get("prefix").map_or("", String::as_str)),
                other => panic!("this server knows no condition on {other}"),
            };
            match operator.as_str() {
                "Null" => texts(expected).all(|is_null| found.is_none() == (is_null == "true")),
                "StringEquals" => found.is_some_and(|found| texts(expected).any(|text| text == found)),
                "StringLike" => found.is_some_and(|found| texts(expected).any(|pattern| matches(pattern, found))),
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
