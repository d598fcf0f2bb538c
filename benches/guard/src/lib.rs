//! Nothing: this package is a bench only.
