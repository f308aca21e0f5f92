//! Jobs that build.

use std::process::Command;

use buildbtw_model::api::Outcome;

use crate::support::{Host, ID_TOKEN, QUICK};

#[tokio::test(flavor = "multi_thread")]
async fn runs_build_from_config_to_cleanup() {
    for stage in ["build_script", "step_script"] {
        let host = Host::start(QUICK).await;
        let job = host.job(7, "zlib");
        job.stage(&["config"]).expect(0);
        job.prepare();
        let result = job
            .script(stage, "echo the script was run; exit 1")
            .expect(0)
            .prints("zlib-1.0-1.1-x86_64.pkg.tar.zst")
            .prints("/repo/space/1/x86_64")
            .prints("https://buildbtw.example/builds/");
        assert!(!result.out.contains("was run"), "{}", result.out);
        assert!(result.out.contains("section_start:"), "{}", result.out);
        let (starts, ends) = (
            result.out.matches("section_start:").count(),
            result.out.matches("section_end:").count(),
        );
        assert_eq!(starts, ends);

        let attempt = job.attempt();
        assert!(
            matches!(&attempt.outcomes[..], [Outcome::Succeeded { packages }] if packages.len() == 2)
        );
        assert_eq!(attempt.packages.len(), 2);
        assert!(attempt.log.starts_with(b"==> buildbtw: simulating zlib"));
        let (token, worker) = host.server.change(|inner| {
            let request = &inner.exchange_requests[0];
            (request.token.clone(), request.worker.clone())
        });
        assert!(token.starts_with("bbtw_") && token.len() == 48, "{token}");
        assert_eq!(worker.as_str(), "tester");
        assert!(!result.out.contains(&token) && !result.out.contains(ID_TOKEN));

        // The runner uploads them from inside the job's environment.
        job.script(
            "upload_artifacts_on_success",
            &format!(
                "cd '{}' && test -O buildbtw && bsdtar -tf buildbtw/zlib-1.0-1.1-x86_64.pkg.tar.zst \
                 && grep -c repo/space buildbtw/packages.txt buildbtw/packages.html",
                job.project().display()
            ),
        )
        .expect(0)
        .prints(".PKGINFO");
        let sent = &attempt.packages["zlib-docs-1.0-1.1-any.pkg.tar.zst"];
        let kept = job
            .project()
            .join("buildbtw/zlib-docs-1.0-1.1-any.pkg.tar.zst");
        assert_eq!(&fs_err::read(kept).unwrap()[..], &sent[..]);
        job.clean_up();
        assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_packages_too_large_for_artifacts() {
    let settings = "max_artifact_mib = 1\nbuilder.simulated = { payload_bytes = 900000 }";
    let host = Host::start(settings).await;
    let job = host.job(7, "zlib");
    job.prepare();
    job.script("build_script", "").expect(0).prints("too many");
    let folder = job.project().join("buildbtw");
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["packages.html", "packages.txt"]);
    assert_eq!(job.attempt().packages.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn isolates_concurrent_jobs() {
    let host = Host::start("builder.simulated = { seconds = 0.2 }").await;
    let jobs: Vec<_> = (1..=3)
        .map(|id| host.job(id, &format!("pkg{id}")))
        .collect();
    for job in &jobs {
        job.prepare();
    }
    let running: Vec<_> = jobs
        .iter()
        .map(|job| {
            let script = job.write_script("");
            job.start(&["run", script.to_str().unwrap(), "build_script"])
        })
        .collect();
    for (job, child) in jobs.iter().zip(running) {
        crate::support::StageResult::from(child.wait_with_output().unwrap()).expect(0);
        assert_eq!(job.attempt().packages.len(), 2);
        let own = format!("pkg{}-1.0-1.1-x86_64.pkg.tar.zst", job.id);
        assert!(job.project().join("buildbtw").join(own).exists());
        job.clean_up();
        assert!(!job.builds().exists());
    }
    assert!(host.leftovers().is_empty(), "{:?}", host.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_token_exchange_until_server_knows_the_pipeline() {
    use buildbtw_fake_server::Fault;
    let host = Host::start(QUICK).await;
    let job = host.job(7, "a");
    job.prepare();
    host.server.set_faults(|number, path| match path {
        path if path.ends_with("/exchange") && number % 3 != 0 => Fault::Unavailable,
        _ => Fault::None,
    });
    job.script("build_script", "").expect(0);
}

#[test]
fn help_lists_every_command() {
    let output = Command::new(crate::support::PROGRAM)
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for verb in ["config", "prepare", "run", "cleanup", "reap", "check"] {
        assert!(text.contains(&format!("  {verb}")), "{text}");
    }
    assert!(!text.contains("as-root"), "{text}");
}
