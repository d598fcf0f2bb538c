//! The file that a node's inputs are recorded to, if one is wanted: begun before the engine, ended after it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_gossipsub::{
    WorkerBuilder,
    libp2p::Libp2pNetwork,
    trace::{Libp2p, TraceFile, Values},
};

use crate::cli::Failure;

/// A recording, or none.
#[derive(Default)]
pub struct Trace(Option<(PathBuf, Arc<TraceFile<Libp2pNetwork>>)>);

impl Trace {
    /// Sets the engine up to be recorded to `file`.
    pub fn begin(
        file: Option<&Path>,
        builder: WorkerBuilder<Libp2pNetwork>,
    ) -> Result<(WorkerBuilder<Libp2pNetwork>, Self), Failure> {
        let Some(file) = file else { return Ok((builder, Self(None))) };
        let file = file.to_owned();
        let trace = TraceFile::create(&file, Libp2p::NETWORK)
            .map_err(|error| Failure::Untraceable { file: file.clone(), error })?;
        Ok((builder.input_recorder(Arc::clone(&trace) as _), Self(Some((file, trace)))))
    }

    /// Writes what is left. The engine has ended.
    pub async fn end(self) -> Result<(), Failure> {
        let Some((file, trace)) = self.0 else { return Ok(()) };
        let failed = |error| Failure::Untraceable { file: file.clone(), error };
        let finished = tokio::task::spawn_blocking(move || trace.finish()).await;
        let recorded = finished.map_err(|error| failed(error.into()))?.map_err(failed)?;
        if recorded.lost > 0 {
            tracing::warn!(
                ?file,
                lost = recorded.lost,
                "inputs are missing in the trace: writing was too slow"
            );
        }
        Ok(())
    }
}
