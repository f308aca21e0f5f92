//! The server of tokio-console, which shows the tasks of this process. It needs a program that was compiled with the
//! feature `tokio-console`; in others, asking for it is an error that says so.

#[cfg(feature = "tokio-console")]
mod listening;
#[cfg(not(feature = "tokio-console"))]
mod missing;

#[cfg(feature = "tokio-console")]
pub use listening::Console;
#[cfg(not(feature = "tokio-console"))]
pub use missing::Console;
