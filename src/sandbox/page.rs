//! Lists page by page, as the contract reserves them and as a server may get them wrong.
//!
//! `page` counts from zero, and is 0 if it is absent or not a number: that is how a server begins to paginate without a word.
//! `size` is 20 then, and never more than `size_max`. A page past the end is empty.
//!
//! | shape | a page is |
//! |---|---|
//! | `bare` | `[…]` |
//! | `envelope` | `{"content":[…],"page":{"size":20,"number":0,"totalElements":1,"totalPages":1}}` |
//!
//! What may be wrong, each by itself or together:
//!
//! | | page *n* holds |
//! |---|---|
//! | `ignore` | what page 0 does, and says that it is page 0 |
//! | `repeat` | what page 1 does, for *n* > 1 |
//! | `shift=N` | records from *n* · (size − N) on, as if N had been put in front between two requests; a negative N leaves records out |
//! | `endless` | after the last record the first again, and says that one more page follows |

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::parameters::Parameters;

const SIZE: u64 = 20;
/// What the reference plans.
const SIZE_MAX: NonZeroU64 = match NonZeroU64::new(100) {
    Some(size) => size,
    None => NonZeroU64::MIN,
};

/// The switch `/control/paginate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Paging {
    /// Whether lists come page by page.
    on: bool,
    shape: PageShape,
    /// The most records of a page.
    size_max: NonZeroU64,
    /// Whether every page after the second is the second.
    repeat: bool,
    /// Whether the list begins again at its end.
    endless: bool,
    /// Records that the list has moved on by with each page.
    shift: i64,
    /// Whether every page is the first.
    ignore: bool,
}

/// What a page looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PageShape {
    /// An array.
    #[default]
    Bare,
    /// Spring's: an object with `content` and `page`.
    Envelope,
}

/// A page that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    paging: Paging,
    number: u64,
    size: u64,
}

/// Which records of a list a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The place of the first.
    pub(super) start: u64,
    /// How many, if there are as many.
    pub(super) size: u64,
    /// Whether the first record follows the last.
    pub(super) is_cyclic: bool,
}

/// What a page says of itself. Spring's names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About {
    size: u64,
    number: u64,
    total_elements: u64,
    total_pages: u64,
}

impl Default for Paging {
    fn default() -> Self {
        Paging {
            on: false,
            shape: PageShape::Bare,
            size_max: SIZE_MAX,
            repeat: false,
            endless: false,
            shift: 0,
            ignore: false,
        }
    }
}

impl Page {
    /// The page that a query asks for, if lists come in pages.
    pub(super) fn read(paging: Paging, asked: &Parameters) -> Option<Page> {
        let number = |name| asked.get(name)?.parse::<u64>().ok();
        let size = number("size").filter(|size| *size > 0).unwrap_or(SIZE).min(paging.size_max.get());
        paging.on.then(|| Page { paging, number: number("page").unwrap_or(0), size })
    }

    /// Its records, in a list of so many.
    pub(super) fn window(self, total: u64) -> Window {
        let Page { paging, size, .. } = self;
        let served = match self.number() {
            number if paging.repeat => number.min(1),
            number => number,
        };
        let start = i128::from(served).saturating_mul(i128::from(size) - i128::from(paging.shift));
        let start = start.clamp(0, u64::MAX.into()) as u64;
        match paging.endless && total > 0 {
            true => Window { start: start % total, size, is_cyclic: true },
            false => Window { start, size, is_cyclic: false },
        }
    }

    /// What follows the records of a page in an envelope, in a list of so many.
    pub(super) fn about(self, total: u64) -> Option<String> {
        let (size, number) = (self.size, self.number());
        let (total_elements, total_pages) = match self.paging.endless {
            true => (number.saturating_add(2).saturating_mul(size), number.saturating_add(2)),
            false => (total, total.div_ceil(size)),
        };
        let about = serde_json::to_string(&About { size, number, total_elements, total_pages });
        // Numbers always serialize.
        (self.paging.shape == PageShape::Envelope).then(|| about.unwrap_or_default())
    }

    fn number(self) -> u64 {
        if self.paging.ignore { 0 } else { self.number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(paging: Paging, number: u64) -> Page {
        Page { paging: Paging { on: true, ..paging }, number, size: 10 }
    }

    fn starts(paging: Paging) -> [u64; 5] {
        [0, 1, 2, 3, 4].map(|number| page(paging, number).window(25).start)
    }

    #[test]
    fn a_page_begins_where_it_should_or_where_the_switch_says() {
        let right = Paging::default();
        for (paging, expected) in [
            (right, [0, 10, 20, 30, 40]),
            (Paging { ignore: true, ..right }, [0; 5]),
            (Paging { repeat: true, ..right }, [0, 10, 10, 10, 10]),
            (Paging { shift: 3, ..right }, [0, 7, 14, 21, 28]),
            (Paging { shift: -3, ..right }, [0, 13, 26, 39, 52]),
            (Paging { shift: 20, ..right }, [0; 5]),
            (Paging { shift: i64::MIN, ..right }, [0, 1 << 63 | 10, u64::MAX, u64::MAX, u64::MAX]),
            (Paging { endless: true, ..right }, [0, 10, 20, 5, 15]),
        ] {
            assert_eq!(starts(paging), expected, "{paging:?}");
        }
    }

    #[test]
    fn an_empty_list_has_no_end_to_go_on_from() {
        let window = page(Paging { endless: true, ..Paging::default() }, 3).window(0);
        assert_eq!(window, Window { start: 30, size: 10, is_cyclic: false });
    }

    #[test]
    fn what_cannot_be_a_page_or_a_size_is_as_if_it_were_absent() {
        let on = Paging { on: true, ..Paging::default() };
        for (asked, expected) in [
            (Parameters::of([]), (0, 20)),
            (Parameters::of([("page", "3"), ("size", "7")]), (3, 7)),
            (Parameters::of([("page", "-1"), ("size", "0")]), (0, 20)),
            (Parameters::of([("page", "x"), ("size", "101")]), (0, 100)),
        ] {
            let page = Page::read(on, &asked).unwrap();
            assert_eq!((page.number, page.size), expected, "{asked:?}");
        }
        assert!(Page::read(Paging::default(), &Parameters::of([("page", "3")])).is_none());
        let small = Paging { size_max: NonZeroU64::MIN, ..on };
        assert_eq!(Page::read(small, &Parameters::of([])).unwrap().size, 1);
    }
}
