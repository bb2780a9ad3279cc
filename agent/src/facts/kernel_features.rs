//! What the running kernel can do, found by doing it.
//!
//! Neither a version number nor a configuration file tells what a kernel can do: modules load on demand, distributions
//! backport, containers forbid. So every feature is tried once in a network namespace that exists for the trial alone
//! and that the kernel takes down afterwards; nothing of the host is touched.

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};

use super::{Feature, KernelFeatures};
use crate::identity::NetworkNamespace;
use crate::kernel::raw_netlink::{Attributes, CREATE, NETFILTER, RawNetlink, Refusal, Request};

/// Tries everything that network faults need.
///
/// `namespace` tells where the faults will act: a namespace that cannot be opened has no feature, and says why. What
/// the kernel can do is the same in every network namespace that this process may enter.
pub fn probe(namespace: &NetworkNamespace) -> KernelFeatures {
    let release = nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned());
    let everything_missing = |why: String| {
        let missing = || Feature::Missing(why.clone());
        KernelFeatures {
            release: release.clone(),
            owner_tables: missing(),
            packet_queue: missing(),
            netem: missing(),
            cgroup_match: missing(),
        }
    };
    if let NetworkNamespace::Path { path, .. } = namespace
        && let Err(error) = std::fs::File::open(path)
    {
        return everything_missing(format!("{namespace} cannot be opened: {error}"));
    }
    let trial = std::thread::scope(|scope| {
        let trial = scope.spawn(|| -> Result<[Feature; 4], Errno> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok([owner_tables(), packet_queue(), netem(), cgroup_match()])
        });
        trial.join().unwrap_or(Err(Errno::EIO))
    });
    match trial {
        Ok([owner_tables, packet_queue, netem, cgroup_match]) => {
            KernelFeatures { release, owner_tables, packet_queue, netem, cgroup_match }
        }
        Err(Errno::EPERM) => everything_missing(
            "this user may not make a network namespace: run as root, or with `network: private`, which needs user \
             namespaces"
                .into(),
        ),
        Err(errno) => everything_missing(format!("no network namespace could be made for a trial: {}", errno.desc())),
    }
}

fn netem() -> Feature {
    judge(
        crate::kernel::netem::try_here(),
        "the netem queueing discipline, or the prio, u32 and fw that spare ARP and neighbour discovery from it",
        "modprobe -a sch_netem sch_prio cls_u32 cls_fw",
        "CONFIG_NET_SCH_NETEM, _SCH_PRIO, _CLS_U32 and _CLS_FW",
    )
}

fn owner_tables() -> Feature {
    judge(
        try_rule("faultline_trial_1", INET, None),
        "nftables with owner tables",
        "modprobe nf_tables",
        "CONFIG_NF_TABLES, Linux 5.12 or later",
    )
}

fn packet_queue() -> Feature {
    let native = try_rule("faultline_trial_2", INET, Some(queue_expression()));
    let trial = if native.is_err() { try_rule("faultline_trial_3", IPV4, Some(queue_target())) } else { native };
    judge(
        trial,
        "handing packets to a queue",
        "modprobe nft_queue",
        "CONFIG_NFT_QUEUE, or CONFIG_NETFILTER_XT_TARGET_NFQUEUE",
    )
}

fn cgroup_match() -> Feature {
    judge(
        try_rule("faultline_trial_4", INET, Some(cgroup_expression())),
        "matching packets by cgroup v2",
        "modprobe nft_socket",
        "CONFIG_NFT_SOCKET and CONFIG_SOCK_CGROUP_DATA, Linux 5.13 or later, cgroup v2 mounted",
    )
}

fn judge(trial: Result<(), Refusal>, what: &str, command: &str, option: &str) -> Feature {
    let Err(refusal) = trial else { return Feature::Present };
    Feature::Missing(if refusal.is(Errno::EPERM) || refusal.is(Errno::EACCES) {
        format!("this user may not use {what}: run as root, or give it CAP_NET_ADMIN")
    } else if [Errno::ENOENT, Errno::EOPNOTSUPP, Errno::EPROTONOSUPPORT, Errno::EINVAL].iter().any(|e| refusal.is(*e)) {
        let said = refusal.said.map_or_else(|| Errno::from_raw(refusal.code).desc().into(), |said| said.to_lowercase());
        format!("this kernel lacks {what} ({said}): `{command}`, or a kernel built with {option}")
    } else {
        format!("{what} does not work here: {refusal}")
    })
}

const NFTABLES: u16 = 10;
const INET: u8 = 1;
const IPV4: u8 = 2;
const CHAIN: &str = "trial";

