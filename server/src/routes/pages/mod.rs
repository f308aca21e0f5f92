//! The web UI. Every page works without JavaScript and asks nobody else for anything.
