//! The network through which sources are fetched, and which `prepare()` may use if the policy allows it.
//!
//! Commands run in an inner network namespace. Its only link leads to an outer namespace, whose routes decide
//! which addresses are reachable; pasta, attached to that, opens the connections on the host. The inner
//! namespace cannot enforce this itself: a socket that is bound to an interface (SO_BINDTODEVICE, which needs
//! no privilege, or IP_PKTINFO) treats an address without a route as a neighbour, and pasta responds for
//! every neighbour. Forwarded packets cannot bypass the routes in this way.

mod addresses;
mod failures;
mod host_network;
mod pasta;
mod routes;

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::mount::{MsFlags, mount};

use self::addresses::{
    DOWN, GATEWAY, GATEWAY_MAC, INNER, INNER_ADDRESS, IPV4_LINK, IPV6_LINK, OUTER_DOWN, UP,
};
use self::failures::CONFIGURING;
use self::host_network::HostNetwork;
use self::routes::{Action, Route};
use super::files::make_dir;
use super::headings::heading;
use super::root::Root;
use super::userns;
use crate::failure::{Context as _, Failure};
use crate::programs::SEARCH_PATH;
use crate::sandbox::job::SourceAccess;
use crate::source_network::SourceNetwork;
use crate::sys::{self, StepContext};

/// A network namespace that reaches only permitted addresses. It is removed with this value, and with the
/// helper.
pub(super) struct Network {
    inner: File,
    resolv_conf: PathBuf,
    routes: Vec<Route>,
    pasta: RefCell<Child>,
}

impl Network {
    /// Creates the namespaces and starts pasta.
    pub(super) fn start(root: &Root, access: &SourceAccess) -> Result<Self, Failure> {
        if let Some(host) = &access.unknown {
            return Err(failures::unresolved(host));
        }
        let machine = HostNetwork::read()?;
        let mut own = machine.own.clone();
        own.extend(access.refused.iter().copied().map(SourceNetwork::single));
        let routes = routes::routes(&own, &access.allowed);
        let allows_ipv6 = access.allowed.iter().any(|network| network.is_ipv6());
        let ipv6 = match machine.ipv6 {
            None if allows_ipv6 => machine.ipv6_interface,
            ipv6 => ipv6,
        };

        let folder = root.scratch.join("network");
        make_dir(&folder, 0o755)?;
        let outer = userns::network(&root.namespace)?;
        let inner = userns::network(&root.namespace)?;
        let outer_path = pin(&outer, &folder.join("outer"))?;
        let inner_path = pin(&inner, &folder.join("inner"))?;
        let resolv_conf = folder.join("resolv.conf");
        fs_err::write(&resolv_conf, resolver(ipv6.is_some()))?;
        let pasta = pasta::start(root, &outer_path, ipv6.as_deref())?;
        // From here on pasta is stopped with this value.
        let network = Self {
            inner,
            resolv_conf,
            routes,
            pasta: RefCell::new(pasta),
        };
        let plan = Plan {
            routes: &network.routes,
            ipv6: ipv6.is_some(),
            allows_loopback: allows_loopback(&access.allowed),
        };
        configure(
            root,
            &outer,
            &plan.outer_settings(),
            &plan.outer(&inner_path),
        )?;
        configure(root, &network.inner, &plan.inner_settings(), &plan.inner())?;
        for network in &access.allowed {
            heading(&format!("sources may be fetched from {network}"));
        }
        Ok(network)
    }

    /// Returns the namespace in which commands run.
    pub(super) fn namespace(&self) -> &File {
        &self.inner
    }

    /// Returns the refused network that an address belongs to, if there is one.
    pub(super) fn refused_network(&self, address: IpAddr) -> Option<SourceNetwork> {
        match routes::lookup(&self.routes, address)? {
            (network, Action::Refuse) => Some(network),
            (_, Action::Forward) => None,
        }
    }

