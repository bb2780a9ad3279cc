use http::Uri;

use super::services::command;
use super::{Findings, at};
use crate::document::yaml::Path;
use crate::experiment::document::{ExecSignal, HostSignal, HttpSignal, PrometheusSignal, Signal, Spec, TcpSignal};

/// Where samples come from.
pub(super) fn check(spec: &Spec, findings: &mut Findings<'_>) {
    let private = spec.has_private_network();
    for (name, signal) in &spec.signals {
        let path = at!["spec", "signals", name];
        let reached = match signal {
            Signal::Http(signal) => http(&path.join("http"), signal, findings),
            Signal::Tcp(signal) => tcp(&path.join("tcp"), signal, findings),
            Signal::Prometheus(signal) => prometheus(&path.join("prometheus"), signal, findings),
            Signal::Exec(signal) => exec(&path.join("exec"), signal, findings),
            Signal::Host(signal) => host(&path.join("host"), signal, findings),
        };
        if let (true, Some((path, host))) = (private, reached)
            && !is_loopback(&host)
        {
            findings.warn(
                &path,
                format!("`{host}` cannot be reached: the run's private network has nothing but loopback"),
                "write `network: host` below `spec` if the services are to use the host's network",
            );
        }
        let used = spec.steady_state.iter().chain(&spec.guardrails).any(|objective| objective.signal == *name)
            || spec.budget.as_ref().is_some_and(|budget| budget.slo == *name);
        let lists_whole =
            findings.is_whole(&at!["spec", "steadyState"]) && findings.is_whole(&at!["spec", "guardrails"]);
        if !used && lists_whole {
            findings.warn(&path, format!("no objective uses the signal `{name}`"), "");
        }
    }
    if spec.signals.is_empty() && findings.is_whole(&at!["spec", "signals"]) {
        findings.error(&at!["spec", "signals"], "there is no signal, so nothing can be judged", "");
    }
}

/// What is reached, with the path that says so.
type Reached = Option<(Path, String)>;

fn http(path: &Path, signal: &HttpSignal, findings: &mut Findings<'_>) -> Reached {
    let host = url(&path.join("url"), &signal.url, findings);
    findings.time(&path.join("timeout"), signal.timeout);
    if http::Method::from_bytes(signal.method.as_bytes()).is_err() {
        findings.error(&path.join("method"), format!("`{}` is not an HTTP method", signal.method), "");
    }
    for (name, value) in &signal.headers {
        let path = path.join("headers").join(name);
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            findings.error_at_key(&path, format!("`{name}` cannot name a header field"), "");
        }
        if http::HeaderValue::from_str(value).is_err() {
            findings.error(&path, "a header field's value cannot hold control characters", "");
        }
    }
    host.map(|host| (path.join("url"), host))
}

fn tcp(path: &Path, signal: &TcpSignal, findings: &mut Findings<'_>) -> Reached {
    let host = address(&path.join("address"), &signal.address, findings);
    findings.time(&path.join("timeout"), signal.timeout);
    if let Some(problem) = signal.send.as_deref().and_then(escape_problem) {
        findings.error(&path.join("send"), problem, "`\\r`, `\\n`, `\\t`, `\\\\` and `\\xHH` can be written");
    }
    if signal.expect.as_deref() == Some("") {
        findings.error(
            &path.join("expect"),
            "every answer holds nothing at all",
            "leave `expect` out, or say what it holds",
        );
    }
    host.map(|host| (path.join("address"), host))
}

