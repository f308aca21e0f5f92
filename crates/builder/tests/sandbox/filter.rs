//! The system call filter, tested by programs of every architecture that the host runs.

use crate::support::{Fixture, expected, script_package, scriptlet};

/// Makes calls by number, on the host's own architecture.
const NATIVE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void try(const char *name, long call, long a, long b) {
  errno = 0;
  long result = syscall(call, a, b, 0L, 0L, 0L);
  printf("native %s %d\n", name, result < 0 ? errno : 0);
}
static void *thread(void *argument) { return argument; }
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  try("keyctl", SYS_keyctl, 0, -3);
  try("add_key", SYS_add_key, (long)"user", (long)"x");
  try("request_key", SYS_request_key, (long)"user", (long)"x");
  try("bpf", SYS_bpf, 0, 0);
  try("io_uring_setup", SYS_io_uring_setup, 1, 0);
  try("io_uring_enter", SYS_io_uring_enter, -1, 0);
  try("io_uring_register", SYS_io_uring_register, -1, 0);
  try("userfaultfd", SYS_userfaultfd, 1, 0);
  try("perf_event_open", SYS_perf_event_open, 0, 0);
  try("kexec_load", SYS_kexec_load, 0, 0);
  try("kexec_file_load", SYS_kexec_file_load, -1, -1);
  try("setns", SYS_setns, -1, 0);
  try("unshare", SYS_unshare, CLONE_NEWUSER, 0);
  try("clone", SYS_clone, CLONE_NEWUSER | SIGCHLD_, 0);
  try("clone3", SYS_clone3, 0, 0);
#ifdef __x86_64__
  try("x32", 0x40000000L + SYS_getpid, 0, 0);
  try("x32-keyctl", 0x40000000L + SYS_keyctl, 0, -3);
#endif
  pthread_t id;
  printf("native thread %d\n", pthread_create(&id, 0, thread, 0) || pthread_join(id, 0));
  pid_t child = fork();
  if (child == 0) _exit(7);
  int status;
  waitpid(child, &status, 0);
  printf("native fork %d\n", WEXITSTATUS(status));
}
"#;

/// The same for 32-bit programs of x86, without their C library: only a compiler is required.
const I386: &str = r#"
static int call(int number, int a, int b, int c) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0) : "memory");
  return result;
}
static void print(const char *text) {
  int length = 0;
  while (text[length]) length++;
  call(4, 1, (int)text, length);
}
static void try(const char *name, int number, int a, int b) {
  int result = call(number, a, b, 0);
  char digits[] = "00\n";
  if (result < 0) { digits[0] = '0' + -result / 10 % 10; digits[1] = '0' + -result % 10; }
  print("i386 "); print(name); print(" "); print(digits);
}
void _start(void) {
  try("getpid", 20, 0, 0);
  try("keyctl", 288, 0, -3);
  try("add_key", 286, (int)"user", (int)"x");
  try("request_key", 287, (int)"user", (int)"x");
  try("bpf", 357, 0, 0);
  try("io_uring_setup", 425, 1, 0);
  try("io_uring_enter", 426, -1, 0);
  try("io_uring_register", 427, -1, 0);
  try("userfaultfd", 374, 1, 0);
  try("perf_event_open", 336, 0, 0);
  try("kexec_load", 283, 0, 0);
  try("setns", 346, -1, 0);
  try("unshare", 310, 0x10000000, 0);
  try("clone", 120, 0x10000011, 0);
  try("clone3", 435, 0, 0);
  int child = call(120, 17, 0, 0);
  if (child == 0) { print("i386 child 00\n"); call(1, 0, 0, 0); }
  call(114, -1, 0, 0);
  call(1, 42, 0, 0);
}
"#;

const REFUSED: [&str; 13] = [
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "userfaultfd",
    "perf_event_open",
    "kexec_load",
    "setns",
    "unshare",
    "clone",
];

#[tokio::test]
async fn blocks_dangerous_system_calls_on_every_architecture() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let is_x86 = cfg!(target_arch = "x86_64");
    let pkgbuild = format!(
        "pkgname=probe\npkgver=1\npkgrel=1\narch=(x86_64)\ninstall=x.install\noptions=(!strip)\n\
         build() {{\n gcc -DSIGCHLD_=17 -pthread -o native \"$startdir/native.c\"\n\
         if {is_x86}; then gcc -m32 -march=i686 -static -nostdlib -fno-pie -no-pie -fno-stack-protector \
         -o i386 \"$startdir/i386.c\"; fi\n\
         ./native 2>&1\n if {is_x86}; then ./i386 || echo \"i386 ended with $?\"; fi\n}}\n\
         package() {{ install -Dt \"$pkgdir/usr/lib/probe\" native; ! {is_x86} || install -Dt \"$pkgdir/usr/lib/probe\" i386; }}\n"
    );
    let install = scriptlet("for probe in /usr/lib/probe/*; do \"$probe\"; done");
    let files = [
        ("PKGBUILD", &*pkgbuild),
        ("x.install", &*install),
        ("native.c", NATIVE),
        ("i386.c", I386),
    ];
    let mut request = fixture.request_with("probe", &files);
    request.packages = vec![expected("probe", "x86_64")];
    let (packages, log) = fixture.built(&request).await;
    fixture.publish("base", &packages);
    let mut user = fixture.request(
        "user",
        &script_package("user", "cat /usr/share/of-scriptlet"),
    );
    user.dependencies = vec!["probe".into()];
    let (_, of_scriptlet) = fixture.built(&user).await;
    for log in [log.clone(), of_scriptlet] {
        for name in REFUSED {
            assert!(log.contains(&format!("native {name} 1\n")), "{name}: {log}");
            assert!(
                !is_x86 || log.contains(&format!("i386 {name} 01\n")),
                "{name}: {log}"
            );
        }
        assert!(log.contains("native kexec_file_load 1\n"), "{log}");
        assert!(log.contains("native clone3 38\n"), "{log}");
        assert!(log.contains("native thread 0\nnative fork 7\n"), "{log}");
        if is_x86 {
            assert!(log.contains("i386 getpid 00\n"), "{log}");
            assert!(log.contains("i386 clone3 38\n"), "{log}");
            assert!(log.contains("i386 child 00\n"), "{log}");
            assert!(
                log.contains("native x32 38\nnative x32-keyctl 38\n"),
                "{log}"
            );
        }
    }
    assert!(!is_x86 || log.contains("i386 ended with 42\n"), "{log}");
}
