//! One account a currency; its figures come from the books.

use super::number::Form;
use super::value::{Record, member};
use super::world::Snapshot;

/// How many accounts there are.
pub(super) fn count(snapshot: &Snapshot) -> u64 {
    snapshot.world().assets.len() as u64
}

/// The account of the number.
pub(super) fn record(snapshot: &Snapshot, number: u64) -> Option<Record> {
    let world = snapshot.world();
    let asset = world.assets.get(number as usize)?;
    let holding = snapshot.books().holding(asset);
    let mut draw = world.accounts.redraw(number, 1);
    let (balance, locked) = (Form::choose(&mut draw), Form::choose(&mut draw));
    Some(vec![
        member("id", world.accounts.ids.encode(number)),
        member("currency", asset.code),
        member("balance", asset.number(holding.balance, balance)),
        member("lockedBalance", asset.number(holding.locked, locked)),
    ])
}
