//! Records by what they say, which follows from their number and their version, and with what makes them unfit.

use super::pen::{Members, Pen, Value};
use crate::tests::random::Random;

/// Whose records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deposits,
    /// Deposits of two members, so that thousands are written in no time.
    ShortDeposits,
    /// With their fills.
    Trades,
}

impl Kind {
    pub(super) fn resource(self) -> &'static str {
        match self {
            Kind::Deposits | Kind::ShortDeposits => "deposits",
            Kind::Trades => "trades",
        }
    }
}

/// A record of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub number: u32,
    pub version: u32,
    pub style: u64,
    pub flaw: Option<Flaw>,
}

/// Why a record is no row, though it is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    WrongType,
    TooManyDigits,
    NoKey,
    NullKey,
    MemberTwice,
    KeyTwice,
    HalfAPair,
    NoObject,
}

pub(super) const FLAWS: [Flaw; 8] = [
    Flaw::WrongType,
    Flaw::TooManyDigits,
    Flaw::NoKey,
    Flaw::NullKey,
    Flaw::MemberTwice,
    Flaw::KeyTwice,
    Flaw::HalfAPair,
    Flaw::NoObject,
];

impl Record {
    pub(super) fn write(&self, kind: Kind) -> String {
        if self.flaw == Some(Flaw::NoObject) {
            return "7".to_owned();
        }
        let mut members = match kind {
            Kind::Deposits => self.deposit(),
            Kind::ShortDeposits => self.short_deposit(),
            Kind::Trades => self.trade(),
        };
        self.spoil(&mut members);
        Pen::of(self.style).write(members)
    }

    /// What the record says, apart from what makes it another version.
    fn random(&self) -> Random {
        Random::new(u64::from(self.number) << 32 | u64::from(self.version))
    }

    fn short_deposit(&self) -> Members {
        let amount = Value::Number(i64::from(self.version), 0);
        vec![("transactionId", Value::Text(format!("d{}", self.number))), ("amount", amount)]
    }

    fn deposit(&self) -> Members {
        let mut random = self.random();
        let statuses = ["PENDING", "SUBMITTED", "COMPLETED", "FAILED", "ODD", "IN \"DOUBT\"\\"];
        let mut members = vec![
            ("transactionId", Value::Text(format!("d/{}-ß🦀", self.number))),
            ("amount", Value::Number(i64::from(self.version) * 100 + random.below(100) as i64, 2)),
            ("currency", Value::Text("GBP".to_owned())),
            ("status", Value::Text(random.pick(&statuses).to_owned())),
        ];
        let time = Value::Time(random.below(90 * 86_400_000) as i64);
        members.push(("completedAt", if random.one_in(2) { time } else { Value::Null }));
        members.push(("fee", if random.one_in(2) { Value::Number(-(random.below(9) as i64), 0) } else { Value::Null }));
        if random.one_in(4) {
            members.push(("Note", document(&mut random)));
        }
        members
    }

    fn trade(&self) -> Members {
        let mut random = self.random();
        let mut members = vec![
            ("transactionId", Value::Text(format!("t{}", self.number))),
            ("fromCurrency", Value::Text("€".to_owned())),
            ("fromAmount", Value::Number(i64::from(self.version) * 1000 + random.below(1000) as i64, 3)),
            ("rate", Value::Number(random.below(1 << 40) as i64, 9)),
            ("isRfq", Value::Boolean(random.one_in(2))),
            ("status", Value::Text(random.pick(&["PENDING", "COMPLETED", "REVERSED"]).to_owned())),
            ("createdAt", Value::Time(random.below(90 * 86_400_000) as i64)),
        ];
        match random.below(4) {
            0 => {}
            1 => members.push(("fills", Value::Raw("null"))),
            _ => {
                let fills = (0..random.below(4)).map(|nth| Value::Object(self.fill(nth, &mut random))).collect();
                members.push(("fills", Value::Array(fills)));
            }
        }
        members
    }

    fn fill(&self, nth: u64, random: &mut Random) -> Members {
        let mut members = vec![
            ("transactionId", Value::Text(format!("t{}/{nth}", self.number))),
            ("fromCurrencyAmount", Value::Number(random.below(100_000) as i64, 5)),
            ("modifiedAt", if random.one_in(2) { Value::Time(random.below(1 << 40) as i64) } else { Value::Null }),
        ];
        if random.one_in(8) {
            members.push(("venue", document(random)));
        }
        members
    }

    fn spoil(&self, members: &mut Members) {
        let amount = members.iter().position(|(name, _)| name.to_lowercase().ends_with("amount"));
        match (self.flaw, amount) {
            (Some(Flaw::WrongType), Some(at)) => members[at].1 = Value::Text("much".to_owned()),
            (Some(Flaw::TooManyDigits), Some(at)) => members[at].1 = Value::Raw("0.1234567890123456789"),
            (Some(Flaw::NoKey), _) => drop(members.remove(0)),
            (Some(Flaw::NullKey), _) => members[0].1 = Value::Raw("null"),
            (Some(Flaw::MemberTwice), Some(at)) => members.push(members[at].clone()),
            (Some(Flaw::KeyTwice), _) => members.push(("transactionId", Value::Text("another".to_owned()))),
            (Some(Flaw::HalfAPair), _) => members.push(("half", Value::Raw(r#""\ud83e""#))),
            _ => {}
        }
    }
}

/// What no column holds.
fn document(random: &mut Random) -> Value {
    Value::Object(vec![
        ("a", Value::Number(random.below(1000) as i64, 1)),
        ("b\t", Value::Array(vec![Value::Boolean(true), Value::Raw("null"), Value::Text("},{\"[".to_owned())])),
        ("", Value::Object(Vec::new())),
    ])
}
