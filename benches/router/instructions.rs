//! Counting instructions: this process runs itself under callgrind, which counts nothing but what happens
//! inside [`message_path`]. The set-up and the making of messages are outside of it.

/// The path of the messages, and nothing else: callgrind switches its counter on when this is entered and
/// off when it returns.
#[inline(never)]
pub fn message_path(run: &mut dyn FnMut()) {
    run();
}
