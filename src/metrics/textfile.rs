//! Metrics in a file, as the node exporter's textfile collector reads them.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{Metrics, samples::Samples};

/// Whoever collects the metrics is another user, and there is nothing in them to hide.
const MODE: u32 = 0o644;

impl Metrics {
    /// Goes on from what a file says, if it is there.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::after(Samples::of_text(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes the file anew, as a whole: it is never seen half-written.
    ///
    /// # Errors
    ///
    /// If the file, or another in its folder, cannot be made.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(self.to_text().as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(MODE))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}
