//! Where money may be paid in: a bank account, or an address that changes now and then. A new wallet appears every few weeks.

use super::assets::Asset;
use super::clock::{DAY, Nanos};
use super::draw::Draw;
use super::value::{Member, Record, Value, member};
use super::world::World;

/// The wallet as the API shows it at the clock.
pub(super) fn record(world: &World, number: u64, clock: Nanos) -> Record {
    let (made, mut draw) = world.wallets.begin(number);
    let routes: Vec<_> = world.routes().collect();
    // The first wallets cover all routes in turn, the later ones double some.
    let (asset, rail) = routes[number as usize % routes.len()];
    let rotation = draw.span(30 * DAY, 300 * DAY);
    let details = if asset.fiat {
        bank_details(&mut draw)
    } else {
        let rotations = clock.abs_diff(made) / rotation.unsigned_abs();
        address_details(asset, rail, &mut world.wallets.redraw(number, 1 + rotations))
    };
    vec![
        member("id", world.wallets.ids.encode(number)),
        member("currency", asset.code),
        member("depositDetails", details),
        member("networkName", Value::or_none((!asset.fiat).then_some(rail), true)),
        member("paymentMethodType", Value::or_none(asset.fiat.then_some(rail), true)),
    ]
}

/// An address as the network writes it, more or less.
pub(super) fn address(network: &str, draw: &mut Draw) -> String {
    const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const HEX: &[u8] = b"0123456789abcdef";
    let (prefix, alphabet, length) = match network {
        "Bitcoin" => ("bc1q", &b"023456789acdefghjklmnpqrstuvwxyz"[..], 38),
        "Lightning" => ("lnbc1", HEX, 60),
        "Solana" => ("", BASE58, 44),
        "Tron" => ("T", BASE58, 33),
        "XRP Ledger" => ("r", BASE58, 33),
        _ => ("0x", HEX, 40),
    };
    let letters = (0..length).map(|_| char::from(*draw.pick(alphabet)));
    prefix.chars().chain(letters).collect()
}

fn bank_details(draw: &mut Draw) -> Vec<Member> {
    vec![
        member("bankName", *draw.pick(&["Nedbank", "FNB", "Absa"])),
        member("accountName", "Lumetrade Client Trust"),
        member("accountNumber", draw.digits(10)),
        member("accountType", "Current"),
        member("branchCode", draw.digits(6)),
    ]
}

fn address_details(asset: &Asset, network: &str, draw: &mut Draw) -> Vec<Member> {
    let tagged = asset.code == "XRP";
    vec![
        member("address", address(network, draw)),
        member("address_tag", Value::or_none(tagged.then(|| draw.digits(8)), true)),
    ]
}
