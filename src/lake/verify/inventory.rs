//! What the claims say there should be, and what a listing shows.
//!
//! Out: for each number that is claimed or that an object bears, the claim and the place of the object. What is claimed
//! after the listing of the claims belongs to another run and is passed over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};

use super::{
    super::{
        CommitKind, LakeError,
        claim::{self, Claim, ClaimedObject},
        commits::read_commit,
        log::LISTINGS_MAX,
        store::Listed,
    },
    Law, READS_AT_ONCE, Scope, Verification, damage,
};
use crate::schema::EventPartition;

/// The numbers of a log.
pub(super) struct Inventory {
    /// Number of the last claim; 0 if there is none.
    pub last_claim: u64,
    /// In their order.
    pub numbered: Vec<Numbered>,
    /// Those of the last claim, if it is not closed.
    pub open: Vec<Numbered>,
}

/// One number.
pub(super) struct Numbered {
    pub seq: u64,
    /// Its claim, if there is one that can be believed.
    pub claim: Option<Arc<Claim>>,
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

impl Numbered {
    /// What its claim says of the object.
    pub(super) fn promised(&self) -> Option<&ClaimedObject> {
        self.claim.as_ref()?.object(self.seq)
    }

    /// Whether its claim ends with it.
    pub(super) fn is_last(&self) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.last() == self.seq)
    }
}

impl Inventory {
    /// Those of the numbers from `first` to `last` that there are.
    pub(super) fn between(&self, first: u64, last: u64) -> &[Numbered] {
        let start = self.numbered.partition_point(|numbered| numbered.seq < first);
        let count = self.numbered[start..].partition_point(|numbered| numbered.seq <= last);
        &self.numbered[start..start + count]
    }

    pub(super) async fn take(scope: &Scope<'_>, report: &mut Verification) -> Result<Self, LakeError> {
        let Claims { numbers, by_number } = Claims::read(scope, report).await?;
        let last_claim = numbers.last().copied().unwrap_or_default();
        // How far a claim goes that cannot be read, nobody knows.
        let last_number = numbers.last().map_or(0, |last| by_number.get(last).map_or(u64::MAX, |claim| claim.last()));
        let mut claims: BTreeMap<u64, Arc<Claim>> = BTreeMap::new();
        for claim in by_number.values() {
            for (seq, _) in claim.numbered() {
                claims.entry(seq).or_insert_with(|| claim.clone());
            }
        }
        let last = by_number.get(&last_claim);
        let settled: Vec<u64> = claims.keys().copied().take_while(|seq| *seq < last_claim).collect();
        let mut objects = Objects::list(scope, &settled, report).await?;
        objects.without_claim_after(last_number, last_claim, scope, report).await?;
        let is_open = match last {
            Some(claim) => objects.lack_some_of(claim, scope).await?,
            None => false,
        };
        let all: BTreeSet<u64> = claims.keys().chain(objects.places.keys()).chain(&numbers).copied().collect();
        let numbered = all.into_iter().map(|seq| {
            let claim = claims.remove(&seq);
            let promised = claim.as_ref().and_then(|claim| claim.object(seq));
            let place = objects.place_of(seq, promised, scope, report);
            Numbered { seq, claim, place }
        });
        let (open, numbered) = numbered.partition(|numbered| is_open && numbered.seq >= last_claim);
        Ok(Self { last_claim, numbered, open })
    }
}

/// The claims, by their first number.
struct Claims {
    /// As listed.
    numbers: Vec<u64>,
    /// Those that can be believed.
    by_number: BTreeMap<u64, Arc<Claim>>,
}

impl Claims {
    /// Lists again until no number is missing between two claims, since other runs may be writing.
    async fn read(scope: &Scope<'_>, report: &mut Verification) -> Result<Self, LakeError> {
        let Scope { lake, layout, .. } = scope;
        let mut read: BTreeMap<u64, Result<Option<Claim>, String>> = BTreeMap::new();
        let mut numbers = Vec::new();
        for _ in 0..LISTINGS_MAX {
            numbers = claim::numbers(lake, layout, 0).await?;
            let unread: Vec<u64> = numbers.iter().copied().filter(|seq| !read.contains_key(seq)).collect();
            let read_one =
                |seq| async move { Ok::<_, LakeError>((seq, damage(claim::read(lake, layout, seq).await)?)) };
            read.extend(stream::iter(unread).map(read_one).buffered(READS_AT_ONCE).try_collect::<Vec<_>>().await?);
            if gaps(&numbers, &read).is_empty() {
                break;
            }
        }
        for (seq, problem) in gaps(&numbers, &read) {
            report.find(Law::Claims, &layout.claim(seq), problem);
        }
        let mut by_number = BTreeMap::new();
        for (seq, claim) in read {
            match claim {
                Ok(Some(claim)) => drop(by_number.insert(seq, Arc::new(claim))),
                Ok(None) => report.find(Law::Claims, &layout.claim(seq), "is missing"),
                Err(problem) => report.find(Law::Claims, &layout.claim(seq), problem),
            }
        }
        Ok(Self { numbers, by_number })
    }
}

