//! `faultline gate` from end to end with the sample shop, and the ready CI files of `integrations/` by their own commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a test that cannot go on fails")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use common::fleet::{Fleet, is_paused, service, told, victim};
use common::{Lab, injected, shop};
use faultline::run::journal::{Entry, Event};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A document with labels, of which front end and backend are told apart by what the front end does without its backend.
fn document(name: &str, labels: &str, front: &str, rest: &str) -> String {
    format!(
        "apiVersion: faultline.dev/v1\nkind: Experiment\nmetadata: {{ name: {name}, labels: {{ {labels} }} }}\n\
         spec:\n  hypothesis: It holds.\n  seed: 7\n{}{rest}\n",
        // On a loaded host a backend that is well may take long, and without a fallback that is an error.
        shop(front, "").replace("--timeout, 150ms", "--timeout, 400ms")
    )
}

/// Some seconds with the path to the backend cut: with a fallback the shop holds, without one it does not.
fn cut(for_seconds: u32) -> String {
    format!(
        r#"
  signals:
    checkout: {{ http: {{ url: "http://127.0.0.1:8080/checkout", rate: 100/s, timeout: 1s }} }}
  steadyState:
    - {{ signal: checkout, errors: {{ below: 40% }} }}
    - {{ signal: checkout, latency: {{ quantile: 0.5, below: 900ms }} }}
  method:
    - observe: 2s
    - inject: {{ fault: {{ network-partition: {{ peers: {{ ports: [8081], protocol: tcp }} }} }}, for: {for_seconds}s }}
  recovery: {{ within: 30s }}
"#
    )
}

/// Folders of documents for each case.
struct Chaos {
    lab: Lab,
}

impl Chaos {
    fn new() -> Self {
        let chaos = Self { lab: Lab::new() };
        for folder in ["chaos/nested", "wrong", "empty"] {
            std::fs::create_dir_all(chaos.path(folder)).unwrap();
        }
        let write = |name: &str, text: String| {
            chaos.lab.write(name, &text);
        };
        write("chaos/a-holds.yaml", document("holds", "team: payments, tier: \"1\"", ", --fallback", &cut(2)));
        write("chaos/nested/violated.yaml", document("violated", "team: search", "", &cut(2)));
        let label = "team: payments, faultline.dev/quarantine: \"until 2099-12-31, no fallback yet\"";
        write("chaos/quarantined.yaml", document("quarantined", label, "", &cut(2)));
        write("long.yaml", document("long", "team: payments", ", --fallback", &cut(600)));
        write("wrong/a.yaml", document("a", "", "", &cut(2)).replace("below: 40%", "bellow: 40%"));
        write("wrong/b.yaml", document("b", "", "", &cut(2)).replace("rate: 100/s", "rate: often"));
        chaos
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lab.path().join(name)
    }

    fn gate(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["gate"];
        all.extend(arguments);
        self.lab.faultline(&all).current_dir(self.lab.path()).output().unwrap()
    }

