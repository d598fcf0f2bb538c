//! The negotiation of a gossipsub stream by multistream-select, in both roles. Other protocols are refused.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::SubstreamBox;

const MULTISTREAM: &str = "/multistream/1.0.0";
/// Both implementations speak this version.
const GOSSIPSUB: &str = "/meshsub/1.2.0";
const REFUSED: &str = "na";

/// Proposes gossipsub on a new stream of ours.
///
/// # Errors
/// The node refuses it.
pub async fn propose(stream: &mut SubstreamBox) -> io::Result<()> {
    write_line(stream, MULTISTREAM).await?;
    write_line(stream, GOSSIPSUB).await?;
    expect_line(stream, MULTISTREAM).await?;
    expect_line(stream, GOSSIPSUB).await
}

/// Accepts gossipsub on a new stream of the node.
///
/// # Errors
/// The node proposes nothing else that is acceptable.
pub async fn accept(stream: &mut SubstreamBox) -> io::Result<()> {
    expect_line(stream, MULTISTREAM).await?;
    write_line(stream, MULTISTREAM).await?;
    loop {
        let proposed = read_line(stream).await?;
        if proposed == GOSSIPSUB {
            return write_line(stream, GOSSIPSUB).await;
        }
        write_line(stream, REFUSED).await?;
    }
}

async fn write_line(stream: &mut SubstreamBox, line: &str) -> io::Result<()> {
    let length = u8::try_from(line.len() + 1).expect("a short line");
    stream.write_all(&[&[length], line.as_bytes(), b"\n"].concat()).await?;
    stream.flush().await
}

async fn expect_line(stream: &mut SubstreamBox, expected: &str) -> io::Result<()> {
    let line = read_line(stream).await?;
    if line == expected {
        Ok(())
    } else {
        Err(io::Error::other(format!("{line:?} in place of {expected:?}")))
    }
}

async fn read_line(stream: &mut SubstreamBox) -> io::Result<String> {
    let mut length = [0];
    stream.read_exact(&mut length).await?;
    if length[0] >= 0x80 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut line = vec![0; length[0].into()];
    stream.read_exact(&mut line).await?;
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(line.trim_end().to_owned())
}
