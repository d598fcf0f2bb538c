//! The scope over real HTTP: real engines that talk to each other, a real server on loopback, a client that
//! knows nothing of this crate. None compares times.

mod admin;
mod browser;
mod document;
mod explain;
mod health;
mod lists;
mod load;
mod page;
mod problems;
mod scrape;
mod support;
