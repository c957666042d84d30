//! One currency exchanged for another, in one to three fills.
//!
//! While a trade is pending, its rate is what was quoted, and so is what it will bring; both may move when it is executed, unless
//! the quote was asked for (RFQ). A cancelled trade keeps what was quoted.

use rust_decimal::Decimal;

use super::assets::{ASSETS, Asset};
use super::clock::{DAY, HOUR, Nanos, SECOND};
use super::draw::Draw;
use super::lifecycle::{Lifecycle, Status};
use super::number::{Form, Number};
use super::timestamp::{Precision, Timestamp};
use super::value::{Record, Value, member, undeclared};
use super::world::World;

/// Fractional digits of what is given up, so that its product with a rate is exact in 28 digits.
const FROM_SCALE_MAX: u32 = 6;
/// Fractional digits that a rate shows in the forms that fill them up.
const RATE_SCALE: u32 = 8;
const FILLS_MAX: u64 = 3;

/// One trade, at all times.
pub(super) struct Trade {
    pub(super) from: &'static Asset,
    pub(super) to: &'static Asset,
    pub(super) from_amount: Decimal,
    pub(super) life: Lifecycle,
    quoted: Price,
    executed: Price,
    is_rfq: bool,
    is_inverted: bool,
    draw: Draw,
}

/// A rate, and what the trade brings at it.
#[derive(Clone, Copy)]
struct Price {
    rate: Decimal,
    to_amount: Decimal,
}

impl Trade {
    /// The trade of the number. There is none in a world that has not two currencies.
    pub(super) fn new(world: &World, number: u64) -> Trade {
        let (made, mut draw) = world.trades.begin(number);
        let (from, to) = pair(world.assets.len() as u64, &mut draw);
        let from_amount = ASSETS[from].amount(&mut draw, FROM_SCALE_MAX);
        let (is_rfq, is_inverted) = (draw.one_in(3), draw.one_in(5));
        let mut price = || {
            let (from, to) = if is_inverted { (to, from) } else { (from, to) };
            world.rates.quote(&mut draw, from, to)
        };
        let (quoted, executed) = (price(), price());
        let price = |rate| Price::new(from_amount, rate, is_inverted, ASSETS[to].scale);
        let quoted = price(quoted);
        let executed = if is_rfq { quoted } else { price(executed) };
        let life = lifecycle(made, &mut draw);
        Trade { from: &ASSETS[from], to: &ASSETS[to], from_amount, life, quoted, executed, is_rfq, is_inverted, draw }
    }

    /// What the trade brings, once it is completed.
    pub(super) fn to_amount(&self) -> Decimal {
        self.executed.to_amount
    }

    /// The trade as the API shows it at the clock.
    pub(super) fn record(mut self, world: &World, number: u64, clock: Nanos) -> Record {
        let forms = Forms::choose(&mut self.draw);
        let status = self.life.status(clock);
        let completed = self.life.reached(Status::Completed, clock);
        let price = if completed.is_some() { self.executed } else { self.quoted };
        let fills = self.fills(world, number, clock, &forms);
        let completed = completed.map(|at| Timestamp::zoneless(at, forms.completed));
        vec![
            member("fromCurrency", self.from.code),
            member("toCurrency", self.to.code),
            member("fromAmount", self.from.number(self.from_amount, forms.from)),
            member("toAmount", self.to.number(price.to_amount, forms.to)),
            member("rate", Number { value: price.rate, scale: RATE_SCALE, form: forms.rate }),
            member("isRateInverted", self.is_inverted),
            member("isRfq", self.is_rfq),
            member("status", status.name()),
            member("transactionId", world.trades.ids.encode(number)),
            member("createdAt", Timestamp::zoned(self.life.begun(), forms.created)),
            member("completedAt", Value::or_none(completed, forms.explicit_null)),
            member("fills", fills),
        ]
    }

