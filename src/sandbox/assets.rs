//! The currencies of the world, what an ordinary amount of each is, and what one is worth in another.

use rust_decimal::Decimal;

use super::draw::Draw;
use super::number::{Form, Number};

/// Fractional digits of a rate. Enough for four significant ones in the smallest, few enough for a lake's 18.
const RATE_SCALE: u32 = 14;
/// Significant digits of a mid rate.
const RATE_DIGITS: u32 = 8;

/// What a transaction takes out, fee included, is below so many times the greatest power of ten of ordinary amounts.
const OUTFLOW_PER_AMOUNT: u64 = 2;
/// What the funding pays for, per record at the start clock: three transactions in five take money out, and twelve years of
/// `records` each two make 3.6.
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

/// In the order in which they are funded: a world of few records has the first of them. The third number is the price.
#[rustfmt::skip]
pub(super) const ASSETS: &[Asset] = &[
    bank("ZAR", "South African Rand", "R", &["EFT", "RTC"], 2, 7, 54_348).funded(12_345_678_901_234_567, 89),
    chain("BTC", "Bitcoin", "₿", &["Bitcoin", "Lightning"], 8, 1, 65_000_000_000).funded(21, 1),
    chain("USDT", "Tether", "₮", &["Ethereum", "Tron", "Polygon"], 6, 6, 1_000_000).funded(1_000_000, 10),
    chain("ETH", "Ether", "Ξ", &["Ethereum", "Arbitrum"], 18, 2, 3_200_000_000).funded(1_234, 567_890_123_456_789_012),
    bank("USD", "US Dollar", "$", &["SWIFT", "ACH"], 2, 6, 1_000_000),
    bank("EUR", "Euro", "€", &["SEPA"], 2, 6, 1_090_000).funded(90_071_992_547_409, 93),
    bank("KES", "Kenyan Shilling", "KSh", &["MOBILE_MONEY", "EFT"], 2, 7, 7_700).funded(0, 50),
    bank("UGX", "Ugandan Shilling", "USh", &["MOBILE_MONEY"], 0, 9, 270),
    bank("JPY", "Japanese Yen", "¥", &["SWIFT"], 0, 8, 6_700).funded(7, 0),
    bank("NGN", "Nigerian Naira", "₦", &["NIP"], 2, 8, 650).funded(0, 1),
    chain("USDC", "USD Coin", "USDC", &["Ethereum", "Solana"], 6, 6, 1_000_000).funded(0, 1),
    chain("SOL", "Solana", "SOL", &["Solana"], 9, 4, 150_000_000),
    chain("XRP", "XRP", "XRP", &["XRP Ledger"], 6, 5, 600_000),
];

/// A currency that moves by bank.
const fn bank(
    code: &'static str,
    name: &'static str,
    symbol: &'static str,
    rails: &'static [&'static str],
    scale: u32,
    magnitude: u32,
    price: i64,
) -> Asset {
    Asset { code, name, symbol, fiat: true, rails, scale, magnitude, price, funding: (0, 0) }
}

/// A currency that moves by chain.
const fn chain(
    code: &'static str,
    name: &'static str,
    symbol: &'static str,
    rails: &'static [&'static str],
    scale: u32,
    magnitude: u32,
    price: i64,
) -> Asset {
    Asset { fiat: false, ..bank(code, name, symbol, rails, scale, magnitude, price) }
}

impl Asset {
    /// Beside what it must have, for amounts that no double holds.
    const fn funded(self, whole: i64, smallest: i64) -> Asset {
        Asset { funding: (whole, smallest), ..self }
    }

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
