//! What the claims say there should be, and what a listing shows.
//!
//! Out: for each number that is claimed or that an object bears, the claim and the place of the object. What is claimed
//! after the listing of the claims belongs to another run and is passed over.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{LakeError, claim::Claim, log::Log, store::Listed},
    Law, READS_AT_ONCE, Scope, Verification,
};
use crate::schema::EventPartition;

/// The numbers of a log.
pub(super) struct Inventory {
    /// The last number claimed; 0 if none is.
    pub last: u64,
    /// In their order.
    pub numbered: Vec<Numbered>,
}

/// One number.
pub(super) struct Numbered {
    pub seq: u64,
    /// Key of its claim.
    pub claim_key: String,
    /// None if it is missing or no claim of this number.
    pub claim: Option<Claim>,
    /// Where its object is or should be; none if nothing tells.
    pub place: Option<Place>,
}

/// The place of a commit's object.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub key: String,
    pub partition: EventPartition,
    /// As listed; none if the listing did not show it.
    pub size: Option<u64>,
}

impl Inventory {
    pub(super) async fn take(scope: &Scope<'_>, report: &mut Verification) -> Result<Self, LakeError> {
        let claimed = claimed(scope).await?;
        let last = claimed.last().copied().unwrap_or_default();
        find_gaps(scope, &claimed, report);
        let mut claims = read_claims(scope, &claimed, report).await?;
        let mut objects = Objects::list(scope, &claimed, report).await?;
        objects.without_claim_after(last, scope, report).await?;
        let numbers: BTreeSet<u64> = claimed.iter().chain(objects.places.keys()).copied().collect();
        let numbered = numbers.into_iter().map(|seq| {
            let claim = claims.remove(&seq);
            let place = objects.place_of(seq, claim.as_ref(), scope, report);
            Numbered { seq, claim_key: scope.layout.claim(seq), claim, place }
        });
        Ok(Self { last, numbered: numbered.collect() })
    }
}

/// The numbers claimed, in their order.
pub(super) async fn claimed(scope: &Scope<'_>) -> Result<Vec<u64>, LakeError> {
    let listed = scope.list_numbered(&scope.layout.log(), |key| scope.layout.parse_claim(key)).await?;
    Ok(listed.into_iter().filter_map(|(_, number)| number).collect())
}

fn find_gaps(scope: &Scope<'_>, claimed: &[u64], report: &mut Verification) {
    let mut before = 0;
    for &seq in claimed {
        let key = scope.layout.claim(before + 1);
        match seq - before - 1 {
            0 => {}
            1 => report.find(Law::Claims, &key, "is missing"),
            missing => report.find(Law::Claims, &key, format!("is missing, and so are the {} after it", missing - 1)),
        }
        before = seq;
    }
}

async fn read_claims(
    scope: &Scope<'_>,
    claimed: &[u64],
    report: &mut Verification,
) -> Result<BTreeMap<u64, Claim>, LakeError> {
    let log = Log::new(scope.lake, scope.resource);
    let read = |seq: u64| {
        let log = log.clone();
        async move { Ok::<_, LakeError>((seq, log.claim(seq).await)) }
    };
    let mut reads = stream::iter(claimed.to_vec()).map(read).buffered(READS_AT_ONCE);
    let mut claims = BTreeMap::new();
    while let Some((seq, claim)) = reads.try_next().await? {
        if let Some(claim) = report.admit(Law::Claims, claim)? {
            claims.insert(seq, claim);
        }
    }
    Ok(claims)
}

/// The objects that bear a number, by number.
struct Objects {
    places: BTreeMap<u64, Vec<Place>>,
}

impl Objects {
    /// Lists again until every claim but the last has an object, since other runs may be writing.
    async fn list(scope: &Scope<'_>, claimed: &[u64], report: &mut Verification) -> Result<Self, LakeError> {
        let layout = &scope.layout;
        let number = |object: &Listed| layout.parse_commit(&object.key).filter(|(_, seq)| *seq > 0);
        let is_whole = |listed: &[Listed]| {
            let shown: BTreeSet<u64> = listed.iter().filter_map(number).map(|(_, seq)| seq).collect();
            claimed.iter().rev().skip(1).all(|seq| shown.contains(seq))
        };
        let mut places: BTreeMap<u64, Vec<Place>> = BTreeMap::new();
        for object in scope.list_until(&layout.changes(), is_whole).await? {
            match number(&object) {
                Some((partition, seq)) => {
                    let place = Place { key: object.key, partition, size: Some(object.size) };
                    places.entry(seq).or_default().push(place);
                }
                None => report.find(Law::Strays, &object.key, "is no commit, and a glob over `changes/` reads it"),
            }
        }
        Ok(Self { places })
    }

    /// Takes out what bears a number beyond the last. A claim for it is another run's that came later; without one it is
    /// no commit.
    async fn without_claim_after(
        &mut self,
        last: u64,
        scope: &Scope<'_>,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let beyond = self.places.split_off(&(last + 1));
        if beyond.is_empty() {
            return Ok(());
        }
        let claimed: BTreeSet<u64> = claimed(scope).await?.into_iter().collect();
        for place in beyond.into_iter().filter(|(seq, _)| !claimed.contains(seq)).flat_map(|(_, places)| places) {
            report.find(Law::Objects, &place.key, "has a number that is not claimed");
        }
        Ok(())
    }

    /// The place of a number's object: the one that the claim names, or without a claim the only one there is.
    fn place_of(
        &mut self,
        seq: u64,
        claim: Option<&Claim>,
        scope: &Scope<'_>,
        report: &mut Verification,
    ) -> Option<Place> {
        let mut places = self.places.remove(&seq).unwrap_or_default();
        let Some(claim) = claim else {
            if places.len() > 1 {
                for place in &places {
                    report.find(
                        Law::Objects,
                        &place.key,
                        format!("is one of several of number {seq}, with no claim to say which is meant"),
                    );
                }
                return None;
            }
            return places.pop();
        };
        for other in places.iter().filter(|place| place.key != claim.key) {
            report.find(Law::Objects, &other.key, format!("is not the object of number {seq}, which is {}", claim.key));
        }
        let partition = scope.layout.parse_commit(&claim.key)?.0;
        let size = places.iter().find(|place| place.key == claim.key).and_then(|place| place.size);
        Some(Place { key: claim.key.clone(), partition, size })
    }
}
