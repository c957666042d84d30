//! Money paid in. The first deposit of each currency funds it.

use rust_decimal::Decimal;

use super::assets::Asset;
use super::clock::{BEGIN, DAY, HOUR, MINUTE, Nanos};
use super::draw::Draw;
use super::lifecycle::{Lifecycle, Status};
use super::number::Form;
use super::timestamp::{Precision, Timestamp};
use super::value::{Record, Value, member, undeclared};
use super::world::World;

/// One deposit, at all times.
pub(super) struct Deposit {
    pub(super) asset: &'static Asset,
    pub(super) amount: Decimal,
    pub(super) fee: Decimal,
    pub(super) life: Lifecycle,
    draw: Draw,
}

impl Deposit {
    /// The deposit of the number.
    pub(super) fn new(world: &World, number: u64) -> Deposit {
        let (made, mut draw) = world.deposits.begin(number);
        if let Some(asset) = world.assets.get(number as usize) {
            return Deposit::funding(world, number, asset, draw);
        }
        let asset = draw.pick(world.assets);
        let amount = asset.amount(&mut draw, asset.scale);
        let fee = asset.fee(&mut draw, amount);
        let life = lifecycle(made, &mut draw);
        Deposit { asset, amount, fee, life, draw }
    }

    /// Made before all other records, and completed at once.
    fn funding(world: &World, number: u64, asset: &'static Asset, mut draw: Draw) -> Deposit {
        let made = BEGIN - (world.assets.len() as Nanos - number as Nanos) * HOUR;
        let mut life = Lifecycle::begin(Status::Submitted, made);
        life.then(&mut draw, Status::Completed, MINUTE, HOUR);
        Deposit { asset, amount: asset.funding(world.records), fee: Decimal::ZERO, life, draw }
    }

    /// The deposit as the API shows it at the clock.
    pub(super) fn record(mut self, world: &World, number: u64, clock: Nanos) -> Record {
        let draw = &mut self.draw;
        let (amount, fee) = (Form::choose(draw), Form::choose(draw));
        let precision = Precision::choose(draw);
        let explicit_null = draw.one_in(2);
        let memo = draw.one_in(48).then(|| *draw.pick(&["salary", "Überweisung", "top-up \"May\""]));
        let completed = self.life.reached(Status::Completed, clock).map(|at| Timestamp::zoneless(at, precision));
        let mut record = vec![
            member("currency", self.asset.code),
            member("transactionId", world.deposits.ids.encode(number)),
            member("amount", self.asset.number(self.amount, amount)),
            member("fee", self.asset.number(self.fee, fee)),
            member("status", self.life.status(clock).name()),
            member("completedAt", Value::or_none(completed, explicit_null)),
        ];
        record.extend(memo.map(|memo| undeclared("memo", memo)));
        record
    }
}

fn lifecycle(made: Nanos, draw: &mut Draw) -> Lifecycle {
    let mut life = Lifecycle::begin(Status::Submitted, made);
    life.then(draw, Status::Pending, MINUTE, 2 * HOUR);
    if draw.one_in(25) {
        life.then(draw, Status::Cancelled, HOUR, DAY);
        return life;
    }
    life.settle(draw)
}
