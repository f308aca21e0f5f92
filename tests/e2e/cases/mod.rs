//! Situations from public bug trackers, each with its input below `tests/cases`, which is tried as its
//! `case.md` says. `notes/cases.md` lists all of them with their tests.

mod environment;
mod fetching;
mod inputs;
mod packages;
mod planning;
mod releases;
mod support;
