//! Examples, below the help of each command. A test parses them.

macro_rules! examples {
    ($($name:ident: $($line:literal)+;)*) => {
        $(pub(super) const $name: &str = concat!("Examples:", $("\n  ", $line),+);)*
    };
}

examples! {
    ALL:
        "buildbtw plan libgreet          # what would a rebuild build?"
        "buildbtw new libgreet --follow  # rebuild it, and wait for the end"
        "buildbtw status                 # what runs, and what needs attention?";
    NEW:
        "buildbtw new libgreet"
        "buildbtw new openssl/openssl-4 curl/main --name openssl-4 --follow"
        "buildbtw new libgreet --scope soname --exclude 'haskell-*'";
    STATUS:
        "buildbtw status"
        "buildbtw status --everyone"
        "buildbtw status --jq '.attention[].name'";
    LIST:
        "buildbtw list --failed"
        "buildbtw list --json name,iteration.status"
        "buildbtw list --jq '.[].name'";
    ACTIVITY:
        "buildbtw activity --mine"
        "buildbtw activity --namespace openssl-4 --all";
    SHOW:
        "buildbtw show openssl-4 --failed"
        "buildbtw show openssl-4 --state building,ready --arch x86_64 --all"
        "buildbtw show openssl-4 --json builds --jq '.builds[].pkgbase'";
    PLAN:
        "buildbtw plan libgreet"
        "buildbtw plan libgreet/main --scope direct --format dot"
        "buildbtw plan libgreet --srcinfo packages/";
    WHY:
        "buildbtw why openssl-4 curl";
    DIFF:
        "buildbtw diff openssl-4  # the newest iteration and the one before"
        "buildbtw diff openssl-4/1 openssl-4/3"
        "buildbtw diff openssl-4 openssl-4-test --all";
    EDIT:
        "buildbtw edit openssl-4 --add curl/main --exclude 'haskell-*'"
        "buildbtw edit openssl-4 --remove curl --priority high";
    NEW_ITERATION:
        "buildbtw new-iteration openssl-4 --refresh-base";
    RETRY:
        "buildbtw retry openssl-4"
        "buildbtw retry openssl-4 curl wget --latest";
    CANCEL:
        "buildbtw cancel openssl-4";
    RESUME:
        "buildbtw resume openssl-4";
    PRIORITIZE:
        "buildbtw prioritize openssl-4 urgent --reason CVE-2026-1234";
    DELETE:
        "buildbtw delete openssl-4"
        "buildbtw delete openssl-4 --yes  # in a script";
    WATCH:
        "buildbtw watch openssl-4"
        "buildbtw watch openssl-4 --json kind,pkgbase,message";
    LOGS:
        "buildbtw logs openssl-4 curl --follow"
        "buildbtw logs openssl-4 --failed --tail 20"
        "buildbtw logs openssl-4 curl --grep 'error|undefined'";
    WORKERS:
        "buildbtw workers"
        "buildbtw workers builder-1"
        "buildbtw workers --json name,status,builds";
    WORKER:
        "buildbtw worker drain builder-1 --reason kernel"
        "buildbtw worker resume builder-1";
    OPEN:
        "buildbtw open openssl-4"
        "buildbtw open openssl-4 curl --print";
    SOURCES:
        "buildbtw sources openssl"
        "buildbtw sources --broken --json path,problem";
    TOKEN:
        "buildbtw token create --scope client --name laptop --expires 30d"
        "buildbtw token list"
        "buildbtw token revoke 7";
    LOGIN:
        "buildbtw login --server https://buildbtw.example.org"
        "buildbtw login --token-file token";
    DOCTOR:
        "buildbtw doctor"
        "buildbtw doctor --jq '.checks[] | select(.status == \"failure\")'";
    CONFIG:
        "buildbtw config"
        "buildbtw config set server https://buildbtw.example.org";
    COMPLETIONS:
        "buildbtw completions bash > buildbtw.bash"
        "buildbtw completions fish";
    BUILD:
        "buildbtw build libgreet --output packages --arch x86_64"
        "buildbtw build openssl-4 curl  # repeat the newest attempt at curl"
        "buildbtw build openssl-4 curl --shell";
    SHELL:
        "buildbtw shell openssl-4 curl"
        "buildbtw shell 1234  # the build of this number";
    SANDBOX:
        "buildbtw sandbox --dir root --network -- pacman --sync --refresh";
}