fn prometheus(path: &Path, signal: &PrometheusSignal, findings: &mut Findings<'_>) -> Reached {
    let host = url(&path.join("url"), &signal.url, findings);
    findings.time(&path.join("timeout"), signal.timeout);
    findings.time(&path.join("interval"), signal.interval);
    const FORMS: &str = "counters are judged as errors and traffic, a value as a value";
    match (&signal.bad, &signal.total, &signal.value) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        (_, _, Some(_)) => {
            findings.error_at_key(&path.join("value"), "`value` cannot stand beside `bad` and `total`", FORMS);
        }
        (None, None, None) => findings.error_at_key(path, "either `bad` and `total`, or `value`, must be given", FORMS),
        (Some(_), None, None) => findings.error_at_key(&path.join("bad"), "`bad` needs `total` beside it", FORMS),
        (None, Some(_), None) => findings.error_at_key(&path.join("total"), "`total` needs `bad` beside it", FORMS),
    }
    for (key, query) in [("bad", &signal.bad), ("total", &signal.total), ("value", &signal.value)] {
        let Some(query) = query else { continue };
        let path = path.join(key);
        if query.trim().is_empty() {
            findings.error(&path, "the query is empty", "");
        }
        let smeared = ["rate(", "irate(", "increase(", "delta("].into_iter().find(|call| query.contains(call));
        if let (true, Some(call)) = (key != "value", smeared) {
            findings.warn(
                &path,
                format!("`{call}…)` smears what happened over its window, across the edges of the fault"),
                "give the raw counter, as in `sum(http_requests_total)`: Faultline takes the growth itself",
            );
        }
    }
    host.map(|host| (path.join("url"), host))
}

fn exec(path: &Path, signal: &ExecSignal, findings: &mut Findings<'_>) -> Reached {
    command(&path.join("run"), &signal.run, findings);
    findings.time(&path.join("interval"), signal.interval);
    findings.time(&path.join("timeout"), signal.timeout);
    None
}

fn host(path: &Path, signal: &HostSignal, findings: &mut Findings<'_>) -> Reached {
    findings.time(&path.join("interval"), signal.interval);
    if let Some(target) = &signal.of {
        findings.refers(&path.join("of"), target, &at!["spec", "targets"], "target");
    }
    if let Some(folder) = signal.path.as_deref().filter(|folder| !folder.is_absolute()) {
        findings.error(
            &path.join("path"),
            format!("`{}` is not an absolute path", folder.display()),
            "begin it with `/`",
        );
    }
    None
}

/// Checks a URL and gives its host.
pub(super) fn url(path: &Path, url: &str, findings: &mut Findings<'_>) -> Option<String> {
    let example = "as in `http://127.0.0.1:8080/checkout`";
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => {
            findings.error(path, format!("`{url}` is not a URL: {error}"), example);
            return None;
        }
    };
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Some(host.to_owned()),
        (Some("http" | "https"), _) => {
            findings.error(path, format!("`{url}` names no host"), example);
            None
        }
        (Some(scheme), _) => {
            findings.error(path, format!("`{scheme}` is neither http nor https"), example);
            None
        }
        (None, _) => {
            findings.error(path, format!("`{url}` has no scheme"), format!("write `http://{url}`"));
            None
        }
    }
}

/// Checks `host:port` and gives the host.
pub(super) fn address(path: &Path, address: &str, findings: &mut Findings<'_>) -> Option<String> {
    let parts = address.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok()?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(bare) => bare.parse::<std::net::Ipv6Addr>().ok().map(|_| bare)?,
            None if host.contains(':') => return None,
            None => host,
        };
        (port > 0 && !host.is_empty() && !host.contains(['/', ' '])).then(|| host.to_owned())
    });
    if parts.is_none() {
        let hint = "as in `127.0.0.1:6379`, `[::1]:6379` or `db.example:6379`";
        findings.error(path, format!("`{address}` is not a host and a port"), hint);
    }
    parts
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let literal = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || literal.is_ok_and(|address| address.is_loopback())
}

/// What is wrong with the escapes of a text to send.
fn escape_problem(text: &str) -> Option<String> {
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            continue;
        }
        match letters.next() {
            Some('r' | 'n' | 't' | '\\') => {}
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                if digits.len() != 2 || u8::from_str_radix(&digits, 16).is_err() {
                    return Some(format!("`\\x{digits}` is not an escape: two hexadecimal digits follow `\\x`"));
                }
            }
            Some(other) => return Some(format!("`\\{other}` is not an escape")),
            None => return Some("the text ends in a lone `\\`".into()),
        }
    }
    None
}
