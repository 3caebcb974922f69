//! Phones that post to a whole server, with a client's library on the other side of the wire.

mod common;

use bytes::Bytes;
use common::{Place, told};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The time of a fix, and a batch of three of a phone.
fn moment(number: u32) -> String {
    format!("2026-11-23T{:02}:{:02}:{:02}.000Z", 12 + number / 3600, number / 60 % 60, number % 60)
}

fn batch(device: &str, first: u32) -> String {
    let fix = |number| {
        format!(
            r#"{{"timestamp":"{}","coords":{{"latitude":60.5,"longitude":30.25,"accuracy":5,"speed":1.5,"heading":90,"altitude":12}}}}"#,
            moment(number)
        )
    };
    let fixes: Vec<_> = (first..first + 3).map(fix).collect();
    format!(r#"{{"location":[{}],"device_id":"{device}"}}"#, fixes.join(","))
}

/// A phone's client with a connection that it keeps.
struct Phone {
    runtime: Runtime,
    requests: SendRequest<Full<Bytes>>,
}

impl Phone {
    fn connect(address: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let requests = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.expect("the listener answers");
            let (requests, connection) = handshake(TokioIo::new(stream)).await.expect("a connection");
            tokio::spawn(connection);
            requests
        });
        Self { runtime, requests }
    }

    /// Posts `body`; gives status and text of the answer, or nothing where there was none.
    fn post(&mut self, body: String) -> Option<(u16, String)> {
        let request = Request::post("/").header("host", "a.example").header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        self.runtime.block_on(async {
            self.requests.ready().await.ok()?;
            let answer = self.requests.send_request(request).await.ok()?;
            let status = answer.status().as_u16();
            let text = answer.into_body().collect().await.ok()?.to_bytes();
            Some((status, String::from_utf8_lossy(&text).into_owned()))
        })
    }
}

#[test]
fn a_phone_posts_and_is_told_what_became_of_it() {
    let place = Place::new();
    let server = place.serve_with(&["--listen", "osmand=127.0.0.1:0"]);
    let mut phone = Phone::connect(server.listener("tcp"));
    assert_eq!(phone.post(batch("1", 0)), Some((200, String::new())));
    let (status, reason) = phone.post("{".to_owned()).expect("an answer");
    assert_eq!((status, reason.ends_with("expected JSON\n")), (400, true), "{reason}");
    assert_eq!(phone.post(batch("2", 0)), Some((200, String::new())), "the same connection, another phone");
    let expected: Vec<_> =
        ["1", "2"].into_iter().flat_map(|id| (0..3).map(move |n| (id.to_owned(), moment(n)))).collect();
    assert_eq!(told(&place.records(&[])), expected);
    assert_eq!(server.get("/metrics").1.matches("odograph_malformed_frames_total{protocol=\"osmand\"").count(), 1);
}

#[test]
fn what_phones_were_told_before_a_kill_is_there_once_after_it() {
    let place = Place::new();
    let mut next = [0, 0];
    for round in 0..3 {
        let server = place.serve_with(&["--listen", "osmand=127.0.0.1:0"]);
        let (sender, acknowledged) = channel();
        let phones = [0, 1].map(|phone| {
            let (address, sender, first) = (server.listener("tcp"), sender.clone(), next[phone]);
            std::thread::spawn(move || post_until_it_ends(phone, address, first, &sender))
        });
        // In the middle of it, and at another moment each time.
        for _ in 0..40 + round * 7 {
            let (phone, first): (usize, u32) = acknowledged.recv().expect("an acknowledgement");
            next[phone] = first + 3;
        }
        server.kill();
        phones.into_iter().for_each(|phone| phone.join().expect("a phone"));
        drop(sender);
        for (phone, first) in acknowledged {
            next[phone] = first + 3;
        }
    }
    let server = place.serve_with(&["--listen", "osmand=127.0.0.1:0"]);
    for (phone, next) in next.iter().enumerate() {
        // What was not acknowledged comes again.
        let mut again = Phone::connect(server.listener("tcp"));
        assert_eq!(again.post(batch(&phone.to_string(), *next)), Some((200, String::new())));
        let mut times: Vec<_> =
            told(&place.records(&["--device", &phone.to_string()])).into_iter().map(|(_, time)| time).collect();
        times.sort();
        assert_eq!(times, (0..next + 3).map(moment).collect::<Vec<_>>(), "of phone {phone}, each once");
    }
}

/// Posts one batch after the other, and says which were acknowledged.
fn post_until_it_ends(phone: usize, address: SocketAddr, mut first: u32, acknowledged: &Sender<(usize, u32)>) {
    let mut client = Phone::connect(address);
    while let Some((status, text)) = client.post(batch(&phone.to_string(), first)) {
        assert_eq!(status, 200, "{text}");
        acknowledged.send((phone, first)).expect("somebody counts");
        first += 3;
    }
}

#[test]
fn the_raw_export_is_what_was_sent() {
    let place = Place::new();
    let server = place.serve_with(&["--listen", "osmand=127.0.0.1:0"]);
    let mut stream = TcpStream::connect(server.listener("tcp")).expect("the listener answers");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let sent = "GET /?id=1&lat=1&lon=2&timestamp=1763900000 HTTP/1.1\r\nHost: a\r\n\r\n\
                POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4;x=y\r\nid=1\r\nC\r\n&lat=2&lon=3\r\n0\r\nt: 1\r\n\r\n\
                GET /?id=1 HTTP/1.1\r\nConnection: close\r\n\r\n";
    stream.write_all(sent.as_bytes()).expect("requests are sent");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("answers, and the end");
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(heard, format!("{ok}{ok}HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
    let raw =
        |direction| place.text(&["export", "frames", "--format", "raw", "--device", "1", "--direction", direction]);
    assert_eq!((raw("in"), raw("out")), (sent.to_owned(), heard));
}
