//! Services of a run: real programs start, are found by their numbers on the host, start again, and are gone
//! afterwards, also when their owner is killed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as no tests to clippy")]

#[path = "common/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use faultline::experiment::document::Service;
use faultline::services::{ServiceContext, ServiceError, ServiceEvent, Services, Stopped};
use faultline_agent::identity::ProcessIdentity;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ports::free_port;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

struct Room {
    folder: tempfile::TempDir,
    context: ServiceContext,
    events: UnboundedReceiver<ServiceEvent>,
}

fn room() -> Room {
    let folder = tempfile::tempdir().unwrap();
    // Other users' services must reach their scratch folders.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (sender, events) = unbounded_channel();
    let context = ServiceContext {
        run: "20260101T000000-test01".into(),
        output: folder.path().join("run"),
        scratch: folder.path().join("scratch"),
        program: program(),
        events: sender,
    };
    Room { folder, context, events }
}

fn program() -> PathBuf {
    std::env::var_os("FAULTLINE_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_faultline").into(), PathBuf::from)
}

/// Starts services, and takes them down again if one does not come up.
async fn start(services: &BTreeMap<String, Service>, context: ServiceContext) -> Result<Services, ServiceError> {
    let mut started = Services::new(context);
    match started.start(services).await {
        Ok(()) => Ok(started),
        Err(error) => {
            started.stop().await;
            Err(error)
        }
    }
}

fn services(json: serde_json::Value) -> BTreeMap<String, Service> {
    serde_json::from_value(json).unwrap()
}

fn has(program: &str) -> bool {
    let found =
        std::env::var("PATH").unwrap_or_default().split(':').any(|folder| Path::new(folder).join(program).exists())
            || Path::new("/usr/sbin").join(program).exists();
    if !found {
        println!("skipped: {program} is not installed (apt-get install {program})");
    }
    found
}

fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    root
}

fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    if fields[0] == "Z" { None } else { fields[19].parse().ok() }
}

fn alive(process: &ProcessIdentity) -> bool {
    start_time(process.pid) == Some(process.start_time)
}

fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not happen within 10 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn changes(room: &mut Room) -> Vec<String> {
    std::iter::from_fn(|| room.events.try_recv().ok())
        .map(|event| format!("{}: {}", event.name, event.change))
        .collect()
}

fn nginx(folder: &Path, port: u16) -> serde_json::Value {
    let configuration = folder.join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "daemon off; user root root; pid nginx.pid; worker_processes 2; error_log stderr;\nevents {{}}\n\
             http {{ access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;\n\
             uwsgi_temp_path t4; scgi_temp_path t5; server {{ listen 127.0.0.1:{port}; return 200 ok; }} }}\n"
        ),
    )
    .unwrap();
    serde_json::json!({
        "run": ["sh", "-c", format!("exec nginx -p . -c {}", configuration.display())],
        "environment": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        "ready": {"http": format!("http://127.0.0.1:{port}/")},
    })
}

#[tokio::test]
async fn nginx_is_found_with_its_workers_and_gone_after_the_stop() {
    if !has("nginx") {
        return;
    }
    let mut room = room();
    let document = services(serde_json::json!({"web": nginx(room.folder.path(), free_port())}));
    let running = start(&document, room.context.clone()).await.unwrap();
    let mut found = Vec::new();
    until("both workers", || {
        found = running.processes().remove("web").unwrap();
        // A worker that was just forked still bears its master's title.
        found.len() == 3 && found[1..].iter().all(|worker| command_line(worker.pid).starts_with("nginx: worker"))
    })
    .await;
    assert!(command_line(found[0].pid).starts_with("nginx: master"), "{}", command_line(found[0].pid));
    assert!(command_line(found[1].pid).starts_with("nginx: worker"), "{}", command_line(found[1].pid));
    let keepers = running.keepers();
    assert_eq!(keepers.len(), 2);
    let stopped = running.stop().await;
    assert!(stopped.killed.is_empty() && stopped.left.is_empty(), "{stopped:?}");
    assert!(!found.iter().chain(&keepers).any(alive));
    assert!(!room.context.scratch.exists());
    let changes = changes(&mut room);
    assert!(changes[0].starts_with("web: up after ") && changes[1] == "web: taken down", "{changes:?}");
}

#[tokio::test]
async fn redis_starts_again_after_it_was_killed() {
    if !has("redis-server") {
        return;
    }
    let mut room = room();
    let port = free_port();
    let document = services(serde_json::json!({"cache": {
        "run": ["redis-server", "--port", port.to_string(), "--save", "", "--bind", "127.0.0.1"],
        "ready": {"exec": ["redis-cli", "-p", port.to_string(), "ping"], "tcp": format!("127.0.0.1:{port}")},
        "restart": {"after": "50ms"},
    }}));
    let running = start(&document, room.context.clone()).await.unwrap();
    let first = running.processes()["cache"][0];
    assert!(command_line(first.pid).starts_with("redis-server"), "{}", command_line(first.pid));
    kill(Pid::from_raw(first.pid), Signal::SIGKILL).unwrap();
    until("a new start", || running.processes()["cache"].first().is_some_and(|process| *process != first)).await;
    let mut seen = Vec::new();
    until("up again", || {
        seen.extend(changes(&mut room));
        seen.len() == 3
    })
    .await;
    assert_eq!(seen[1], "cache: was ended by SIGKILL; starts again in 50ms");
    assert!(seen[2].starts_with("cache: up after "), "{seen:?}");
    assert!(running.stop().await.left.is_empty());
}

