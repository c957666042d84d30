//! What is served means what the truth says, in every style.

use serde_json::Value;

use super::super::{KeyOrder, ListOrder, Numbers, Resource, Style, Whitespace};
use super::served::{Object, columns, expected};
use super::{at, list, text, world};

#[test]
fn the_truth_is_what_is_served_and_no_more() {
    let world = world(4000);
    for snapshot in [0, 30, 24 * 200].map(|hours| at(&world, hours)) {
        for resource in Resource::ALL {
            let columns = columns(resource);
            let served = Object::list(&list(&snapshot, resource));
            let truth = text(snapshot.truth(resource));
            assert_eq!(truth.lines().count(), served.len());
            for (object, line) in served.iter().zip(truth.lines()) {
                assert_eq!(expected(&columns, object), serde_json::from_str::<Value>(line).unwrap());
            }
        }
    }
}

#[test]
fn no_style_changes_a_value() {
    let default = Style::default();
    let styles = [
        Style { key_order: KeyOrder::Shuffled, ..default },
        Style { whitespace: Whitespace::Pretty, ..default },
        Style { numbers: Numbers::Alternate, ..default },
        Style { order: ListOrder::Reversed, ..default },
        Style { order: ListOrder::Shuffled, ..default },
        Style {
            key_order: KeyOrder::Shuffled,
            whitespace: Whitespace::Pretty,
            numbers: Numbers::Alternate,
            order: ListOrder::Shuffled,
        },
    ];
    let snapshot = at(&world(2000), 50);
    for resource in Resource::ALL {
        let plain = list(&snapshot, resource);
        for style in styles {
            let styled = text(snapshot.list(resource, style));
            let has_numbers = !matches!(
                resource,
                Resource::Wallets | Resource::Beneficiaries | Resource::Currencies | Resource::PaymentRoutes
            );
            if has_numbers || style.numbers == Numbers::Stable || style.order != ListOrder::Natural {
                assert_ne!(styled, plain, "{resource:?} {style:?}");
            }
            assert_eq!(meaning(resource, &styled), meaning(resource, &plain), "{resource:?} {style:?}");
        }
    }
}

/// The rows that the list should become, by key, with JSON columns parsed, since their keys and white space may move.
fn meaning(resource: Resource, json: &str) -> Vec<Value> {
    let columns = columns(resource);
    let mut objects = Object::list(json);
    objects.sort_by_key(Object::key);
    objects.iter().map(|object| parsed(expected(&columns, object))).collect()
}

fn parsed(value: Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('{') => serde_json::from_str(&text).unwrap(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, parsed(value))).collect(),
        Value::Array(values) => values.into_iter().map(parsed).collect(),
        other => other,
    }
}

#[test]
fn every_form_that_the_contract_leaves_open_occurs() {
    let world = world(20_000);
    let snapshot = at(&world, 0);
    let all = Resource::ALL.map(|resource| list(&snapshot, resource)).concat();
    for form in [
        r#""amount":1234"#,
        r#""amount":1E-8"#,
        r#"0.000000000000000001"#,
        r#"E+3"#,
        r#""completedAt":null"#,
        r#""fills":null"#,
        r#""fills":[]"#,
        r#""isRateInverted":true"#,
        r#""withdrawDetails":null"#,
        r#""reference":"INV-"#,
        r#""metadata":{"#,
        r#""memo":"#,
        r#""venue":"#,
        r#""address_tag":null"#,
        r#"":1.10"#,
        r#"Caf\u00e9"#,
        r#"\ud83d\ude80"#,
        r#"'; DROP TABLE"#,
        r#"=HYPERLINK(\""#,
        r#""nickname":"""#,
    ] {
        assert!(all.contains(form), "no {form}");
    }
    for resource in [Resource::Deposits, Resource::Withdrawals, Resource::Trades] {
        let objects = Object::list(&list(&snapshot, resource));
        assert!(objects.iter().any(|object| object.raw("completedAt").is_none()));
        let truth = text(snapshot.truth(resource));
        assert!(truth.contains(r#""_extra":"{\"completedAt\":\"20"#), "no digits beyond the microsecond");
    }
    assert!(Object::list(&list(&snapshot, Resource::Trades)).iter().any(|trade| trade.raw("fills").is_none()));
}

#[test]
fn some_amounts_are_more_than_a_double_holds() {
    let snapshot = at(&world(1000), 0);
    let funding: Vec<_> = Object::list(&list(&snapshot, Resource::Deposits)).into_iter().take(4).collect();
    for amount in [&funding[0], &funding[3]].map(|deposit| deposit.raw("amount").unwrap()) {
        let digits = amount.bytes().filter(u8::is_ascii_digit).count();
        assert!(digits > 17, "{amount}");
    }
}
