//! Tests that measure the whole process: its bytes and its threads. They run one after another.

mod spam;
mod threads;
