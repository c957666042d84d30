//! Finds where an element ends, 64 bytes at a time.
//!
//! A block becomes four masks with a bit a byte: quotes, backslashes, opening and closing brackets. Arithmetic on masks finds
//! which quotes are escaped and what is inside of strings, so that only brackets outside of them are looked at one by one, and
//! those only in blocks in which the element could end. (The method is that of simdjson.) Outside of brackets, and in what is
//! left of a chunk, bytes are taken one by one, with the same outcome.

use wide::u8x16;

/// Bytes of a block.
const BLOCK: usize = 64;

/// Where the scan of one element stands, however many chunks it spans.
#[derive(Debug, Default)]
pub(super) struct ElementScan {
    depth: u32,
    in_string: bool,
    /// The last byte was a backslash that escapes the next.
    escaped: bool,
}

/// The part of the bytes that belongs to the element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    pub taken: usize,
    /// Whether the element ends there.
    pub complete: bool,
}

impl ElementScan {
    /// Takes bytes up to the element's end, or all of them.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while at < bytes.len() {
            let end = match bytes[at..].first_chunk() {
                Some(block) if self.depth > 0 => {
                    let end = self.block(block).map(|end| at + end);
                    at += BLOCK;
                    end
                }
                _ => {
                    let end = self.byte(bytes[at]).map(|taken| at + usize::from(taken));
                    at += 1;
                    end
                }
            };
            if let Some(taken) = end {
                return Scanned { taken, complete: true };
            }
        }
        Scanned { taken: bytes.len(), complete: false }
    }

    /// Takes a block inside of brackets. If the element ends in it, where.
    fn block(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        let masks = Masks::of(block);
        let quotes = masks.quotes & !self.escaped_in(masks.backslashes);
        let strings = prefix_xor(quotes) ^ if self.in_string { u64::MAX } else { 0 };
        self.in_string = strings >> (BLOCK - 1) != 0;
        let (opening, closing) = (masks.opening & !strings, masks.closing & !strings);
        if closing.count_ones() < self.depth {
            self.depth = self.depth + opening.count_ones() - closing.count_ones();
            return None;
        }
        let mut brackets = opening | closing;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            if opening >> at & 1 == 1 {
                self.depth += 1;
            } else {
                self.depth -= 1;
                if self.depth == 0 {
                    return Some(at as usize + 1);
                }
            }
            brackets &= brackets - 1;
        }
        None
    }

    /// Which bytes of a block have an odd number of backslashes in front of them.
    fn escaped_in(&mut self, backslashes: u64) -> u64 {
        let carried = u64::from(std::mem::take(&mut self.escaped));
        if backslashes == 0 {
            return carried;
        }
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let escaping = backslashes & !carried;
        let following = escaping << 1 | carried;
        let begin_odd = escaping & !EVEN & !following;
        // The carry of the addition runs through each run of backslashes, and comes out behind it.
        let (runs, overflows) = begin_odd.overflowing_add(escaping);
        self.escaped = overflows;
        (EVEN ^ (runs << 1)) & following
    }

    /// Takes one byte. If the element ends there, whether the byte belongs to it.
    fn byte(&mut self, byte: u8) -> Option<bool> {
        let escaped = std::mem::take(&mut self.escaped);
        match byte {
            b'\\' => self.escaped = !escaped,
            b'"' if !escaped => self.in_string = !self.in_string,
            _ if self.in_string => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return (self.depth == 0).then_some(true);
            }
            // A bare string, number or literal has no bracket of its own: it ends where what follows it begins.
            b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' if self.depth == 0 => return Some(false),
            _ => {}
        }
        None
    }
}

/// What stands where in a block: bit n is byte n.
struct Masks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Masks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quotes: 0, backslashes: 0, opening: 0, closing: 0 };
        for (part, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::from(*bytes);
            // Brackets and braces are 32 apart.
            let folded = bytes | u8x16::splat(0x20);
            let mask =
                |bytes: u8x16, byte: u8| u64::from(bytes.simd_eq(u8x16::splat(byte)).to_bitmask()) << (16 * part);
            masks.quotes |= mask(bytes, b'"');
            masks.backslashes |= mask(bytes, b'\\');
            masks.opening |= mask(folded, b'{');
            masks.closing |= mask(folded, b'}');
        }
        masks
    }
}

/// Each bit with all below it, by exclusive or: from bits at quotes, ones from each opening quote up to its closing one.
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The plain way, a byte at a time.
    fn plainly(bytes: &[u8]) -> (Scanned, ElementScan) {
        let mut scan = ElementScan::default();
        for (at, byte) in bytes.iter().enumerate() {
            if let Some(taken) = scan.byte(*byte) {
                return (Scanned { taken: at + usize::from(taken), complete: true }, scan);
            }
        }
        (Scanned { taken: bytes.len(), complete: false }, scan)
    }

    fn in_chunks(bytes: &[u8], sizes: &[usize]) -> (Scanned, ElementScan) {
        let (mut scan, mut at) = (ElementScan::default(), 0);
        let mut sizes = sizes.iter().cycle();
        while at < bytes.len() {
            let size = sizes.next().copied().unwrap_or(1).min(bytes.len() - at);
            let scanned = scan.advance(&bytes[at..at + size]);
            at += scanned.taken;
            if scanned.complete {
                return (Scanned { taken: at, complete: true }, scan);
            }
        }
        (Scanned { taken: at, complete: false }, scan)
    }

    proptest! {
        /// Whatever the bytes, and wherever they are cut into chunks, blocks end an element where bytes one by one do.
        #[test]
        fn blocks_and_bytes_agree(
            bytes in prop::collection::vec(prop::sample::select(br#"{{{}}}[]""\\\\, ax"#.to_vec()), 0..400),
            sizes in prop::collection::vec(1_usize..200, 1..5),
        ) {
            let bytes = [b"{".as_slice(), &bytes].concat();
            let ((expected, scan), (found, found_scan)) = (plainly(&bytes), in_chunks(&bytes, &sizes));
            prop_assert_eq!(&found, &expected);
            if !expected.complete {
                prop_assert_eq!(format!("{found_scan:?}"), format!("{scan:?}"));
            }
        }
    }

    #[test]
    fn runs_of_backslashes_across_blocks_escape_every_other() {
        for run in 0..200 {
            for before in 0..70 {
                let text = format!(r#"{{"{}{}"}}x"#, "a".repeat(before), "\\".repeat(run));
                assert_eq!(in_chunks(text.as_bytes(), &[1000]).0, plainly(text.as_bytes()).0, "{text}");
            }
        }
    }
}
