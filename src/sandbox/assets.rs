//! The currencies of the world, what an ordinary amount of each is, and what one is worth in another.

use rust_decimal::Decimal;

use super::draw::Draw;
use super::number::{Form, Number};

/// Fractional digits of a rate. Enough for four significant ones in the smallest, few enough for a lake's 18.
const RATE_SCALE: u32 = 14;
/// Significant digits of a mid rate.
const RATE_DIGITS: u32 = 8;

/// The most that a transaction's fee can add is far less than its amount.
const OUTFLOW_PER_AMOUNT: u64 = 2;
/// Transactions that the funding pays for, per record at the start clock: three in five take money out, for twelve years, at
/// `records` each two years, is 3.6.
const OUTFLOWS_PER_RECORD: u64 = 4;

/// A currency.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its code, such as `ZAR`.
    pub(super) code: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// Its sign.
    pub(super) symbol: &'static str,
    /// Whether it moves by bank rather than by chain.
    pub(super) fiat: bool,
    /// The bank rails, or the networks, that it moves by.
    pub(super) rails: &'static [&'static str],
    /// Fractional digits of its smallest unit.
    pub(super) scale: u32,
    /// An ordinary amount has at most so many digits before the point.
    magnitude: u32,
    /// Millionths of a US dollar that one is worth.
    price: i64,
    /// Whole units and smallest units that the funding has beside what it must have.
    funding: (i64, i64),
}

/// In the order in which they are funded: a world of few records has the first of them. Two fundings are amounts that no double holds.
#[rustfmt::skip]
pub(super) const ASSETS: &[Asset] = &[
    Asset { code: "ZAR", name: "South African Rand", symbol: "R", fiat: true, rails: &["EFT", "RTC"], scale: 2, magnitude: 7, price: 54_348, funding: (12_345_678_901_234_567, 89) },
    Asset { code: "BTC", name: "Bitcoin", symbol: "₿", fiat: false, rails: &["Bitcoin", "Lightning"], scale: 8, magnitude: 1, price: 65_000_000_000, funding: (21, 1) },
    Asset { code: "USDT", name: "Tether", symbol: "₮", fiat: false, rails: &["Ethereum", "Tron", "Polygon"], scale: 6, magnitude: 6, price: 1_000_000, funding: (1_000_000, 10) },
    Asset { code: "ETH", name: "Ether", symbol: "Ξ", fiat: false, rails: &["Ethereum", "Arbitrum"], scale: 18, magnitude: 2, price: 3_200_000_000, funding: (1_234, 567_890_123_456_789_012) },
    Asset { code: "USD", name: "US Dollar", symbol: "$", fiat: true, rails: &["SWIFT", "ACH"], scale: 2, magnitude: 6, price: 1_000_000, funding: (0, 0) },
    Asset { code: "EUR", name: "Euro", symbol: "€", fiat: true, rails: &["SEPA"], scale: 2, magnitude: 6, price: 1_090_000, funding: (90_071_992_547_409, 93) },
    Asset { code: "KES", name: "Kenyan Shilling", symbol: "KSh", fiat: true, rails: &["MOBILE_MONEY", "EFT"], scale: 2, magnitude: 7, price: 7_700, funding: (0, 50) },
    Asset { code: "UGX", name: "Ugandan Shilling", symbol: "USh", fiat: true, rails: &["MOBILE_MONEY"], scale: 0, magnitude: 9, price: 270, funding: (0, 0) },
    Asset { code: "JPY", name: "Japanese Yen", symbol: "¥", fiat: true, rails: &["SWIFT"], scale: 0, magnitude: 8, price: 6_700, funding: (7, 0) },
    Asset { code: "NGN", name: "Nigerian Naira", symbol: "₦", fiat: true, rails: &["NIP"], scale: 2, magnitude: 8, price: 650, funding: (0, 1) },
    Asset { code: "USDC", name: "USD Coin", symbol: "USDC", fiat: false, rails: &["Ethereum", "Solana"], scale: 6, magnitude: 6, price: 1_000_000, funding: (0, 1) },
    Asset { code: "SOL", name: "Solana", symbol: "SOL", fiat: false, rails: &["Solana"], scale: 9, magnitude: 4, price: 150_000_000, funding: (0, 0) },
    Asset { code: "XRP", name: "XRP", symbol: "XRP", fiat: false, rails: &["XRP Ledger"], scale: 6, magnitude: 5, price: 600_000, funding: (0, 0) },
];

