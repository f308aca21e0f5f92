//! Starts pasta(1), which needs no privileges on the host: it opens ordinary sockets for the packets that
//! it reads from an interface of the namespace.

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::unistd::{Uid, fchown};

use super::addresses::{GATEWAY, GATEWAY_MAC, OUTER, UP};
use super::failures;
use crate::failure::{Context as _, Failure};
use crate::programs::{SEARCH_PATH, find_program};
use crate::sandbox::helper::root::Root;
use crate::sys::{self, StepContext};

/// Options against pasta's defaults, which would let the namespace reach the host: ports are forwarded to
/// and from its loopback interface, the gateway is mapped to it, and its addresses and routes are copied.
const CLOSED: &[&str] = &[
    "--config-net",
    "--foreground",
    "--quiet",
    "--stderr",
    "--no-map-gw",
    "--no-dhcp",
    "--no-dhcpv6",
    "--no-ra",
    "--netns-only",
    "--tcp-ports=none",
    "--udp-ports=none",
    "--tcp-ns=none",
    "--udp-ns=none",
    "--netmask=255.255.255.252",
];

/// Starts pasta in the sandbox's user namespace, attached to the network namespace at the path, and returns
/// once its interface exists. `ipv6` is an interface of the host that has IPv6 addresses.
pub(super) fn start(root: &Root, namespace: &Path, ipv6: Option<&str>) -> Result<Child, Failure> {
    if find_program("pasta").is_none() {
        return Err(failures::no_pasta());
    }
    let (reader, writer) = io::pipe()?;
    fchown(&writer, Some(Uid::from_raw(root.first_uid)), None)?;
    let mut command = Command::new("pasta");
    command
        .args(CLOSED)
        .arg(format!("--mac-addr={GATEWAY_MAC}"))
        .arg(format!("--ns-ifname={UP}"))
        .arg(format!("--netns={}", namespace.display()))
        .arg(format!("--pid=/proc/self/fd/{}", writer.as_raw_fd()));
    let [ipv4_address, ipv6_address] = OUTER;
    let [ipv4_gateway, ipv6_gateway] = GATEWAY;
    add_family(&mut command, ipv4_address, ipv4_gateway);
    match ipv6 {
        Some(interface) => {
            add_family(&mut command, ipv6_address, ipv6_gateway);
            command.arg(format!("--interface={interface}"));
        }
        // Everything that pasta would copy from an interface is specified.
        None => {
            command.args(["--ipv4-only", "--interface=lo"]);
        }
    }
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let step = StepContext {
        namespace: root.namespace.as_fd().try_clone_to_owned()?,
        network: None,
        mounts: Vec::new(),
        inherited: vec![writer.into()],
    };
    sys::enter(&mut command, step);
    let mut child = command.spawn().context("starting pasta")?;
    // The command holds the pipe's write end.
    drop(command);
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line)?;
    if line.is_empty() {
        let status = child.wait().context("waiting for pasta")?;
        return Err(failures::not_created(status));
    }
    Ok(child)
}

fn add_family(command: &mut Command, address: &str, gateway: &str) {
    command.args([
        format!("--address={address}"),
        format!("--gateway={gateway}"),
        format!("--dns-forward={gateway}"),
    ]);
}
