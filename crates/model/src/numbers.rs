//! Conversions of numbers.

/// The number types that [`saturating`] converts to.
pub trait Bounded {
    /// The largest number.
    const LARGEST: Self;
}

/// The number types that [`saturating`] converts from: those without a sign, because a negative number must not
/// become the largest one.
pub trait Unsigned {}

macro_rules! bounded {
    ($($type:ty),+) => {
        $(impl Bounded for $type {
            const LARGEST: Self = Self::MAX;
        })+
    };
}

bounded!(i64, u32, u64, usize);

impl Unsigned for u32 {}
impl Unsigned for u64 {}
impl Unsigned for u128 {}
impl Unsigned for usize {}

/// Converts a number; one that is too large becomes the largest number of the other type.
#[must_use]
pub fn saturating<T: Bounded + TryFrom<N>, N: Unsigned>(number: N) -> T {
    T::try_from(number).unwrap_or(T::LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_the_largest_number() {
        assert_eq!(saturating::<u32, _>(7_usize), 7);
        assert_eq!(saturating::<u32, _>(1_u64 << 40), u32::MAX);
        assert_eq!(saturating::<i64, _>(u64::MAX), i64::MAX);
    }
}