#[tokio::test]
async fn postgres_runs_as_its_own_user_in_a_scratch_folder_of_its_own() {
    if !is_root() {
        return;
    }
    let Some(folder) = std::fs::read_dir("/usr/lib/postgresql")
        .ok()
        .and_then(|mut versions| versions.next())
        .map(|version| version.unwrap().path().join("bin"))
    else {
        println!("skipped: postgresql is not installed (apt-get install postgresql)");
        return;
    };
    let room = room();
    let port = free_port();
    let script = "initdb -D data --no-sync --auth=trust >&2 && exec postgres -D data -k . -h 127.0.0.1 -p \"$PORT\" -c fsync=off";
    let document = services(serde_json::json!({"db": {
        "run": ["sh", "-c", script],
        "user": "postgres",
        "environment": {"PATH": format!("{}:/usr/bin:/bin", folder.display()), "PORT": port.to_string(), "LC_ALL": "C"},
        "ready": {"exec": [folder.join("pg_isready"), "-h", "127.0.0.1", "-p", port.to_string()], "within": "60s"},
    }}));
    let running = start(&document, room.context.clone()).await.unwrap();
    let found = running.processes().remove("db").unwrap();
    assert!(found.len() > 3, "{found:?}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", found[0].pid)).unwrap();
    let uid = nix::unistd::User::from_name("postgres").unwrap().unwrap().uid.as_raw();
    assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}")), "{status}");
    let stopped = running.stop().await;
    let log = std::fs::read_to_string(room.context.output.join("db.log")).unwrap();
    assert_eq!(stopped, Stopped::default(), "{log}");
    assert!(!found.iter().any(alive));
}

#[tokio::test]
async fn a_service_starts_after_those_it_needs_and_the_sample_shop_is_up_at_once() {
    let mut room = room();
    let (front, backend) = (free_port(), free_port());
    let document = services(serde_json::json!({
        "backend": {
            "run": ["faultline", "sample", "backend", "--port", backend.to_string()],
            "ready": {"tcp": format!("127.0.0.1:{backend}")},
        },
        "a-front": {
            "run": ["faultline", "sample", "front", "--port", front.to_string(), "--backend", format!("127.0.0.1:{backend}")],
            "ready": {"http": format!("http://127.0.0.1:{front}/checkout")},
            "after": ["backend"],
        },
    }));
    let began = Instant::now();
    let running = start(&document, room.context.clone()).await.unwrap();
    println!("both parts were up after {:?}", began.elapsed());
    assert!(changes(&mut room)[0].starts_with("backend: up after "));
    let found = running.processes();
    assert!(command_line(found["backend"][0].pid).contains("sample backend"));
    assert!(command_line(found["a-front"][0].pid).contains("sample front"));
    let stopped = running.stop().await;
    assert!(stopped.killed.is_empty() && stopped.left.is_empty(), "{stopped:?}");
    assert_eq!(changes(&mut room).last().unwrap(), "backend: taken down");
}

