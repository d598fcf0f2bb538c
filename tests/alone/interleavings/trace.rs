//! What happens in a schedule, line by line.

use std::{cell::RefCell, fmt, rc::Rc};

/// What becomes of the lines.
#[derive(Clone, Default)]
pub enum Trace {
    /// No line is made.
    #[default]
    Off,
    /// Each line is printed: a replay.
    Print,
    /// All lines are kept, to be compared.
    Record(Rc<RefCell<Vec<String>>>),
}

impl Trace {
    pub fn line(&self, line: impl FnOnce() -> String) {
        match self {
            Self::Off => {}
            Self::Print => println!("{}", line()),
            Self::Record(lines) => lines.borrow_mut().push(line()),
        }
    }

    /// A line with the form of a value.
    pub fn value(&self, value: &impl fmt::Debug) {
        self.line(|| format!("        {value:?}"));
    }
}
