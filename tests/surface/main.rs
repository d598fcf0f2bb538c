//! These tests check what users and operators see: HTTP scope, command line, metrics, dashboards. Each module needs the
//! feature that it tests.

#[cfg(feature = "prometheus")]
mod accounting;
#[cfg(feature = "node")]
mod cli;
#[cfg(feature = "node")]
mod dashboards;
#[cfg(feature = "http")]
mod http;
