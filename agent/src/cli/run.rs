use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use faultline_agent::identity::{ProcessIdentity, boot_id};
use faultline_agent::node::Node;
use faultline_agent::session::dial::TlsDial;
use faultline_agent::session::{
    Address, AgentOptions, Dial, Ended, Enrolled, Greeting, HostClock, KnownControllers, NodeHost, Notifier, discover,
    enrolled, run as run_agent,
};
use faultline_agent::state::StateFolder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Failure, Global, PRECONDITION, STUCK, config, labels, output};

/// Threads that may wait for the kernel: as many as requests may be under way, most of which wait for nothing.
const BLOCKING_THREADS: usize = 32;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The port for agents of each controller of the fleet: this host has a session with every one of them, and with
    /// those of which they tell it [default: that of the controller at which this host was enrolled]
    #[arg(long, value_name = "URL", num_args = 1.., value_delimiter = ',')]
    controller: Vec<String>,
    /// Labels by which this host is chosen as a target
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_delimiter = ',', value_parser = labels::parse)]
    labels: Vec<(String, String)>,
    /// The configuration, whose keys are these flags [default: /etc/faultline/agent.yaml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(global: &Global, arguments: Arguments) -> Result<ExitCode, Failure> {
    let config = config::load(arguments.config.as_deref())?;
    labels::check_all(&config.labels)?;
    let state = match (&global.state, &config.state) {
        (None, Some(folder)) => StateFolder::resolve(Some(folder)),
        (named, _) => StateFolder::resolve(named.as_deref()),
    };
    let state = state.map_err(|error| Failure { hint: Some(error.hint.clone()), ..Failure::of(&error) })?;
    log();
    let seed = RandomState::new().hash_one(std::process::id());
    let enrolled = Enrolled::load(&enrolled::folder(&state), seed)
        .map_err(|error| Failure { hint: Some(error.hint.clone()), ..Failure::of(&error) })?;
    let enrolled = enrolled.ok_or_else(|| Failure {
        message: "this host is not enrolled".into(),
        hint: Some(
            "make a token at the controller, and run `faultline-agent enrol --controller URL --token TOKEN`".into(),
        ),
    })?;
    let credentials = enrolled.credentials();
    let given = Some(arguments.controller).filter(|given| !given.is_empty());
    let given = given.or(config.controller.map(config::Controllers::all));
    let addresses = given.unwrap_or_else(|| vec![credentials.controller().address.clone()]);
    let addresses: Vec<Address> = addresses
        .iter()
        .map(|address| address.parse())
        .collect::<Result<_, _>>()
        .map_err(|error: faultline_agent::session::AddressError| Failure::of(&error))?;
    if addresses.is_empty() {
        return Err(Failure {
            message: "no controller is named".into(),
            hint: Some("leave `controller` out, or name at least one".into()),
        });
    }
    let mut given: BTreeMap<String, String> = config.labels;
    given.extend(arguments.labels);
    let greeting = greeting(credentials.identity().name.as_str(), given)?;
    // Before the runtime: the guard is a child of this thread, which lives as long as the process.
    let node = Node::open(&state).map_err(|error| Failure { hint: error.hint(), ..Failure::of(&error) })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(2))
        .build()
        .map_err(|error| Failure::of(&error))?;
    let dial =
        |address: Address| -> Arc<dyn Dial> { Arc::new(TlsDial::new(address.host, address.port, enrolled.clone())) };
    let options = AgentOptions {
        host: Arc::new(NodeHost::new(Arc::new(node))),
        dials: addresses.into_iter().map(dial).collect(),
        directory: Some(Arc::new(KnownControllers::in_folder(&enrolled::folder(&state), enrolled.clone()))),
        clock: HostClock,
        greeting,
        seed,
        notifier: Notifier::of_environment(),
        renewal: Some(Arc::new(enrolled)),
    };
    let ended = runtime.block_on(until_told_to_stop(options))?;
    Ok(report(&ended))
}

/// Who this host is, and what it found out about itself.
fn greeting(name: &str, labels: BTreeMap<String, String>) -> Result<Greeting, Failure> {
    let own = |error: std::io::Error| Failure { message: format!("cannot read /proc: {error}"), hint: None };
    let ticks = ProcessIdentity::own().map_err(own)?.start_time;
    Ok(Greeting {
        name: name.to_owned(),
        program: env!("CARGO_PKG_VERSION").into(),
        labels,
        discovered: discover::labels(),
        boot_id: boot_id().map_err(own)?,
        // In clock ticks since boot, a hundred a second (proc_pid_stat(5), sysconf(3)); it orders processes, no more.
        process_began: ticks.saturating_mul(10_000_000),
    })
}

async fn until_told_to_stop(options: AgentOptions<HostClock>) -> Result<Ended, Failure> {
    let (stop, stopped) = watch::channel(None);
    for (kind, name) in
        [(SignalKind::terminate(), "SIGTERM"), (SignalKind::interrupt(), "SIGINT"), (SignalKind::hangup(), "SIGHUP")]
    {
        let mut signals = signal(kind).map_err(|error| Failure::of(&error))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.send_replace(Some(name.to_owned()));
            }
        });
    }
    Ok(run_agent(options, stopped).await)
}

fn report(ended: &Ended) -> ExitCode {
    output::tell(&format!("ended: {}", ended.reason));
    if ended.status.is_clean() {
        // A service manager starts it again, with a new guard.
        return if ended.guard_lost { ExitCode::from(PRECONDITION) } else { ExitCode::SUCCESS };
    }
    for fault in &ended.status.stuck {
        output::tell(&format!("stuck: {} {}", fault.id, fault.fault));
        fault.by_hand.iter().for_each(|command| output::tell(&format!("  by hand: {command}")));
    }
    for fault in &ended.status.active {
        output::tell(&format!("still in place: {} {}", fault.id, fault.fault));
    }
    ExitCode::from(STUCK)
}

/// Tells what happens on standard error, in lines; the journal of systemd knows the time itself.
fn log() {
    let lines = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO);
    // Nothing is lost if there is a subscriber already.
    let _ =
        if std::env::var_os("JOURNAL_STREAM").is_some() { lines.without_time().try_init() } else { lines.try_init() };
}
