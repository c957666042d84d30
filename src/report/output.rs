//! The page as a file.

use std::{io::Write, path::Path};

use tempfile::NamedTempFile;

use crate::{error::Error, lake::LakeError};

/// Writes the page to a file that its owner alone can read, in place of one that is there: whoever opens it sees the old page or the
/// new one, and never a part of one.
///
/// # Errors
///
/// [`LakeError::Io`] or [`LakeError::Denied`] if it cannot be written. What was there stays.
pub fn write(page: &str, file: &Path) -> Result<(), Error> {
    let failed = |source| LakeError::file("write", &file.display().to_string(), source);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut written = NamedTempFile::new_in(folder).map_err(failed)?;
    written.write_all(page.as_bytes()).and_then(|()| written.as_file().sync_all()).map_err(failed)?;
    written.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}
