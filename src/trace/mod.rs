//! Recordings of an engine's inputs, and their replay on a [`Node`](crate::protocol::Node). Nothing here decides
//! anything about gossip.
//!
//! A [`TraceFile`] is given to [`WorkerBuilder::tape`](crate::WorkerBuilder::tape) and writes every input of a
//! live engine (`actix-gossipsub node --trace FILE`); [`replay`](fn@replay) performs a file again
//! (`actix-gossipsub replay FILE`). The traces of the reference in `tests/traces` have the same form, and are
//! performed by the same code.
//!
//! # The form
//!
//! JSON lines. Each is `{"op":{"op":NAME, ...arguments}}`, and in the reference's traces also has `"expect"`: the
//! recorded answer. `tests/traces/FORMAT.md` is the schema; a live engine's file is a worker's trace (section 5)
//! without `expect`, with these additions:
//!
//! | where | what |
//! |---|---|
//! | `make` | `recorded_by`: which program and version. Batches are then judged where `process_batch` says so, and not by the clock |
//! | `make` | `network`: whose values these are, `"libp2p"` or `"plain"` ([`PlainNetwork`](crate::plain)); absent in the reference's |
//! | `make` | `seed`: where random choices come from (an integer). With it the replay makes the same ones |
//! | `make` | `self` may be null. `topics` is empty: what is joined at the start follows as `join`s |
//! | `limits` | `extensions` and `bounds`, as in parameter files. Absent: those of the reference |
//! | `ms`, and every other span | may have a fraction, to the nanosecond |
//! | `new_connection` | `outbound` (absent: as `trusted`), and `point`: where the peer is reached, if that is known |
//! | `p2p_message` | the type `idontwant`, with `message_ids` |
//! | `app_input` | the type `set_application_score`, with `peer` and `score` |
//! | `process_batch` | the pending batch is judged |
//! | `slow_peer` | `peer`: [`report_slow_peer`](crate::Worker::report_slow_peer) |
//! | `gap` | `lost`: so many inputs are missing here, because the file was written too slowly |
//!
//! | value | `"libp2p"` | `"plain"` |
//! |---|---|---|
//! | peer | string, base58 | number |
//! | topic | string | string |
//! | message id | string, hexadecimal | `{"number":1,"topic":"news"}` |
//! | message | `source`, `seqno`, `data`, `signature`, `key`, `signature_error`: those it has. Bytes in hexadecimal; `signature_error` is what breaks the signature policy | string |
//! | point | string, a multiaddress | number |
//!
//! # What is promised
//!
//! The file has one order for the whole engine: that of the door. [`Tape`](crate::Tape) says where the
//! engine's own order may differ: by inputs that several threads give at the same time. A time is that of the door,
//! some microseconds before the input is handled. A replay of an engine that is driven from one thread, and settles
//! after each input, ends in the same state to the last bit.
//!
//! Not recorded, because they are no inputs: the verdicts of the application (a replay finds every message valid that
//! has no `signature_error`; write `set_validity` lines before the messages if yours differ), its peer filter, verdicts that come
//! late, restarts of topics after a panic, and whether something was refused for want of room.
//!
//! The queue to the thread that writes is bounded, in items and bytes. What finds no room there is dropped and
//! counted, and its place has a `gap`.

mod answer;
mod automaton;
mod engine;
mod fields;
mod file;
mod input_queue;
mod limits;
mod names;
mod network;
mod node_engine;
mod op;
mod render;
mod replay;
mod said;
mod values;
mod view;
mod worker;

pub use automaton::Automaton;
pub use engine::{Driver, Engine};
pub use fields::Mistake;
pub use file::{Recorded, TraceFile};
pub use limits::TraceLimits;
pub use network::{BatchMode, Filter, Setting, TraceNetwork};
pub use node_engine::NodeEngine;
pub use op::{AutomatonOp, Line, Make, OpFields, Ops, Reception, Step, WorkerOp};
pub use render::{Outputs, event as render_event};
pub use replay::{Ended, Performed, ReplayError, replay};
#[cfg(feature = "libp2p")]
pub use values::Libp2p;
pub use values::{Plain, Reference, ReferenceId, Traced, Values};
pub use view::render as render_view;
pub use worker::WorkerDriver;
