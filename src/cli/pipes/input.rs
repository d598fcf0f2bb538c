//! Lines of standard input, read by a thread of their own: reading blocks, and nothing can interrupt it.

use std::{
    io::{self, BufRead, Read},
    thread,
};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::cli::Failure;

/// Lines that are read and not yet taken.
const MAX_QUEUED: usize = 16;

/// Starts the thread. The channel ends at the end of the input. A line of more than `max_length` bytes is an error and the
/// last item, since the rest of it is no line.
pub fn lines(max_length: usize) -> Result<Receiver<io::Result<Vec<u8>>>, Failure> {
    let (sender, lines) = channel(MAX_QUEUED);
    let read = move || read(&mut io::stdin().lock(), max_length, &sender);
    thread::Builder::new().name("input".to_owned()).spawn(read).map_err(Failure::Thread)?;
    Ok(lines)
}

fn read(input: &mut impl BufRead, max_length: usize, lines: &Sender<io::Result<Vec<u8>>>) {
    loop {
        let next = next_line(input, max_length);
        let ends = !matches!(next, Ok(Some(_)));
        // The receiver is gone when the command ends.
        if let Some(item) = next.transpose()
            && lines.blocking_send(item).is_err()
        {
            return;
        }
        if ends {
            return;
        }
    }
}

fn next_line(input: &mut impl BufRead, max_length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(max_length as u64 + 1).read_until(b'\n', &mut line)?;
    if line.pop_if(|byte| *byte == b'\n').is_none() && line.len() > max_length {
        return Err(io::Error::other(format!("a line has more than {max_length} bytes")));
    }
    if line.is_empty() && input.fill_buf()?.is_empty() { Ok(None) } else { Ok(Some(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut text: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        let (sender, mut lines) = channel(MAX_QUEUED);
        read(&mut text, 4, &sender);
        let next = || lines.try_recv().ok().map(|line| line.map_err(|error| error.to_string()));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn lines_are_read_to_the_end_and_long_ones_refused() {
        let line = |text: &str| Ok(text.as_bytes().to_vec());
        assert_eq!(read_all(b"a\n\nabcd\nend"), [line("a"), line(""), line("abcd"), line("end")]);
        assert_eq!(read_all(b""), []);
        let too_long = Err("a line has more than 4 bytes".to_owned());
        assert_eq!(read_all(b"a\nabcde\nb\n"), [line("a"), too_long]);
    }
}