    /// Turns a failure of a command with this network into an infrastructure failure if pasta has exited.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        let mut pasta = self.pasta.borrow_mut();
        // pasta's interface disappears some time before the process.
        let exit = match is_exiting(pasta.id()) {
            true => pasta.wait().map(Some),
            false => pasta.try_wait(),
        };
        match exit {
            Ok(Some(status)) => failures::ended(status, failure),
            // pasta is running, or its state is unknown.
            _ => failure,
        }
    }

    /// Returns the resolv.conf(5) for these commands.
    pub(super) fn resolv_conf(&self) -> &Path {
        &self.resolv_conf
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // pasta may have exited already.
        let pasta = self.pasta.get_mut();
        let _ = pasta.kill();
        let _ = pasta.wait();
    }
}

/// Returns whether a child process is exiting (proc(5), `flags` of `stat`).
fn is_exiting(process: u32) -> bool {
    const PF_EXITING: u64 = 4;
    let text = fs_err::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let flags = fields.split(' ').nth(6);
    let flags: Option<u64> = flags.and_then(|flags| flags.parse().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

fn allows_loopback(allowed: &[SourceNetwork]) -> bool {
    let loopback = SourceNetwork::of(std::net::Ipv4Addr::LOCALHOST.into(), 8);
    allowed.iter().any(|network| loopback.overlaps(*network))
}

/// The configuration of both namespaces.
struct Plan<'a> {
    routes: &'a [Route],
    ipv6: bool,
    /// Whether 127.0.0.1 is the host's. The namespaces then have no loopback address of their own.
    allows_loopback: bool,
}

impl Plan<'_> {
    /// Returns the kernel settings to enable in the outer namespace.
    fn outer_settings(&self) -> Vec<String> {
        let mut settings = vec!["ipv4/ip_forward".to_owned()];
        if self.ipv6 {
            settings.push("ipv6/conf/all/forwarding".to_owned());
        }
        settings.extend(self.local_routing());
        settings
    }

    fn inner_settings(&self) -> Vec<String> {
        self.local_routing()
    }

    /// Lets packets for 127.0.0.0/8 travel on links.
    fn local_routing(&self) -> Vec<String> {
        match self.allows_loopback {
            true => vec!["ipv4/conf/all/route_localnet".to_owned()],
            false => Vec::new(),
        }
    }

    /// Returns the ip(8) commands for the outer namespace, after pasta has configured its own link.
    fn outer(&self, inner: &Path) -> String {
        let mut lines = vec![
            // The namespace itself receives no packets.
            "address flush dev lo".to_owned(),
            format!(
                "link add {DOWN} type veth peer name {INNER} netns {}",
                inner.display()
            ),
            format!("address add {}/30 dev {DOWN}", OUTER_DOWN[0]),
            format!("route add unreachable {IPV4_LINK}"),
        ];
        if self.ipv6 {
            lines.extend([
                format!("address add {}/126 dev {DOWN} nodad", OUTER_DOWN[1]),
                format!("route add {}/128 dev {UP}", GATEWAY[1]),
                format!("route del 2001:2::/64 dev {UP}"),
                format!("route add unreachable {IPV6_LINK}"),
                // The namespace cannot resolve this address while its own link-local address is new, and
                // pasta resets a connection whose first packet arrives twice.
                format!(
                    "neighbor replace {} lladdr {GATEWAY_MAC} nud permanent dev {UP}",
                    GATEWAY[1]
                ),
            ]);
        }
        lines.push(format!("link set {DOWN} mtu 65520 up"));
        for (network, action) in self.routes {
            let [ipv4, ipv6] = GATEWAY;
            let gateway = match network.is_ipv6() {
                true if !self.ipv6 => continue,
                true => ipv6,
                false => ipv4,
            };
            lines.push(match action {
                Action::Refuse => format!("route replace unreachable {network}"),
                Action::Forward => format!("route replace {network} via {gateway} dev {UP}"),
            });
        }
        batch(&lines)
    }

    /// Returns the ip(8) commands for the inner namespace.
    fn inner(&self) -> String {
        let mut lines = vec!["link set lo up".to_owned()];
        if self.allows_loopback {
            lines.push("address del 127.0.0.1/8 dev lo".to_owned());
        }
        lines.push(format!("address add {}/30 dev {INNER}", INNER_ADDRESS[0]));
        if self.ipv6 {
            lines.push(format!(
                "address add {}/126 dev {INNER} nodad",
                INNER_ADDRESS[1]
            ));
        }
        lines.push(format!("link set {INNER} mtu 65520 up"));
        lines.push(format!("route add 0.0.0.0/0 via {}", OUTER_DOWN[0]));
        if self.ipv6 {
            lines.push(format!("route add ::/0 via {}", OUTER_DOWN[1]));
        }
        batch(&lines)
    }
}

