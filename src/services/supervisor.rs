//! Keeping one service as its document says: start it, wait until it is up, start it again when it ends.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::instance::{Handle, Instance, Spawner, TakenDown};
use super::keeper::Order;
use super::{ServiceError, ServiceEvent, output, ready};
use crate::experiment::document::Service;

/// How often a service that starts is looked at.
const LOOKS: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(25), Duration::from_millis(50)];

/// All that is needed to keep one service.
pub(super) struct Supervisor {
    pub(super) name: String,
    pub(super) service: Service,
    pub(super) order: Order,
    pub(super) program: PathBuf,
    pub(super) log: PathBuf,
    pub(super) spawner: Spawner,
    pub(super) events: UnboundedSender<ServiceEvent>,
    pub(super) handle: Arc<Mutex<Handle>>,
    pub(super) stop: CancellationToken,
}

impl Supervisor {
    /// Keeps it until `stop`; says by `up` whether the first start succeeded.
    pub(super) async fn keep(self, up: oneshot::Sender<Result<(), ServiceError>>) -> TakenDown {
        let mut up = Some(up);
        let deadline = Instant::now() + self.bound();
        loop {
            let began = Instant::now();
            let mut instance = match self.launch().await {
                Ok(instance) => instance,
                Err(error) => return self.give_up(error, up.take()),
            };
            // A service that starts again may take as long as a fault keeps it from being up.
            let bound = up.is_some().then_some(deadline);
            let ended = match self.start(&mut instance, bound).await {
                Ok(Start::Up) => {
                    self.say(format!("up after {} ms", began.elapsed().as_millis()));
                    if let Some(up) = up.take() {
                        let _ = up.send(Ok(()));
                    }
                    tokio::select! {
                        how = instance.ended() => how,
                        () = self.stop.cancelled() => return self.take_down(instance).await,
                    }
                }
                Ok(Start::Stopped) => return self.take_down(instance).await,
                Ok(Start::Ended(how)) => how,
                Err(missing) => {
                    let within = self.bound();
                    let taken = self.take_down(instance).await;
                    let error = ServiceError::NotUp {
                        name: self.name.clone(),
                        within: within.into(),
                        missing,
                        output: self.tail(),
                    };
                    self.give_up(error, up.take());
                    return taken;
                }
            };
            self.set(Handle::default());
            instance.bury().await;
            let Some(restart) = self.service.restart.filter(|_| up.is_none() || Instant::now() < deadline) else {
                self.say(how_it_ended(&ended, &self.tail(), up.is_none()));
                if let Some(up) = up.take() {
                    let error = ServiceError::Ended { name: self.name.clone(), how: ended, output: self.tail() };
                    let _ = up.send(Err(error));
                }
                return TakenDown::default();
            };
            self.say(format!("{ended}; starts again in {}", restart.after));
            tokio::select! {
                () = tokio::time::sleep(restart.after.duration()) => {}
                () = self.stop.cancelled() => return TakenDown::default(),
            }
        }
    }

    async fn launch(&self) -> Result<Instance, ServiceError> {
        let failed = |source| ServiceError::Start { name: self.name.clone(), source };
        let log: File = OpenOptions::new().append(true).open(&self.log).map_err(failed)?;
        Instance::launch(&self.spawner, &self.program, &self.order, log).await.map_err(failed)
    }

    /// Waits until it is up. The error says what was missing when its time was over.
    async fn start(&self, instance: &mut Instance, deadline: Option<Instant>) -> Result<Start, String> {
        tokio::select! {
            started = instance.started() => if let Err(how) = started { return Ok(Start::Ended(how)) },
            () = self.stop.cancelled() => return Ok(Start::Stopped),
        }
        self.set(instance.handle());
        if let Some(because) = instance.weakly_held() {
            self.say(format!("held by a subreaper only: {because}"));
        }
        let Some(ready) = &self.service.ready else { return Ok(Start::Up) };
        let looking = async {
            let mut waits = LOOKS.into_iter();
            loop {
                let look = ready::look(ready, &self.order.environment, &self.order.directory).await;
                match look {
                    Ok(()) => return Ok(()),
                    Err(missing) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Err(missing),
                    Err(_) => tokio::time::sleep(waits.next().unwrap_or(Duration::from_millis(100))).await,
                }
            }
        };
        tokio::select! {
            looked = looking => looked.map(|()| Start::Up),
            how = instance.ended() => Ok(Start::Ended(how)),
            () = self.stop.cancelled() => Ok(Start::Stopped),
        }
    }

    async fn take_down(&self, instance: Instance) -> TakenDown {
        let taken = instance.take_down().await;
        self.set(Handle::default());
        self.say(match (&taken.left[..], taken.killed) {
            ([], false) => "taken down".into(),
            ([], true) => "killed, since it did not end within 5s of SIGTERM".into(),
            (left, _) => {
                let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                format!("not taken down: process {} is still there", left.join(", "))
            }
        });
        taken
    }

    fn give_up(&self, error: ServiceError, up: Option<oneshot::Sender<Result<(), ServiceError>>>) -> TakenDown {
        self.set(Handle::default());
        self.say(error.to_string());
        if let Some(up) = up {
            let _ = up.send(Err(error));
        }
        TakenDown::default()
    }

    fn bound(&self) -> Duration {
        self.service.ready.as_ref().map_or(Duration::from_secs(30), |ready| ready.within.duration())
    }

    fn tail(&self) -> String {
        output::last_lines(&self.log)
    }

    fn set(&self, handle: Handle) {
        *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    fn say(&self, change: String) {
        let _ = self.events.send(ServiceEvent { name: self.name.clone(), change });
    }
}

enum Start {
    Up,
    Stopped,
    Ended(String),
}

/// While the service is first started, the error tells the rest.
fn how_it_ended(how: &str, output: &str, was_up: bool) -> String {
    match output.lines().last() {
        Some(last) if was_up => format!("{how}; its output ends with: {last}"),
        _ => how.to_owned(),
    }
}
