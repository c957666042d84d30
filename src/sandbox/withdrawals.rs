//! Money paid out, with the free-form details of where to.

use rust_decimal::Decimal;

use super::assets::Asset;
use super::clock::{DAY, HOUR, MINUTE, Nanos};
use super::draw::Draw;
use super::lifecycle::{Lifecycle, Status};
use super::number::Form;
use super::timestamp::{Precision, Timestamp};
use super::value::{Member, Record, Value, member, undeclared};
use super::wallets::address;
use super::world::World;

const BANKS: &[&str] = &["FNB", "Nedbank", "Standard Bank", "Banque Populaire d'Été", "Equity \"Kenya\"", "銀行"];

/// One withdrawal, at all times.
pub(super) struct Withdrawal {
    pub(super) asset: &'static Asset,
    pub(super) amount: Decimal,
    pub(super) fee: Decimal,
    pub(super) life: Lifecycle,
    draw: Draw,
}

impl Withdrawal {
    /// The withdrawal of the number.
    pub(super) fn new(world: &World, number: u64) -> Withdrawal {
        let (made, mut draw) = world.withdrawals.begin(number);
        let asset = draw.pick(world.assets);
        let amount = asset.amount(&mut draw, asset.scale);
        let fee = asset.fee(&mut draw, amount);
        let life = lifecycle(made, &mut draw);
        Withdrawal { asset, amount, fee, life, draw }
    }

    /// The withdrawal as the API shows it at the clock.
    pub(super) fn record(mut self, world: &World, number: u64, clock: Nanos) -> Record {
        let draw = &mut self.draw;
        let (amount, fee) = (Form::choose(draw), Form::choose(draw));
        let (created, completed) = (Precision::choose(draw), Precision::choose(draw));
        let explicit_null = draw.one_in(2);
        let details = (!draw.one_in(64)).then(|| details(self.asset, draw));
        let reference = draw.one_in(16).then(|| format!("INV-{}", draw.digits(6)));
        let metadata = draw.one_in(64).then(|| metadata(draw));
        let completed = self.life.reached(Status::Completed, clock).map(|at| Timestamp::zoneless(at, completed));
        let mut record = vec![
            member("amount", self.asset.number(self.amount, amount)),
            member("fee", self.asset.number(self.fee, fee)),
            member("currency", self.asset.code),
            member("withdrawDetails", Value::or_none(details, explicit_null)),
            member("status", self.life.status(clock).name()),
            member("transactionId", world.withdrawals.ids.encode(number)),
        ];
        record.extend(reference.map(|reference| undeclared("reference", reference)));
        record.push(member("createdAt", Timestamp::zoned(self.life.begun(), created)));
        record.push(member("completedAt", Value::or_none(completed, explicit_null)));
        record.extend(metadata.map(|metadata| undeclared("metadata", metadata)));
        record
    }
}

fn details(asset: &Asset, draw: &mut Draw) -> Vec<Member> {
    if asset.fiat {
        let mut details = vec![
            member("bankName", *draw.pick(BANKS)),
            member("accountNumber", draw.digits(10)),
            member("paymentMethodType", *draw.pick(asset.rails)),
        ];
        if draw.one_in(4) {
            let owner = vec![member("name", Value::Escaped("Zoë 🚀")), member("share", Value::verbatim("1.10"))];
            details.push(member("owner", owner));
        }
        return details;
    }
    let network = *draw.pick(asset.rails);
    let fee = *draw.pick(&["0.00010", "1E-8", "0", "2.50"]);
    vec![
        member("address", address(network, draw)),
        member("address_tag", Value::or_none(draw.one_in(4).then(|| draw.digits(6)), true)),
        member("networkName", network),
        member("networkFee", Value::verbatim(fee)),
    ]
}

/// What no reference declares, in shapes that a later version of the API might send.
fn metadata(draw: &mut Draw) -> Vec<Member> {
    let attempt = *draw.pick(&["1", "2", "3.00"]);
    let tags = vec![Value::from("payroll"), Value::Null, Value::verbatim("1.0")];
    vec![
        member("channel", *draw.pick(&["api", "web"])),
        member("attempt", Value::verbatim(attempt)),
        member("tags", Value::List(tags)),
    ]
}

fn lifecycle(made: Nanos, draw: &mut Draw) -> Lifecycle {
    let mut life = Lifecycle::begin(Status::Pending, made);
    life.then(draw, Status::Accepted, MINUTE, 2 * HOUR);
    life.then(draw, Status::AwaitingConfirmation, MINUTE, 4 * HOUR);
    if draw.one_in(20) {
        life.then(draw, Status::Cancelled, HOUR, DAY);
        return life;
    }
    life.settle(draw)
}
