//! Saved payout destinations: they appear, are renamed, go, and some come back.
//!
//! Their labels are what people and attackers type, since they end up in tables, spreadsheets and logs.

use std::borrow::Cow;

use super::assets::Asset;
use super::clock::{DAY, HOUR, Nanos};
use super::draw::Draw;
use super::timestamp::{Precision, Timestamp};
use super::value::{Member, Record, Value, member};
use super::wallets::address;
use super::world::World;

/// Made by the start clock, of which about half are still there.
pub(super) const PER_HISTORY: u64 = 72;

const NICKNAMES: &[Value] = &[
    text("FNB Savings"),
    Value::Escaped("Café Zürich"),
    Value::Escaped("🚀 payouts"),
    text(""),
    text("'; DROP TABLE beneficiaries; --"),
    text("=HYPERLINK(\"http://example.invalid\",\"open\")"),
    text("two\nlines\tand a tab"),
    text("\"quoted\" \\ back"),
    text("עברית \u{202E}RTL"),
    text("null"),
    text("`{{ x }}`"),
    text("../../etc/passwd"),
    text("  rent  "),
    text("e\u{301}"),
];

/// The beneficiary as the API shows it at the clock, if it is there.
pub(super) fn record(world: &World, number: u64, clock: Nanos) -> Option<Record> {
    let (made, mut draw) = world.beneficiaries.begin(number);
    let asset = draw.pick(world.assets);
    let precision = Precision::choose(&mut draw);
    if is_away(clock - made, &mut draw) {
        return None;
    }
    let edits = clock.abs_diff(made) / draw.span(20 * DAY, 200 * DAY).unsigned_abs();
    let mut draw = world.beneficiaries.redraw(number, 1 + edits);
    Some(vec![
        member("id", world.beneficiaries.ids.encode(number)),
        member("currency", asset.code),
        member("nickname", draw.pick(NICKNAMES).clone()),
        member("withdrawFormDetails", details(asset, &mut draw)),
        member("createdAt", Timestamp::zoned(made, precision)),
    ])
}

/// Whether a beneficiary of this age is gone: each goes some day, and a third are back after a while, for as long again.
fn is_away(age: Nanos, draw: &mut Draw) -> bool {
    let stay = draw.span(10 * DAY, 600 * DAY);
    let absence = draw.span(12 * HOUR, 20 * DAY);
    let returns = draw.one_in(3);
    let second_stay = stay + absence..stay + absence + stay;
    age >= stay && !(returns && second_stay.contains(&age))
}

/// `Value::from`, which is not `const`.
const fn text(text: &'static str) -> Value {
    Value::Text(Cow::Borrowed(text))
}

fn details(asset: &Asset, draw: &mut Draw) -> Vec<Member> {
    let rail = *draw.pick(asset.rails);
    if asset.fiat {
        return vec![
            member("bankName", draw.pick(&[Value::from("FNB"), Value::Escaped("Société Générale")]).clone()),
            member("accountNumber", draw.digits(10)),
        ];
    }
    vec![
        member("address", address(rail, draw)),
        member("address_tag", Value::or_none(draw.one_in(3).then(|| draw.digits(6)), true)),
        member("networkName", rail),
    ]
}
