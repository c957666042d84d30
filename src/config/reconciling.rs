//! What the books are reckoned by, where the API's contract is silent.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::ConfigError;
use crate::{decode::parse_plain, schema::Schemas};

/// What the books are reckoned by. Amounts are times 10^18.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciling {
    /// What a deposit's amount is.
    pub deposit_amount: Basis,
    /// What a withdrawal's amount is.
    pub withdrawal_amount: Basis,
    /// What says how much a trade exchanges.
    pub trade_amount: TradeAmount,
    /// Statuses of deposits that have moved money.
    pub deposit_statuses: Vec<String>,
    /// Statuses of withdrawals that have moved money.
    pub withdrawal_statuses: Vec<String>,
    /// Statuses of trades that have moved money.
    pub trade_statuses: Vec<String>,
    /// Statuses of fills that have moved money.
    pub fill_statuses: Vec<String>,
    /// How far what is held may be from the books.
    pub tolerance: i128,
    /// What accounts held before their first record, by currency.
    pub opening: BTreeMap<String, i128>,
}

/// Whether an amount is before or after its fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The fee is part of the amount.
    Gross,
    /// The fee is no part of the amount.
    Net,
}

/// What says how much a trade exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TradeAmount {
    /// The trade itself.
    Trade,
    /// Its fills.
    Fills,
}

/// Of the settings file, under `[reconcile]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    deposit_amount: Basis,
    withdrawal_amount: Basis,
    trade_amount: TradeAmount,
    deposit_statuses: Vec<String>,
    withdrawal_statuses: Vec<String>,
    trade_statuses: Vec<String>,
    fill_statuses: Vec<String>,
    tolerance: String,
    opening: BTreeMap<String, String>,
}

/// With what the sandbox's world keeps its books by, which is as good a guess as any.
impl Default for Raw {
    fn default() -> Self {
        let completed = || vec!["COMPLETED".to_owned()];
        Self {
            deposit_amount: Basis::Gross,
            withdrawal_amount: Basis::Net,
            trade_amount: TradeAmount::Trade,
            deposit_statuses: completed(),
            withdrawal_statuses: completed(),
            trade_statuses: completed(),
            fill_statuses: completed(),
            tolerance: "0".to_owned(),
            opening: BTreeMap::new(),
        }
    }
}

impl Raw {
    pub(super) fn parse(self, schemas: &Schemas) -> Result<Reconciling, ConfigError> {
        let opening = self.opening.into_iter();
        let opening = opening.map(|(currency, text)| Ok((currency, amount("reconcile.opening", &text)?)));
        Ok(Reconciling {
            deposit_amount: self.deposit_amount,
            withdrawal_amount: self.withdrawal_amount,
            trade_amount: self.trade_amount,
            deposit_statuses: statuses("reconcile.deposit_statuses", self.deposit_statuses, "deposits", schemas)?,
            withdrawal_statuses: statuses(
                "reconcile.withdrawal_statuses",
                self.withdrawal_statuses,
                "withdrawals",
                schemas,
            )?,
            trade_statuses: statuses("reconcile.trade_statuses", self.trade_statuses, "trades", schemas)?,
            fill_statuses: self.fill_statuses,
            tolerance: tolerance(&self.tolerance)?,
            opening: opening.collect::<Result<_, ConfigError>>()?,
        })
    }
}

fn tolerance(text: &str) -> Result<i128, ConfigError> {
    const SETTING: &str = "reconcile.tolerance";
    match amount(SETTING, text)? {
        less if less < 0 => {
            Err(ConfigError::Invalid { setting: SETTING, problem: format!("`{text}` is less than nothing") })
        }
        amount => Ok(amount),
    }
}

fn amount(setting: &'static str, text: &str) -> Result<i128, ConfigError> {
    parse_plain(text).ok_or_else(|| {
        let problem =
            format!("`{text}` is no amount such as \"1000.50\", of at most 20 digits and 18 behind the point");
        ConfigError::Invalid { setting, problem }
    })
}

/// These statuses, each of which the resource's schema must list: a mistyped one would move nothing.
fn statuses(
    setting: &'static str,
    statuses: Vec<String>,
    resource: &str,
    schemas: &Schemas,
) -> Result<Vec<String>, ConfigError> {
    let documented = schemas.get(resource).and_then(|resource| resource.statuses.as_ref());
    let is_unknown = |status: &&String| documented.is_some_and(|documented| !documented.is_documented(status));
    match statuses.iter().find(is_unknown) {
        Some(unknown) => {
            let problem = format!("{resource} have no status `{unknown}` in their schema");
            Err(ConfigError::Invalid { setting, problem })
        }
        None => Ok(statuses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_holds_every_setting_of_the_books() {
        let example: toml::Table = include_str!("../../config/example.toml").parse().unwrap();
        let of_example: Vec<&str> = example["reconcile"].as_table().unwrap().keys().map(String::as_str).collect();
        let unknown = toml::from_str::<Raw>("x = 1").unwrap_err().to_string();
        let (_, expected) = unknown.split_once("expected one of ").unwrap();
        let mut fields: Vec<&str> = expected.split(',').map(|field| field.trim().trim_matches('`')).collect();
        fields.sort_unstable();
        assert_eq!(of_example, fields);
    }

    #[test]
    fn amounts_are_exact_and_their_accounts_are_named() {
        let raw = "tolerance = \"0.000000000000000001\"\n[opening]\nZAR = \"-1000.50\"\nBTC = \"21000000\"";
        let settings = toml::from_str::<Raw>(raw).unwrap().parse(&Schemas::builtin().unwrap()).unwrap();
        assert_eq!(settings.tolerance, 1);
        let one = 10_i128.pow(18);
        assert_eq!(
            settings.opening,
            BTreeMap::from([("BTC".to_owned(), 21_000_000 * one), ("ZAR".to_owned(), -1_000_500 * one / 1000)])
        );
        for text in ["", "-", ".5", "5.", "1e3", "+1", "1,0", " 1", "0.0000000000000000001", "100000000000000000000"] {
            assert!(amount("x", text).is_err(), "{text}");
        }
    }
}
