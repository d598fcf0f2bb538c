//! This library is empty: the package exists only for its bench.
