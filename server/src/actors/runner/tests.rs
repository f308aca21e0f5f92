use std::sync::{Mutex, PoisonError};

use super::*;
use crate::outage::Pauses;
use crate::time::Clock;
use crate::wakers::Inbox;

const SECOND: Duration = Duration::from_secs(1);
const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(4),
    of_server: Duration::from_secs(3),
};

/// What a scripted actor does in a turn.
#[derive(Clone, Copy, Debug)]
enum ScriptedTurn {
    Rest,
    After(Duration),
    KeepOutage,
    NoteFailure,
    Fail,
    Panic,
    Hang,
}

/// What the actors of a test have done, and when, counted from its start.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<(Duration, String)>>>);

impl Record {
    fn add(&self, began: Instant, what: String) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push((began.elapsed(), what));
    }

    /// Returns the entries so far, as `seconds: what`.
    fn texts(&self) -> Vec<String> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |(at, what): &(Duration, String)| format!("{}: {what}", at.as_secs());
        entries.iter().map(text).collect()
    }
}

struct Scripted<const IGNORES_EVENTS: bool, const INTERRUPTIBLE: bool> {
    inbox: Inbox<ScriptedTurn>,
    record: Record,
    began: Instant,
}

impl<const IGNORES_EVENTS: bool, const INTERRUPTIBLE: bool> Actor
    for Scripted<IGNORES_EVENTS, INTERRUPTIBLE>
{
    const TASK: BackgroundTask = BackgroundTask::Claims;
    const TAKES_EVENTS_IN_OUTAGE: bool = !IGNORES_EVENTS;
    const IS_INTERRUPTIBLE: bool = INTERRUPTIBLE;
    type Event = ScriptedTurn;

    async fn event(&mut self) -> ScriptedTurn {
        self.inbox.receive().await
    }

    async fn turn(&mut self, cause: Cause<ScriptedTurn>) -> Result<Next, Failure> {
        self.record.add(self.began, format!("{cause:?}"));
        match cause {
            Cause::Start | Cause::Timer | Cause::Event(ScriptedTurn::Rest) => Ok(Next::event()),
            Cause::Event(ScriptedTurn::After(pause)) => Ok(Next::after(pause)),
            Cause::Event(ScriptedTurn::KeepOutage) => Ok(Next::event().keep_outage()),
            Cause::Event(ScriptedTurn::NoteFailure) => Ok(Next::after(2 * SECOND).failed()),
            Cause::Event(ScriptedTurn::Fail) => {
                Err(Failure::ProjectsMissing { shown: 0, known: 1 })
            }
            Cause::Event(ScriptedTurn::Panic) => panic!("as the script says"),
            Cause::Event(ScriptedTurn::Hang) => std::future::pending().await,
        }
    }

    async fn stop(&mut self) {
        self.record.add(self.began, "stop".to_owned());
    }
}

impl PartialEq for ScriptedTurn {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

#[derive(Default)]
struct Counts {
    turns: Mutex<(u32, u32, u32)>,
}

impl Observer for Counts {
    fn started(&self, actor: &'static str) {
        assert_eq!(actor, "claims");
    }

    fn turned(&self, actor: &'static str, _: Duration, is_ok: bool) {
        assert_eq!(actor, "claims");
        let mut turns = self.turns.lock().unwrap();
        if is_ok {
            turns.0 += 1;
        } else {
            turns.1 += 1;
        }
    }

    fn panicked(&self, _: &'static str) {
        self.turns.lock().unwrap().2 += 1;
    }
}

struct Running {
    inbox: Inbox<ScriptedTurn>,
    record: Record,
    outage: Outage,
    outages: Outages,
    counts: Arc<Counts>,
    shutdown: CancellationToken,
    tasks: JoinSet<&'static str>,
}

fn start<const IGNORES_EVENTS: bool, const INTERRUPTIBLE: bool>() -> Running {
    let (inbox, record) = (Inbox::default(), Record::default());
    let outage = Outage::new("a test", PAUSES, &Clock::default());
    let (shutdown, counts) = (CancellationToken::new(), Arc::new(Counts::default()));
    let outages = Outages::default();
    let observer = Arc::<Counts>::clone(&counts);
    let clock = Clock::default();
    let runner = Runner::new(shutdown.clone(), outages.clone(), observer, clock);
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let create = {
        let (inbox, record) = (inbox.clone(), record.clone());
        move || Scripted::<IGNORES_EVENTS, INTERRUPTIBLE> {
            inbox: inbox.clone(),
            record: record.clone(),
            began,
        }
    };
    runner.spawn_with(&mut tasks, outage.clone(), create);
    Running {
        inbox,
        record,
        outage,
        outages,
        counts,
        shutdown,
        tasks,
    }
}

impl Running {
    /// Lets time pass in which nothing happens from outside.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn act(&self, act: ScriptedTurn) {
        self.inbox.send(act);
        self.pass(Duration::from_millis(1)).await;
    }

