//! Processes of their own on the client host, that use the network as they are told by lines on their standard input.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use faultline_agent::facts::identity_of;
use faultline_agent::identity::{NetworkNamespace, ProcessIdentity};

use crate::lab::{Lab, connect, datagram_round_trip, round_trip, serve};

const ROLE: &str = "FAULTLINE_TEST_PEER";
const MARK: &str = "=> ";

/// Such a process; ended when dropped.
pub(crate) struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one on the client host, in a cgroup if one is given.
    pub(crate) fn start(lab: &Lab, cgroup: Option<&Path>) -> Self {
        let mut process = lab.client(|| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "peer::obey", "--nocapture"])
                .env(ROLE, "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        });
        if let Some(folder) = cgroup {
            std::fs::write(folder.join("cgroup.procs"), process.id().to_string()).unwrap();
        }
        let orders = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, orders, answers }
    }

    pub(crate) fn identity(&self) -> ProcessIdentity {
        identity_of(i32::try_from(self.process.id()).unwrap()).unwrap()
    }

    /// Gives an order, and reads the milliseconds that it took, or why it failed.
    pub(crate) fn ask(&mut self, order: &str) -> Result<f64, String> {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        while self.answers.read_line(&mut line).unwrap() > 0 {
            // The test frame's own words may stand before ours on the line.
            if let Some((_, answer)) = line.split_once(MARK) {
                let answer = answer.trim();
                return answer.parse().map_err(|_| answer.to_owned());
            }
            line.clear();
        }
        panic!("the process ended at {order}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The process itself: does nothing in an ordinary run of the tests.
#[test]
fn obey() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let mut open: Option<TcpStream> = None;
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let port = || words[2].parse().unwrap();
        let result = match words[0] {
            "connect" => {
                let begin = std::time::Instant::now();
                connect(words[1], port()).map(|stream| {
                    open = Some(stream);
                    begin.elapsed().as_secs_f64() * 1000.0
                })
            }
            "echo" => round_trip(open.as_mut().unwrap()),
            "datagram" => datagram_round_trip(words[1], port()),
            "serve" => {
                serve(&NetworkNamespace::Own, port());
                Ok(0.0)
            }
            other => panic!("{other}"),
        };
        match result {
            Ok(milliseconds) => println!("{MARK}{milliseconds}"),
            Err(error) => println!("{MARK}{:?}", error.kind()),
        }
    }
}
