//! A lake's identity: made once, at the first sync, and read ever after.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Creation, FORMAT, LakeError, Probe, Store, layout, probe::probe};
use crate::{decode::Seed, schema::Granularity};

/// What `meta/lake.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version of the format.
    pub format: u32,
    /// Identity of the lake.
    pub id: String,
    /// Seed of all hashes, as 16 hexadecimal digits.
    pub seed: String,
    /// How records are filed.
    pub granularity: Granularity,
    /// When the lake was made.
    pub created_at: DateTime<Utc>,
    /// The version of this program that made it.
    pub created_by: String,
    /// What the store was found to be able to do.
    pub probe: Option<Probe>,
}

/// An opened lake.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(super) store: Store,
    pub(super) identity: Identity,
    pub(super) seed: Seed,
}

impl Identity {
    /// A new identity from randomness and the time, both given.
    #[must_use]
    pub fn new(random: u128, seed: u64, created_at: DateTime<Utc>, granularity: Granularity) -> Self {
        Self {
            format: FORMAT,
            id: uuid::Builder::from_random_bytes(random.to_le_bytes()).into_uuid().to_string(),
            seed: format!("{seed:016x}"),
            granularity,
            created_at,
            created_by: concat!("lumetrade-export ", env!("CARGO_PKG_VERSION")).to_owned(),
            probe: None,
        }
    }
}

impl Lake {
    /// Opens the lake for writing, or makes it with `candidate`'s identity if it is new. Of two that make it, one wins.
    ///
    /// # Errors
    ///
    /// [`LakeError::Contract`] if the store cannot hold a lake, [`LakeError::NewerFormat`], [`LakeError::Granularity`] if the
    /// lake is filed otherwise than the candidate, and whatever the store fails with.
    pub async fn open_or_create(store: Store, candidate: Identity) -> Result<Self, LakeError> {
        let granularity = candidate.granularity;
        let lake = match store.get(layout::LAKE).await? {
            Some(bytes) => Self::read(store, &bytes)?,
            None => Self::create(store, candidate).await?,
        };
        lake.filed_by(granularity)
    }

    /// Opens a lake that is there.
    ///
    /// # Errors
    ///
    /// [`LakeError::Missing`] if it is not, and as [`open_or_create`](Self::open_or_create).
    pub async fn open(store: Store) -> Result<Self, LakeError> {
        match store.get(layout::LAKE).await? {
            Some(bytes) => Self::read(store, &bytes),
            None => Err(LakeError::Missing { location: store.location().to_owned() }),
        }
    }

    /// A lake that is there, or one as it would be made, of which nothing is written.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create).
    pub async fn open_or_imagine(store: Store, candidate: Identity) -> Result<Self, LakeError> {
        let granularity = candidate.granularity;
        let bytes = match store.get(layout::LAKE).await? {
            Some(bytes) => bytes,
            None => {
                serde_json::to_vec(&candidate).map_err(|source| LakeError::io("describe", layout::LAKE, source))?.into()
            }
        };
        Self::read(store, &bytes)?.filed_by(granularity)
    }

    /// The same lake.
    ///
    /// # Errors
    ///
    /// [`LakeError::Granularity`] if its records are filed otherwise.
    pub fn filed_by(self, granularity: Granularity) -> Result<Self, LakeError> {
        match self.identity.granularity {
            lake if lake == granularity => Ok(self),
            lake => Err(LakeError::Granularity { lake, settings: granularity }),
        }
    }

    /// Where it is: `s3://bucket/prefix`, or a folder's whole path.
    #[must_use]
    pub fn location(&self) -> String {
        self.store.place()
    }

    /// Where its objects are.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What tells it from every other.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.identity.id
    }

    /// How records are filed.
    #[must_use]
    pub fn granularity(&self) -> Granularity {
        self.identity.granularity
    }

    /// The seed of the lake's hashes.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Makes the lake. Commits without an identity are a lake that has lost it: another seed would make all of them foreign.
    async fn create(store: Store, mut candidate: Identity) -> Result<Self, LakeError> {
        if !store.list("changes").await?.is_empty() && store.get(layout::LAKE).await?.is_none() {
            return Err(LakeError::damaged(layout::LAKE, "is missing, but there are commits"));
        }
        candidate.probe = Some(probe(&store, &candidate.id, candidate.created_at).await?);
        let bytes =
            serde_json::to_vec_pretty(&candidate).map_err(|source| LakeError::io("write", layout::LAKE, source))?;
        let bytes = bytes::Bytes::from(bytes);
        match store.create(layout::LAKE, &bytes).await? {
            Creation::Ours => Self::read(store, &bytes),
            Creation::Theirs(theirs) => Self::read(store, &theirs),
        }
    }

    fn read(store: Store, bytes: &[u8]) -> Result<Self, LakeError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |error: &dyn std::fmt::Display| LakeError::damaged(layout::LAKE, error.to_string());
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
        if format > FORMAT {
            return Err(LakeError::NewerFormat { found: format });
        }
        let identity: Identity = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
        let seed = u64::from_str_radix(&identity.seed, 16).map(Seed).map_err(|error| damaged(&error))?;
        Ok(Self { store, identity, seed })
    }
}
