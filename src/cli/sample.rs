//! `faultline sample`: the sample service, as one command or as its two processes.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use faultline_agent::units::TimeSpan;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::flags::Global;
use crate::sample::checkout::CheckoutOptions;
use crate::sample::{backend, front};
use crate::services::this_program;

/// A small service to try faults on: a front end whose /checkout asks a backend.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Front end and backend together; both end when one does
    Shop {
        #[command(flatten)]
        listen: Listen<8080>,
        /// The backend's port
        #[arg(long, default_value_t = 8081)]
        backend_port: u16,
        #[command(flatten)]
        work: Work,
        #[command(flatten)]
        checkout: Checkout,
    },
    /// The front end: /checkout, /healthz, /metrics
    Front {
        #[command(flatten)]
        listen: Listen<8080>,
        /// Host and port of the backend
        #[arg(long, default_value = "127.0.0.1:8081")]
        backend: String,
        #[command(flatten)]
        checkout: Checkout,
    },
    /// The backend: /price, /healthz
    Backend {
        #[command(flatten)]
        listen: Listen<8081>,
        #[command(flatten)]
        work: Work,
        /// The process with which it ends
        #[arg(long, hide = true)]
        dies_with: Option<i32>,
    },
}

#[derive(Debug, Args)]
struct Listen<const PORT: u16> {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    address: IpAddr,
    /// The port to listen on
    #[arg(long, default_value_t = PORT)]
    port: u16,
}

#[derive(Debug, Args)]
struct Work {
    /// How long the backend works for a price
    #[arg(long, default_value = "5ms")]
    work: TimeSpan,
}

#[derive(Debug, Args)]
struct Checkout {
    /// How long the front end waits for the backend, each attempt by itself
    #[arg(long, default_value = "1s")]
    timeout: TimeSpan,
    /// How many more attempts follow a failed one
    #[arg(long, default_value_t = 0)]
    retries: u32,
    /// Answer 200 with a degraded body when the backend does not
    #[arg(long)]
    fallback: bool,
    /// Keep connections to the backend instead of opening one for each attempt
    #[arg(long)]
    keep_alive: bool,
}

impl<const PORT: u16> Listen<PORT> {
    async fn bind(&self) -> anyhow::Result<TcpListener> {
        let address = SocketAddr::new(self.address, self.port);
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
    }
}

impl Checkout {
    fn options(&self, backend: String) -> CheckoutOptions {
        CheckoutOptions {
            backend,
            timeout: self.timeout.duration(),
            retries: self.retries,
            fallback: self.fallback,
            keep_alive: self.keep_alive,
        }
    }
}

/// Runs the part that was asked for until SIGTERM or SIGINT.
///
/// # Errors
/// If its port is taken, or the backend of a whole shop ends by itself.
pub fn run(arguments: Arguments, _: &Global) -> anyhow::Result<ExitCode> {
    // One thread: the signal of a dying parent is bound to the thread that made the child.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.part {
            Part::Shop { listen, backend_port, work, checkout } => shop(&listen, backend_port, &work, &checkout).await,
            Part::Front { listen, backend, checkout } => {
                let stop = stopped_by_signal()?;
                front::run(listen.bind().await?, checkout.options(backend), stop).await;
                Ok(ExitCode::SUCCESS)
            }
            Part::Backend { listen, work, dies_with } => {
                let stop = stopped_by_signal()?;
                if let Some(parent) = dies_with {
                    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
                    if nix::unistd::getppid() != Pid::from_raw(parent) {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                backend::run(listen.bind().await?, work.work.duration(), stop).await;
                Ok(ExitCode::SUCCESS)
            }
        }
    })
}

async fn shop(listen: &Listen<8080>, backend_port: u16, work: &Work, checkout: &Checkout) -> anyhow::Result<ExitCode> {
    let stop = stopped_by_signal()?;
    let listener = listen.bind().await?;
    let backend = SocketAddr::new(listen.address, backend_port);
    let mut child = tokio::process::Command::new(this_program())
        .args(["sample", "backend", "--address", &listen.address.to_string()])
        .args(["--port", &backend_port.to_string(), "--work", &work.work.to_string()])
        .args(["--dies-with", &std::process::id().to_string()])
        .kill_on_drop(true)
        .spawn()
        .context("cannot start the backend")?;
    // The front end answers only once there is somebody to ask, so that its first checkout is as good as any.
    let backend_is_up = async {
        while TcpStream::connect(backend).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let serving = async {
        tokio::select! {
            () = backend_is_up => front::run(listener, checkout.options(backend.to_string()), stop.clone()).await,
            () = stop.cancelled() => {}
        }
    };
    tokio::select! {
        status = child.wait() => bail!("the backend ended by itself: {}", status?),
        () = serving => {}
    }
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
        child.wait().await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Cancelled by the first SIGTERM or SIGINT.
fn stopped_by_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    Ok(stop)
}
