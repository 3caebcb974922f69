//! TLS at a listener: the certificate that it shows and the clients' certificates that it asks for, from files that are read
//! again when they change.

use metrics::{counter, gauge};
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a listener's certificates are, each as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Our certificate, and those between it and a root.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Those who may sign the certificates that clients have to show; none: they need not have any.
    pub client_ca: Option<PathBuf>,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or what it should hold is not in it.
    #[error("{path} does not hold {expected} as PEM", path = .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// The certificate and the key cannot be used together.
    #[error("{cert} and {key} cannot be used", cert = .files.cert.display(), key = .files.key.display())]
    Pair {
        /// The files.
        files: Box<TlsFiles>,
        /// Why.
        source: rustls::Error,
    },
    /// Nobody's certificate can be checked with those.
    #[error("{path} does not hold certificates of those who sign", path = .path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// One of them cannot be used.
    #[error("{path} holds a certificate that cannot be used", path = .path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// What a TLS listener has of its files. Listeners with the same files share it.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// How the files were when they were read last.
    seen: Option<Seen>,
    /// What was wrong then.
    wrong: Option<String>,
}

/// What changes when a file does, be it written again, renamed or pointed to elsewhere: time of change, length, inode.
type Seen = Vec<(i64, i64, u64, u64)>;

impl Tls {
    /// Reads the files.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = files.look().ok();
        let config = files.read()?;
        Ok(Self { files, current: Mutex::new(Current { config, seen, wrong: None }) })
    }

    /// What holds for whoever connects now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.lock().config.clone()
    }

    /// Reads the files again if they have changed. Where they cannot be used, what was read before goes on to hold, and it is
    /// tried again at the next look.
    pub fn look(&self) {
        let seen = self.files.look().ok();
        {
            let current = self.lock();
            if current.wrong.is_none() && seen.is_some() && current.seen == seen {
                return;
            }
        }
        // Not while the lock is held: the disk may take its time, and nobody has to wait for it.
        let read = self.files.read();
        let cert = self.files.cert.display();
        let mut current = self.lock();
        current.seen = seen;
        match read {
            Ok(config) => {
                current.config = config;
                current.wrong = None;
                tracing::info!(%cert, "certificates read again: they hold for connections from now on");
                counter!("odograph_tls_reloads_total", "outcome" => "ok").increment(1);
            }
            Err(error) => {
                let what = chain(&error);
                if current.wrong.as_ref() != Some(&what) {
                    tracing::error!(%cert, error = what, "certificates have changed and cannot be used: those before go on to hold");
                    counter!("odograph_tls_reloads_total", "outcome" => "failed").increment(1);
                    current.wrong = Some(what);
                }
            }
        }
        gauge!("odograph_tls_stale", "cert" => cert.to_string()).set(f64::from(u8::from(current.wrong.is_some())));
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        // Every change is whole, so a panic elsewhere does not spoil it.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TlsFiles {
    fn look(&self) -> io::Result<Seen> {
        let all = [&self.cert, &self.key].into_iter().chain(&self.client_ca);
        all.map(|path| fs::metadata(path).map(|file| (file.mtime(), file.mtime_nsec(), file.len(), file.ino())))
            .collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let certificates = certificates(&self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&content(&self.key)?).map_err(|source| TlsError::Pem {
            path: self.key.clone(),
            expected: "a private key",
            source,
        })?;
        let wrong_pair = |source| TlsError::Pair { files: Box::new(self.clone()), source };
        // Named, because there may be several in the process, and then none is the default.
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(wrong_pair)?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in self::certificates(path)? {
                    roots.add(certificate).map_err(|source| TlsError::Root { path: path.clone(), source })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|source| TlsError::ClientCa { path: path.clone(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(certificates, key).map_err(wrong_pair)?;
        // A device that comes again brings what it needs to go on: nothing is kept here for it.
        config.ticketer = ring::Ticketer::new().map_err(wrong_pair)?;
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem { path: path.to_owned(), expected: "a certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(&content(path)?).collect::<Result<_, _>>().map_err(wrong)?;
    if found.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn content(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = |path: &Path| match fs::metadata(path)?.len() {
        length if length > FILE_BYTES_MAX => Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB")),
        _ => fs::read(path),
    };
    read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

/// Whatever is longer is no certificate.
const FILE_BYTES_MAX: u64 = 1 << 20;
