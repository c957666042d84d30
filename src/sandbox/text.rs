//! Text into a buffer of bytes: JSON strings, and what `format!` would make without its allocation.

use std::fmt;
use std::io::Write;

/// Appends formatted text.
pub(super) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends a JSON string; with `ascii`, everything beyond ASCII is escaped, by surrogate pairs where it takes two.
pub(super) fn put_string(out: &mut Vec<u8>, text: &str, ascii: bool) {
    out.push(b'"');
    if text.bytes().all(|byte| is_plain(byte) && (byte.is_ascii() || !ascii)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|letter| put_char(out, letter, ascii));
    }
    out.push(b'"');
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

fn put_char(out: &mut Vec<u8>, letter: char, ascii: bool) {
    match letter {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0'..' ' => put_escape(out, letter),
        _ if ascii && !letter.is_ascii() => put_escape(out, letter),
        _ => out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn put_escape(out: &mut Vec<u8>, letter: char) {
    for unit in letter.encode_utf16(&mut [0; 2]) {
        put(out, format_args!("\\u{unit:04x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_json_asks() {
        for (text, ascii, json) in [
            ("", false, r#""""#),
            ("FNB Savings", true, r#""FNB Savings""#),
            ("Café", false, r#""Café""#),
            ("Café", true, r#""Caf\u00e9""#),
            ("🚀", true, r#""\ud83d\ude80""#),
            ("a\"b\\c\nd\te\u{1}", false, r#""a\"b\\c\nd\te\u0001""#),
        ] {
            let mut out = Vec::new();
            put_string(&mut out, text, ascii);
            assert_eq!(String::from_utf8_lossy(&out), json);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
