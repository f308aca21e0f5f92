//! Situations from public bug trackers; `notes/cases.md` lists all of them with their tests.

use buildbtw_model::IterationStatus;

use crate::support::{Repository, TestServer};

/// With both orders of the builds that produce the package.
#[tokio::test]
async fn case_10_same_pkgname_from_two_pkgbases() {
    let tree = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/cases/10-same-pkgname-from-two-pkgbases/tree"
    );
    for newer_last in [true, false] {
        let server = TestServer::start(|sources| {
            for entry in fs_err::read_dir(tree).unwrap() {
                let folder = entry.unwrap();
                let text = fs_err::read_to_string(folder.path().join(".SRCINFO")).unwrap();
                let name = folder.file_name().into_string().unwrap();
                sources.push_to(&name, "main", Some(&text));
            }
        })
        .await;
        server.namespace("bump", &["libfoo/main"]).await;
        let worker = server.worker("w").await;
        worker.builds("libfoo").await;
        let order = match newer_last {
            true => ["app-any", "oldbase", "newbase"],
            false => ["app-any", "newbase", "oldbase"],
        };
        let mut jobs = Vec::new();
        for _ in order {
            jobs.push(worker.claims().await);
        }
        for name in order {
            let mut jobs = jobs.iter();
            let job = jobs.find(|job| job.claimed.pkgbase.as_str() == name);
            job.unwrap().succeeds().await;
        }
        worker.builds("needsmoved").await;
        server.expect_iteration("bump", IterationStatus::Done).await;
        let repository = Repository::new(server.url(), "bump", "1", "x86_64");
        let listed = [
            "app-any-1-1.1",
            "libfoo-2-4",
            "libfoo-data-2-4",
            "moved-2-1.1",
            "needsmoved-1-1.1",
            "oldbase-1-3.1",
        ];
        assert_eq!(repository.lists().await, listed);
        for (folder, is_there) in [("moved-2-1.1", true), ("moved-1-3.1", false)] {
            let files = repository
                .entry("bump.files", &format!("{folder}/files"))
                .await;
            assert_eq!(files.is_some(), is_there, "{folder}");
        }
        let notes = server.iteration("bump").await.notes;
        let expected = "newbase: several source packages produce moved: newbase 2-1.1, oldbase 1-3.1; the \
                        repository lists the highest version that is built, 2-1.1 of newbase";
        assert!(notes.iter().any(|note| note.text == expected), "{notes:?}");
    }
}
