//! Content codings: what a body is on the wire, made into what it says, piece by piece and within bounds.

use std::{
    io::{self, Write},
    mem,
};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use reqwest::header::HeaderValue;
use thiserror::Error;
use zstd::stream::{raw, zio};

/// What we say that we can read.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("zstd, gzip");

/// A body may become so much larger once it is decoded, from [`FREE_BYTES`] on. Lists of records become ten times as large.
const RATIO_MAX: u64 = 200;
const FREE_BYTES: u64 = 1 << 20;
/// Memory of a zstd body's own window, as a power of two: what its specification asks every reader to have.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Why a body cannot be decoded.
#[derive(Debug, Error)]
pub enum CodingError {
    /// In a coding that was not asked for.
    #[error("it is in the coding `{0}`, and zstd, gzip or none were asked for")]
    Unknown(String),
    /// A bomb.
    #[error("it becomes more than {RATIO_MAX} times as large when it is decoded")]
    Bomb,
    /// Larger than the settings allow.
    #[error("it is larger than `body_max_mib` allows ({0} bytes)")]
    TooLarge(u64),
    /// Not what the coding allows, or not to its end.
    #[error("its compressed form is broken: {0}")]
    Broken(#[source] io::Error),
}

/// Decodes one body.
pub(super) struct Decoder {
    coding: Coding,
    /// Bytes after which a body is refused.
    bytes_max: u64,
}

enum Coding {
    Identity(Decoded),
    Gzip(Box<MultiGzDecoder<Decoded>>),
    Zstd(Box<zio::Writer<Decoded, raw::Decoder<'static>>>),
}

/// Takes what was decoded, until it is more than may be.
#[derive(Default)]
struct Decoded {
    bytes: Vec<u8>,
    /// Of the whole body so far.
    decoded: u64,
    encoded: u64,
}

impl Decoder {
    /// For a body with this `Content-Encoding`, if it has one.
    pub(super) fn new(coding: Option<&str>, bytes_max: u64) -> Result<Self, CodingError> {
        let coding = match coding.map(|name| name.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Coding::Identity(Decoded::default()),
            Some("gzip" | "x-gzip") => Coding::Gzip(Box::new(MultiGzDecoder::new(Decoded::default()))),
            Some("zstd") => {
                let mut decoder = raw::Decoder::new().map_err(CodingError::Broken)?;
                let window = raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX);
                decoder.set_parameter(window).map_err(CodingError::Broken)?;
                Coding::Zstd(Box::new(zio::Writer::new(Decoded::default(), decoder)))
            }
            Some(other) => return Err(CodingError::Unknown(other.chars().take(40).collect())),
        };
        Ok(Self { coding, bytes_max })
    }

    /// What the next piece of the body comes to; may be nothing.
    pub(super) fn push(&mut self, piece: Bytes) -> Result<Bytes, CodingError> {
        let length = piece.len() as u64;
        let decoded = match &mut self.coding {
            Coding::Identity(decoded) => {
                decoded.decoded += length;
                return within(decoded.decoded, self.bytes_max).map(|()| piece);
            }
            Coding::Gzip(decoder) => {
                decoder.get_mut().encoded += length;
                decoder.write_all(&piece).map_err(broken)?;
                decoder.get_mut()
            }
            Coding::Zstd(decoder) => {
                decoder.writer_mut().encoded += length;
                decoder.write_all(&piece).and_then(|()| decoder.flush()).map_err(broken)?;
                decoder.writer_mut()
            }
        };
        decoded.take(self.bytes_max)
    }

