//! What packagers and administrators wished for after an hour of use: a story for each wish, with whole programs, about
//! what a person types and reads.

mod administrator;
mod confusion;
mod packager;
mod relay;
mod scale;
mod site;