/// Makes an owner table with one base chain, and one rule of one expression if one is given.
///
/// Each trial has a name of its own: a table whose socket is closed is still there, and nobody else's to change, for as
/// long as a process that another thread is just starting has the descriptor too.
fn try_rule(table: &str, family: u8, expression: Option<Attributes>) -> Result<(), Refusal> {
    const NEW_TABLE: u16 = 0;
    const NEW_CHAIN: u16 = 3;
    const NEW_RULE: u16 = 6;
    const OWNER_FLAG: u32 = 2;
    const OUTPUT_HOOK: u32 = 3;
    let family = || Attributes::behind(&[family, 0, 0, 0]);
    let request = |kind, attributes: Attributes| Request {
        kind: NFTABLES << 8 | kind,
        flags: CREATE,
        payload: attributes.into_bytes(),
    };
    let hook = Attributes::default().put(1, &OUTPUT_HOOK.to_be_bytes()).put(2, &0u32.to_be_bytes());
    let mut requests = vec![
        request(NEW_TABLE, family().put_text(1, table).put(2, &OWNER_FLAG.to_be_bytes())),
        request(NEW_CHAIN, family().put_text(1, table).put_text(3, CHAIN).put_nested(4, &hook).put_text(7, "filter")),
    ];
    if let Some(expression) = expression {
        let list = Attributes::default().put_nested(1, &expression);
        requests.push(request(NEW_RULE, family().put_text(1, table).put_text(2, CHAIN).put_nested(4, &list)));
    }
    RawNetlink::open(NETFILTER)?.transaction(NFTABLES, &requests)
}

fn expression(name: &str, data: &Attributes) -> Attributes {
    Attributes::default().put_text(1, name).put_nested(2, data)
}

/// `queue num 1 bypass`: `nft_queue.c`.
fn queue_expression() -> Attributes {
    const BYPASS: u16 = 1;
    let data =
        Attributes::default().put(1, &1u16.to_be_bytes()).put(2, &1u16.to_be_bytes()).put(3, &BYPASS.to_be_bytes());
    expression("queue", &data)
}

/// The xtables target NFQUEUE by way of `nft_compat.c`, where the kernel has no expression for it.
fn queue_target() -> Attributes {
    // struct xt_NFQ_info_v3 { queuenum, queues_total, flags }, padded to 8 bytes; flag 1 is bypass.
    let info: Vec<u8> = [1u16, 1, 1, 0].into_iter().flat_map(u16::to_ne_bytes).collect();
    let data = Attributes::default().put_text(1, "NFQUEUE").put(2, &3u32.to_be_bytes()).put(3, &info);
    expression("target", &data)
}

/// `socket cgroupv2 level 1`, loaded into register 1: `nft_socket.c`.
fn cgroup_expression() -> Attributes {
    const CGROUP_V2: u32 = 3;
    const REGISTER: u32 = 1;
    let data = Attributes::default()
        .put(1, &CGROUP_V2.to_be_bytes())
        .put(2, &REGISTER.to_be_bytes())
        .put(3, &1u32.to_be_bytes());
    expression("socket", &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_are_those_that_outside_tools_find() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let features = probe(&NetworkNamespace::Own);
        println!("{features:#?}");
        for (feature, command) in [
            (&features.netem, "tc qdisc add dev lo root netem delay 1ms"),
            (&features.owner_tables, "nft add table inet trial"),
        ] {
            let tried = std::process::Command::new("unshare").args(["-n", "sh", "-c", command]).output().unwrap();
            assert_eq!(feature.is_present(), tried.status.success(), "{command}: {tried:?} against {feature:?}");
        }
    }

    #[test]
    fn a_namespace_that_is_gone_has_no_feature() {
        let gone = NetworkNamespace::Path { path: "/run/netns/faultline-not-there".into(), inode: 1 };
        let Feature::Missing(why) = probe(&gone).netem else { panic!("there is no such namespace") };
        assert!(why.contains("/run/netns/faultline-not-there cannot be opened"), "{why}");
    }

    #[test]
    fn a_refusal_reads_as_what_to_do() {
        let missing =
            |errno: Errno| judge(Err(Refusal { code: errno as i32, said: None }), "X", "modprobe x", "CONFIG_X");
        let Feature::Missing(why) = missing(Errno::ENOENT) else { panic!() };
        insta::assert_snapshot!(why, @"this kernel lacks X (No such file or directory): `modprobe x`, or a kernel built with CONFIG_X");
        let Feature::Missing(why) = missing(Errno::EPERM) else { panic!() };
        insta::assert_snapshot!(why, @"this user may not use X: run as root, or give it CAP_NET_ADMIN");
    }
}
