//! Situations from public bug trackers, each with its input below `tests/cases`, run as its
//! `case.md` describes. `notes/cases.md` lists all of them with their tests.

mod environment;
mod fetching;
mod inputs;
mod packages;
mod planning;
mod releases;
mod support;
