//! What is done with the columns that hold personal data.

use std::collections::BTreeMap;

use super::{ConfigError, secret::Source};
use crate::schema::{Column, HmacKey, Resource, Schemas, Treatment, Type};

/// What the settings say.
#[derive(Clone, Copy)]
pub(super) struct PersonalDataSettings<'s> {
    /// Of all columns that are not named.
    pub treatment: &'s str,
    /// By `resource.column`.
    pub columns: &'s BTreeMap<String, String>,
    /// Where the key is, which is read if a column needs it.
    pub key: &'s Source,
    pub key_id: &'s str,
}

/// The treatment of each column, by `resource.column`.
pub(super) struct PersonalData(BTreeMap<String, Treatment>);

const SETTING: &str = "personal_data";
const COLUMNS_SETTING: &str = "personal_columns";

impl PersonalData {
    pub(super) fn of(settings: PersonalDataSettings<'_>, schemas: &Schemas) -> Result<Self, ConfigError> {
        let personal: Vec<String> = schemas.iter().flat_map(personal_columns).map(|(name, _)| name).collect();
        if let Some(unknown) = settings.columns.keys().find(|name| !personal.contains(name)) {
            let problem = format!("`{unknown}` is no column of personal data; there are {}", personal.join(", "));
            return Err(ConfigError::Invalid { setting: COLUMNS_SETTING, problem });
        }
        let general = settings.treatment(SETTING, settings.treatment)?;
        let treated = personal.into_iter().map(|name| {
            let treatment = match settings.columns.get(&name) {
                Some(text) => settings.treatment(COLUMNS_SETTING, text)?,
                None => general.clone(),
            };
            Ok((name, treatment))
        });
        treated.collect::<Result<_, _>>().map(Self)
    }

    /// The schemas with this done to their columns.
    pub(super) fn applied_to(&self, mut schemas: Schemas) -> Schemas {
        for resource in schemas.iter_mut() {
            let name = resource.name.clone();
            treat(&mut resource.columns, &name, &self.0);
        }
        schemas
    }
}

impl PersonalDataSettings<'_> {
    fn treatment(&self, setting: &'static str, text: &str) -> Result<Treatment, ConfigError> {
        match text {
            "drop" => Ok(Treatment::Drop),
            "keep" => Ok(Treatment::Keep),
            "hmac" => Ok(Treatment::Hmac(HmacKey::new(self.checked_key_id()?, self.key.read()?))),
            other => {
                let problem = format!("`{other}` is none of \"drop\", \"keep\" and \"hmac\"");
                Err(ConfigError::Invalid { setting, problem })
            }
        }
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

/// The columns of personal data of a resource and of its lists, by `resource.column`.
fn personal_columns(resource: &Resource) -> Vec<(String, &Column)> {
    fn of<'c>(columns: &'c [Column], prefix: &str, found: &mut Vec<(String, &'c Column)>) {
        for column in columns {
            let name = format!("{prefix}.{}", column.name);
            match &column.kind {
                Type::List(list) => of(&list.columns, &name, found),
                _ if column.personal.is_some() => found.push((name, column)),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    of(&resource.columns, &resource.name, &mut found);
    found
}

fn treat(columns: &mut [Column], prefix: &str, treatments: &BTreeMap<String, Treatment>) {
    for column in columns {
        let name = format!("{prefix}.{}", column.name);
        match &mut column.kind {
            Type::List(list) => treat(&mut list.columns, &name, treatments),
            _ if column.personal.is_some() => column.personal = treatments.get(&name).cloned(),
            _ => {}
        }
    }
}
