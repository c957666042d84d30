//! Small numbers as Parquet writes them: its hybrid of run lengths and bit packing (Encodings.md, "RLE").
//!
//! In: levels, or places in a dictionary. Out: runs, each of one number that is repeated, or of several that are packed bit by
//! bit, eight at a time.

/// Numbers that are packed together.
const GROUP: usize = 8;

/// Bits that a number up to this one takes.
pub(super) fn bits_of(max: u32) -> u32 {
    u32::BITS - max.leading_zeros()
}

/// Writes numbers of so many bits behind what is there.
pub(super) fn write<N: Copy + Eq + Into<u32>>(mut numbers: &[N], bits: u32, out: &mut Vec<u8>) {
    while let Some(first) = numbers.first() {
        let repeated = numbers.iter().take_while(|number| *number == first).count();
        if repeated >= GROUP {
            write_varint(repeated << 1, out);
            out.extend_from_slice(&(*first).into().to_le_bytes()[..bits.div_ceil(8) as usize]);
            numbers = &numbers[repeated..];
        } else {
            let groups = numbers.chunks(GROUP).take_while(|group| !is_repetition(group)).count();
            let (packed, rest) = numbers.split_at(numbers.len().min(groups * GROUP));
            write_varint(groups << 1 | 1, out);
            packed.chunks(GROUP).for_each(|group| pack(group, bits, out));
            numbers = rest;
        }
    }
}

fn is_repetition<N: Eq>(group: &[N]) -> bool {
    group.len() == GROUP && group.iter().all(|number| *number == group[0])
}

/// As many bytes as a number has bits. What a group lacks is zero.
fn pack<N: Copy + Into<u32>>(group: &[N], bits: u32, out: &mut Vec<u8>) {
    let (mut held, mut held_bits) = (0_u64, 0);
    for number in group.iter().map(|number| (*number).into()).chain([0; GROUP]).take(GROUP) {
        held |= u64::from(number) << held_bits;
        held_bits += bits;
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
}

fn write_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(numbers: &[u32], bits: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write(numbers, bits, &mut out);
        out
    }

    /// Another way of reading it: bit by bit, as the specification puts it.
    fn read(mut bytes: &[u8], bits: u32, count: usize) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some(length) = bytes.iter().position(|byte| byte & 0x80 == 0) {
            let header = bytes[..=length].iter().rev().fold(0, |header, byte| header << 7 | usize::from(byte & 0x7f));
            bytes = &bytes[length + 1..];
            let taken = if header & 1 == 0 { bits.div_ceil(8) as usize } else { (header >> 1) * bits as usize };
            let (run, rest) = bytes.split_at(taken);
            let bit = |at: usize| u32::from(run[at / 8] >> (at % 8) & 1);
            let number =
                |nth: usize| (0..bits as usize).fold(0, |number, at| number | bit(nth * bits as usize + at) << at);
            match header & 1 {
                0 => numbers.extend(std::iter::repeat_n(number(0), header >> 1)),
                _ => numbers.extend((0..(header >> 1) * GROUP).map(number)),
            }
            bytes = rest;
        }
        assert!(numbers.len() < count + GROUP && numbers[count..].iter().all(|number| *number == 0));
        numbers.truncate(count);
        numbers
    }

    #[test]
    fn the_examples_of_the_specification() {
        // 0 to 7 in three bits, as Encodings.md draws them.
        assert_eq!(written(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        assert_eq!(written(&[4; 100], 3), [0b1100_1000, 1, 4]);
        assert!(written(&[], 1).is_empty());
    }

    #[test]
    fn a_number_takes_as_many_bits_as_the_largest() {
        let rows = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (255, 8), (256, 9), (u32::MAX, 32)];
        for (max, bits) in rows {
            assert_eq!(bits_of(max), bits, "{max}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(
            runs in prop::collection::vec((any::<u32>(), prop_oneof![Just(1_usize), 1_usize..40]), 0..60), bits in 0_u32..=32,
        ) {
            let mask = u32::MAX.checked_shr(32 - bits).unwrap_or(0);
            let numbers: Vec<u32> =
                runs.iter().flat_map(|(number, times)| std::iter::repeat_n(number & mask, *times)).collect();
            prop_assert_eq!(read(&written(&numbers, bits), bits, numbers.len()), numbers);
        }
    }
}
