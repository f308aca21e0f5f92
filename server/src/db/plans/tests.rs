use std::collections::BTreeSet;

use buildbtw_model::{BuildStatus, CommitTime};

use super::*;
use crate::db::builds;
use crate::testing::TestState;

fn build(position: u32) -> NewBuild {
    let zeros = Sha256Digest::from_bytes(&[0; 32]);
    NewBuild {
        architecture: "x86_64".parse().unwrap(),
        pkgbase: format!("p{position}").parse().unwrap(),
        stage: 1,
        level: position,
        position,
        commit: "1".repeat(40).parse().unwrap(),
        tree: None,
        commit_time: CommitTime(-5),
        clone_url: "https://git.example.org/\"p\".git".into(),
        srcinfo_sha256: zeros.clone(),
        version: "1-1.1".parse().unwrap(),
        pkgrel: Some("1.1".into()),
        reason: "p0".into(),
        library: (position == 1).then(|| "libp0.so.1".into()),
        bootstrap: position == 1,
        without: "a>=1\nb".into(),
        estimate_s: 7,
        estimate_low_s: (position > 0).then_some(5),
        estimate_high_s: (position > 0).then_some(9),
        priority_s: 8,
        missing_dependencies: u32::from(position > 0),
        tag: None,
        input_hash: Some(zeros),
        shared_build: None,
        reused: None,
        outputs: vec![ExpectedPackage {
            name: format!("p{position}").parse().unwrap(),
            architecture: "any".parse().unwrap(),
        }],
    }
}

#[tokio::test]
async fn stores_more_builds_than_one_statement_does() {
    let state = TestState::with_a_build().await;
    state.sql("delete from build").await;
    let iteration = IterationId(1);
    let count = u32::try_from(2 * ROWS_TOGETHER + 1).unwrap();
    let planned: Vec<NewBuild> = (0..count).map(build).collect();
    let mut tx = state.database.write().await.unwrap();
    let ids = insert_builds(&mut tx, iteration, &planned).await.unwrap();
    let edge = |pair: &[BuildId]| (pair[1], pair[0], EdgeKind::Stage);
    let edges: Vec<NewEdge> = ids.windows(2).map(edge).collect();
    insert_edges(&mut tx, &edges).await.unwrap();
    tx.commit().await.unwrap();
    let reader = state.database.read();
    let stored = builds::of_iteration(reader, iteration).await.unwrap();
    assert_eq!(stored.len(), planned.len());
    for ((row, planned), id) in stored.iter().zip(&planned).zip(&ids) {
        assert_eq!((row.id, &row.pkgbase), (*id, &planned.pkgbase));
        let status = if planned.position == 0 {
            BuildStatus::Ready
        } else {
            BuildStatus::Blocked
        };
        assert_eq!(row.status, status);
    }
    let row = &stored[1];
    assert_eq!(
        (row.commit_time, row.level, row.estimate_s),
        (CommitTime(-5), 1, 7)
    );
    // Without earlier builds there is no range.
    let known = stored.iter().take(2).map(|row| row.estimate_is_known);
    assert_eq!(known.collect::<Vec<_>>(), [false, true]);
    assert_eq!((row.bootstrap, row.without.as_str()), (true, "a>=1\nb"));
    assert_eq!(row.clone_url, "https://git.example.org/\"p\".git");
    assert_eq!((row.pkgrel.as_deref(), &row.tree), (Some("1.1"), &None));
    assert_eq!(row.library.as_deref(), Some("libp0.so.1"));
    let needs = builds::edges(reader, iteration).await.unwrap();
    let expected = edges.iter().map(|(build, needs, _)| (*build, *needs));
    assert_eq!(
        BTreeSet::from_iter(needs),
        expected.collect::<BTreeSet<_>>()
    );
    let outputs = "select count(*) from build_output join build on build.id = build_id
        and build.pkgbase = pkgname";
    let outputs: i64 = sqlx::query_scalar(outputs).fetch_one(reader).await.unwrap();
    assert_eq!(outputs, i64::from(count));
}
