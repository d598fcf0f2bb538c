//! The commands `publish` and `subscribe`: from standard input to a topic, and from topics to standard output.

mod encoding;
pub mod input;
mod publishing;
mod subscription;

pub use self::{
    publishing::{PublishArguments, publish},
    subscription::{SubscribeArguments, subscribe},
};
