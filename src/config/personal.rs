//! What is done with the columns that hold personal data.

use std::{cell::OnceCell, collections::BTreeMap};

use super::{ConfigError, secret::Source};
use crate::schema::{Column, HmacKey, Schemas, Treatment, Type};

/// What the settings say.
pub(super) struct PersonalData<'s> {
    /// Of all columns that are not named.
    pub treatment: &'s str,
    /// By `resource.column`.
    pub columns: &'s BTreeMap<String, String>,
    /// Where the key is.
    pub key: &'s Source,
    pub key_id: &'s str,
    /// The key, once a column has needed it: a person may have to unlock it.
    pub key_read: OnceCell<HmacKey>,
}

const SETTING: &str = "personal_data";
const COLUMNS_SETTING: &str = "personal_columns";

impl PersonalData<'_> {
    /// The schemas with this done to their columns.
    pub(super) fn applied_to(&self, mut schemas: Schemas) -> Result<Schemas, ConfigError> {
        let mut personal = Vec::new();
        for resource in schemas.iter() {
            let columns = resource.personal_columns().into_iter();
            personal.extend(columns.map(|(column, _)| format!("{}.{column}", resource.name)));
        }
        if let Some(unknown) = self.columns.keys().find(|name| !personal.contains(name)) {
            let problem = format!("`{unknown}` is no column of personal data; there are {}", personal.join(", "));
            return Err(ConfigError::Invalid { setting: COLUMNS_SETTING, problem });
        }
        let general = self.treatment(SETTING, self.treatment)?;
        let named = self.columns.iter().map(|(name, text)| Ok((name.as_str(), self.treatment(COLUMNS_SETTING, text)?)));
        let named: BTreeMap<&str, Treatment> = named.collect::<Result<_, ConfigError>>()?;
        for resource in schemas.iter_mut() {
            treat(&mut resource.columns, &resource.name, &|column| named.get(column).unwrap_or(&general).clone());
        }
        Ok(schemas)
    }

    fn treatment(&self, setting: &'static str, text: &str) -> Result<Treatment, ConfigError> {
        match text {
            "drop" => Ok(Treatment::Drop),
            "keep" => Ok(Treatment::Keep),
            "hmac" => self.hmac_key().map(Treatment::Hmac),
            other => {
                let problem = format!("`{other}` is none of \"drop\", \"keep\" and \"hmac\"");
                Err(ConfigError::Invalid { setting, problem })
            }
        }
    }

    fn hmac_key(&self) -> Result<HmacKey, ConfigError> {
        if let Some(key) = self.key_read.get() {
            return Ok(key.clone());
        }
        let key = HmacKey::new(self.checked_key_id()?, self.key.read()?);
        Ok(self.key_read.get_or_init(|| key).clone())
    }

    /// The key's name stands in every value that was made with it.
    fn checked_key_id(&self) -> Result<&str, ConfigError> {
        let id = self.key_id;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=40).contains(&id.len()) && id.bytes().all(allowed) {
            return Ok(id);
        }
        let problem = format!("`{id}` is no name of a key: at most 40 letters, digits, `-`, `_` and `.`");
        Err(ConfigError::Invalid { setting: "hmac_key_id", problem })
    }
}

/// Treats the columns of personal data as is said of them by `resource.column`.
fn treat(columns: &mut [Column], prefix: &str, treatment: &impl Fn(&str) -> Treatment) {
    for Column { name, kind, personal, .. } in columns {
        let name = format!("{prefix}.{name}");
        match kind {
            Type::List(list) => treat(&mut list.columns, &name, treatment),
            _ => *personal = personal.take().map(|_| treatment(&name)),
        }
    }
}
