use buildbtw_model::{IterationStatus, NetworkPolicy, Priority, Scope};
use sqlx::types::Json;

use super::*;
use crate::db::{IterationId, NamespaceId};
use crate::testing::TestState;
use crate::time::Millis;

fn namespace() -> NamespaceRow {
    NamespaceRow {
        id: NamespaceId(1),
        name: "bump".parse().unwrap(),
        scope: Scope::Transitive,
        max_builds: 10,
        bump: true,
        network: NetworkPolicy::Sources,
        same_sonames: false,
        follow_default_s: None,
        held_at: None,
        held_by: None,
        priority: Priority::Normal,
        created_at: Millis(1),
        created_by: None,
    }
}

fn iteration() -> IterationRow {
    IterationRow {
        id: IterationId(1),
        namespace_id: NamespaceId(1),
        namespace: "bump".parse().unwrap(),
        number: 1,
        status: IterationStatus::Running,
        reason: String::new(),
        causes: Json(Vec::new()),
        superseded_by: None,
        created_at: Millis(1),
        finished_at: None,
    }
}

/// Checks whether a namespace may be planned again that was deleted while it was planned.
async fn check(state: &TestState, trigger: Trigger) -> Result<bool, Error> {
    let mut tx = state.database.write().await.unwrap();
    let checked = check_current(&mut tx, &namespace(), &iteration(), trigger).await;
    tx.undo().await.unwrap();
    checked
}

#[tokio::test]
async fn refuses_to_plan_a_namespace_that_was_deleted_meanwhile() {
    let state = TestState::new().await;
    let trigger = Trigger::Requested {
        refresh_base: false,
    };
    let problem = check(&state, trigger).await.unwrap_err().into_problem();
    assert_eq!(problem.title, "namespace `bump` was deleted meanwhile");
    assert!(problem.hint.is_some());
    assert!(!check(&state, Trigger::SourcesChanged).await.unwrap());
    // Another namespace has its number and its name.
    let row = "insert into namespace (id, name, scope, max_builds, bump, created_at)
        values (1, 'bump', 'transitive', 10, 1, 2)";
    state.sql(row).await;
    let problem = check(&state, trigger).await.unwrap_err().into_problem();
    assert_eq!(problem.title, "namespace `bump` was deleted meanwhile");
}

#[tokio::test]
async fn plans_with_the_settings_of_an_edit_that_came_after_the_namespace_was_read() {
    let state = TestState::new().await;
    let row = "insert into namespace (id, name, scope, max_builds, bump, same_sonames, created_at)
        values (1, 'bump', 'direct', 20, 1, 1, 1)";
    state.sql(row).await;
    let (before, old, trigger) = (namespace(), iteration(), Trigger::SourcesChanged);
    let (settings, freshness) = (Settings::default(), Freshness::Current);
    let parts = state.planning_parts();
    let input = plan_input(parts, &before, &old, trigger, &settings, &freshness).await;
    let input = input.unwrap();
    assert_eq!((input.scope, input.max_builds), (Scope::Direct, 20));
    assert!(input.same_sonames);
}