#[tokio::test]
async fn what_does_not_start_says_why_and_takes_the_others_down() {
    let closed = serde_json::json!({"tcp": "127.0.0.1:1", "within": "200ms"});
    let cases = [
        (serde_json::json!({"run": ["/no/such/program"]}), "exited with code", "No such file"),
        (
            serde_json::json!({"run": ["sh", "-c", "echo the port is taken >&2; exit 7"], "ready": closed}),
            "service `bad` exited with code 7 before it was up; its output ends with:\n",
            "    the port is taken",
        ),
        (
            serde_json::json!({"run": ["sh", "-c", "echo waiting; exec sleep 60"], "ready": closed}),
            "service `bad` was not up within 200ms: 127.0.0.1:1: connection refused; its output ends with:\n",
            "    waiting",
        ),
        (
            serde_json::json!({"run": ["true"], "ready": closed}),
            "exited with code 0 before it was up",
            "it wrote nothing",
        ),
        (serde_json::json!({"run": ["true"], "user": "no-such-user"}), "`no-such-user`", "does not exist"),
    ];
    for (bad, how, detail) in cases {
        let mut room = room();
        let document = services(serde_json::json!({"a": {"run": ["sleep", "600"]}, "bad": bad}));
        let began = Instant::now();
        let error = start(&document, room.context.clone()).await.unwrap_err().to_string();
        assert!(error.contains(how) && error.contains(detail), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert!(!room.context.scratch.exists(), "{error}");
        assert_eq!(changes(&mut room).last().unwrap(), "a: taken down");
    }
    let room = room();
    let unknown = services(serde_json::json!({"a": {"run": ["true"], "after": ["b"]}}));
    assert!(matches!(start(&unknown, room.context).await, Err(ServiceError::Unknown { .. })));
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_with_all_it_started() {
    let room = room();
    let script =
        "trap '' TERM; (setsid sh -c 'trap \"\" TERM; while :; do sleep 1; done' &); while :; do sleep 1; done";
    let document = services(serde_json::json!({"stubborn": {"run": ["sh", "-c", script]}}));
    let running = start(&document, room.context.clone()).await.unwrap();
    until("four processes", || running.processes()["stubborn"].len() == 4).await;
    let found = running.processes().remove("stubborn").unwrap();
    let began = Instant::now();
    let stopped = running.stop().await;
    assert_eq!(stopped.killed, ["stubborn"]);
    assert!(stopped.left.is_empty() && !found.iter().any(alive), "{stopped:?}");
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_program_that_goes_to_the_background_stays_up_and_is_taken_down() {
    let room = room();
    let document = services(serde_json::json!({"daemon": {"run": ["sh", "-c", "(setsid sleep 4323 &); exit 0"]}}));
    let running = start(&document, room.context.clone()).await.unwrap();
    until("only the daemon", || {
        let found = running.processes().remove("daemon").unwrap();
        found.len() == 1 && command_line(found[0].pid) == "sleep 4323"
    })
    .await;
    let found = running.processes().remove("daemon").unwrap();
    let stopped = running.stop().await;
    assert!(stopped.killed.is_empty() && stopped.left.is_empty() && !alive(&found[0]), "{stopped:?}");
}

/// Not a test of its own: the process that is killed in those below. It prints the identities of its services.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn owner_to_be_killed() {
    if std::env::var_os("FAULTLINE_TEST_OWNER").is_none() {
        return;
    }
    let mut room = room();
    let mut document = serde_json::json!({
        "daemon": {"run": ["sh", "-c", "(setsid sh -c '(setsid sleep 4325 &); exec sleep 4324' &); exec sleep 4326"]},
    });
    if has("nginx") {
        document["web"] = nginx(room.folder.path(), free_port());
    }
    let running = start(&services(document), room.context.clone()).await.unwrap();
    println!();
    until("all processes", || {
        running.processes().values().map(Vec::len).sum::<usize>() >= if has("nginx") { 6 } else { 3 }
    })
    .await;
    for process in running.processes().into_values().flatten().chain(running.keepers()) {
        println!("process {} {}", process.pid, process.start_time);
    }
    for change in changes(&mut room) {
        println!("change {change}");
    }
    println!("folder {}", room.folder.path().display());
    println!("complete");
    std::future::pending::<()>().await;
}

/// Kills an owner that was started by `command` (given this test binary) and finds nothing left of its services.
fn kill_owner(mut command: Command) -> Vec<String> {
    let arguments = ["--exact", "owner_to_be_killed", "--nocapture", "--test-threads=1"];
    let mut owner = command.args(arguments).env("FAULTLINE_TEST_OWNER", "1").stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.map(Result::unwrap).take_while(|line| line != "complete").collect();
    let processes: Vec<ProcessIdentity> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("process "))
        .map(|line| {
            let (pid, start) = line.split_once(' ').unwrap();
            ProcessIdentity { pid: pid.parse().unwrap(), start_time: start.parse().unwrap() }
        })
        .collect();
    assert!(processes.len() >= 10 - 5 * usize::from(!has("nginx")) && processes.iter().all(alive), "{lines:?}");
    owner.kill().unwrap();
    owner.wait().unwrap();
    let began = Instant::now();
    while processes.iter().any(alive) {
        let left: Vec<String> =
            processes.iter().filter(|process| alive(process)).map(|process| command_line(process.pid)).collect();
        assert!(began.elapsed() < Duration::from_secs(5), "still there: {left:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("all {} processes gone {:?} after the kill", processes.len(), began.elapsed());
    let folder = lines.iter().find_map(|line| line.strip_prefix("folder ")).unwrap();
    std::fs::remove_dir_all(folder).unwrap();
    lines
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    let lines = kill_owner(Command::new(std::env::current_exe().unwrap()));
    assert!(nix::unistd::geteuid().is_root() <= !lines.iter().any(|line| line.contains("subreaper")), "{lines:?}");
}

#[test]
fn nothing_is_left_where_process_namespaces_are_forbidden() {
    // The limit holds in the user namespace that it is set in.
    let forbid = "echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-Ur", "sh", "-c", forbid]).arg(std::env::current_exe().unwrap());
    if !Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|status| status.success()) {
        println!("skipped: user namespaces are not permitted here");
        return;
    }
    let lines = kill_owner(command);
    assert!(lines.iter().any(|line| line.contains("held by a subreaper only")), "{lines:?}");
}

#[test]
fn nothing_is_left_when_an_ordinary_users_owner_is_killed() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (owner, program) = (folder.path().join("owner"), folder.path().join("faultline"));
    std::fs::copy(std::env::current_exe().unwrap(), &owner).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_faultline"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(owner)
        .env("FAULTLINE_TEST_PROGRAM", program);
    command.current_dir("/tmp").env("HOME", "/tmp");
    kill_owner(command);
}