fn batch(lines: &[String]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Returns the resolv.conf(5). pasta forwards queries to the first resolver of the host.
fn resolver(ipv6: bool) -> String {
    let text = fs_err::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .map(str::trim)
        .collect();
    let is_ipv4 = |server: &&str| !server.contains(':');
    let only_ipv6 = !servers.is_empty() && !servers.iter().any(is_ipv4);
    let [ipv4_gateway, ipv6_gateway] = GATEWAY;
    let gateway = match only_ipv6 && ipv6 {
        true => ipv6_gateway,
        false => ipv4_gateway,
    };
    // Only UDP is forwarded, so responses must not require TCP.
    format!("nameserver {gateway}\noptions edns0\n")
}

/// Gives a namespace a path.
fn pin(namespace: &File, path: &Path) -> Result<PathBuf, Failure> {
    fs_err::write(path, "")?;
    let source = format!("/proc/self/fd/{}", namespace.as_raw_fd());
    let none = None::<&str>;
    mount(Some(source.as_str()), path, none, MsFlags::MS_BIND, none)
        .context("pinning a network namespace")?;
    Ok(path.to_owned())
}

/// Enables settings and runs ip(8) commands, as root of the sandbox's user namespace.
fn configure(
    root: &Root,
    namespace: &File,
    settings: &[String],
    commands: &str,
) -> Result<(), Failure> {
    let script = "for setting; do echo 1 >/proc/sys/net/$setting || exit; done; exec ip -batch -";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .args(settings)
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .current_dir("/")
        .stdin(Stdio::piped());
    let step = StepContext {
        namespace: root.namespace.as_fd().try_clone_to_owned()?,
        network: Some(namespace.as_fd().try_clone_to_owned()?),
        mounts: Vec::new(),
        inherited: Vec::new(),
    };
    sys::enter(&mut command, step);
    let mut child = command.spawn().context(CONFIGURING)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(commands.as_bytes()).context(CONFIGURING)?;
    }
    let status = child.wait().context(CONFIGURING)?;
    match status.success() {
        true => Ok(()),
        false => Err(failures::not_configured(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan<'a>(routes: &'a [Route], ipv6: bool, allows_loopback: bool) -> Plan<'a> {
        Plan {
            routes,
            ipv6,
            allows_loopback,
        }
    }

    #[test]
    fn omits_ipv6_routes_without_ipv6() {
        let routes = routes::routes(&[], &[]);
        let inner = Path::new("/x");
        assert!(!plan(&routes, false, false).outer(inner).contains("::"));
        let with = plan(&routes, true, false).outer(inner);
        assert!(
            with.contains("route replace unreachable fc00::/7\n"),
            "{with}"
        );
        assert!(
            with.contains("route replace unreachable 10.0.0.0/8\n"),
            "{with}"
        );
    }

    #[test]
    fn treats_exited_process_as_exiting() {
        assert!(!is_exiting(std::process::id()));
        let mut child = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        // The child closes its end of the pipe while it exits.
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut rest).unwrap();
        assert!(is_exiting(child.id()));
        child.wait().unwrap();
    }

    #[test]
    fn routes_loopback_only_when_allowed() {
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        assert!(allows_loopback(&allowed));
        assert!(!allows_loopback(&["192.0.2.0/24".parse().unwrap()]));
        let routes = routes::routes(&[], &allowed);
        let plan = plan(&routes, false, true);
        assert!(plan.inner().contains("address del 127.0.0.1/8 dev lo\n"));
        let outer = plan.outer(Path::new("/x"));
        assert!(outer.contains("route replace 127.0.0.0/8 via 198.18.0.1 dev up0\n"));
    }
}
