//! A store's address and options to a client that is bounded in time.

use crate::Error;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as Location;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreScheme, RetryConfig};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

/// Where a lake is that is in no folder.
#[derive(Debug, Clone, Default)]
pub struct StoreConfig {
    /// `s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix`.
    pub url: String,
    /// By the names that the provider's tools use; `NAME_file` is a file that holds the value.
    pub options: BTreeMap<String, String>,
    /// So many bytes a second, both ways together; else as many as the line carries.
    pub bytes_per_second: Option<u64>,
}

/// What is wrong with an address or its options, without asking anyone.
///
/// # Errors
///
/// The first thing that is wrong, as a sentence for people.
pub fn check(config: &StoreConfig) -> Result<(), String> {
    let (_, scheme, _) = address(&config.url)?;
    for (name, value) in &config.options {
        let Some((key, _)) = key_of(&scheme, name) else {
            return Err(format!("lake.store_options has no {name} for {}", config.url));
        };
        if REFUSED.iter().any(|refused| bare(key).starts_with(refused)) {
            return Err(format!(
                "lake.store_options.{name} cannot be set: lake.store says it, or the lake needs it so"
            ));
        }
        if bare(key) == "endpoint" && value.starts_with("http:") && !allows_http(&config.options) {
            return Err(format!(
                "lake.store_options.{name} is not encrypted: if that is meant, set lake.store_options.allow_http = true"
            ));
        }
    }
    Ok(())
}

/// Whether an option's value is nobody's business: all are but those that are known to be harmless.
pub fn is_secret(name: &str, value: &str) -> bool {
    let harmless = name.ends_with("_file") || PLAIN.contains(&bare(name));
    !harmless || value.contains('@')
}

/// A client, and the place in its bucket.
pub(crate) fn client(config: &StoreConfig) -> Result<(Arc<dyn ObjectStore>, Location), Error> {
    check(config).map_err(Error::Refused)?;
    let (url, scheme, prefix) = address(&config.url).map_err(Error::Refused)?;
    let mut options = BTreeMap::from(LIMITS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    for (name, value) in &config.options {
        let (key, is_file) = key_of(&scheme, name).unwrap_or((name, false));
        let value = if is_file { content(name, value)? } else { value.clone() };
        options.insert(key.to_owned(), value);
    }
    let cannot = |error: object_store::Error| Error::Refused(format!("lake.store {}: {error}", config.url));
    let retry = retry();
    let client: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let begin =
                AmazonS3Builder::from_env().with_url(url.as_str()).with_retry(retry).with_http_connector(connector()?);
            let set = |builder: AmazonS3Builder, (key, value): (&String, &String)| {
                key.parse().map_or(builder.clone(), |key: AmazonS3ConfigKey| builder.with_config(key, value))
            };
            Arc::new(options.iter().fold(begin, set).build().map_err(cannot)?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let begin = MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(retry)
                .with_http_connector(connector()?);
            let set = |builder: MicrosoftAzureBuilder, (key, value): (&String, &String)| {
                key.parse().map_or(builder.clone(), |key: AzureConfigKey| builder.with_config(key, value))
            };
            Arc::new(options.iter().fold(begin, set).build().map_err(cannot)?)
        }
        _ => {
            let begin = GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .with_retry(retry)
                .with_http_connector(connector()?);
            let set = |builder: GoogleCloudStorageBuilder, (key, value): (&String, &String)| {
                key.parse().map_or(builder.clone(), |key: GoogleConfigKey| builder.with_config(key, value))
            };
            Arc::new(options.iter().fold(begin, set).build().map_err(cannot)?)
        }
    };
    Ok((client, prefix))
}

/// Connections are shared by all who read and write, so none may depend on the threads of one of them: a question that does
/// not give way would keep history from being written.
fn connector() -> Result<SpawnedReqwestConnector, Error> {
    static CONNECTIONS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("store").enable_all().build()
    });
    match &*CONNECTIONS {
        Ok(runtime) => Ok(SpawnedReqwestConnector::new(runtime.handle().clone())),
        Err(error) => Err(Error::Refused(format!("cannot start the thread for object stores: {error}"))),
    }
}

fn address(text: &str) -> Result<(Url, ObjectStoreScheme, Location), String> {
    let wrong = || format!("{text:?} is no s3://BUCKET/PREFIX, az://CONTAINER/PREFIX or gs://BUCKET/PREFIX");
    let url = Url::parse(text).map_err(|_| wrong())?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("lake.store takes no password and nothing behind ? or #: use lake.store_options".to_owned());
    }
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| wrong())?;
    match scheme {
        ObjectStoreScheme::AmazonS3 | ObjectStoreScheme::MicrosoftAzure | ObjectStoreScheme::GoogleCloudStorage => {
            Ok((url, scheme, prefix))
        }
        _ => Err(wrong()),
    }
}

/// The provider's name for an option, and whether a file holds the value.
fn key_of<'a>(scheme: &ObjectStoreScheme, name: &'a str) -> Option<(&'a str, bool)> {
    let is_known = |name: &str| match scheme {
        ObjectStoreScheme::AmazonS3 => name.parse::<AmazonS3ConfigKey>().is_ok(),
        ObjectStoreScheme::MicrosoftAzure => name.parse::<AzureConfigKey>().is_ok(),
        _ => name.parse::<GoogleConfigKey>().is_ok(),
    };
    if is_known(name) {
        return Some((name, false));
    }
    name.strip_suffix("_file").filter(|name| is_known(name)).map(|name| (name, true))
}

fn content(name: &str, path: &str) -> Result<String, Error> {
    let read = std::fs::read_to_string(path);
    let read =
        read.map_err(|error| Error::Refused(format!("lake.store_options.{name}: cannot read {path}: {error}")))?;
    Ok(read.trim().to_owned())
}

