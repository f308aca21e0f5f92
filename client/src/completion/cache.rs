//! The last answers of servers to questions of completion: while a name is typed, the same question is asked often.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long an answer is used instead of asking again.
const FRESH: SignedDuration = SignedDuration::from_secs(20);
/// The most answers that are kept.
const MOST: usize = 16;

/// The answers, the newest last.
#[derive(Debug, Default)]
pub(super) struct Cache {
    path: Option<PathBuf>,
    answers: Vec<Answer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    question: String,
    at: Timestamp,
    names: Vec<String>,
}

impl Cache {
    /// Reads the answers; a missing or damaged file has none.
    pub(super) fn load() -> Self {
        let absolute = |name| {
            let value = std::env::var_os(name).map(PathBuf::from);
            value.filter(|path| path.is_absolute())
        };
        let folder = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        match folder {
            Some(folder) => Self::read(folder.join("buildbtw/completion.json")),
            None => Self::default(),
        }
    }

    fn read(path: PathBuf) -> Self {
        let text = fs_err::read(&path).unwrap_or_default();
        Self {
            answers: serde_json::from_slice(&text).unwrap_or_default(),
            path: Some(path),
        }
    }

    /// Returns the answer to a question, if it is new.
    pub(super) fn fresh(&self, question: &str) -> Option<Vec<String>> {
        let now = Timestamp::now();
        let answer = self.answer(question)?;
        let age = now.duration_since(answer.at);
        (age >= SignedDuration::ZERO && age < FRESH).then(|| answer.names.clone())
    }

    /// Returns the last answer to a question.
    pub(super) fn any(&self, question: &str) -> Vec<String> {
        self.answer(question)
            .map(|answer| answer.names.clone())
            .unwrap_or_default()
    }

    fn answer(&self, question: &str) -> Option<&Answer> {
        self.answers
            .iter()
            .find(|answer| answer.question == question)
    }

    /// Keeps an answer. That it cannot be written changes nothing but the time of the next question.
    pub(super) fn keep(&mut self, question: &str, names: &[String]) {
        self.answers.retain(|answer| answer.question != question);
        self.answers.push(Answer {
            question: question.to_owned(),
            at: Timestamp::now(),
            names: names.to_vec(),
        });
        let surplus = self.answers.len().saturating_sub(MOST);
        self.answers.drain(..surplus);
        let _ = self.write();
    }

    fn write(&self) -> std::io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        // Moved into place, because another shell may read it.
        let new = path.with_extension(format!("{}.new", std::process::id()));
        fs_err::write(&new, serde_json::to_vec(&self.answers)?)?;
        fs_err::rename(&new, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache/buildbtw/completion.json");
        let mut cache = Cache::read(path.clone());
        assert_eq!(cache.fresh("q"), None);
        for number in 0..20 {
            cache.keep(&format!("q{number}"), &[format!("name{number}")]);
        }
        let cache = Cache::read(path.clone());
        assert_eq!(cache.answers.len(), MOST);
        assert_eq!(cache.fresh("q19").unwrap(), ["name19"]);
        assert_eq!(cache.any("q0"), Vec::<String>::new());
        fs_err::write(&path, "[{").unwrap();
        assert_eq!(Cache::read(path).fresh("q19"), None);
    }
}
