//! These tests check that a panic of the application's code loses only the item that panicked.
