use buildbtw_builder::ScratchDisk;

use super::*;

fn parse(args: &[&str]) -> Result<Config, String> {
    let args = ["buildbtw-worker", "run", "--name", "w"].iter().chain(args);
    let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
    let Command::Run(run) = cli.command else {
        panic!("another command");
    };
    run.into_config().map_err(|error| error.to_string())
}

#[test]
fn converts_command_line_into_configuration() {
    let config = parse(&[
        "--token=secret",
        "--jobs=3",
        "--builder=simulated",
        "--simulated-seconds=0.25",
        "--simulated-bytes=7",
        "--architectures=x86_64,aarch64",
    ])
    .unwrap();
    assert_eq!(config.jobs.get(), 3);
    assert_eq!(config.architectures.len(), 2);
    let BuilderConfig::Simulated(simulated) = &config.builder else {
        panic!("{config:?}");
    };
    let quarter = SimulatedDuration::Fixed(Duration::from_millis(250));
    assert_eq!(simulated.duration, quarter);
    assert_eq!(simulated.payload_bytes, 7);
    assert!(!format!("{config:?}").contains("secret"));
}

#[test]
fn accepts_scratch_disk_setting() {
    for (args, kind) in [
        (&[][..], ScratchDisk::Auto),
        (&["--scratch-disk=image"], ScratchDisk::Image),
        (&["--scratch-disk=memory"], ScratchDisk::Memory),
    ] {
        let config = parse(args).unwrap();
        let BuilderConfig::Sandboxed(sandbox) = &config.builder else {
            panic!("{config:?}");
        };
        assert_eq!(sandbox.scratch_disk, kind);
        assert_eq!(config.limits.disk_bytes, 40 << 30);
    }
}

#[test]
fn explains_invalid_settings() {
    for (args, part) in [
        (&["--jobs=0"][..], "at least 1"),
        (&["--simulated-seconds=-1"], "at least 0"),
        (&["--server=localhost"], "server URL"),
        (&["--architectures=x86-64"], "architecture"),
        (&["--packager=Unknown Packager"], "jane@example.org"),
        (&["--scratch-disk=tape"], "image"),
        (&["--token-file=/nonexistent"], "/nonexistent"),
        (&["--ca=/dev/null"], "no PEM certificate"),
    ] {
        let error = parse(args).unwrap_err();
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

fn parse_file(text: &str, args: &[&str]) -> Result<Run, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.toml");
    fs_err::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let args = ["buildbtw-worker", "run", "--config", path]
        .into_iter()
        .chain(args.iter().copied())
        .map(OsString::from);
    let parsed = super::parse(args).map_err(|failure| {
        let text = match failure {
            Failure::Usage(error) => error.to_string(),
            Failure::File(explanation) => explanation.to_string(),
        };
        text.replace(path, "FILE")
    });
    parsed.map(|parsed| {
        let Command::Run(run) = parsed.cli.command else {
            panic!("another command");
        };
        *run
    })
}

#[test]
fn reads_settings_of_every_kind_from_a_file() {
    let text = "name = 'builder'\njobs = 3\nsimulated_seconds = 0.25\nno_cgroups = true\nbuilder = 'simulated'\n\
                allow_source_network = ['10.0.0.0/8', '192.0.2.0/24']\nlimit_memory_mib = 100";
    let run = parse_file(text, &["--name=w", "--limit-memory-mib=200"]).unwrap();
    assert_eq!(run.jobs.get(), 3);
    assert_eq!(run.allow_source_networks.len(), 2);
    assert!(run.limits.no_cgroups);
    let config = run.into_config().unwrap();
    assert_eq!(config.name.to_string(), "w");
    assert_eq!(config.limits.memory_bytes, 200 << 20);
}

#[test]
fn flags_of_the_file_need_each_other_like_flags() {
    let by_flag = parse_file("", &["--git-ssh-key=/key"]).unwrap_err();
    let by_file = parse_file("git_ssh_key = '/key'", &[]).unwrap_err();
    // The usage names the flags in the order of the command line.
    let reason = |error: &str| error.split("Usage:").next().map(str::to_owned);
    assert_eq!(reason(&by_file), reason(&by_flag));
    assert!(by_file.contains("--git-known-hosts"), "{by_file}");
    parse_file("git_ssh_key = '/key'\ngit_known_hosts = '/hosts'", &[]).unwrap();
    parse_file("git_known_hosts = '/hosts'", &["--git-ssh-key=/key"]).unwrap();
}

#[test]
fn explains_invalid_settings_of_a_file() {
    for (text, expected) in [
        (
            "job = 3",
            "`FILE`, line 1: unknown setting `job`\nhint: did you mean `jobs`?",
        ),
        (
            "jobs = 'two'",
            "`FILE`, line 1: `jobs` must be an integer, not a string\nhint: write a number without fractions and \
             quotes: `jobs = 1`",
        ),
        (
            "jobs = 0",
            "`FILE`, line 1: invalid value `0` of `jobs`: expected a number of at least 1\nhint: `buildbtw-worker run \
             --help` describes --jobs",
        ),
        (
            "log = 'a=loud'",
            "`FILE`, line 1: invalid value `a=loud` of `log`: expected a level such as `info`, or directives such \
             as `info,buildbtw_server=debug`\nhint: `buildbtw-worker run --help` describes --log",
        ),
        (
            "token = 'bbtw_secret'",
            "`FILE`, line 1: `token` is not allowed in a configuration file, which must not contain secrets\nhint: \
             write the secret to a file of its own, and its path to `token_file`",
        ),
        (
            "git_credentials = 'https://name:secret@git.example.org'",
            "`FILE`, line 1: `git_credentials` must be the path of a file, not its content\nhint: write the secret to \
             a file of its own, and its path to `git_credentials`",
        ),
        (
            "allow_source_network = '10.0.0.0/8'",
            "`FILE`, line 1: `allow_source_network` must be a list of strings, not a string\nhint: write \
             `allow_source_network = [\"10.0.0.0/8\"]`",
        ),
    ] {
        assert_eq!(
            parse_file(text, &[]).map(drop).unwrap_err(),
            expected,
            "{text}"
        );
    }
}
