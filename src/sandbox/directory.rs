//! Currencies and payment routes. The reference says that they can be asked for, not where nor in which shape: both are invented.

use super::assets::Asset;
use super::value::{Record, Value, member, undeclared};
use super::world::World;

/// The currency of the number.
pub(super) fn currency(world: &World, number: u64) -> Option<Record> {
    let asset = world.assets.get(number as usize)?;
    Some(vec![
        member("code", asset.code),
        member("id", Value::Absent),
        member("currency", Value::Absent),
        member("symbol", asset.symbol),
        undeclared("name", asset.name),
        undeclared("type", kind(asset)),
        undeclared("decimals", Value::verbatim(asset.scale.to_string())),
        undeclared("enabled", true),
    ])
}

/// The payment route of the number: one way of one currency, in and out.
pub(super) fn payment_route(world: &World, number: u64) -> Option<Record> {
    let (asset, rail) = world.routes().nth(number as usize)?;
    let (network, method) = if asset.fiat { (None, Some(rail)) } else { (Some(rail), None) };
    Some(vec![
        member("id", world.route_ids.encode(number)),
        member("code", Value::Absent),
        member("name", format!("{} by {rail}", asset.code)),
        undeclared("currency", asset.code),
        undeclared("type", kind(asset)),
        undeclared("networkName", Value::or_none(network, true)),
        undeclared("paymentMethodType", Value::or_none(method, true)),
        undeclared("minimum", Value::verbatim("1E-8")),
    ])
}

fn kind(asset: &Asset) -> &'static str {
    if asset.fiat { "FIAT" } else { "CRYPTO" }
}