    #[track_caller]
    fn expect(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.gate(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\nstdout:\n{out}\nstderr:\n{err}");
        (out, err)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The journals of all runs.
    fn journals(&self) -> Vec<Vec<Entry>> {
        let runs = std::fs::read_dir(self.lab.state().join("runs")).into_iter().flatten();
        runs.map(|run| {
            let text = std::fs::read_to_string(run.unwrap().path().join("journal.jsonl")).unwrap_or_default();
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        })
        .collect()
    }

    /// Everything that was injected was undone, and nothing is left.
    #[track_caller]
    fn assert_clean(&self) {
        for entries in self.journals() {
            let injected = entries.iter().filter(|entry| matches!(entry.event, Event::Injected { .. })).count();
            let undone =
                entries.iter().filter(|entry| matches!(entry.event, Event::Undone { verified: true, .. })).count();
            assert_eq!(injected, undone);
        }
        self.lab.assert_nothing_left();
    }
}

fn standings(result: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = result["experiments"].as_array().unwrap();
    all.iter().map(|one| (text(&one["experiment"]), text(&one["standing"]))).collect()
}

/// One that holds, one that is violated, one in quarantine, beside one another, in every format; then the one that holds
/// again, beside its baseline.
#[test]
fn a_directory_in_every_format_and_beside_its_baseline() {
    let chaos = Chaos::new();
    let (out, err) = chaos.expect(
        1,
        &[
            "chaos",
            "--parallel",
            "3",
            "--within",
            "5m",
            "--json",
            "--junit",
            "gate.xml",
            "--markdown",
            "gate.md",
            "--annotations",
            "github",
            "--baseline",
            "baseline.json",
            "--update-baseline",
        ],
    );
    let result: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}\n{out}\n{err}"));
    let pairs = standings(&result);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, standing)| (&**name, &**standing)).collect();
    assert_eq!(pairs, [("holds", "passed"), ("violated", "failed"), ("quarantined", "quarantined")], "{out}");
    assert_eq!(result["exitCode"], 1);
    // They ran beside one another: all had begun before the first one ended.
    let moments = |entries: &[Entry]| match &entries[0].event {
        Event::Started(started) => {
            let began: jiff::Timestamp = started.time.parse().unwrap();
            let lasted = jiff::SignedDuration::from_secs_f64(entries[entries.len() - 1].at);
            (began, began + lasted)
        }
        other => panic!("{other:?}"),
    };
    let times: Vec<_> = chaos.journals().iter().map(|entries| moments(entries)).collect();
    assert!(times.iter().map(|time| time.0).max().unwrap() < times.iter().map(|time| time.1).min().unwrap());

    let junit = chaos.read("gate.xml");
    assert!(junit.contains("<testsuite name=\"violated\"") && junit.contains("<failure"), "{junit}");
    assert!(junit.contains("QUARANTINED, does not count"), "{junit}");
    let markdown = chaos.read("gate.md");
    assert!(markdown.contains("## ❌ Chaos gate failed") && markdown.contains("| ⚠️ | quarantined |"), "{markdown}");
    // The objective that was violated, at its own line of the file.
    let line = chaos.read("chaos/nested/violated.yaml").lines().position(|line| line.contains("errors:")).unwrap() + 1;
    assert!(
        err.contains(&format!("::error file=chaos/nested/violated.yaml,line={line},title=violated%3A FAILED")),
        "{err}"
    );
    assert!(err.contains("::warning file=chaos/quarantined.yaml,line=3,"), "{err}");
    chaos.assert_clean();

    // Three more runs than there are, as if main had been run more often: the first one's numbers, a little apart.
    let mut baseline: Value = serde_json::from_str(&chaos.read("baseline.json")).unwrap();
    let runs = baseline["baselines"]["main"]["holds"].as_array_mut().unwrap();
    assert_eq!(runs.len(), 1);
    for by in [0.0, 0.01, 0.02] {
        let mut run = runs[0].clone();
        for objective in run["objectives"].as_object_mut().unwrap().values_mut() {
            // Far faster than the shop can be while it waits 150 ms for its backend.
            objective["measured"] = Value::from(1.0 + by);
        }
        runs.push(run);
    }
    runs.remove(0);
    let last = runs[0].clone();
    runs.push(last);
    chaos.lab.write("baseline.json", &baseline.to_string());
    let worse = ["chaos/a-holds.yaml", "--baseline", "baseline.json", "--fail-if-worse", "20%"];
    let (out, _) = chaos.expect(1, &worse);
    assert!(out.contains("baseline: checkout: p50 latency below 900ms: worse: "), "{out}");
    chaos.assert_clean();
}

