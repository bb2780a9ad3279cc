//! The HTTP prober over TLS against a real nginx: a certificate that the host trusts is good, any other is not.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as no tests to clippy")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use faultline::signals::sample::Reading;
use faultline::signals::{SignalContext, build};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

/// What the first request to a URL came to.
fn first_reading(url: &str) -> String {
    let signal = serde_json::json!({"http": {"url": url, "rate": "20/s", "timeout": "5s"}});
    let source = build("tls", &serde_json::from_value(signal).unwrap(), &SignalContext::new(Instant::now())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sink, mut samples) = unbounded_channel();
        let stop = CancellationToken::new();
        let running = tokio::spawn(source.run(sink, stop.clone()));
        let sample = samples.recv().await.unwrap();
        stop.cancel();
        running.await.unwrap();
        match sample.reading {
            Reading::Request { failure, .. } => failure.unwrap_or_else(|| "good".into()),
            other => format!("{other:?}"),
        }
    })
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

struct Nginx(std::process::Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn only_a_certificate_of_the_hosts_store_for_this_name_is_good() {
    if let Ok(url) = std::env::var("FAULTLINE_TEST_URL") {
        println!("reading {}", first_reading(&url));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let request = "[req]\ndistinguished_name=name\nx509_extensions=v3\nprompt=no\n[name]\nCN=shop\n[v3]\n\
                   basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(folder.join("request.cnf"), request).unwrap();
    let key = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let files = ["-config", "request.cnf", "-keyout", "key.pem", "-out", "cert.pem"];
    if !run("openssl", &[&key[..], &files[..]].concat(), folder) {
        println!("skipped: openssl is not installed (apt-get install openssl)");
        return;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Without a master process: one process, which ends with the test's guard.
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n\
         uwsgi_temp_path t4; scgi_temp_path t5; ssl_certificate {0}/cert.pem; ssl_certificate_key {0}/key.pem;\n\
         server {{ listen 127.0.0.1:{port} ssl; return 200 ok; }} }}\n",
        folder.display()
    );
    std::fs::write(folder.join("nginx.conf"), configuration).unwrap();
    let prefix = format!("{}/", folder.display());
    let path = format!("/usr/sbin:{}", std::env::var("PATH").unwrap_or_default());
    let nginx = Command::new("nginx").args(["-p", &prefix, "-c", "nginx.conf"]).env("PATH", path).spawn();
    let Ok(nginx) = nginx.map(Nginx) else {
        println!("skipped: nginx is not installed (apt-get install nginx)");
        return;
    };
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "nginx does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Each in a process of its own: the host's certificates are read once.
    let reading = |host: &str, store: Option<&Path>| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "only_a_certificate_of_the_hosts_store_for_this_name_is_good", "--nocapture"]);
        command.env("FAULTLINE_TEST_URL", format!("https://{host}:{port}/"));
        if let Some(store) = store {
            command.env("SSL_CERT_FILE", store);
        }
        let output = String::from_utf8(command.output().unwrap().stdout).unwrap();
        output.lines().find_map(|line| line.split_once("reading ")).unwrap_or(("", "nothing")).1.to_owned()
    };
    let certificate = folder.join("cert.pem");
    assert_eq!(reading("127.0.0.1", Some(&certificate)), "good");
    let wrong_name = reading("localhost", Some(&certificate));
    assert!(wrong_name.starts_with("TLS: invalid peer certificate: certificate not valid for name"), "{wrong_name}");
    let unknown = reading("127.0.0.1", None);
    assert!(unknown.starts_with("TLS: invalid peer certificate") || unknown == "nothing", "{unknown}");
    drop(nginx);
}
