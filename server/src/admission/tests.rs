//! Which requests are admitted while others use much of the server.

use futures_util::FutureExt as _;

use super::*;

fn admission(trusted: &[&str]) -> Admission {
    Admission::new(&Limits {
        connections: 8,
        files: 4,
        per_address: 8,
        streams: 1,
        trusted: trusted.iter().map(|text| text.parse().unwrap()).collect(),
    })
}

fn address(last: u8) -> IpAddr {
    [203, 0, 113, last].into()
}

#[test]
fn reserves_files_for_authenticated_requests() {
    let admission = admission(&[]);
    admission.authenticated(address(1));
    let strangers = [2, 3].map(|last| admission.file(address(last)).unwrap());
    assert!(admission.file(address(4)).is_err());
    let known = [(); 2].map(|()| admission.file(address(1)).unwrap());
    assert!(admission.file(address(1)).is_err());
    drop(known);
    drop(strangers);
    assert!(admission.file(address(4)).is_ok());
}

#[test]
fn reserves_proxy_connections_for_authenticated_requests() {
    let proxy = [10, 0, 0, 1].into();
    let admission = admission(&["10.0.0.0/8"]);
    admission.authenticated(address(1));
    // Anonymous direct connections take everything that is not reserved.
    let direct = [(); 4].map(|()| admission.connection(address(2)).unwrap());
    assert!(admission.connection(address(3)).is_err());
    let proxied = [(); 2].map(|()| admission.connection(proxy).unwrap());
    assert!(admission.forwarded_request(address(3)).is_err());
    assert!(admission.forwarded_request(address(1)).is_ok());
    // Some are left for authenticated addresses that connect directly.
    assert!(admission.connection(proxy).is_err());
    let known = [(); 2].map(|()| admission.connection(address(1)).unwrap());
    drop((direct, proxied, known));
    assert!(admission.forwarded_request(address(3)).is_ok());
}

#[tokio::test]
async fn limits_responses_per_address() {
    let admission = admission(&[]);
    admission.authenticated(address(4));
    let mut turns = Vec::new();
    for _ in 0..PUBLIC_RESPONSES_PER_ADDRESS {
        turns.push(admission.reading(address(1)).await.unwrap());
    }
    let take = |last: u8| {
        let source = Some(address(last).into());
        admission
            .0
            .reading
            .take(source, 1, admission.class_of(address(last)))
    };
    assert_eq!(take(1).unwrap_err(), Exhausted::Source);
    turns.extend([2, 2, 2].map(|last| take(last).unwrap()));
    assert_eq!(take(3).unwrap_err(), Exhausted::Total);
    turns.push(take(4).unwrap());
    turns.clear();
    assert!(take(3).is_ok());
}

#[test]
fn limits_unread_responses_per_address() {
    let admission = admission(&[]);
    admission.authenticated(address(9));
    let unread = (1..).map_while(|_| admission.response(address(1), 300_000).ok());
    let unread: Vec<_> = unread.collect();
    assert_eq!(unread.len(), PUBLIC_MEMORY / 8 / 300_000);
    let others: Vec<_> = (2..7)
        .map(|last| admission.response(address(last), usize::MAX).unwrap())
        .collect();
    assert!(admission.response(address(8), MIB).is_err());
    assert!(admission.response(address(9), MIB).is_ok());
    drop((unread, others));
    assert!(admission.response(address(1), MIB).is_ok());
}

#[tokio::test]
async fn limits_memory_of_bodies_by_kind_and_of_anonymous_requests() {
    let admission = admission(&[]);
    admission.authenticated(address(9));
    let bodies = &admission.0.bodies;
    let plan = |last: u8, bytes: usize| {
        let class = admission.class_of(address(last));
        bodies.plans.take(Some(address(last).into()), bytes, class)
    };
    let own = plan(1, MIB).unwrap();
    assert_eq!(plan(1, 1).unwrap_err(), Exhausted::Source);
    let others = [2, 3].map(|last| plan(last, MIB).unwrap());
    assert_eq!(plan(4, 1).unwrap_err(), Exhausted::Total);
    let known = plan(9, MIB).unwrap();
    for purpose in [BodyPurpose::IdToken, BodyPurpose::Webhook] {
        assert!(admission.body(purpose, address(1), 64 * 1024).await.is_ok());
    }
    let waiting = admission.body(BodyPurpose::Plan, address(4), 1);
    assert!(waiting.now_or_never().is_none());
    drop((own, known));
    assert!(
        admission
            .body(BodyPurpose::Plan, address(4), MIB)
            .await
            .is_ok()
    );
    drop(others);
}

#[tokio::test(start_paused = true)]
async fn refusals_match_snapshot() {
    let admission = admission(&[]);
    let mut limited = None;
    while limited.is_none() {
        limited = admission.plan(address(1)).await.err();
    }
    let waited = queue(std::future::pending()).await;
    let text = crate::testing::refusals([
        (
            "streams of an address",
            refuse(Exhausted::Source, "streams"),
        ),
        ("streams of all", refuse(Exhausted::Total, "streams")),
        ("plans of an address", limited.unwrap()),
        ("long wait", waited.err().unwrap()),
    ]);
    insta::assert_snapshot!(text);
}
