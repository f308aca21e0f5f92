//! Whole processes against each other: the real server, workers and CLI, real git repositories, and
//! pacman as the referee of what comes out. `just test` compiles the programs first.

mod crashes;
mod path;
mod support;
