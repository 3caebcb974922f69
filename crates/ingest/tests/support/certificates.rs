//! Certificates for tests, and devices that speak TLS.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part of it")]

use odograph_ingest::{Tls, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// Somebody who signs.
pub struct Signer(CertifiedIssuer<'static, KeyPair>);

impl Signer {
    pub fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, as PEM.
    pub fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }
}

/// The files of a listener, in a folder of their own.
pub struct Files {
    folder: TempDir,
    pub signer: Signer,
}

impl Files {
    pub fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap(), signer: Signer::new() };
        files.renew();
        files
    }

    /// Gives the listener another certificate, as those who renew them do: the new files take the place of the old ones.
    pub fn renew(&self) {
        let (cert, key) = self.signer.sign("gateway.example");
        self.put("cert.pem", &cert);
        self.put("key.pem", &key);
    }

    pub fn put(&self, name: &str, content: &str) {
        let new = self.path("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn names(&self, client_ca: bool) -> TlsFiles {
        let client_ca = client_ca.then(|| self.path("ca.pem"));
        TlsFiles { cert: self.path("cert.pem"), key: self.path("key.pem"), client_ca }
    }

    pub fn open(&self) -> Arc<Tls> {
        Arc::new(Tls::open(self.names(false)).unwrap())
    }
}

/// What a device believes, and shows.
pub fn client(
    signer: &Signer,
    own: Option<(String, String)>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(signer.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    })
}

/// A device's side of TLS, not agreed on yet.
pub fn secure(stream: TcpStream, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("gateway.example").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// The certificate that the gateway showed.
pub fn shown(stream: &StreamOwned<ClientConnection, TcpStream>) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

pub fn content(path: &Path) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_slice(&fs::read(path).unwrap()).unwrap().to_vec()
}