    /// The rest, at the end of the body.
    pub(super) fn finish(&mut self) -> Result<Bytes, CodingError> {
        let decoded = match &mut self.coding {
            Coding::Identity(_) => return Ok(Bytes::new()),
            Coding::Gzip(decoder) => {
                decoder.try_finish().map_err(broken)?;
                decoder.get_mut()
            }
            Coding::Zstd(decoder) => {
                decoder.finish().map_err(broken)?;
                decoder.writer_mut()
            }
        };
        decoded.take(self.bytes_max)
    }
}

impl Decoded {
    fn take(&mut self, bytes_max: u64) -> Result<Bytes, CodingError> {
        within(self.decoded, bytes_max)?;
        Ok(mem::take(&mut self.bytes).into())
    }
}

impl Write for Decoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.decoded += bytes.len() as u64;
        if self.decoded > FREE_BYTES.max(RATIO_MAX.saturating_mul(self.encoded)) {
            return Err(io::Error::other(CodingError::Bomb));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn within(decoded: u64, bytes_max: u64) -> Result<(), CodingError> {
    if decoded > bytes_max { Err(CodingError::TooLarge(bytes_max)) } else { Ok(()) }
}

fn broken(error: io::Error) -> CodingError {
    match error.downcast() {
        Ok(error) => error,
        Err(error) => CodingError::Broken(error),
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn decode(coding: &str, body: &[u8], piece_bytes: usize) -> Result<Vec<u8>, CodingError> {
        let mut decoder = Decoder::new(Some(coding), 64 << 20)?;
        let mut text = Vec::new();
        for piece in body.chunks(piece_bytes) {
            text.extend(decoder.push(Bytes::copy_from_slice(piece))?);
        }
        text.extend(decoder.finish()?);
        Ok(text)
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_in_every_coding_however_it_is_cut(
            text in proptest::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..5000),
            piece_bytes in 1..600_usize,
        ) {
            let twice = [gzip(&text), gzip(&text)].concat();
            prop_assert_eq!(&decode("gzip", &gzip(&text), piece_bytes).unwrap(), &text);
            prop_assert_eq!(decode("GZIP ", &twice, piece_bytes).unwrap(), [&text[..], &text[..]].concat());
            prop_assert_eq!(&decode("zstd", &zstd(&text), piece_bytes).unwrap(), &text);
            prop_assert_eq!(&decode("identity", &text, piece_bytes).unwrap(), &text);
        }

        #[test]
        fn a_body_that_ends_early_is_broken(
            text in proptest::collection::vec(any::<u8>(), 1..5000),
            cut in any::<prop::sample::Index>(),
        ) {
            for (coding, body) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
                let kept = 1 + cut.index(body.len() - 1);
                prop_assert!(matches!(decode(coding, &body[..kept], 100), Err(CodingError::Broken(_))), "{} {}", coding, kept);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_decoded_within_bounds_or_refused(
            noise in proptest::collection::vec(any::<u8>(), 0..2000),
            (place, byte) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            for (coding, mut body) in [("gzip", gzip(&noise)), ("zstd", zstd(&noise))] {
                let place = place.index(body.len());
                body[place] = byte;
                for body in [&body, &noise] {
                    let decoded = decode(coding, body, 300).map_or(0, |text| text.len() as u64);
                    prop_assert!(decoded <= FREE_BYTES.max(RATIO_MAX * body.len() as u64));
                }
            }
        }
    }

    #[test]
    fn what_becomes_far_too_large_is_refused_before_it_is_there() {
        let spaces = vec![b' '; 32 << 20];
        for (coding, body) in [("gzip", gzip(&spaces)), ("zstd", zstd(&spaces))] {
            assert!(matches!(decode(coding, &body, 16 << 10), Err(CodingError::Bomb)), "{coding}");
        }
        assert_eq!(decode("gzip", &gzip(&spaces[..1 << 20]), 100).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_body_has_a_largest_size_in_every_coding() {
        let text: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
        for (coding, body) in [("identity", text.clone()), ("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            let mut decoder = Decoder::new(Some(coding), 3999).unwrap();
            let refused = decoder.push(body.into()).and_then(|_| decoder.finish());
            assert!(matches!(refused, Err(CodingError::TooLarge(3999))), "{coding}");
        }
    }

    #[test]
    fn other_codings_are_refused_by_name() {
        for coding in ["br", "gzip, gzip", "deflate"] {
            let refused = Decoder::new(Some(coding), 1).err().unwrap().to_string();
            assert!(refused.contains(&format!("`{coding}`")), "{refused}");
        }
    }

    #[test]
    fn a_zstd_window_that_takes_up_too_much_memory_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        let text: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        encoder.write_all(&text).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(decode("zstd", &body, 16 << 10), Err(CodingError::Broken(_))));
    }
}
