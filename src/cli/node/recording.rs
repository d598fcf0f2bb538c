//! The recording of a node's inputs, if it is wanted: it starts before the engine and is finished after it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use actix_gossipsub::{WorkerBuilder, libp2p::Libp2pNetwork, recording::FileRecorder};

use crate::cli::Failure;

/// A recording, or none.
#[derive(Default)]
pub struct Trace(Option<(PathBuf, Arc<FileRecorder<Libp2pNetwork>>)>);

impl Trace {
    /// Sets the engine up to be recorded to `file`.
    pub fn begin(
        file: Option<&Path>,
        builder: WorkerBuilder<Libp2pNetwork>,
    ) -> Result<(WorkerBuilder<Libp2pNetwork>, Self), Failure> {
        let Some(file) = file else { return Ok((builder, Self(None))) };
        let file = file.to_owned();
        let recorder = FileRecorder::create(&file)
            .map_err(|error| Failure::Untraceable { file: file.clone(), error })?;
        Ok((builder.input_recorder(Arc::clone(&recorder) as _), Self(Some((file, recorder)))))
    }

    /// Writes the rest. The engine has stopped.
    pub async fn end(self) -> Result<(), Failure> {
        let Some((file, recorder)) = self.0 else { return Ok(()) };
        let failed = |error| Failure::Untraceable { file: file.clone(), error };
        let finished = tokio::task::spawn_blocking(move || recorder.finish()).await;
        let recorded = finished.map_err(|error| failed(error.into()))?.map_err(failed)?;
        if recorded.lost > 0 {
            tracing::warn!(
                ?file,
                lost = recorded.lost,
                "inputs are missing in the recording: writing was too slow"
            );
        }
        Ok(())
    }
}