impl Asset {
    /// What is paid in first: enough for all that a world of so many records can pay out.
    pub(super) fn funding(&self, records: u64) -> Decimal {
        let outflow_max = 10_u64.pow(self.magnitude) * OUTFLOW_PER_AMOUNT;
        let (whole, smallest) = self.funding;
        Decimal::from(outflow_max * OUTFLOWS_PER_RECORD * records)
            + Decimal::from(whole)
            + Decimal::new(smallest, self.scale)
    }

    /// An ordinary amount with at most so many fractional digits, never zero; once in a while the smallest there is.
    pub(super) fn amount(&self, draw: &mut Draw, scale_max: u32) -> Decimal {
        let scale_max = scale_max.min(self.scale);
        let digits = 1 + draw.below(self.magnitude.into()) as u32;
        let whole = draw.below(10_u64.pow(digits));
        let scale = (*draw.pick(&[0, 2, self.scale])).min(scale_max);
        let fraction = draw.below(10_u64.pow(scale)) as i64;
        let amount = Decimal::from(whole) + Decimal::new(fraction, scale);
        if draw.one_in(64) || amount.is_zero() { Decimal::new(1, scale_max) } else { amount }
    }

    /// The fee on an amount: often none, at most one and a half per cent.
    pub(super) fn fee(&self, draw: &mut Draw, amount: Decimal) -> Decimal {
        let basis_points = draw.below(151) as i64;
        if draw.one_in(2) {
            Decimal::ZERO
        } else {
            (amount * Decimal::new(basis_points, 4)).trunc_with_scale(self.scale)
        }
    }

    /// An amount of this asset, as a member of a record.
    pub(super) fn number(&self, value: Decimal, form: Form) -> Number {
        Number { value, scale: self.scale, form }
    }
}

/// Mid rates between the assets.
pub(super) struct Rates(Vec<Decimal>);

impl Rates {
    /// All pairs of [`ASSETS`].
    pub(super) fn new() -> Rates {
        let pairs = ASSETS.iter().flat_map(|from| ASSETS.iter().map(move |to| (from.price, to.price)));
        Rates(pairs.map(|(from, to)| mid(from, to)).collect())
    }

    /// How much of asset `to` one of asset `from` buys, give or take one per cent; places are those in [`ASSETS`].
    pub(super) fn quote(&self, draw: &mut Draw, from: usize, to: usize) -> Decimal {
        let spread = Decimal::new(9_900 + draw.below(201) as i64, 4);
        (self.0[from * ASSETS.len() + to] * spread).round_dp(RATE_SCALE)
    }
}

fn mid(from: i64, to: i64) -> Decimal {
    let quotient = Decimal::from(from) / Decimal::from(to);
    quotient.round_sf(RATE_DIGITS).unwrap_or(quotient).round_dp(RATE_SCALE)
}

#[cfg(test)]
mod tests {
    use super::super::RECORDS_MAX;
    use super::super::draw::Source;
    use super::*;

    #[test]
    fn amounts_and_fees_stay_within_what_the_funding_pays_for() {
        let mut draw = Source::new(7, "test").draw(0);
        for asset in ASSETS.iter().cycle().take(20_000) {
            let amount = asset.amount(&mut draw, asset.scale);
            let fee = asset.fee(&mut draw, amount);
            assert!(amount > Decimal::ZERO && fee >= Decimal::ZERO && fee < amount, "{amount} {fee}");
            assert!(amount + fee < Decimal::from(OUTFLOW_PER_AMOUNT * 10_u64.pow(asset.magnitude)));
            assert!(amount.scale() <= asset.scale && fee.scale() <= asset.scale);
        }
    }

    #[test]
    fn the_greatest_funding_is_exact() {
        for asset in ASSETS {
            let funding = asset.funding(RECORDS_MAX);
            let mut fraction = (funding - funding.trunc()).normalize();
            fraction.rescale(asset.scale);
            assert_eq!(fraction, Decimal::new(asset.funding.1, asset.scale), "{}", asset.code);
        }
    }

    #[test]
    fn no_rate_is_zero() {
        assert!(Rates::new().0.iter().all(|rate| *rate > Decimal::new(1, 9)));
    }
}
