use std::path::Path;

use buildbtw_model::Explanation;
use buildbtw_settings::{Origin, settings};

use super::*;

fn parse_file(text: &str, arguments: &[&str]) -> Result<Parsed<Cli>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    fs_err::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let arguments = ["buildbtw-server", "--config", path]
        .into_iter()
        .chain(arguments.iter().copied())
        .map(OsString::from);
    parse(arguments).map_err(|failure| {
        let text = match failure {
            Failure::Usage(error) => error.to_string(),
            Failure::File(explanation) => explanation.to_string(),
        };
        text.replace(path, "FILE")
    })
}

fn run(text: &str, arguments: &[&str]) -> RunArgs {
    let arguments: Vec<&str> = ["run"].iter().chain(arguments).copied().collect();
    match parse_file(text, &arguments).unwrap().cli.command {
        Command::Run(run) => *run,
        other => panic!("{other:?}"),
    }
}

/// Returns why a server does not start with these settings.
fn refusal(args: &RunArgs) -> String {
    let refusal = args.sources().map(drop).and_then(|()| {
        let config = args.config(args.listen, None);
        config.map(drop)
    });
    Explanation::of_error(refusal.unwrap_err().as_ref()).to_string()
}

#[test]
fn reads_settings_of_every_kind_from_a_file() {
    let args = run(
        "listen = '[::1]:80'\narchitectures = ['x86_64', 'aarch64']\ntrusted_proxy = ['10.0.0.0/8', '::1']\n\
         lease_seconds = 90\nrun_builds_on_gitlab = true\ngitlab_protected_refs_only = true\n\
         gitlab_report = ['commit-status']\nnetwork = 'none'\npackager = 'A <a@example.org>'",
        &["--lease-seconds=30"],
    );
    assert_eq!(args.listen.to_string(), "[::1]:80");
    assert_eq!(args.architectures.len(), 2);
    assert_eq!(args.connections.trusted_proxies.len(), 2);
    assert_eq!(args.lease_seconds, 30);
    assert!(args.pipelines.run_builds_on_gitlab && args.pipelines.gitlab_protected_refs_only);
    assert_eq!(args.gitlab_report.len(), 1);
    assert_eq!(args.packager.to_string(), "A <a@example.org>");
}

#[test]
fn checks_settings_that_need_each_other_as_it_does_for_flags() {
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().to_str().unwrap();
    for (text, flags) in [
        (
            "gitlab_url = 'gitlab.example'",
            vec!["--gitlab-url=gitlab.example"],
        ),
        (
            "sources_url = 'https://example.org'",
            vec!["--sources-url=https://example.org"],
        ),
        ("buildtool = 'devtools'", vec!["--buildtool=devtools"]),
        (
            "network = 'prepare'\nmax_network = 'none'",
            vec!["--network=prepare", "--max-network=none"],
        ),
        (
            "gitlab_architectures = ['x86_64']",
            vec!["--gitlab-architectures=x86_64"],
        ),
    ] {
        let mut common = vec!["--sources-dir", sources];
        if text.contains("_url") {
            common.clear();
        }
        let all: Vec<&str> = common.iter().copied().chain(flags).collect();
        let by_file = refusal(&run(text, &common));
        assert_eq!(by_file, refusal(&run("", &all)), "{text}");
    }
}