/// Numbers of claims that are missing, or that another claim has among its own, and what is wrong with each. Behind a claim
/// that cannot be read, nothing says with which number the next begins.
fn gaps(numbers: &[u64], read: &BTreeMap<u64, Result<Option<Claim>, String>>) -> Vec<(u64, String)> {
    let mut gaps = Vec::new();
    let mut next = Some(1);
    for &seq in numbers {
        match next {
            Some(next) if next + 1 == seq => gaps.push((next, "is missing".to_owned())),
            Some(next) if next < seq => {
                gaps.push((next, format!("is missing, and so is what else claimed numbers up to {}", seq - 1)));
            }
            Some(next) if next > seq => gaps.push((seq, "is of a number that the claim before it has".to_owned())),
            _ => {}
        }
        next = read.get(&seq).and_then(|claim| claim.as_ref().ok()?.as_ref()).map(Claim::next);
    }
    gaps
}

/// The objects that bear a number, by number.
struct Objects {
    places: BTreeMap<u64, Vec<Place>>,
}

impl Objects {
    /// Lists again until each of these numbers has an object, since other runs may be writing.
    async fn list(scope: &Scope<'_>, settled: &[u64], report: &mut Verification) -> Result<Self, LakeError> {
        let layout = &scope.layout;
        let number = |object: &Listed| layout.parse_commit(&object.key).filter(|(_, seq)| *seq > 0);
        let is_whole = |listed: &[Listed]| {
            let shown: BTreeSet<u64> = listed.iter().filter_map(number).map(|(_, seq)| seq).collect();
            settled.iter().all(|seq| shown.contains(seq))
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

    /// Takes out what bears a number beyond the last. A claim of it is another run's that came later; without one it is
    /// no commit.
    async fn without_claim_after(
        &mut self,
        last: u64,
        last_claim: u64,
        scope: &Scope<'_>,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let beyond: Vec<u64> = self.places.keys().copied().filter(|seq| *seq > last).collect();
        for seq in beyond {
            let places = self.places.remove(&seq).unwrap_or_default();
            if let Ok(None) = damage(claim::of_number(scope.lake, &scope.layout, seq, last_claim).await)? {
                let unclaimed = "has a number that is not claimed";
                places.iter().for_each(|place| report.find(Law::Objects, &place.key, unclaimed));
            }
        }
        Ok(())
    }

    /// Whether objects of the last claim are missing as they are when its writer has not come to its end. Of those that were
    /// not listed, the last is looked for first: if it is there with rows, the others were there before, and one that is
    /// missing is lost.
    async fn lack_some_of(&self, claim: &Claim, scope: &Scope<'_>) -> Result<bool, LakeError> {
        let is_listed = |(seq, object): &(u64, &ClaimedObject)| {
            self.places.get(seq).is_some_and(|places| places.iter().any(|place| place.key == object.key))
        };
        let unlisted: Vec<_> = claim.numbered().filter(|numbered| !is_listed(numbered)).collect();
        let Some((_, last)) = claim.numbered().next_back().filter(|_| !unlisted.is_empty()) else { return Ok(false) };
        match damage(read_commit(scope.lake, &last.key).await)? {
            Ok(None) => return Ok(true),
            Ok(Some(commit)) if commit.kind == CommitKind::Void => {}
            Ok(Some(_)) | Err(_) => return Ok(false),
        }
        for (_, object) in unlisted {
            if scope.lake.store.tail(&object.key, 1).await?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The place of a number's object: the one that the claim names, or without a claim the only one there is.
    fn place_of(
        &mut self,
        seq: u64,
        claimed: Option<&ClaimedObject>,
        scope: &Scope<'_>,
        report: &mut Verification,
    ) -> Option<Place> {
        let mut places = self.places.remove(&seq).unwrap_or_default();
        let Some(claimed) = claimed else {
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
        for other in places.iter().filter(|place| place.key != claimed.key) {
            report.find(
                Law::Objects,
                &other.key,
                format!("is not the object of number {seq}, which is {}", claimed.key),
            );
        }
        let partition = scope.layout.parse_commit(&claimed.key)?.0;
        let size = places.iter().find(|place| place.key == claimed.key).and_then(|place| place.size);
        Some(Place { key: claimed.key.clone(), partition, size })
    }
}
