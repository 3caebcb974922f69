//! Asks a running server over its control socket.

use crate::exit::{Failure, Status};
use crate::folder::{Folder, Lock};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use odograph_model::Lsn;
use std::io::{self, IsTerminal as _};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How a command gets at a data folder.
pub(crate) enum Access {
    /// Through the server that has it.
    Server(Server),
    /// By itself: the folder is ours as long as the lock lives.
    Own(Lock),
}

impl Access {
    /// Finds out. A server that is just starting or stopping is waited for, but not for long.
    pub(crate) fn of(folder: &Folder) -> Result<Self> {
        folder.require()?;
        for _ in 0..TRIES {
            if let Some(server) = Server::connect(folder)? {
                return Ok(Self::Server(server));
            }
            if let Some(lock) = folder.try_lock()? {
                return Ok(Self::Own(lock));
            }
            std::thread::sleep(PAUSE);
        }
        Err(folder.held().into())
    }
}

const PAUSE: Duration = Duration::from_millis(50);
/// Ten seconds: a large journal's recovery takes about as long.
const TRIES: u32 = 200;

/// Up to where a running server's journal is durable; `None` where none runs.
pub(crate) fn durable(folder: &Folder) -> Result<Option<Lsn>> {
    Ok(stat(folder)?.map(|stat| Lsn(stat.durable)))
}

/// Which node a running server is; `None` where none runs, or one of a version that does not say it.
pub(crate) fn node(folder: &Folder) -> Result<Option<u16>> {
    Ok(stat(folder)?.and_then(|stat| stat.node))
}

#[derive(serde::Deserialize)]
struct Stat {
    durable: u64,
    node: Option<u16>,
}

fn stat(folder: &Folder) -> Result<Option<Stat>> {
    let Some(server) = Server::connect(folder)? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&server.ask("GET", "/control/journal/stat")?)?))
}

/// A connection to a running server.
pub(crate) struct Server {
    runtime: Runtime,
    stream: UnixStream,
    /// What a person is told who waits for long.
    note: Option<&'static str>,
}

/// After so long without an answer a person wonders.
const LONG: Duration = Duration::from_secs(5);

impl Server {
    /// `None` where no server listens.
    pub(crate) fn connect(folder: &Folder) -> Result<Option<Self>> {
        let Ok(stream) = folder.connect() else { return Ok(None) };
        stream.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Some(Self { runtime, stream, note: None }))
    }

    /// The same, telling a person at a terminal why there is no answer yet, where one takes long.
    pub(crate) const fn noting(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }

    /// Asks, and gives the whole answer.
    pub(crate) fn ask(self, method: &str, path: &str) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        self.stream(method, path, Bytes::new(), |chunk| {
            all.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(all)
    }

    /// Asks with a body of JSON, and gives the whole answer.
    pub(crate) fn ask_with(self, method: &str, path: &str, body: &impl serde::Serialize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        self.stream(method, path, serde_json::to_vec(body)?.into(), |chunk| {
            all.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(all)
    }

    /// Asks, gives the answer piece by piece, and then the trailer of that name.
    pub(crate) fn stream(
        self,
        method: &str,
        path: &str,
        body: Bytes,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<hyper::HeaderMap> {
        let Self { runtime, stream, note } = self;
        runtime.block_on(async {
            let stream = tokio::net::UnixStream::from_std(stream)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "control.sock")
                .header("content-type", "application/json")
                .header("te", "trailers")
                .body(Full::new(body))?;
            let mut asked = pin!(sender.send_request(request));
            let in_time = tokio::time::timeout(LONG, asked.as_mut()).await;
            if let (Err(_), Some(note), true) = (&in_time, note, io::stderr().is_terminal()) {
                eprintln!("{note}");
            }
            let answer = match in_time {
                Ok(answer) => answer,
                Err(_) => asked.await,
            };
            let response = answer.context("the server does not answer")?;
            if !response.status().is_success() {
                return Err(refused(response).await);
            }
            let mut trailers = hyper::HeaderMap::new();
            let mut body = response.into_body();
            while let Some(frame) = body.frame().await {
                let cut = |_| Failure::new(Status::Unavailable, "the server's answer was cut short: its log says why");
                let frame = frame.map_err(cut)?;
                match frame.into_data() {
                    Ok(data) => take(&data)?,
                    Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
                }
            }
            Ok(trailers)
        })
    }
}

/// What a refusal says.
async fn refused(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let body = response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let problem: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let detail = problem.as_ref().and_then(|problem| problem.get("detail")).and_then(serde_json::Value::as_str);
    match detail {
        Some(detail) => anyhow::anyhow!("the server refuses: {detail}"),
        None => anyhow::anyhow!("the server refuses: {status}"),
    }
}