#[test]
fn explains_invalid_settings_of_a_file() {
    for (text, expected) in [
        (
            "listen = '127.0.0.1:0'\n\ngitlab_ur = 'https://gitlab.example'",
            "`FILE`, line 3: unknown setting `gitlab_ur`\nhint: did you mean `gitlab_url`?",
        ),
        (
            "gitlab_token = 'glpat-secret'",
            "`FILE`, line 1: unknown setting `gitlab_token`\nhint: did you mean `gitlab_token_file`?",
        ),
        (
            "BUILDBTW_DATA_DIR = '/srv'",
            "`FILE`, line 1: unknown setting `BUILDBTW_DATA_DIR`\nhint: did you mean `data_dir`?",
        ),
        (
            "gitlab_token_file = 'glpat-secret'",
            "`FILE`, line 1: `gitlab_token_file` must be the path of a file, not its content\nhint: write the secret \
             to a file of its own, and its path to `gitlab_token_file`",
        ),
        (
            "listen = 8080",
            "`FILE`, line 1: `listen` must be a string, not an integer\nhint: write an address with its port: `listen = \
             \"127.0.0.1:8080\"`",
        ),
        (
            "log = 'foo=bar=baz'",
            "`FILE`, line 1: invalid value `foo=bar=baz` of `log`: expected a level such as `info`, or directives such \
             as `info,buildbtw_server=debug`\nhint: `buildbtw-server run --help` describes --log",
        ),
        (
            "lease_seconds = 0",
            "`FILE`, line 1: invalid value `0` of `lease_seconds`: expected a number from 1 to 86400\nhint: \
             `buildbtw-server run --help` describes --lease-seconds",
        ),
        (
            "gitlab_clone = 'git'",
            "`FILE`, line 1: invalid value `git` of `gitlab_clone`\nhint: set it to one of `https`, `ssh`",
        ),
    ] {
        for arguments in [&["run"][..], &["check"], &["backup", "copy"]] {
            let error = parse_file(text, arguments).map(drop).unwrap_err();
            assert_eq!(error, expected, "{text} {arguments:?}");
        }
    }
}

#[test]
fn all_commands_find_their_settings_in_the_file() {
    let text =
        "data_dir = '/srv/data'\ngitlab_url = 'gitlab.example'\nlease_seconds = 5\nlog = 'debug'";
    let folder = Path::new("/srv/data");
    for arguments in [
        &["check", "--digests"][..],
        &["backup", "copy"],
        &["restore", "copy"],
    ] {
        let cli = parse_file(text, arguments).unwrap().cli;
        let found = match &cli.command {
            Command::Check(CheckArgs { data, .. })
            | Command::Backup(BackupArgs { data, .. })
            | Command::Restore(RestoreArgs { data, .. }) => &data.data_dir,
            other => panic!("{other:?}"),
        };
        assert_eq!((found.as_path(), cli.log.as_str()), (folder, "debug"));
    }
    let arguments = ["gitlab", "set-ci-config", "--template", "a.yml@b"];
    let parsed = parse_file(text, &arguments).unwrap();
    let settings = settings(&parsed.command, &parsed.matches, parsed.file.as_ref());
    let url = settings
        .iter()
        .find(|setting| setting.name == "gitlab-url")
        .unwrap();
    assert_eq!(url.value.as_deref(), Some("gitlab.example"));
    assert!(matches!(url.origin, Origin::File(_)), "{url:?}");
}

#[test]
fn every_flag_of_run_is_a_setting() {
    use clap::CommandFactory as _;
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for arg in run.get_arguments() {
        assert!(buildbtw_settings::key(arg).is_some(), "{arg:?}");
    }
}

/// No flag and no file can set all of these.
#[test]
fn refusals_of_settings_match_snapshot() {
    let start = |arguments: &[&str]| {
        let arguments = arguments.iter().copied();
        run(
            "",
            // A folder that exists everywhere.
            &arguments.chain(["--sources-dir=/"]).collect::<Vec<_>>(),
        )
    };
    let no_architecture = RunArgs {
        architectures: Vec::new(),
        ..start(&[])
    };
    let no_folder = RunArgs {
        sources_dir: None,
        ..start(&["--sources-url=https://git.example.org"])
    };
    let builds = ["--run-builds-on-gitlab", "--architectures=x86_64"];
    let mut no_rate = start(&builds);
    no_rate.pipelines.gitlab_pipelines_per_minute = 0;
    let refused = [
        refusal(&no_architecture),
        refusal(&no_folder),
        refusal(&no_rate),
        refusal(&start(&[builds[0], builds[1], "--listen=0.0.0.0:80"])),
        refusal(&start(&[
            builds[0],
            builds[1],
            "--gitlab-architectures=riscv64",
        ])),
    ];
    insta::assert_snapshot!(refused.join("\n\n"));
}
