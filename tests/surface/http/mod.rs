//! These tests use the scope over real HTTP, with real engines that exchange messages, a real server on loopback, and
//! independent clients.

mod access;
mod admin;
mod browser;
mod deadlines;
mod document;
mod explain;
mod health;
mod inputs;
mod lists;
mod load;
mod messages;
mod methods;
mod page;
mod parameters;
mod problems;
mod ranked;
mod schema;
mod scrape;
mod support;
mod values;