    /// The fills of a trade that was executed; else one of the three ways to have none.
    fn fills(&mut self, world: &World, number: u64, clock: Nanos, forms: &Forms) -> Value {
        let parts = self.parts();
        let Some(completed) = self.life.reached(Status::Completed, clock) else {
            return match forms.no_fills {
                0 => Value::NullRecords,
                1 | 2 => Value::Records(Vec::new()),
                _ => Value::Absent,
            };
        };
        let reversed = self.life.reached(Status::Reversed, clock);
        let status = if reversed.is_some() { Status::Reversed } else { Status::Completed };
        let (count, begun) = (parts.len() as Nanos, self.life.begun());
        let fill = |(place, (from, to)): (usize, (Decimal, Decimal))| {
            let created = begun + (completed - begun) / count * (place as Nanos + 1);
            let mut fill = vec![
                member("fromCurrency", self.from.code),
                member("fromCurrencyAmount", self.from.number(from, forms.from)),
                member("toCurrency", self.to.code),
                member("toCurrencyAmount", self.to.number(to, forms.to)),
                member("status", status.name()),
                member("transactionId", world.fill_ids.encode(number * FILLS_MAX + place as u64)),
                member("modifiedAt", Timestamp::zoned(reversed.unwrap_or(completed), forms.filled)),
                member("createdAt", Timestamp::zoned(created, forms.filled)),
            ];
            fill.extend(forms.venue.filter(|_| place == 0).map(|venue| undeclared("venue", venue)));
            fill
        };
        Value::Records(parts.into_iter().enumerate().map(fill).collect())
    }

    /// The amounts of the fills, none zero, whose sums are the trade's.
    fn parts(&mut self) -> Vec<(Decimal, Decimal)> {
        let whole = (self.from_amount, self.executed.to_amount);
        let (mut rest, mut parts) = (whole, Vec::with_capacity(FILLS_MAX as usize));
        for _ in 0..self.draw.below(FILLS_MAX) {
            let share = Decimal::new(5 + self.draw.below(40) as i64, 2);
            let from = (whole.0 * share).trunc_with_scale(self.from.scale);
            let to = (whole.1 * share).trunc_with_scale(self.to.scale);
            rest = (rest.0 - from, rest.1 - to);
            parts.push((from, to));
        }
        if parts.iter().any(|(from, to)| from.is_zero() || to.is_zero()) {
            return vec![whole];
        }
        parts.push(rest);
        parts
    }
}

impl Price {
    /// What an amount brings at a rate, to the smallest unit below; but never nothing.
    fn new(from_amount: Decimal, rate: Decimal, is_inverted: bool, scale: u32) -> Price {
        let exact = if is_inverted { from_amount / rate } else { from_amount * rate };
        Price { rate, to_amount: exact.trunc_with_scale(scale).max(Decimal::new(1, scale)) }
    }
}

/// How one trade and its fills are written.
struct Forms {
    from: Form,
    to: Form,
    rate: Form,
    created: Precision,
    completed: Precision,
    filled: Precision,
    explicit_null: bool,
    no_fills: u64,
    venue: Option<&'static str>,
}

impl Forms {
    fn choose(draw: &mut Draw) -> Forms {
        Forms {
            from: Form::choose(draw),
            to: Form::choose(draw),
            rate: Form::choose(draw),
            created: Precision::choose(draw),
            completed: Precision::choose(draw),
            filled: Precision::choose(draw),
            explicit_null: draw.one_in(2),
            no_fills: draw.below(8),
            venue: draw.one_in(32).then(|| *draw.pick(&["OTC", "Börse"])),
        }
    }
}

/// The places of two different assets.
fn pair(count: u64, draw: &mut Draw) -> (usize, usize) {
    let from = draw.below(count);
    let to = (from + 1 + draw.below(count.saturating_sub(1))) % count;
    (from as usize, to as usize)
}

fn lifecycle(made: Nanos, draw: &mut Draw) -> Lifecycle {
    let mut life = Lifecycle::begin(Status::Pending, made);
    // A quarter rest in the book for days, the others are executed at once.
    let (low, high) = if draw.one_in(4) { (HOUR, 3 * DAY) } else { (SECOND, HOUR) };
    if draw.one_in(20) {
        life.then(draw, Status::Cancelled, low, high);
        return life;
    }
    life.then(draw, Status::Completed, low, high);
    if draw.one_in(40) {
        life.then(draw, Status::Reversed, DAY, 30 * DAY);
    }
    life
}
