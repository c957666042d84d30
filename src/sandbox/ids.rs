//! Opaque identifiers, one-to-one with record numbers, so that a record is found by its id without a table.

use super::draw::Source;

/// Crockford's base 32: no letter that reads like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHARACTERS: usize = 8;
const MASK: u64 = (1 << (5 * CHARACTERS)) - 1;

/// Odd, hence invertible modulo a power of two; its size makes neighbours look unrelated.
const STRIDE: u64 = 0x9E_3779_B97F;
const STRIDE_INVERSE: u64 = inverse(STRIDE);

/// The identifiers of one resource.
pub(super) struct Ids {
    prefix: &'static str,
    offset: u64,
}

impl Ids {
    /// Identifiers that begin with `prefix`, other ones for another seed.
    pub(super) fn new(seed: u64, prefix: &'static str) -> Ids {
        Ids { prefix, offset: Source::new(seed, prefix).draw(0).below(MASK) }
    }

    /// The identifier of a record.
    pub(super) fn encode(&self, number: u64) -> String {
        let code = number.wrapping_mul(STRIDE).wrapping_add(self.offset) & MASK;
        let mut id = String::with_capacity(self.prefix.len() + CHARACTERS);
        id.push_str(self.prefix);
        id.extend((0..CHARACTERS).rev().map(|place| char::from(ALPHABET[(code >> (5 * place)) as usize % 32])));
        id
    }

    /// The record that has the identifier, if one ever will.
    pub(super) fn decode(&self, id: &str) -> Option<u64> {
        let text = id.strip_prefix(self.prefix).filter(|text| text.len() == CHARACTERS)?;
        let digit = |byte| ALPHABET.iter().position(|&letter| letter == byte);
        let code = text.bytes().try_fold(0, |code, byte| Some(code << 5 | digit(byte)? as u64))?;
        Some(code.wrapping_sub(self.offset).wrapping_mul(STRIDE_INVERSE) & MASK)
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's method: each step doubles the bits that are right, from three on.
const fn inverse(odd: u64) -> u64 {
    let mut guess = odd;
    let mut step = 0;
    while step < 5 {
        guess = guess.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(guess)));
        step += 1;
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_record() {
        let ids = Ids::new(7, "DP");
        for number in (0..1000).chain([MASK / 3, MASK]) {
            assert_eq!(ids.decode(&ids.encode(number)), Some(number));
        }
    }

    #[test]
    fn what_is_no_id_leads_nowhere() {
        let ids = Ids::new(7, "DP");
        for id in ["", "DP", "DP1234567", "DP123456789", "WD12345678", "DP1234567U", "DP1234567é", "dp12345678"] {
            assert_eq!(ids.decode(id), None, "{id}");
        }
    }
}
