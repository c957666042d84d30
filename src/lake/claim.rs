//! The claim of a sequence number: which one object may carry it.

use serde::{Deserialize, Serialize};

use super::LakeError;

/// A claim, as in `meta/<resource>/log/<seq>.json`. Created before its object, and never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// The number claimed.
    pub seq: u64,
    /// The only key that the commit may have.
    pub key: String,
    /// Size of the object in bytes.
    pub size: u64,
    /// SHA-256 of the object, in hexadecimal.
    pub sha256: String,
    /// The poll that made the claim: two writers' claims differ even if they saw the same.
    pub poll_id: String,
}

impl Claim {
    pub(super) fn to_bytes(&self) -> Result<bytes::Bytes, LakeError> {
        let text = serde_json::to_vec(self).map_err(|source| LakeError::io("write the claim of", &self.key, source))?;
        Ok(text.into())
    }

    pub(super) fn parse(key: &str, bytes: &[u8]) -> Result<Self, LakeError> {
        serde_json::from_slice(bytes).map_err(|error| LakeError::damaged(key, format!("is no claim: {error}")))
    }
}
