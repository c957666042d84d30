//! Secrets kept out of what is told, and what could steer a terminal: every value that was registered is masked wherever it would be printed, plain or in a
//! form that it may take on its way through a URL, a header or an escaped text.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// What stands for a secret.
pub const MASK: &str = "[secret]";
/// A shorter value would mask parts of ordinary words, and is no secret.
const SECRET_BYTES_MIN: usize = 6;

/// All forms of all registered secrets, the longest first: one may be a part of another.
static FORMS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Masks this value from here on.
pub fn register(secret: &SecretString) {
    let secret = secret.expose_secret();
    if secret.len() < SECRET_BYTES_MIN {
        return;
    }
    let mut forms = FORMS.write().unwrap_or_else(PoisonError::into_inner);
    let known: BTreeSet<String> = forms.drain(..).chain(forms_of(secret)).collect();
    forms.extend(known);
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
}

/// The text without secrets.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let forms = FORMS.read().unwrap_or_else(PoisonError::into_inner);
    let mut redacted = Cow::Borrowed(text);
    for form in forms.iter().filter(|form| text.contains(form.as_str())) {
        redacted = Cow::Owned(redacted.replace(form.as_str(), MASK));
    }
    redacted
}

/// The text as it may be shown. Part of it may be the API's own, so nothing in it may steer a terminal or begin another line.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn forms_of(secret: &str) -> Vec<String> {
    let (lower, upper) = (hex::encode(secret), hex::encode_upper(secret));
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let debug = format!("{secret:?}");
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![secret.to_owned(), lower, upper, percent.to_lowercase(), percent];
    forms.extend([debug, json].iter().map(|quoted| quoted.trim_matches('"').to_owned()));
    // In the middle of a longer text, base64 depends on how many bytes stand before, and its last character on what follows.
    for before in 0..3 {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            let end = if bytes.len() % 3 == 0 { text.len() } else { text.len() - 1 };
            forms.push(text[[0, 2, 3][before]..end].to_owned());
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_form() {
        let secret = "canary/+?7\"\\é-31f0";
        register(&secret.into());
        let texts = [
            format!("key={secret}."),
            hex::encode(secret),
            hex::encode_upper(secret),
            STANDARD.encode(secret),
            URL_SAFE.encode(secret),
            STANDARD.encode(format!("user:{secret}")),
            STANDARD.encode(format!("user1:{secret}!")),
            STANDARD.encode(format!("user23:{secret}!!")),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            format!("{secret:?}"),
            serde_json::json!({ "a": secret }).to_string(),
        ];
        for text in texts {
            let redacted = redact(&text);
            assert!(redacted.contains(MASK), "{text}: {redacted}");
            for part in ["canary", "31f0", &hex::encode("canary"), &STANDARD.encode("canary")] {
                assert!(!redacted.contains(part), "{text}: {redacted}");
            }
        }
        assert_eq!(redact("nothing of it"), "nothing of it");
    }

    #[test]
    fn of_two_secrets_the_longer_is_masked_whole() {
        register(&"canary-b2".into());
        register(&"canary-b2-and-more".into());
        assert_eq!(redact("x canary-b2-and-more y canary-b2"), format!("x {MASK} y {MASK}"));
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_masks_nothing() {
        register(&"trade".into());
        assert_eq!(redact("trades"), "trades");
    }
}
