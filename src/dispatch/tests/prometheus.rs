use std::io::{Read as _, Write as _};
use std::net::TcpListener;

/// A server that answers as Prometheus does, until the test's process ends: a million events in any window, none of them
/// bad, and a counter of bad events that grows by one whenever it is read. Its port.
pub(super) fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut reads = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let asked = loop {
                let mut some = [0; 4096];
                let length = stream.read(&mut some).unwrap();
                request.extend_from_slice(&some[..length]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if length == 0 || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with("%29")) {
                    break text;
                }
            };
            let now = jiff::Timestamp::now().as_second();
            let series = |labels: &str, value: usize| format!(r#"{{"metric":{{{labels}}},"value":[{now},"{value}"]}}"#);
            let series = if !asked.contains("increase") {
                reads += 1;
                let part = |part: &str| format!(r#""faultline_part":"{part}""#);
                [series(&part("bad"), reads), series(&part("total"), 100 * reads)].join(",")
            } else {
                series("", if asked.contains("bad") { 0 } else { 1_000_000 })
            };
            let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Whoever waits no longer needs no answer.
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}