/// The front end has no fallback when it is started for the first time, and has one from then on.
#[test]
fn a_pass_after_a_retry_is_flaky() {
    let chaos = Chaos::new();
    let (program, mark) = (env!("CARGO_BIN_EXE_faultline"), chaos.path("started-before"));
    let front = format!("exec {program} sample front --port 8080 --backend 127.0.0.1:8081 --timeout 400ms");
    let mark = mark.display();
    let script = format!("if [ -e {mark} ]; then {front} --fallback; else touch {mark}; {front}; fi");
    let text = document("flaky", "", "", &cut(2));
    let from = text.find("run: [faultline, sample, front").unwrap();
    let end = from + text[from..].find('\n').unwrap();
    let text = format!("{}run: [sh, -c, {script:?}]{}", &text[..from], &text[end..]);
    chaos.lab.write("flaky.yaml", &text);
    let (out, _) = chaos.expect(0, &["flaky.yaml", "--retry", "2", "--json", "--junit", "gate.xml"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(standings(&result), [("flaky".to_owned(), "flaky".to_owned())], "{out}");
    let attempts = result["experiments"][0]["attempts"].as_array().unwrap();
    let verdicts: Vec<&str> = attempts.iter().map(|attempt| attempt["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["violated", "held"]);
    assert!(chaos.read("gate.xml").contains("<flakyFailure"), "{}", chaos.read("gate.xml"));
    chaos.assert_clean();
}

/// What is refused before anything is touched, and which exit code that has.
#[test]
fn what_is_wrong_is_refused_before_anything_is_touched() {
    let chaos = Chaos::new();
    let refusals: [(&[&str], &str); 8] = [
        (&["wrong"], "nothing was started: 2 of 2 files are not usable"),
        (&["chaos", "wrong/a.yaml"], "nothing was started: 1 of 4 files are not usable"),
        (&["empty"], "there is no document in empty"),
        (&["nowhere"], "cannot look into nowhere"),
        (&["chaos", "--select", "team=nobody"], "none of the 3 experiments of chaos has labels"),
        (&["chaos", "--within", "10s"], "the experiments take at least 12s, and the time box is 10s"),
        (&["long.yaml", "--within", "5m"], "the experiments take at least 10m 2s, and the time box is 5m"),
        (&["chaos", "--baseline", "long.yaml"], "cannot read the baseline long.yaml"),
    ];
    for (arguments, told) in refusals {
        let (_, err) = chaos.expect(2, arguments);
        assert!(err.contains(told), "{arguments:?}: {err}");
    }
    let (_, err) = chaos.expect(0, &["chaos", "--select", "team=payments", "--select", "tier in (1, 2)", "--dry-run"]);
    assert!(err.contains("gate: 1 experiments take at least 4s") && err.contains("holds  4s"), "{err}");
    assert!(chaos.journals().is_empty(), "a run was made");

    let mut sarif = chaos.lab.faultline(&["check", "wrong/a.yaml", "wrong/b.yaml", "--format", "sarif"]);
    let output = sarif.current_dir(chaos.lab.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap();
    let place = |result: &Value| {
        let place = &result["locations"][0]["physicalLocation"];
        let line = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
        (place["artifactLocation"]["uri"].as_str().unwrap().to_owned(), line)
    };
    for (file, word) in [("wrong/a.yaml", "bellow"), ("wrong/b.yaml", "often")] {
        let line = chaos.read(file).lines().position(|line| line.contains(word)).unwrap() + 1;
        assert!(results.iter().any(|result| place(result) == (file.to_owned(), line)), "{log:#}");
    }
}

/// Of 12 s, 3 s are kept for cleaning up. One run needs 8.9 s beside the start of its services, so that the end of the box meets
/// it under its fault; beside it two of 4.4 s, of which the second finds too little time left after the first one's services.
#[test]
fn the_end_of_the_time_box_undoes_what_runs_and_names_what_did_not() {
    let chaos = Chaos::new();
    std::fs::create_dir(chaos.path("box")).unwrap();
    for (name, lasts) in [("a-cut", "6900ms"), ("b-fits", "2400ms"), ("c-late", "2400ms")] {
        let text = document(name, "", ", --fallback", &cut(2).replace("for: 2s", &format!("for: {lasts}")));
        chaos.lab.write(&format!("box/{name}.yaml"), &text);
    }
    let (out, err) = chaos.expect(3, &["box", "--within", "12s", "--parallel", "2", "--json"]);
    assert!(err.contains("not all of it is certain to fit"), "{err}");
    let result: Value = serde_json::from_str(&out).unwrap();
    let pairs = standings(&result);
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, standing)| (&**name, &**standing)).collect();
    assert_eq!((pairs[0], pairs[2]), (("a-cut", "failed"), ("c-late", "not-run")), "{out}");
    assert_eq!(result["experiments"][0]["verdict"], "aborted", "{out}");
    assert_eq!(result["experiments"][0]["because"], "the time box of the gate ended", "{out}");
    chaos.assert_clean();
}

/// Ctrl-C while two runs act: both are undone, the third does not run, and the code is 130.
#[test]
fn an_interruption_undoes_everything_and_ends_with_130() {
    let chaos = Chaos::new();
    std::fs::create_dir(chaos.path("many")).unwrap();
    for name in ["one", "two", "three"] {
        chaos.lab.write(&format!("many/{name}.yaml"), &document(name, "", ", --fallback", &cut(600)));
    }
    let mut gate = chaos.lab.faultline(&["gate", "many", "--parallel", "2", "--json"]);
    let gate = gate.current_dir(chaos.lab.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    chaos.lab.wait_until("two injections", || chaos.journals().iter().filter(|run| injected(run)).count() == 2);
    kill(Pid::from_raw(gate.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let output = gate.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut verdicts: Vec<String> =
        result["experiments"].as_array().unwrap().iter().map(|one| one["verdict"].to_string()).collect();
    verdicts.sort();
    assert_eq!(verdicts, ["\"interrupted\"", "\"interrupted\"", "null"]);
    assert_eq!(result["interrupted"], "SIGINT (Ctrl-C)");
    chaos.assert_clean();
}

/// A file of `integrations/`.
fn integration(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations").join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&integration(name)).unwrap()
}

/// A checkout with documents, in which the scripts of CI systems run as those run them.
struct Checkout {
    chaos: Chaos,
}

impl Checkout {
    /// With one document that holds.
    fn new() -> Self {
        let chaos = Chaos::new();
        std::fs::remove_dir_all(chaos.path("chaos")).unwrap();
        std::fs::create_dir(chaos.path("chaos")).unwrap();
        chaos.lab.write("chaos/holds.yaml", &document("holds", "", ", --fallback", &cut(2)));
        Self { chaos }
    }

    /// With `faultline` on the PATH, and no program that could install it.
    fn script(&self, shell: &[&str], script: &str, variables: &[(&str, &str)]) -> i32 {
        let programs = Path::new(env!("CARGO_BIN_EXE_faultline")).parent().unwrap();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display());
        let mut command = std::process::Command::new(shell[0]);
        command.args(&shell[1..]).arg(script).current_dir(self.chaos.lab.path()).stdin(Stdio::null());
        command.env("PATH", path).env("FAULTLINE_STATE", self.chaos.lab.state()).env("CHAOS", "chaos");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        output.status.code().unwrap()
    }

    #[track_caller]
    fn assert_reports(&self, files: &[&str]) {
        for file in files {
            assert!(self.chaos.path(file).exists(), "{file} is missing");
        }
        self.chaos.assert_clean();
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

fn github_actions() {
    let workflow = yaml("github-actions/chaos-gate.yml");
    assert_eq!(text(&workflow, "/jobs/gate/env/CHAOS"), "chaos");
    let checkout = Checkout::new();
    let summary = checkout.chaos.path("summary.md");
    std::fs::write(&summary, "before\n").unwrap();
    let variables = [("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()), ("GITHUB_REF", "refs/heads/main")];
    let steps = workflow.pointer("/jobs/gate/steps").and_then(Value::as_array).unwrap();
    let scripts: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(scripts.len(), 3);
    for script in scripts {
        // As the runner does with `shell: bash`.
        assert_eq!(checkout.script(&["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"], script, &variables), 0);
    }
    checkout.assert_reports(&["chaos.sarif", "chaos.xml", "runs", "baseline.json"]);
    // What another step of the job wrote is still there.
    let summary = checkout.chaos.read("summary.md");
    assert!(summary.starts_with("before\n## ✅ Chaos gate passed"), "{summary}");
}

fn gitlab_ci() {
    let job = &yaml("gitlab-ci/chaos-gate.gitlab-ci.yml")["chaos-gate"];
    let checkout = Checkout::new();
    let lines = |key: &str| job[key].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    let script: Vec<String> = lines("before_script").chain(lines("script")).collect();
    let variables = [("CI_COMMIT_BRANCH", "topic"), ("CI_DEFAULT_BRANCH", "main")];
    assert_eq!(checkout.script(&["bash", "-eo", "pipefail", "-c"], &script.join("\n"), &variables), 0);
    checkout.assert_reports(&[text(job, "/artifacts/reports/junit"), "chaos.md", "runs"]);
    assert!(!checkout.chaos.path("baseline.json").exists(), "a topic branch does not change the baseline");
}

fn jenkins() {
    let file = integration("jenkins/Jenkinsfile");
    let scripts: Vec<&str> = file.split("sh \'\'\'").skip(1).map(|rest| rest.split("\'\'\'").next().unwrap()).collect();
    assert_eq!(scripts.len(), 2);
    let checkout = Checkout::new();
    for script in scripts {
        assert_eq!(checkout.script(&["sh", "-xec"], script, &[]), 0);
    }
    let junit = file.split("junit \'").nth(1).unwrap().split('\'').next().unwrap();
    checkout.assert_reports(&[junit, "chaos.md", "runs"]);
}

/// Each CI system's own commands, in a checkout of its own.
#[test]
fn ci_files_run_in_the_job() {
    std::thread::scope(|scope| {
        let all = [scope.spawn(github_actions), scope.spawn(gitlab_ci), scope.spawn(jenkins)];
        for one in all {
            one.join().unwrap();
        }
    });
}

/// Argo's templates speak to a controller: their containers' commands, with the parameters put in as Argo does, and variables as
/// the kubelet does, against a real controller with one host.
#[test]
fn argo_templates_run_over_a_controller() {
    let Some(fleet) = Fleet::new() else { return };
    let _host = fleet.host("db-1");
    let victim = victim();
    let (port, folder) = (service(), fleet.path("documents"));
    std::fs::create_dir(&folder).unwrap();
    let document = fleet.experiment(victim.0.id(), "3s", port);
    std::fs::rename(document, folder.join("pause.yaml")).unwrap();
    let run = |container: &Value, parameters: &Value, prefix: &str| {
        let list = |key: &str| container[key].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned());
        let mut words: Vec<String> = list("command").chain(list("args")).collect();
        for parameter in parameters.as_array().unwrap() {
            let (name, mut value) =
                (parameter["name"].as_str().unwrap(), parameter["value"].as_str().unwrap().to_owned());
            if name == "controller" {
                value = fleet.url();
            }
            words.iter_mut().for_each(|word| *word = word.replace(&format!("{{{{{prefix}.{name}}}}}"), &value));
        }
        let reports = fleet.path("reports");
        std::fs::create_dir_all(&reports).unwrap();
        for word in &mut words {
            // In this order: what takes the place of the second may itself lie in /tmp.
            *word = word.replace("/tmp/", &format!("{}/", reports.display()));
            *word = word.replace("$(CHAOS)", folder.to_str().unwrap());
            assert!(!word.contains("{{") && !word.contains("$("), "{word} is left");
        }
        assert_eq!(words[0], "faultline");
        let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        // The client adds the controller's address again; the last one would win, so it is taken out here.
        let place = arguments.iter().position(|word| *word == "--controller").unwrap();
        let arguments = [&arguments[..place], &arguments[place + 2..]].concat();
        let output = fleet.client(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", told(&output));
        assert!(told(&output).contains("GATE PASSED"), "{}", told(&output));
        reports
    };
    let rollouts = yaml("argo-rollouts/analysis-template.yaml");
    let container = rollouts.pointer("/spec/metrics/0/provider/job/spec/template/spec/containers/0").unwrap();
    run(container, &rollouts["spec"]["args"], "args");
    let workflow = yaml("argo-workflows/workflow-template.yaml");
    let template = &workflow["spec"]["templates"][0];
    let reports = run(&template["container"], &template["inputs"]["parameters"], "inputs.parameters");
    for artifact in template.pointer("/outputs/artifacts").and_then(Value::as_array).unwrap() {
        let name = Path::new(artifact["path"].as_str().unwrap()).file_name().unwrap();
        assert!(reports.join(name).exists(), "{}", name.display());
    }
    // The controller keeps its baseline, for all gates on its fleet.
    let kept = ["gate", folder.to_str().unwrap(), "--baseline-name", "feature/x", "--update-baseline"];
    let output = fleet.client(&kept).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let expected = format!("Baseline feature/x of {}; these runs were added to it", fleet.url());
    assert!(told(&output).contains(&expected), "{}", told(&output));
    let audited = fleet.client(&["audit", "list", "--action", "keep-baseline"]).output().unwrap();
    assert!(told(&audited).contains("baseline/feature/x") && told(&audited).contains("done"), "{}", told(&audited));
    // Ended over the controller: cut by the time box, undone by the agent.
    let document = fleet.experiment(victim.0.id(), "20s", port);
    let text = std::fs::read_to_string(&document)
        .unwrap()
        .replace("observe: 3s }\n    - inject", "observe: 2s }\n    - inject");
    std::fs::write(&document, text).unwrap();
    let mut gate = fleet.client(&["gate", document.to_str().unwrap(), "--json"]);
    let gate = gate.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    fleet.wait_for("the fault", || is_paused(&victim));
    kill(Pid::from_raw(gate.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = gate.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert!(!is_paused(&victim));
}
