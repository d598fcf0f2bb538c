//! stub
use super::Failure;
#[derive(clap::Args)]
pub struct Arguments {}
pub async fn run(_: Arguments) -> Result<(), Failure> {
    Ok(())
}
