//! Sets of small numbers, and rows of them.

/// A set of numbers below a limit; it grows when a larger one is inserted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    pub(crate) fn contains(&self, bit: usize) -> bool {
        let word = self.words.get(bit / 64).copied().unwrap_or_default();
        word >> (bit % 64) & 1 == 1
    }

    pub(crate) fn insert(&mut self, bit: usize) {
        if bit / 64 >= self.words.len() {
            self.words.resize(bit / 64 + 1, 0);
        }
        self.words[bit / 64] |= 1 << (bit % 64);
    }
}

/// Rows of equally many bits in one block of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct BitMatrix {
    width: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    pub(crate) fn new(rows: usize, bits: usize) -> Self {
        let width = bits.div_ceil(64).max(1);
        Self {
            width,
            words: vec![0; rows * width],
        }
    }

    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.width..(row + 1) * self.width]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.words[row * self.width..(row + 1) * self.width]
    }

    pub(crate) fn set(&mut self, row: usize, bit: usize) {
        self.row_mut(row)[bit / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn clear(&mut self, row: usize, bit: usize) {
        self.row_mut(row)[bit / 64] &= !(1 << (bit % 64));
    }

    pub(crate) fn get(&self, row: usize, bit: usize) -> bool {
        has(self.row(row), bit)
    }

    /// Adds the bits of one row to another.
    pub(crate) fn merge(&mut self, from: usize, into: usize) {
        if from == into {
            return;
        }
        let (low, high) = (from.min(into), from.max(into));
        let (front, back) = self.words.split_at_mut(high * self.width);
        let low = &mut front[low * self.width..(low + 1) * self.width];
        let high = &mut back[..self.width];
        if from < into {
            unite(high, low);
        } else {
            unite(low, high);
        }
    }
}

pub(crate) fn has(row: &[u64], bit: usize) -> bool {
    row[bit / 64] >> (bit % 64) & 1 == 1
}

pub(crate) fn unite(into: &mut [u64], from: &[u64]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into |= from;
    }
}

pub(crate) fn subtract(from: &mut [u64], what: &[u64]) {
    for (from, what) in from.iter_mut().zip(what) {
        *from &= !what;
    }
}

/// The numbers in a row, ascending.
pub(crate) fn ones(row: &[u64]) -> impl Iterator<Item = usize> {
    numbers(row.iter().copied())
}

/// The numbers in both of two rows, ascending.
pub(crate) fn common_ones(a: &[u64], b: &[u64]) -> impl Iterator<Item = usize> {
    numbers(a.iter().zip(b).map(|(a, b)| a & b))
}

fn numbers<W: Iterator<Item = u64>>(words: W) -> Numbers<W> {
    Numbers {
        words,
        rest: 0,
        next_word: 0,
    }
}

/// The numbers of the bits that are set in some words. Cycles are taken apart bit by bit, so this
/// is written out rather than put together from adapters.
struct Numbers<W> {
    words: W,
    /// What is left of the current word.
    rest: u64,
    next_word: usize,
}

impl<W: Iterator<Item = u64>> Iterator for Numbers<W> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.rest == 0 {
            self.rest = self.words.next()?;
            self.next_word += 1;
        }
        let bit = self.rest.trailing_zeros() as usize;
        self.rest &= self.rest - 1;
        Some((self.next_word - 1) * 64 + bit)
    }
}

/// The largest number in a row.
pub(crate) fn highest(row: &[u64]) -> Option<usize> {
    let index = row.iter().rposition(|&word| word != 0)?;
    Some(index * 64 + 63 - row[index].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_bits_in_rows() {
        let mut matrix = BitMatrix::new(3, 130);
        for bit in [0, 63, 64, 129] {
            matrix.set(1, bit);
        }
        matrix.clear(1, 63);
        matrix.merge(1, 2);
        matrix.merge(2, 0);
        for row in 0..3 {
            assert_eq!(ones(matrix.row(row)).collect::<Vec<_>>(), [0, 64, 129]);
            assert_eq!(highest(matrix.row(row)), Some(129));
        }
        assert!(matrix.get(2, 64) && !matrix.get(2, 63));
        let mut row = matrix.row(1).to_vec();
        subtract(&mut row, matrix.row(2));
        assert_eq!(highest(&row), None);
    }

    #[test]
    fn grows_on_insertion() {
        let mut set = BitSet::default();
        assert!(!set.contains(1000));
        set.insert(1000);
        assert!(set.contains(1000) && !set.contains(999));
    }
}
