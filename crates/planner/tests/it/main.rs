//! The planner from outside: small distributions made by hand, random ones against a slow
//! reference, and real ones.

mod corpora;
mod support;
