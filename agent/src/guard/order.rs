use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::identity::ProcessIdentity;

/// The word by which a program is asked to be a guard, its first argument.
pub(crate) const WORD: &str = "guard";
const OPTION: &str = "--for";

/// What a guard is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The worker whose faults it keeps.
    pub worker: ProcessIdentity,
    /// The state folder, absolute.
    pub state: PathBuf,
}

impl Order {
    /// The arguments behind the word `guard`.
    pub(super) fn arguments(&self) -> [OsString; 4] {
        [
            OPTION.into(),
            self.worker.pid.to_string().into(),
            self.worker.start_time.to_string().into(),
            self.state.clone().into(),
        ]
    }

    /// The order in a program's arguments (without its own name), if that is what they are.
    pub fn read(arguments: &[OsString]) -> Option<Self> {
        let [word, option, pid, start_time, state] = arguments else { return None };
        let is_order = word.as_os_str() == OsStr::new(WORD) && option.as_os_str() == OsStr::new(OPTION);
        let number = |text: &OsStr| text.to_str().and_then(|text| text.parse::<u64>().ok());
        is_order.then_some(())?;
        Some(Self {
            worker: ProcessIdentity { pid: i32::try_from(number(pid)?).ok()?, start_time: number(start_time)? },
            state: state.into(),
        })
    }
}

/// Is the guard to its end, if this process was started as one. The first thing that `main` does: before arguments are
/// parsed or threads exist, so that the guard stays small.
pub fn enter_if_asked() -> Option<super::GuardReport> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let order = Order::read(&arguments)?;
    Some(super::guard(&order, &crate::kernel::HostKernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_back_and_other_arguments_are_none() {
        let order = Order { worker: ProcessIdentity { pid: 7, start_time: 99 }, state: "/s p".into() };
        let mut arguments = vec![OsString::from(WORD)];
        arguments.extend(order.arguments());
        assert_eq!(Order::read(&arguments), Some(order));
        assert_eq!(Order::read(&arguments[..4]), None);
        arguments[0] = "run".into();
        assert_eq!(Order::read(&arguments), None);
    }
}