fn allows_http(options: &BTreeMap<String, String>) -> bool {
    options.iter().any(|(name, value)| bare(name) == "allow_http" && value == "true")
}

/// Without the provider's name, which may be left out.
fn bare(name: &str) -> &str {
    let provider = ["aws_", "azure_storage_", "azure_", "google_"].iter().find_map(|start| name.strip_prefix(start));
    provider.unwrap_or(name)
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: BACKOFF_FIRST, max_backoff: BACKOFF_MAX, base: 2.0 };
    RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRIES_TIME_MAX }
}

/// Options that only look harmful.
const PLAIN: &[&str] = &[
    "account_name",
    "allow_http",
    "allow_invalid_certificates",
    "authority_host",
    "authority_id",
    "base_url",
    "checksum_algorithm",
    "client_id",
    "connect_timeout",
    "default_region",
    "disable_tagging",
    "endpoint",
    "endpoint_url",
    "endpoint_url_s3",
    "http1_only",
    "http2_only",
    "imdsv1_fallback",
    "metadata_endpoint",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "randomize_addresses",
    "region",
    "role_arn",
    "role_session_name",
    "s3_express",
    "server_side_encryption",
    "service_account",
    "service_account_path",
    "skip_signature",
    "sse_kms_key_id",
    "tenant_id",
    "timeout",
    "unsigned_payload",
    "use_azure_cli",
    "use_emulator",
    "use_fabric_endpoint",
    "user_agent",
    "virtual_hosted_style_request",
];
/// Told by the address; and a commit must be put only where nothing is.
const REFUSED: &[&str] = &["bucket", "container_name", "conditional_put", "copy_if_not_exists"];
/// A request may take so long, and making its connection: then the line counts as down. Options may set others.
const LIMITS: [(&str, &str); 2] = [("connect_timeout", "5 seconds"), ("timeout", "30 seconds")];
/// A request is tried again so often, within this time and with these pauses. Whoever asked tries again later.
const RETRIES_MAX: usize = 4;
const RETRIES_TIME_MAX: Duration = Duration::from_secs(20);
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, options: &[(&str, &str)]) -> StoreConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        StoreConfig { url: url.to_owned(), options, bytes_per_second: None }
    }

    fn prefix(url: &str, options: &[(&str, &str)]) -> String {
        client(&config(url, options)).unwrap().1.to_string()
    }

    #[test]
    fn each_provider_is_found_by_its_address() {
        let keys = [("access_key_id", "a"), ("secret_access_key", "b"), ("region", "eu-central-1")];
        assert_eq!(prefix("s3://bucket/odo/graph", &keys), "odo/graph");
        assert_eq!(prefix("s3://bucket", &keys), "");
        // The well-known key of the emulator.
        let azure = [("use_emulator", "true")];
        assert_eq!(prefix("az://container/x", &azure), "x");
        assert_eq!(prefix("abfss://container@account.dfs.core.windows.net/x", &azure), "x");
        let google = r#"{"gcs_base_url":"http://127.0.0.1:1","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#;
        assert_eq!(prefix("gs://bucket/x/y", &[("service_account_key", google)]), "x/y");
    }

    #[test]
    fn what_cannot_be_is_said_without_asking_anyone() {
        for (url, options, expected) in [
            ("ftp://x", &[][..], "is no s3://BUCKET/PREFIX"),
            ("https://example.org/x", &[], "is no s3://BUCKET/PREFIX"),
            ("file:///tmp/x", &[], "is no s3://BUCKET/PREFIX"),
            ("s3://key:secret@bucket/x", &[], "takes no password"),
            ("az://container/x?sig=1", &[], "takes no password"),
            ("s3://b", &[("regoin", "x")], "has no regoin"),
            ("s3://b", &[("aws_bucket", "c")], "cannot be set"),
            ("s3://b", &[("conditional_put", "disabled")], "cannot be set"),
            ("s3://b", &[("endpoint", "http://127.0.0.1:9000")], "not encrypted"),
            ("gs://b", &[("account_key", "x")], "has no account_key"),
        ] {
            let refused = check(&config(url, options)).unwrap_err();
            assert!(refused.contains(expected), "{url} {options:?}: {refused}");
            assert!(!refused.contains("secret@"), "{refused}");
        }
        let open = [("endpoint", "http://127.0.0.1:9000"), ("allow_http", "true")];
        assert_eq!(check(&config("s3://b", &open)), Ok(()));
    }

    #[test]
    fn a_value_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let options = [("account_name", "a"), ("account_key_file", path.to_str().unwrap())];
        let missing = client(&config("az://c/x", &options)).unwrap_err().to_string();
        assert!(missing.starts_with("lake.store_options.account_key_file: cannot read"), "{missing}");
        std::fs::write(&path, "bm90IGEgc2VjcmV0\n").unwrap();
        assert_eq!(prefix("az://c/x", &options), "x");
        // A file that the provider's own client reads is not ours to open.
        assert_eq!(
            key_of(&ObjectStoreScheme::AmazonS3, "web_identity_token_file"),
            Some(("web_identity_token_file", false))
        );
    }

    #[test]
    fn secrets_are_told_from_what_may_be_shown() {
        for name in [
            "secret_access_key",
            "access_key_id",
            "aws_session_token",
            "account_key",
            "sas_token",
            "client_secret",
            "service_account_key",
            "proxy_url",
            "whatever",
        ] {
            assert!(is_secret(name, "x"), "{name}");
        }
        for name in
            ["region", "aws_region", "endpoint", "account_name", "azure_storage_account_name", "account_key_file"]
        {
            assert!(!is_secret(name, "x"), "{name}");
        }
        assert!(is_secret("endpoint", "https://user:password@example.org"));
    }
}
