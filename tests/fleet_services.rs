//! haproxy in front of two backends of nginx and a PostgreSQL, over hosts of their own, each with its agent. One backend
//! is killed, and that holds; the database is cut off from the proxy, and that is judged violated.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::fleet::{Fleet, Founding, Running, told};
use common::has;
use common::machine::{Machine, Network, Place};

/// What the hosts run. In the order of the fields: what depends on others ends first.
struct Shop {
    programs: Vec<Running>,
    agents: Vec<(&'static str, Running)>,
    fleet: Fleet,
    proxy: Machine,
    web: Machine,
    db: Machine,
    _controller: Machine,
    _network: Network,
    ground: tempfile::TempDir,
}

impl Shop {
    fn open() -> Option<Self> {
        let packages = [("haproxy", "haproxy"), ("nginx", "nginx-light"), ("pg_ctlcluster", "postgresql")];
        for (program, package) in packages {
            if !has(program) {
                println!("skipped: {program} is not installed (Debian package {package})");
                return None;
            }
        }
        let ground = tempfile::Builder::new().prefix("faultline-test-").tempdir().unwrap();
        fs::set_permissions(ground.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut network = Network::new(&[ground.path()])?;
        let [controller, proxy, web, db] = [(); 4].map(|()| network.host());
        let place = controller.place();
        let founding =
            Founding { place, address: controller.address.clone(), within: ground.path().to_owned(), store: None };
        let mut fleet = Fleet::founded(founding)?;
        fleet.serve();
        let mut shop = Self {
            programs: Vec::new(),
            agents: Vec::new(),
            fleet,
            proxy,
            web,
            db,
            _controller: controller,
            _network: network,
            ground,
        };
        shop.database();
        shop.backends();
        shop.balancer();
        for (name, labels, place) in [
            ("proxy-1", "role=proxy", shop.proxy.place()),
            ("web-1", "role=web", shop.web.place()),
            ("db-1", "role=db", shop.db.place()),
        ] {
            shop.agents.push((name, shop.fleet.host_at(name, place, labels, &[])));
        }
        Some(shop)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.ground.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn start(&mut self, place: Place, name: &str, command: &mut Command) {
        let log = fs::File::create(self.ground.path().join(format!("{name}.log"))).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.programs.push(Running(place.spawn(command)));
    }

    fn database(&mut self) {
        let (folder, place) = (self.folder("postgresql"), self.db.place());
        let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
        chown(&folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        let mut versions: Vec<PathBuf> =
            fs::read_dir("/usr/lib/postgresql").unwrap().map(|version| version.unwrap().path().join("bin")).collect();
        versions.sort();
        let programs = versions.pop().unwrap();
        let as_postgres = |program: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(programs.join(program));
            command.current_dir(&folder);
            command
        };
        let made =
            as_postgres("initdb").args(["-A", "trust", "-U", "postgres", "--no-sync", "-D", "data"]).output().unwrap();
        assert!(made.status.success(), "{}", told(&made));
        let rules = format!("local all all trust\nhost all all {}/32 trust\n", self.proxy.address);
        fs::write(folder.join("data/pg_hba.conf"), rules).unwrap();
        let mut server = as_postgres("postgres");
        server
            .args(["-D", "data", "-c", "listen_addresses=*", "-c", "fsync=off", "-c", "max_connections=200", "-k"])
            .arg(&folder);
        self.start(place, "postgresql", &mut server);
        let sql = "CREATE TABLE orders AS SELECT generate_series(1, 42) AS number";
        eventually("PostgreSQL", || {
            let mut client = as_postgres("psql");
            client.args(["-U", "postgres", "-c", sql, "-h"]).arg(&folder);
            place.output(&mut client)
        });
    }

    fn backends(&mut self) {
        let place = self.web.place();
        for number in [1, 2] {
            let folder = self.folder(&format!("backend-{number}"));
            let settings = format!(
                "daemon off;\npid nginx.pid;\nerror_log stderr warn;\nworker_processes 2;\nevents {{ worker_connections 512; \
                 }}\nhttp {{\n  access_log off;\n  client_body_temp_path body;\n  proxy_temp_path proxy;\n  \
                 fastcgi_temp_path fastcgi;\n  uwsgi_temp_path uwsgi;\n  scgi_temp_path scgi;\n  server {{\n    listen \
                 808{number};\n    location / {{ return 200 \"backend {number}\\n\"; }}\n  }}\n}}\n"
            );
            fs::write(folder.join("nginx.conf"), settings).unwrap();
            let mut nginx = Command::new("nginx");
            nginx.arg("-p").arg(&folder).args(["-e", "stderr", "-c", "nginx.conf"]);
            self.start(place, &format!("backend-{number}"), &mut nginx);
        }
    }

    fn balancer(&mut self) {
        let settings = format!(
            "defaults\n  timeout connect 500ms\n  timeout client 5s\n  timeout server 5s\n  retries 3\n  option redispatch 1\n\
             frontend web\n  mode http\n  bind :8080\n  default_backend web\n\
             backend web\n  mode http\n  option httpchk GET /\n  retry-on all-retryable-errors\n  \
             default-server check inter 500ms fall 2 rise 2\n  server first {web}:8081\n  server second {web}:8082\n\
             frontend database\n  mode tcp\n  bind :5432\n  default_backend database\n\
             backend database\n  mode tcp\n  server db {db}:5432 check inter 500ms fall 2 rise 2\n",
            web = self.web.address,
            db = self.db.address,
        );
        let file = self.folder("proxy").join("haproxy.cfg");
        fs::write(&file, settings).unwrap();
        self.start(self.proxy.place(), "haproxy", Command::new("haproxy").arg("-db").arg("-f").arg(file));
    }

    /// Runs an experiment over the fleet: the signals are asked of the proxy, as customers ask it.
    fn run(&self, name: &str, target: &str, inject: &str) -> Output {
        let text = format!(
            "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: {name} }}\nspec:\n  hypothesis: Customers \
             notice nothing.\n  signals:\n    pages: {{ http: {{ url: \"http://{proxy}:8080/\", rate: 100/s, timeout: 2s, \
             expectBody: backend }} }}\n    orders: {{ tcp: {{ address: \"{proxy}:5432\", rate: 20/s, timeout: 2s, send: \
             '{query}', expect: \"42 orders\" }} }}\n  steadyState:\n    - {{ signal: pages, errors: {{ below: 2% }} }}\n    - \
             {{ signal: pages, latency: {{ quantile: 0.9, below: 500ms }} }}\n    - {{ signal: orders, errors: {{ below: 20% }} }}\n  targets:\n    it: {target}\n  \
             method:\n    - observe: 6s\n    - inject: {{ fault: {inject}, on: it, for: 6s }}\n    - observe: 3s\n  \
             recovery: {{ within: 30s }}\n  seed: 7\n",
            proxy = self.proxy.address,
            query = query("SELECT count(*) || ' orders' FROM orders"),
        );
        let file = self.ground.path().join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        self.fleet.place().output(&mut self.fleet.client(&["run", file.to_str().unwrap()]))
    }

    /// What a fault could change on each host, as its agent sees it.
    fn fingerprints(&self) -> Vec<PathBuf> {
        let take = |(name, place): (&str, Place)| {
            let mut command = Command::new(&self.fleet.agent);
            command.args(["fingerprint", "--json", "--state"]).arg(self.fleet.path(name));
            let output = place.output(&mut command);
            assert!(output.status.success(), "{}", told(&output));
            let file = self.ground.path().join(format!("{name}.fingerprint"));
            fs::write(&file, output.stdout).unwrap();
            file
        };
        self.hosts().into_iter().map(take).collect()
    }

    fn hosts(&self) -> [(&'static str, Place); 3] {
        [("proxy-1", self.proxy.place()), ("web-1", self.web.place()), ("db-1", self.db.place())]
    }

    fn assert_nothing_left(&self, before: &[PathBuf]) {
        for ((name, place), before) in self.hosts().into_iter().zip(before) {
            let mut command = Command::new(&self.fleet.agent);
            command.args(["fingerprint", "--since"]).arg(before).arg("--state").arg(self.fleet.path(name));
            let output = place.output(&mut command);
            assert!(output.status.success(), "{name} is not as it was: {}", told(&output));
            let mut command = Command::new(&self.fleet.agent);
            let listed = place.output(command.args(["list", "--json", "--state"]).arg(self.fleet.path(name)));
            assert!(listed.status.success(), "{name}: {}", told(&listed));
            let records = fs::read_dir(self.fleet.path(name).join("faults")).unwrap();
            let records: Vec<_> = records.map(|entry| entry.unwrap().file_name()).collect();
            assert!(!records.iter().any(|file| file.to_string_lossy().ends_with(".json")), "{name}: {records:?}");
        }
    }

    /// The processes of the web host that listen there.
    fn listeners(&self, port: u16) -> usize {
        let output = self.web.place().run(
            "ss",
            &["--listening", "--tcp", "--numeric", "--no-header", "--processes", "sport", "=", &format!(":{port}")],
        );
        output.matches("pid=").count()
    }
}

/// A query as PostgreSQL's clients send it, with the greeting before it, in the escapes of a document.
fn query(sql: &str) -> String {
    let message = |tag: &str, body: String| {
        let length = u8::try_from(body.replace("\\x00", "0").replace("\\x03", "3").len() + 4).unwrap();
        format!("{tag}\\x00\\x00\\x00\\x{length:02x}{body}")
    };
    let greeting = "\\x00\\x03\\x00\\x00user\\x00postgres\\x00database\\x00postgres\\x00\\x00".to_owned();
    // Within single quotes of YAML.
    (message("", greeting) + &message("Q", format!("{sql}\\x00"))).replace('\'', "''")
}

fn eventually(what: &str, mut attempt: impl FnMut() -> Output) {
    let begun = Instant::now();
    loop {
        let output = attempt();
        if output.status.success() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {}", told(&output));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn journal(shop: &Shop) -> String {
    let runs = fs::read_dir(shop.fleet.path("controller").join("runs")).unwrap();
    let newest = runs.map(|run| run.unwrap().path()).max().unwrap();
    fs::read_to_string(newest.join("journal.jsonl")).unwrap()
}

#[test]
fn a_proxy_that_loses_a_backend_holds() {
    let Some(shop) = Shop::open() else { return };
    let before = shop.fingerprints();
    assert_eq!((shop.listeners(8081), shop.listeners(8082)), (3, 3), "a master and two workers each");
    let target = "{ hosts: { labels: { role: web }, pick: all }, process: { listensOn: 8081 } }";
    let output = shop.run("proxy-loses-a-backend", target, "{ process-kill: { signal: SIGKILL } }");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("held"), "{}", told(&output));
    assert_eq!((shop.listeners(8081), shop.listeners(8082)), (0, 3), "the first backend was really killed");
    shop.assert_nothing_left(&before);
    let entries = journal(&shop);
    let injected = entries.lines().filter(|line| line.contains("\"injected\"")).count();
    assert_eq!(injected, 1);
    println!("{}", told(&output));
}

#[test]
fn a_proxy_that_is_cut_off_from_its_database_is_judged_violated() {
    let Some(shop) = Shop::open() else { return };
    let before = shop.fingerprints();
    let fault = format!("{{ network-partition: {{ peers: {{ cidrs: [{}/32] }} }} }}", shop.proxy.address);
    let output = shop.run("proxy-loses-its-database", "{ hosts: { labels: { role: db }, pick: all } }", &fault);
    let report = told(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("violated") && report.contains("orders"), "{report}");
    shop.assert_nothing_left(&before);
    // The pages have nothing to do with the database, and are not blamed for it.
    let judged: serde_json::Value = journal(&shop)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .find_map(|entry| entry["event"].get("judged").cloned())
        .unwrap();
    let violated: Vec<&str> = judged["objectives"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|objective| objective["verdict"] == "violated")
        .map(|objective| objective["description"].as_str().unwrap())
        .collect();
    assert!(!violated.is_empty() && violated.iter().all(|description| description.contains("orders")), "{violated:?}");
    println!("{report}");
}

#[test]
fn a_query_has_the_lengths_that_postgresql_expects() {
    assert_eq!(
        query("SELECT 1"),
        "\\x00\\x00\\x00\\x29\\x00\\x03\\x00\\x00user\\x00postgres\\x00database\\x00postgres\\x00\\x00Q\\x00\\x00\\x00\\x0dSELECT 1\\x00"
    );
}
