//! Whether a lake is what its laws say, found out from all that is in it. Nothing is ever written.
//!
//! ```text
//! claims + listing ──▶ Inventory ──▶ Chain: bytes, footer, parent, cursor of each commit, in order
//!                                      │ rows
//!                                      ▼
//!                                   Versions: each record's versions follow each other ──fold──▶ compared with
//!                                                                                     current/ │ state cache
//! snapshots: each with its commits
//! quarantine, archive, strays: by themselves
//! ```
//!
//! The laws are those of [`Law`]. What is damaged stops nothing: what depends on it is left out, which a note says, and
//! everything else is looked at. Objects are read one by one through a nameless file, and of a record some seventy bytes
//! are held, so memory follows from the number of records and never from their size.
//!
//! What another run commits meanwhile is not looked at, and is no finding; nor is a cache that is behind, which the next
//! sync brings up to date.

mod archive;
mod chain;
mod commit;
mod current;
mod elements;
mod inventory;
mod lost;
mod object;
mod quarantine;
mod report;
mod snapshots;
mod state;
mod strays;
mod versions;

use std::{fs::File, path::Path};

use arrow_schema::{DataType, Field, Fields};

pub use self::report::{Figures, Finding, Law, Note, Verification};
use self::{chain::Chain, inventory::Inventory};
use super::{Lake, LakeError, layout::Layout, log::LISTINGS_MAX, parquet_file::sha256_of_file, store::Listed};
use crate::{decode::Decoder, schema::Resource};

/// Claims and footers that are read at once: they are small, and far away.
const READS_AT_ONCE: usize = 8;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// At every byte and every row.
    Full,
    /// At claims, footers and listings: the chain, and the sizes of objects. A bit that has flipped is not seen.
    Quick,
}

/// What is looked at, and how.
struct Scope<'a> {
    lake: &'a Lake,
    decoder: &'a Decoder<'a>,
    resource: &'a Resource,
    layout: Layout,
    spool: &'a Path,
    depth: Depth,
}

impl Lake {
    /// Verifies one resource into `report`, where what was found stays should the rest not be readable. `spool` is a folder
    /// for temporary files.
    ///
    /// # Errors
    ///
    /// Whatever the store fails with, and [`LakeError::KeyChanged`] if the schema identifies records otherwise than the
    /// lake. Damage is no error.
    pub async fn verify(
        &self,
        decoder: &Decoder<'_>,
        spool: &Path,
        depth: Depth,
        report: &mut Verification,
    ) -> Result<(), LakeError> {
        let resource = decoder.resource();
        let layout = Layout::new(resource, self.identity.granularity);
        let scope = Scope { lake: self, decoder, resource, layout, spool, depth };
        let inventory = Inventory::take(&scope, report).await?;
        let mut chain = Chain::verify(&scope, &inventory, report).await?;
        current::verify(&scope, &mut chain, report).await?;
        if depth == Depth::Full {
            state::verify(&scope, &mut chain, report).await?;
        }
        chain.verify_open(&scope, &inventory, report).await?;
        snapshots::verify(&scope, &inventory, report).await?;
        quarantine::verify(&scope, report).await?;
        archive::verify(&scope, &chain.polls, report).await?;
        strays::verify(&scope, report).await
    }
}

impl Scope<'_> {
    /// Lists a folder, and lists it again where `is_whole` says that something is not shown: while others write to a
    /// folder, a listing may show what is late and not what is early.
    async fn list_until(&self, folder: &str, is_whole: impl Fn(&[Listed]) -> bool) -> Result<Vec<Listed>, LakeError> {
        let mut listed = self.lake.store.list(folder).await?;
        for _ in 1..LISTINGS_MAX {
            if is_whole(&listed) {
                break;
            }
            listed = self.lake.store.list(folder).await?;
        }
        Ok(listed)
    }

    /// Lists a folder of objects that are numbered from 1 on without gaps, each with its number if it has one.
    async fn list_numbered(
        &self,
        folder: &str,
        number: impl Fn(&str) -> Option<u64>,
    ) -> Result<Vec<(Listed, Option<u64>)>, LakeError> {
        let has_no_gap = |listed: &[Listed]| {
            let numbers = listed.iter().filter_map(|object| number(&object.key));
            let (last, count) = numbers.fold((0, 0), |(_, count), number| (number, count + 1));
            last == count
        };
        let listed = self.list_until(folder, has_no_gap).await?.into_iter();
        Ok(listed.map(|object| (number(&object.key), object)).map(|(number, object)| (object, number)).collect())
    }

    /// A copy of an object, with its hash; `None` if it is not there.
    async fn copy(&self, key: &str) -> Result<Option<Copied>, LakeError> {
        let Some(mut content) = self.lake.store.download(key, self.spool).await? else { return Ok(None) };
        let io = |source| LakeError::io("read the copy of", key, source);
        let size = content.metadata().map_err(io)?.len();
        let sha256 = sha256_of_file(&mut content).map_err(io)?;
        Ok(Some(Copied { content, size, sha256 }))
    }
}

/// A copy of an object on this machine.
struct Copied {
    content: File,
    size: u64,
    sha256: String,
}

/// Tells damage, as what is wrong, from other failures.
fn damage<T>(read: Result<T, LakeError>) -> Result<Result<T, String>, LakeError> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(LakeError::Damaged { problem, .. }) => Ok(Err(problem)),
        Err(error) => Err(error),
    }
}

/// The first difference in name, order, type or nullability between the columns found and those declared. Words do not
/// count: what documents a column may be written anew.
fn difference(found: &Fields, declared: &Fields) -> Option<String> {
    if let Some((found, declared)) = found.iter().zip(declared).find(|(found, declared)| !is_same(found, declared)) {
        return Some(format!("column `{}` is {}, declared is {}", found.name(), tell(found), tell(declared)));
    }
    if found.len() == declared.len() {
        return None;
    }
    let beyond = |longer: &Fields, shorter: &Fields| longer.get(shorter.len()).map(|field| field.name().clone());
    match beyond(found, declared) {
        Some(name) => Some(format!("column `{name}` is not declared")),
        None => beyond(declared, found).map(|name| format!("column `{name}` is missing")),
    }
}

fn is_same(found: &Field, declared: &Field) -> bool {
    let same_type = match (found.data_type(), declared.data_type()) {
        (DataType::List(found), DataType::List(declared)) => is_same(found, declared),
        (DataType::Struct(found), DataType::Struct(declared)) => difference(found, declared).is_none(),
        (found, declared) => found == declared,
    };
    same_type && found.name() == declared.name() && found.is_nullable() == declared.is_nullable()
}

fn tell(field: &Field) -> String {
    let null = if field.is_nullable() { "" } else { " NOT NULL" };
    format!("`{}` {}{null}", field.name(), field.data_type())
}
