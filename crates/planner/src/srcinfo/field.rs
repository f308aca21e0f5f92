//! The fields of an `.SRCINFO`.

/// A field of an `.SRCINFO` that planning or fetching needs. The value is its tag in the stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Field {
    Depends = b'd',
    Makedepends = b'm',
    Checkdepends = b'c',
    Provides = b'p',
    Source = b's',
}

impl Field {
    pub(super) const ALL: [Self; 5] = [
        Self::Depends,
        Self::Makedepends,
        Self::Checkdepends,
        Self::Provides,
        Self::Source,
    ];

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Depends => "depends",
            Self::Makedepends => "makedepends",
            Self::Checkdepends => "checkdepends",
            Self::Provides => "provides",
            Self::Source => "source",
        }
    }
}
