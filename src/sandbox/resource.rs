//! The API's collections.

use serde::{Deserialize, Serialize};

/// A collection of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Balances, one a currency.
    Accounts,
    /// Where money may be paid in.
    Wallets,
    /// Saved payout destinations.
    Beneficiaries,
    /// Money paid in.
    Deposits,
    /// Money paid out.
    Withdrawals,
    /// Money exchanged.
    Trades,
    /// Currencies in use; undocumented.
    Currencies,
    /// Rails and networks in use; undocumented.
    PaymentRoutes,
}

impl Resource {
    /// All of them; the last two are undocumented, and served when asked for.
    pub const ALL: [Resource; 8] = [
        Resource::Accounts,
        Resource::Wallets,
        Resource::Beneficiaries,
        Resource::Deposits,
        Resource::Withdrawals,
        Resource::Trades,
        Resource::Currencies,
        Resource::PaymentRoutes,
    ];

    /// Its name in a lake, such as `payment_routes`.
    pub fn name(self) -> &'static str {
        match self {
            Resource::Accounts => "accounts",
            Resource::Wallets => "wallets",
            Resource::Beneficiaries => "beneficiaries",
            Resource::Deposits => "deposits",
            Resource::Withdrawals => "withdrawals",
            Resource::Trades => "trades",
            Resource::Currencies => "currencies",
            Resource::PaymentRoutes => "payment_routes",
        }
    }

    /// The resource of the name.
    pub fn named(name: &str) -> Option<Resource> {
        Resource::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// Its path, such as `/api/v1/payment-routes`.
    pub fn path(self) -> String {
        format!("/api/v1/{}", self.name().replace('_', "-"))
    }

    /// Whether the reference leaves it out.
    pub fn is_optional(self) -> bool {
        matches!(self, Resource::Currencies | Resource::PaymentRoutes)
    }

    /// Whether its records move money, and so have a status, amounts and times.
    pub(super) fn is_transaction(self) -> bool {
        matches!(self, Resource::Deposits | Resource::Withdrawals | Resource::Trades)
    }

    /// Whether its records hold amounts.
    pub(super) fn has_amounts(self) -> bool {
        self.is_transaction() || self == Resource::Accounts
    }

    /// Whether records that were made may be gone.
    pub(super) fn has_gaps(self) -> bool {
        self == Resource::Beneficiaries
    }

    /// The JSON name of the member that identifies a record.
    pub(super) fn key(self) -> &'static str {
        match self {
            Resource::Deposits | Resource::Withdrawals | Resource::Trades => "transactionId",
            Resource::Currencies => "code",
            _ => "id",
        }
    }

    /// Query parameters that filter its list whatever the switches say. All others are reserved.
    pub(super) fn filters(self) -> &'static [&'static str] {
        match self {
            Resource::Wallets => &["paymentMethodType", "networkName"],
            Resource::Beneficiaries => &["currency"],
            _ => &[],
        }
    }
}
