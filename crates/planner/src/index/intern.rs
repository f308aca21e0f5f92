//! String interning, so that planning compares and hashes integers.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::sparse::number;

/// Numbers distinct texts consecutively. Numbers are never freed: the texts of a distribution change slowly.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    ids: FxHashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Interner {
    /// Returns the number of a text, if it has one.
    pub(crate) fn get(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// Returns the number of a text, and whether it is new.
    pub(crate) fn intern(&mut self, text: &str) -> (u32, bool) {
        if let Some(id) = self.get(text) {
            return (id, false);
        }
        let id = number(self.texts.len());
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, id);
        (id, true)
    }

    pub(crate) fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }

    /// Returns the shared text, which can be kept without a copy.
    pub(crate) fn shared(&self, id: u32) -> &Arc<str> {
        &self.texts[id as usize]
    }

    /// Returns all texts in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