    async fn end(mut self) -> Vec<String> {
        self.shutdown.cancel();
        assert_eq!(self.tasks.join_next().await.unwrap().unwrap(), "claims");
        self.record.texts()
    }
}

#[tokio::test(start_paused = true)]
async fn runs_turns_at_start_on_events_and_at_requested_times() {
    let running = start::<false, false>();
    running.pass(SECOND).await;
    running.act(ScriptedTurn::After(10 * SECOND)).await;
    running.pass(20 * SECOND).await;
    running.act(ScriptedTurn::After(10 * SECOND)).await;
    running.act(ScriptedTurn::Rest).await;
    running.pass(60 * SECOND).await;
    assert_eq!(
        running.end().await,
        [
            "0: Start",
            "1: Event(After(10s))",
            "11: Timer",
            "21: Event(After(10s))",
            "21: Event(Rest)",
            "81: stop"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_after_failure_and_shows_outage_until_a_turn_succeeds() {
    let running = start::<true, false>();
    running.act(ScriptedTurn::Fail).await;
    let outage = running.outage.current().unwrap();
    assert!(
        outage.cause.message.contains("0 of 1 known projects"),
        "{outage:?}"
    );
    // The pause comes first.
    running.inbox.send(ScriptedTurn::Fail);
    running.pass(SECOND / 2).await;
    assert_eq!(running.record.texts().len(), 2);
    running.pass(SECOND).await;
    // The turn after the pause succeeded, so the next pause is as short as the first.
    running.pass(10 * SECOND).await;
    assert_eq!(running.outage.current(), None);
    let counts = Arc::clone(&running.counts);
    assert_eq!(
        running.end().await,
        [
            "0: Start",
            "0: Event(Fail)",
            "1: Timer",
            "1: Event(Fail)",
            "2: Timer",
            "11: stop"
        ]
    );
    assert_eq!(*counts.turns.lock().unwrap(), (3, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn accepts_events_during_outage_if_the_actor_wants_them() {
    let running = start::<false, false>();
    running.act(ScriptedTurn::Fail).await;
    running.act(ScriptedTurn::KeepOutage).await;
    assert!(running.outage.current().is_some());
    running.act(ScriptedTurn::Rest).await;
    assert_eq!(running.outage.current(), None);
    assert_eq!(
        running.end().await,
        [
            "0: Start",
            "0: Event(Fail)",
            "0: Event(KeepOutage)",
            "0: Event(Rest)",
            "0: stop"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn counts_failures_that_the_actor_has_noted_itself() {
    let running = start::<false, false>();
    running.act(ScriptedTurn::Fail).await;
    running.act(ScriptedTurn::NoteFailure).await;
    assert!(running.outage.current().is_some());
    assert_eq!(*running.counts.turns.lock().unwrap(), (1, 2, 0));
    running.pass(3 * SECOND).await;
    assert_eq!(running.outage.current(), None);
    assert_eq!(
        running.end().await,
        [
            "0: Start",
            "0: Event(Fail)",
            "0: Event(NoteFailure)",
            "2: Timer",
            "3: stop"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn restarts_panicked_actor_and_keeps_its_messages() {
    let running = start::<false, false>();
    running.inbox.send(ScriptedTurn::Panic);
    running.inbox.send(ScriptedTurn::Panic);
    running.inbox.send(ScriptedTurn::Rest);
    running.pass(Duration::from_millis(1)).await;
    let outage = running.outage.current().unwrap();
    assert!(
        outage.cause.message.contains("as the script says"),
        "{outage:?}"
    );
    assert!(outage.is_internal);
    let failing = running.outages.current();
    assert_eq!(failing.len(), 1);
    assert_eq!(failing[0].task, BackgroundTask::Claims);
    assert_eq!(failing[0].title, "a test");
    assert_eq!(failing[0].outage, outage);
    running.pass(10 * SECOND).await;
    assert_eq!(running.outage.current(), None);
    assert!(running.outages.current().is_empty());
    let counts = Arc::clone(&running.counts);
    assert_eq!(
        running.end().await,
        [
            "0: Start",
            "0: Event(Panic)",
            "1: Start",
            "1: Event(Panic)",
            "2: Start",
            "2: Event(Rest)",
            "10: stop"
        ]
    );
    assert_eq!(counts.turns.lock().unwrap().2, 2);
}

#[tokio::test(start_paused = true)]
async fn finishes_turn_before_stopping_unless_interruptible() {
    let running = start::<false, true>();
    running.act(ScriptedTurn::Hang).await;
    assert_eq!(
        running.end().await,
        ["0: Start", "0: Event(Hang)", "0: stop"]
    );
    let mut running = start::<false, false>();
    running.act(ScriptedTurn::Hang).await;
    running.shutdown.cancel();
    let finished = tokio::time::timeout(60 * SECOND, running.tasks.join_next());
    assert!(finished.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn stops_during_pause_before_restart() {
    let running = start::<false, false>();
    running.act(ScriptedTurn::Panic).await;
    assert_eq!(running.end().await, ["0: Start", "0: Event(Panic)"]);
}
