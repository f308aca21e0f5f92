use super::*;

fn parse(args: &[&str]) -> Result<Config, String> {
    let args = ["buildbtw-worker", "run", "--name", "w"].iter().chain(args);
    let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
    let Command::Run(run) = cli.command;
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
