//! Against a real little server, which answers, is slow, answers garbage, or wants to be left alone.

use odograph_env::SystemClock;
use odograph_geocoder::{Address, Config, Geocoder, Refusal, Template};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server does with a request.
#[derive(Clone)]
enum Does {
    /// Answers so.
    Says(&'static str, String),
    /// Keeps the connection, and says nothing.
    Nothing,
    /// Ends the connection.
    Leaves,
}

/// A geocoder on a port of its own, that does one thing after the other, the last one again and again.
struct Server {
    address: SocketAddr,
    requests: Receiver<String>,
}

impl Server {
    fn start(does: Vec<Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, requests) = channel();
        let next = Arc::new(Mutex::new(does.into_iter()));
        let last = Arc::new(Mutex::new(Does::Leaves));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, next, last) = (asked.clone(), next.clone(), last.clone());
                std::thread::spawn(move || {
                    while let Some(request) = request(&stream) {
                        let _ = asked.send(request);
                        let now = next.lock().expect("it is whole").next();
                        let mut last = last.lock().expect("it is whole");
                        *last = now.unwrap_or_else(|| last.clone());
                        match last.clone() {
                            Does::Says(status, body) => {
                                let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                                // Whoever has read enough goes.
                                let _ = (&stream).write_all(text.as_bytes());
                            }
                            Does::Nothing => {}
                            Does::Leaves => return,
                        }
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn config(&self) -> Config {
        let url = format!("http://{}/reverse?lat={{latitude}}&lon={{longitude}}&key=hush", self.address);
        Config {
            url: Template::parse(&url).expect("an address"),
            pointer: None,
            credit: Some("© Test".into()),
            timeout: Duration::from_secs(20),
            requests_per_second: 100,
        }
    }

    /// The first lines of all requests that came.
    fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

/// The first line of a request, and who sent it; the rest is read.
fn request(stream: &TcpStream) -> Option<String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next()?;
    let agent = lines.find(|line| line.to_lowercase().starts_with("user-agent")).unwrap_or_default();
    Some(format!("{first} {}", agent.split('/').next().unwrap_or_default()))
}

fn ulm() -> Does {
    let body = r#"{"display_name":"x","address":{"road":"Hauptstraße","house_number":"12","town":"Ulm"}}"#;
    Does::Says("200 OK", body.to_owned())
}

fn start(config: &Config) -> Geocoder {
    Geocoder::start(config, Arc::new(SystemClock::new())).expect("it begins")
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work).await.expect("it comes to an end") });
}

async fn text(geocoder: &Geocoder, tenant: &str, place: (f64, f64)) -> Result<Address, Refusal> {
    geocoder.address(tenant, place.0, place.1).await.map(|address| (*address).clone())
}

const ULM: (f64, f64) = (48.3984, 9.9916);

#[test]
fn an_address_is_asked_for_once_for_each_tenant() {
    let server = Server::start(vec![ulm()]);
    let geocoder = start(&server.config());
    run(async {
        let found = Ok(Address { text: "Hauptstraße 12, Ulm".into(), source: "© Test".into() });
        let (one, other) = futures::future::join(text(&geocoder, "north", ULM), text(&geocoder, "north", ULM)).await;
        assert_eq!((&one, &other), (&found, &found));
        assert_eq!(text(&geocoder, "north", ULM).await, found);
        assert_eq!(text(&geocoder, "south", ULM).await, found);
        let line = "GET /reverse?lat=48.3984&lon=9.9916&key=hush HTTP/1.1 user-agent: odograph";
        assert_eq!(server.requests(), [line, line]);
    });
}

#[test]
fn a_geocoder_that_stalls_is_given_up_and_left_alone() {
    let server = Server::start(vec![Does::Nothing]);
    let geocoder = start(&Config { timeout: Duration::from_millis(200), ..server.config() });
    run(async {
        let silent = Err(Refusal::Silent { retry_after: Duration::from_secs(2) });
        assert_eq!(text(&geocoder, "north", ULM).await, silent);
        // Now nobody waits for it, and it is not asked.
        let again = text(&geocoder, "north", ULM).await;
        assert!(
            matches!(again, Err(Refusal::Silent { retry_after }) if retry_after <= Duration::from_secs(2)),
            "{again:?}"
        );
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn what_is_no_answer_is_none() {
    let says = |status, body: &str| Does::Says(status, body.to_owned());
    for does in [
        says("200 OK", "<html>"),
        says("200 OK", r#"{"error":"wrong key"}"#),
        says("200 OK", &format!(r#"{{"display_name":"{}"}}"#, "x".repeat(70_000))),
        says("500 Internal Server Error", ""),
        says("404 Not Found", "<html>"),
        says("401 Unauthorized", r#"{"error":"wrong key"}"#),
        says("302 Found\r\nLocation: http://127.0.0.1:1/", ""),
        says("203 Odd", r#"{"display_name":"Ulm"}"#),
        Does::Leaves,
    ] {
        let server = Server::start(vec![does]);
        let geocoder = start(&server.config());
        run(async {
            let silent = Err(Refusal::Silent { retry_after: Duration::from_secs(2) });
            assert_eq!(text(&geocoder, "north", ULM).await, silent);
        });
    }
}

#[test]
fn who_wants_to_be_left_alone_says_for_how_long() {
    let server = Server::start(vec![Does::Says("429 Too Many Requests\r\nRetry-After: 77", String::new()), ulm()]);
    let geocoder = start(&server.config());
    run(async {
        let silent = Err(Refusal::Silent { retry_after: Duration::from_secs(77) });
        assert_eq!(text(&geocoder, "north", ULM).await, silent);
        assert!(text(&geocoder, "south", ULM).await.is_err());
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn where_there_is_no_address_there_is_none() {
    let nothing = r#"{"error":"Unable to geocode"}"#;
    let pointer = || Some("/results/0/formatted".to_owned());
    // What it says of one place keeps nobody from asking about another.
    for (status, pointer) in [
        ("200 OK", None),
        ("404 Not Found", None),
        ("404 Not Found", pointer()),
        ("400 Bad Request", pointer()),
        ("422 Unprocessable Entity", None),
    ] {
        let server = Server::start(vec![Does::Says(status, nothing.to_owned())]);
        let geocoder = start(&Config { credit: None, pointer, ..server.config() });
        run(async {
            let none = Ok(Address { text: String::new(), source: "127.0.0.1".into() });
            assert_eq!(text(&geocoder, "north", (0.0, -30.0)).await, none);
        });
    }
}

#[test]
fn a_pointer_says_where_the_text_is() {
    let body = r#"{"results":[{"formatted":"Hauptstraße 12"}],"attribution":"© Somebody"}"#;
    let server = Server::start(vec![Does::Says("200 OK", body.to_owned())]);
    let config = Config { pointer: Some("/results/0/formatted".into()), credit: None, ..server.config() };
    let geocoder = start(&config);
    run(async {
        let found = Ok(Address { text: "Hauptstraße 12".into(), source: "© Somebody".into() });
        assert_eq!(text(&geocoder, "north", ULM).await, found);
    });
}

#[test]
fn it_is_asked_no_more_often_than_it_may_be() {
    let server = Server::start(vec![ulm()]);
    let geocoder = start(&Config { requests_per_second: 10, ..server.config() });
    run(async {
        let begun = tokio::time::Instant::now();
        let places = (0..6).map(|number| (f64::from(number), 10.0));
        let all = futures::future::join_all(places.map(|place| text(&geocoder, "north", place))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        // Six requests have five pauses between them.
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        assert_eq!(server.requests().len(), 6);
    });
}
