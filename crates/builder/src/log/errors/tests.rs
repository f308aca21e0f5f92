//! Build logs of many tools, and the line that explains each failure.

use super::*;
use crate::log::cause::{Weight, line_weight};

/// Returns the explanation when the helper knows which function failed according to makepkg.
fn explained(log: &str) -> Vec<String> {
    let function = log
        .rsplit_once("A failure occurred in ")
        .and_then(|(_, rest)| rest.split_once("()"));
    explained_with(log, function.map(|(name, _)| name))
}

fn explained_with(log: &str, function: Option<&str>) -> Vec<String> {
    let mut lines = ErrorLines::default();
    for chunk in log.as_bytes().chunks(61) {
        lines.feed(chunk);
    }
    lines.finish(function)
}

/// Tool, log of the failing function, and the first line of the explanation.
const TRANSCRIPTS: &[(&str, &str, &str)] = &[
    (
        "gcc below make -j",
        "gcc -Wall -Werror -c error.c -o error.o\ngcc -c x.c -o x.o\nerror.c: In function 'f':\nerror.c:3:5: error: implicit declaration of function 'g' [-Werror=implicit-function-declaration]\n    3 |     g();\n      |     ^\ngcc -c y.c -o y.o\ncc1: all warnings being treated as errors\nmake[1]: *** [Makefile:4: error.o] Error 1\nmake[1]: *** Waiting for unfinished jobs....\nmake: *** [Makefile:2: all] Error 2\n",
        "error.c:3:5: error: implicit declaration of function 'g' [-Werror=implicit-function-declaration]",
    ),
    (
        "missing header",
        "In file included from x.c:1:\nx.h:2:10: fatal error: zlib.h: No such file or directory\n    2 | #include <zlib.h>\n      |          ^~~~~~~~\ncompilation terminated.\nmake: *** [Makefile:2: x.o] Error 1\n",
        "x.h:2:10: fatal error: zlib.h: No such file or directory",
    ),
    (
        "clang, coloured",
        "\x1b[1mx.c:2:3: \x1b[0m\x1b[0;1;31merror: \x1b[0m\x1b[1muse of undeclared identifier 'y'\x1b[0m\n  y;\n  ^\n1 error generated.\n",
        "x.c:2:3: error: use of undeclared identifier 'y'",
    ),
    (
        "ninja",
        "[1/2] cc -c a.c\r[2/2] cc -c b.c\nFAILED: b.o\ncc -c b.c -o b.o\nb.c:1:1: error: unknown type name 'foo'\nninja: build stopped: subcommand failed.\n",
        "b.c:1:1: error: unknown type name 'foo'",
    ),
    (
        "ninja without a build file",
        "ninja: error: loading 'build.ninja': No such file or directory\n",
        "ninja: error: loading 'build.ninja': No such file or directory",
    ),
    (
        "linker",
        "gcc -o x x.o\n/usr/bin/ld: x.o: in function `main':\nx.c:(.text+0xa): undefined reference to `greet'\ncollect2: error: ld returned 1 exit status\nmake: *** [Makefile:2: x] Error 1\n",
        "x.c:(.text+0xa): undefined reference to `greet'",
    ),
    (
        "linker without the library",
        "/usr/bin/ld: cannot find -lgreet: No such file or directory\ncollect2: error: ld returned 1 exit status\n",
        "/usr/bin/ld: cannot find -lgreet: No such file or directory",
    ),
    (
        "lld",
        "ld.lld: error: undefined symbol: greet\n>>> referenced by x.c\nclang: error: linker command failed with exit code 1 (use -v to see invocation)\n",
        "ld.lld: error: undefined symbol: greet",
    ),
    (
        "make without a rule",
        "make: *** No rule to make target 'x.c', needed by 'x.o'.  Stop.\n",
        "make: *** No rule to make target 'x.c', needed by 'x.o'.  Stop.",
    ),
    (
        "make without a makefile",
        "make: *** No targets specified and no makefile found.  Stop.\n",
        "make: *** No targets specified and no makefile found.  Stop.",
    ),
    (
        "broken makefile",
        "Makefile:5: *** missing separator.  Stop.\n",
        "Makefile:5: *** missing separator.  Stop.",
    ),
    (
        "install below make",
        "install -Dm644 doc/x.1 /pkg/x.1\ninstall: cannot stat 'doc/x.1': No such file or directory\nmake[1]: *** [Makefile:9: install-man] Error 1\nmake: *** [Makefile:4: install] Error 2\n",
        "install: cannot stat 'doc/x.1': No such file or directory",
    ),
    (
        "cp",
        "copying\ncp: cannot stat 'x.desktop': No such file or directory\n",
        "cp: cannot stat 'x.desktop': No such file or directory",
    ),
    (
        "mv after tolerated noise",
        "fatal: not a git repository (or any of the parent directories): .git\nbuilding version unknown\nrm: cannot remove 'old': No such file or directory\nmv: cannot move 'a' to 'b': Permission denied\n",
        "mv: cannot move 'a' to 'b': Permission denied",
    ),
    (
        "ln",
        "ln: failed to create symbolic link '/pkg/usr/bin/x': File exists\n",
        "ln: failed to create symbolic link '/pkg/usr/bin/x': File exists",
    ),
    (
        "sed",
        "sed: can't read config.in: No such file or directory\n",
        "sed: can't read config.in: No such file or directory",
    ),
    (
        "cmake, several lines",
        "-- The C compiler identification is GNU 12.2.0\n-- Looking for error.h - not found\nCMake Error at CMakeLists.txt:5 (find_package):\n  Could not find a package configuration file provided by \"Foo\" with any of\n  the following names:\n\n    FooConfig.cmake\n    foo-config.cmake\n\n  Add the installation prefix of \"Foo\" to CMAKE_PREFIX_PATH.\n\n\n-- Configuring incomplete, errors occurred!\nSee also \"/build/CMakeFiles/CMakeOutput.log\".\n",
        "CMake Error at CMakeLists.txt:5 (find_package): Could not find a package configuration file provided by \"Foo\" with any of the following names: FooConfig.cmake foo-config.cmake Add the installation prefix of \"Foo\" to CMAKE_PREFIX_PATH.",
    ),
    (
        "cmake, missing module",
        "CMake Error at /usr/share/cmake/Modules/FindPackageHandleStandardArgs.cmake:230 (message):\n  Could NOT find ZLIB (missing: ZLIB_LIBRARY ZLIB_INCLUDE_DIR)\nCall Stack (most recent call first):\n  CMakeLists.txt:3 (find_package)\n",
        "CMake Error at /usr/share/cmake/Modules/FindPackageHandleStandardArgs.cmake:230 (message): Could NOT find ZLIB (missing: ZLIB_LIBRARY ZLIB_INCLUDE_DIR)",
    ),
    (
        "cmake, no source",
        "CMake Error: The source directory \"/build/x\" does not exist.\nSpecify --help for usage, or press the help button on the CMake GUI.\n",
        "CMake Error: The source directory \"/build/x\" does not exist.",
    ),
    (
        "meson",
        "The Meson build system\nRun-time dependency foo found: NO (tried pkgconfig and cmake)\n\n../src/meson.build:3:0: ERROR: Dependency \"foo\" not found, tried pkgconfig and cmake\n\nA full log can be found at /build/meson-logs/meson-log.txt\n",
        "../src/meson.build:3:0: ERROR: Dependency \"foo\" not found, tried pkgconfig and cmake",
    ),
    (
        "meson test",
        " 1/2 x:good OK 0.01s\n 2/2 x:bad FAIL 0.01s exit status 1\n\nSummary of Failures:\n\n2/2 x:bad FAIL 0.01s exit status 1\n\nOk: 1\nFail: 1\n",
        "2/2 x:bad FAIL 0.01s exit status 1",
    ),
    (
        "autotools",
        "checking for gcc... gcc\nchecking for error... no\n./configure: line 12: foo-config: command not found\nchecking for zlib... no\nconfigure: error: zlib is required\n",
        "configure: error: zlib is required",
    ),
    (
        "autoconf",
        "configure.ac:12: error: possibly undefined macro: AC_PROG_FOO\n      If this token and others are legitimate, please use m4_pattern_allow.\nautoreconf: error: /usr/bin/autoconf failed with exit status: 1\n",
        "configure.ac:12: error: possibly undefined macro: AC_PROG_FOO",
    ),
    (
        "pkg-config",
        "Package foo was not found in the pkg-config search path.\nPerhaps you should add the directory containing `foo.pc'\nNo package 'foo' found\n",
        "No package 'foo' found",
    ),
    (
        "python traceback",
        "running build\nTraceback (most recent call last):\n  File \"setup.py\", line 3, in <module>\n    import setuptools\nModuleNotFoundError: No module named 'setuptools'\n",
        "ModuleNotFoundError: No module named 'setuptools'",
    ),
    (
        "chained traceback",
        "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    {}['a']\nKeyError: 'a'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"x.py\", line 3, in <module>\n    raise RuntimeError('no a')\nRuntimeError: no a\n",
        "RuntimeError: no a",
    ),
    (
        "python build with a compiler below it",
        "x.c:1:10: fatal error: Python.h: No such file or directory\ncompilation terminated.\nerror: command '/usr/bin/gcc' failed with exit code 1\nERROR Backend subprocess exited when trying to invoke build_wheel\n",
        "x.c:1:10: fatal error: Python.h: No such file or directory",
    ),
    (
        "python that runs a command",
        "x.c:1:1: error: unknown type name 'x'\nTraceback (most recent call last):\n  File \"b.py\", line 1, in <module>\n    run(['cc'])\nsubprocess.CalledProcessError: Command '['cc']' returned non-zero exit status 1.\n",
        "x.c:1:1: error: unknown type name 'x'",
    ),
    (
        "python syntax",
        "  File \"x.py\", line 3\n    foo bar\n        ^^^\nSyntaxError: invalid syntax\n",
        "x.py:3: SyntaxError: invalid syntax",
    ),
    (
        "pytest",
        "collected 2 items\n\ntests/test_error.py::test_error PASSED\ntests/test_x.py::test_y FAILED\n\n=== FAILURES ===\n    def test_y():\n>       assert f() == 2\nE       assert 1 == 2\n\ntests/test_x.py:5: AssertionError\n=== short test summary info ===\nFAILED tests/test_x.py::test_y - assert 1 == 2\n=== 1 failed, 1 passed in 0.05s ===\n",
        "E       assert 1 == 2",
    ),
    (
        "unittest",
        "test_error (m.T) ... ok\ntest_x (m.T) ... FAIL\n\n======\nFAIL: test_x (m.T)\n------\nTraceback (most recent call last):\n  File \"m.py\", line 5, in test_x\n    self.assertEqual(1, 2)\nAssertionError: 1 != 2\n\n------\nRan 2 tests in 0.001s\n\nFAILED (failures=1)\n",
        "FAIL: test_x (m.T)",
    ),
    (
        "TAP",
        "1..3\nok 1 - error handling\nnot ok 2 - later # TODO not written yet\nnot ok 3 - reads a file\n# Failed 1 of 3\n",
        "not ok 3 - reads a file",
    ),
    (
        "prove",
        "t/a.t .. ok\n#   Failed test 'sum'\n#   at t/b.t line 3.\n# Looks like you failed 1 test of 1.\nt/b.t .. Dubious, test returned 1 (wstat 256, 0x100)\nResult: FAIL\n",
        "#   Failed test 'sum' #   at t/b.t line 3.",
    ),
    (
        "automake tests",
        "PASS: test-error\nFAIL: test-io\nXFAIL: test-known\n# TOTAL: 3\n# FAIL:  1\nmake[2]: *** [Makefile:900: test-suite.log] Error 1\n",
        "FAIL: test-io",
    ),
    (
        "ctest",
        "    Start 1: error_test\n1/3 Test #1: error_test .......   Passed    0.00 sec\n    Start 3: io\n3/3 Test #3: io ...............***Failed    0.01 sec\n\n67% tests passed, 1 tests failed out of 3\n\nThe following tests FAILED:\n\t  3 - io (Failed)\nErrors while running CTest\nmake: *** [Makefile:71: test] Error 8\n",
        "The following tests FAILED: 3 - io (Failed)",
    ),
    (
        "googletest",
        "[ RUN      ] Io.Reads\nio_test.cc:5: Failure\nExpected equality of these values:\n  f(1)\n    Which is: 2\n  3\n[  FAILED  ] Io.Reads (0 ms)\n",
        "io_test.cc:5: Failure Expected equality of these values: f(1) Which is: 2 3",
    ),
    (
        "go build",
        "# example.org/x\n./main.go:3:5: undefined: greet\n",
        "./main.go:3:5: undefined: greet",
    ),
    (
        "go modules",
        "go: downloading example.org/y v1.0.0\ngo: example.org/y@v1.0.0: Get \"https://proxy.golang.org/y\": dial tcp: lookup proxy.golang.org: Temporary failure in name resolution\n",
        "go: example.org/y@v1.0.0: Get \"https://proxy.golang.org/y\": dial tcp: lookup proxy.golang.org: Temporary failure in name resolution",
    ),
    (
        "go test",
        "=== RUN   TestError\n--- PASS: TestError (0.00s)\n=== RUN   TestSum\n--- FAIL: TestSum (0.00s)\n    sum_test.go:9: got 3, want 4\nFAIL\nFAIL\texample.org/x\t0.002s\nFAIL\n",
        "--- FAIL: TestSum (0.00s) sum_test.go:9: got 3, want 4",
    ),
    (
        "go test -v",
        "=== RUN   TestA\n    a_test.go:10: skipping: needs network\n--- SKIP: TestA (0.00s)\n=== RUN   TestB\n    b_test.go:11: log 1\n    b_test.go:12: log 2\n    b_test.go:13: log 3\n--- PASS: TestB (0.00s)\n=== RUN   TestC\n    c_test.go:13: got 3, want 4\n--- FAIL: TestC (0.00s)\nFAIL\nexit status 1\nFAIL\texample.org/x\t0.003s\nFAIL\n",
        "c_test.go:13: got 3, want 4",
    ),
    (
        "go test -v, subtests",
        "=== RUN   TestA\n=== RUN   TestA/1\n    a_test.go:3: one\n=== RUN   TestA/2\n    a_test.go:5: got 3, want 4\n=== RUN   TestA/3\n    a_test.go:7: three\n--- FAIL: TestA (0.00s)\n    --- PASS: TestA/1 (0.00s)\n    --- FAIL: TestA/2 (0.00s)\n    --- SKIP: TestA/3 (0.00s)\nFAIL\n",
        "--- FAIL: TestA (0.00s)",
    ),
    (
        "ruby",
        "/usr/lib/ruby/3.2.0/rubygems/core_ext/kernel_require.rb:86:in `require': cannot load such file -- asciidoctor (LoadError)\n\tfrom /usr/lib/ruby/3.2.0/rubygems/core_ext/kernel_require.rb:86:in `require'\n\tfrom a.rb:1:in `a'\n\tfrom a.rb:2:in `b'\n\tfrom a.rb:3:in `c'\n\tfrom a.rb:4:in `<main>'\nmake: *** [Makefile:2: doc] Error 1\n",
        "/usr/lib/ruby/3.2.0/rubygems/core_ext/kernel_require.rb:86:in `require': cannot load such file -- asciidoctor (LoadError)",
    ),
    (
        "java",
        "Exception in thread \"main\" java.lang.NoClassDefFoundError: org/foo/Bar\n\tat a.b.c(A.java:1)\n\tat a.b.d(A.java:2)\n\tat a.b.e(A.java:3)\n\tat a.b.f(A.java:4)\n\t... 3 more\nmake: *** [Makefile:2: doc] Error 1\n",
        "Exception in thread \"main\" java.lang.NoClassDefFoundError: org/foo/Bar",
    ),
    (
        "elixir",
        "Compiling 3 files (.ex)\n** (Mix) Could not compile dependency :jason\n",
        "** (Mix) Could not compile dependency :jason",
    ),
    (
        "warnings of GLib",
        "** (process:77): WARNING **: 10:00:00.000: Failed to load icon theme\n(x:7): Gtk-WARNING **: cannot open display: \n** Message: 10:00:00.000: error handler set\nfoo.o: in function `main':\nfoo.c:(.text+0x3): undefined reference to `bar'\ncollect2: error: ld returned 1 exit status\n",
        "foo.c:(.text+0x3): undefined reference to `bar'",
    ),
    (
        "python indentation",
        "Traceback (most recent call last):\n  File \"run.py\", line 1, in <module>\n    import a\n  File \"/build/a.py\", line 2\n    x=1\n    ^\nIndentationError: expected an indented block after 'if' statement on line 1\n",
        "/build/a.py:2: IndentationError: expected an indented block after 'if' statement on line 1",
    ),
    (
        "python-build",
        "* Getting build dependencies for wheel...\n\nERROR Missing dependencies:\n\twheel\n\tsetuptools-scm>=8\n",
        "ERROR Missing dependencies: wheel setuptools-scm>=8",
    ),
    (
        "pkg-config below configure",
        "checking for GLIB... no\nconfigure: error: Package requirements (glib-2.0 >= 2.50) were not met:\n\nNo package 'glib-2.0' found\n\nConsider adjusting the PKG_CONFIG_PATH environment variable if you\ninstalled software in a non-standard prefix.\n",
        "configure: error: Package requirements (glib-2.0 >= 2.50) were not met: No package 'glib-2.0' found",
    ),
    (
        "npm without network",
        "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error errno ENOTFOUND\nnpm error network request to https://registry.npmjs.org/left-pad failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org\nnpm error network This is a problem related to network connectivity.\nnpm error network In most cases you are behind a proxy or have bad network settings.\nnpm error network\nnpm error network If you are behind a proxy, please make sure that the\nnpm error network 'proxy' config is set properly.  See: 'npm help config'\nnpm error A complete log of this run can be found in: /build/home/.npm/_logs/x.log\n",
        "npm error network request to https://registry.npmjs.org/left-pad failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org",
    ),
    (
        "set -u in a function",
        "/build/tree/PKGBUILD: line 5: nope: unbound variable\n/usr/bin/makepkg: line 131: logpipe: unbound variable\n",
        "/build/tree/PKGBUILD: line 5: nope: unbound variable",
    ),
    (
        "rustc",
        "   Compiling x v0.1.0\nerror[E0308]: mismatched types\n --> src/main.rs:2:18\n  |\n2 |     let x: i32 = \"\";\n  |                  ^^ expected `i32`\n\nerror: aborting due to previous error\n\nFor more information about this error, try `rustc --explain E0308`.\nerror: could not compile `x` (bin \"x\") due to 1 previous error\n",
        "error[E0308]: mismatched types --> src/main.rs:2:18",
    ),
    (
        "cargo without network",
        "    Updating crates.io index\nerror: failed to get `serde` as a dependency of package `x v0.1.0`\n\nCaused by:\n  download of config.json failed\n\nCaused by:\n  [6] Couldn't resolve host name\n  (Could not resolve host: index.crates.io)\n",
        "error: failed to get `serde` as a dependency of package `x v0.1.0`: [6] Couldn't resolve host name (Could not resolve host: index.crates.io)",
    ),
    (
        "anyhow",
        "Error: no configuration\n\nCaused by:\n    0: reading x.toml\n    1: No such file or directory (os error 2)\n",
        "Error: no configuration: No such file or directory (os error 2)",
    ),
    (
        "cargo test",
        "running 2 tests\ntest tests::handles_error ... ok\ntest tests::sums ... FAILED\n\nfailures:\n\n---- tests::sums stdout ----\nthread 'tests::sums' panicked at src/lib.rs:9:5:\nassertion `left == right` failed\n\ntest result: FAILED. 1 passed; 1 failed\n\nerror: test failed, to rerun pass `--lib`\n",
        "test tests::sums ... FAILED",
    ),
    (
        "rust linker",
        "error: linking with `cc` failed: exit status: 1\n  |\n  = note: /usr/bin/ld: cannot find -lgreet: No such file or directory\n          collect2: error: ld returned 1 exit status\nerror: could not compile `x` (bin \"x\") due to 1 previous error\n",
        "= note: /usr/bin/ld: cannot find -lgreet: No such file or directory",
    ),
    (
        "patch, a hunk",
        "patching file src/x.c\nHunk #1 FAILED at 12.\n1 out of 2 hunks FAILED -- saving rejects to file src/x.c.rej\n",
        "1 out of 2 hunks FAILED -- saving rejects to file src/x.c.rej",
    ),
    (
        "patch, the file",
        "can't find file to patch at input line 4\nPerhaps you used the wrong -p or --strip option?\nFile to patch:\nSkip this patch? [y]\nSkipping patch.\n1 out of 1 hunk ignored\n",
        "can't find file to patch at input line 4",
    ),
    (
        "git apply",
        "error: patch failed: src/x.c:12\nerror: src/x.c: patch does not apply\n",
        "error: src/x.c: patch does not apply",
    ),
    (
        "curl",
        "  % Total    % Received % Xferd\r  0     0    0     0\ncurl: (22) The requested URL returned error: 404\n",
        "curl: (22) The requested URL returned error: 404",
    ),
    (
        "git",
        "Cloning into 'x'...\nfatal: unable to access 'https://example.org/x/': Could not resolve host: example.org\n",
        "fatal: unable to access 'https://example.org/x/': Could not resolve host: example.org",
    ),
    (
        "shell, command",
        "/build/tree/PKGBUILD: line 12: foo: command not found\n",
        "/build/tree/PKGBUILD: line 12: foo: command not found",
    ),
    (
        "shell, syntax",
        "./build.sh: line 3: syntax error near unexpected token `fi'\n./build.sh: line 3: `fi'\n",
        "./build.sh: line 3: syntax error near unexpected token `fi'",
    ),
    (
        "shell, folder",
        "/build/tree/PKGBUILD: line 9: cd: x-1.0: No such file or directory\n",
        "/build/tree/PKGBUILD: line 9: cd: x-1.0: No such file or directory",
    ),
    (
        "dash",
        "sh: 1: foo: not found\nmake: *** [Makefile:2: all] Error 127\n",
        "sh: 1: foo: not found",
    ),
    (
        "make, command",
        "make: foo-gen: No such file or directory\nmake: *** [Makefile:2: all] Error 127\n",
        "make: foo-gen: No such file or directory",
    ),
    (
        "perl",
        "Can't locate XML/Parser.pm in @INC (you may need to install the XML::Parser module) at ./x.pl line 1.\nBEGIN failed--compilation aborted at ./x.pl line 1.\n",
        "Can't locate XML/Parser.pm in @INC (you may need to install the XML::Parser module) at ./x.pl line 1.",
    ),
    (
        "node",
        "node:internal/modules/cjs/loader:1080\n  throw err;\n\nError: Cannot find module 'left-pad'\nRequire stack:\n- /build/x.js\n    at Module._resolveFilename\n",
        "Error: Cannot find module 'left-pad'",
    ),
    (
        "npm",
        "npm ERR! code ENOTFOUND\nnpm ERR! errno ENOTFOUND\nnpm ERR! network request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org\n\nnpm ERR! A complete log of this run can be found in: /root/.npm/_logs/x.log\n",
        "npm ERR! network request to https://registry.npmjs.org/x failed, reason: getaddrinfo ENOTFOUND registry.npmjs.org",
    ),
    (
        "typescript",
        "src/x.ts(3,5): error TS2304: Cannot find name 'y'.\nnpm ERR! code ELIFECYCLE\n",
        "src/x.ts(3,5): error TS2304: Cannot find name 'y'.",
    ),
    (
        "maven",
        "[INFO] BUILD FAILURE\n[ERROR] COMPILATION ERROR : \n[ERROR] /build/src/X.java:[3,5] cannot find symbol\n[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin\n[ERROR] -> [Help 1]\n[ERROR] \n[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.\n",
        "[ERROR] /build/src/X.java:[3,5] cannot find symbol",
    ),
    (
        "javac",
        "src/X.java:3: error: cannot find symbol\n    foo();\n    ^\n1 error\n",
        "src/X.java:3: error: cannot find symbol",
    ),
    (
        "gradle",
        "FAILURE: Build failed with an exception.\n\n* What went wrong:\nCould not resolve all files for configuration ':compileClasspath'.\n\nBUILD FAILED in 3s\n",
        "* What went wrong: Could not resolve all files for configuration ':compileClasspath'.",
    ),
    (
        "ghc",
        "[1 of 1] Compiling Main\n\nsrc/Main.hs:3:5: error: [GHC-88464]\n    Variable not in scope: greet\n  |\n3 |     greet\n",
        "src/Main.hs:3:5: error: [GHC-88464] Variable not in scope: greet",
    ),
    (
        "crash",
        "running the generator\n/build/tree/PKGBUILD: line 8: 1234 Segmentation fault      (core dumped) ./generate\n",
        "/build/tree/PKGBUILD: line 8: 1234 Segmentation fault      (core dumped) ./generate",
    ),
    (
        "C++ exception",
        "terminate called after throwing an instance of 'std::runtime_error'\n  what():  no table\nAborted (core dumped)\n",
        "terminate called after throwing an instance of 'std::runtime_error' what():  no table",
    ),
    (
        "assertion",
        "x: x.c:5: main: Assertion `0' failed.\nAborted (core dumped)\n",
        "x: x.c:5: main: Assertion `0' failed.",
    ),
    (
        "tar",
        "tar: x.tar: Cannot open: No such file or directory\ntar: Error is not recoverable: exiting now\n",
        "tar: x.tar: Cannot open: No such file or directory",
    ),
    (
        "bsdtar",
        "bsdtar: Error opening archive: Failed to open 'x.tar.gz'\n",
        "bsdtar: Error opening archive: Failed to open 'x.tar.gz'",
    ),
    (
        "full disk",
        "cc1: error: x.s: No space left on device\nmake: *** [x.o] Error 1\n",
        "cc1: error: x.s: No space left on device",
    ),
    (
        "shared library",
        "./x: error while loading shared libraries: libgreet.so.1: cannot open shared object file: No such file or directory\n",
        "./x: error while loading shared libraries: libgreet.so.1: cannot open shared object file: No such file or directory",
    ),
    (
        "qmake",
        "Project ERROR: Unknown module(s) in QT: webengine\n",
        "Project ERROR: Unknown module(s) in QT: webengine",
    ),
];

#[test]
fn shows_cause_first_for_every_build_tool() {
    let mut wrong = String::new();
    for (tool, log, expected) in TRANSCRIPTS.iter().chain(tools::TRANSCRIPTS) {
        let log = format!(
            "error: of an old step\n==> buildbtw: building x\n==> Starting prepare()...\n\
             rm: cannot remove 'y': No such file or directory\n==> Starting build()...\n\
             0 errors so far\n{log}==> ERROR: A failure occurred in build().\n    Aborting...\n"
        );
        let lines = explained(&log);
        if lines.first().map(String::as_str) != Some(*expected)
            || lines.last().map(String::as_str) != Some("==> ERROR: A failure occurred in build().")
        {
            wrong.push_str(&format!("{tool}: {lines:#?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn ignores_lines_that_only_mention_an_error() {
    let log = "==> Starting build()...\ngcc -Werror -c error.c\n0 errors, 0 warnings\nno error\n\
               test_error ... ok\nchecking for error... no\nx.c:1:1: warning: unused [-Wunused]\n\
               the last words\n==> ERROR: A failure occurred in build().\n    Aborting...\n";
    let lines = explained(log);
    assert_eq!(
        lines.get(lines.len() - 2).map(String::as_str),
        Some("the last words"),
        "{lines:?}"
    );
    for line in log.lines().filter(|line| line.contains("rror")) {
        let (weight, _) = line_weight(line);
        assert!(
            matches!(weight, Weight::Nothing | Weight::Consequence),
            "{line}"
        );
    }
}

#[test]
fn shows_end_of_unrecognized_log() {
    let lines = explained(
        "==> Starting build()...\none\ntwo\n\nthree\nfour\nfive\n\n==> ERROR: A failure occurred in build().\n    Aborting...\n",
    );
    assert_eq!(
        lines,
        [
            "two",
            "three",
            "four",
            "five",
            "==> ERROR: A failure occurred in build()."
        ]
    );
}

#[test]
fn ignores_questions_of_pacman() {
    let lines = explained(
        ":: The following package cannot be upgraded due to unresolvable dependencies:\n      x\n:: Do you want to skip the above package for this upgrade? [y/N] \nerror: failed to prepare transaction (could not satisfy dependencies)\n:: unable to satisfy dependency 'liby.so=1-64' required by x\n",
    );
    assert_eq!(
        lines[0],
        ":: unable to satisfy dependency 'liby.so=1-64' required by x"
    );
    assert!(
        lines.iter().all(|line| !line.contains("[y/N]")),
        "{lines:?}"
    );
}

#[test]
fn names_missing_dependencies() {
    let missing = "==> Missing dependencies:\n  -> lowlib\n  -> other>=2\n";
    let error = "==> ERROR: Could not resolve all dependencies.\n";
    for log in [
        format!("==> Checking buildtime dependencies...\n{missing}{error}"),
        // Both are checked before makepkg stops.
        format!(
            "==> Checking runtime dependencies...\n{missing}==> Checking buildtime dependencies...\n{error}"
        ),
    ] {
        let lines = explained(&log);
        assert_eq!(lines[0], "==> Missing dependencies: lowlib other>=2");
    }
}

#[test]
fn omits_messages_of_passed_go_tests() {
    let log = TRANSCRIPTS.iter().find(|(tool, ..)| *tool == "go test -v");
    let (_, log, _) = log.unwrap();
    assert_eq!(
        explained(log),
        ["c_test.go:13: got 3, want 4", "--- FAIL: TestC (0.00s)"]
    );
    let log = TRANSCRIPTS
        .iter()
        .find(|(tool, ..)| tool.contains("subtests"));
    let (_, log, _) = log.unwrap();
    assert_eq!(
        explained(log),
        [
            "--- FAIL: TestA (0.00s)",
            "a_test.go:5: got 3, want 4",
            "--- FAIL: TestA/2 (0.00s)"
        ]
    );
}

#[test]
fn shortens_long_lines_in_the_middle() {
    let log = format!("error: the start {} the end\n", "x".repeat(500));
    let line = explained(&log).remove(0);
    assert!(
        line.starts_with("error: the start xx") && line.ends_with("xx the end"),
        "{line}"
    );
    assert!(
        line.contains('\u{2026}') && line.chars().count() <= 301,
        "{line}"
    );
}

#[test]
fn ignores_summary_lines_of_googletest() {
    let lines = explained(
        "a_test.cc:5: Failure\nExpected: f()\n[  FAILED  ] A.b (0 ms)\n[  PASSED  ] 5 tests.\n\
         [  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.b\n\n 1 FAILED TEST\n",
    );
    assert_eq!(
        lines,
        [
            "a_test.cc:5: Failure Expected: f()",
            "[  FAILED  ] A.b (0 ms)",
            "[  FAILED  ] A.b"
        ]
    );
}

#[test]
fn deduplicates_lines_that_differ_in_whitespace() {
    let lines = explained("2/2 x:bad   FAIL 0.01s\n\nSummary:\n2/2 x:bad FAIL  0.01s\n");
    assert_eq!(lines, ["2/2 x:bad   FAIL 0.01s"]);
}

const REAL: &str = "x.c:3:5: error: the real cause";

#[test]
fn shows_errors_despite_output_that_imitates_makepkg() {
    let many: String = (0..300)
        .map(|n| format!("==> Starting f{n}()...\n"))
        .collect();
    let verdict = "==> ERROR: A failure occurred in check().\n    Aborting...\n";
    let decoy = "==> Starting check()...\ny.c:1:1: error: decoy\n";
    for log in [
        format!("{REAL}\n{}", "==> Starting nothing()...\n".repeat(17)),
        format!("{REAL}\n{many}"),
        format!("{REAL}\n{many}{decoy}"),
        format!("{REAL}\n{decoy}"),
        format!("{REAL}\n{decoy}{verdict}"),
        format!("{verdict}{REAL}\n"),
        format!(
            "==> Starting build()...\n{REAL}\n==> Starting build()...\n==> Tidying install...\n"
        ),
    ] {
        let log = format!(
            "==> Starting prepare()...\nw.c:1:1: error: caught\n==> Starting build()...\n{log}"
        );
        let lines = explained_with(
            &format!("{log}==> ERROR: A failure occurred in build().\n    Aborting...\n"),
            Some("build"),
        );
        assert_eq!(lines[0], REAL, "{log}");
        assert_eq!(
            lines.last().unwrap(),
            "==> ERROR: A failure occurred in build()."
        );
        assert!(
            !lines.iter().any(|line| line.contains("caught")),
            "{lines:?}"
        );
        // As after `builtin exit`, which records no function.
        let lines = explained_with(&log, None);
        assert!(lines.iter().any(|line| line == REAL), "{log}\n{lines:?}");
        assert!(lines.len() <= 7, "{lines:?}");
    }
}

#[test]
fn shows_output_of_the_failed_function() {
    let log = "==> Starting prepare()...\nw.c:1:1: error: caught\n==> Starting package_a()...\n\
               a.c:1:1: error: caught\n==> Starting package_b()...\nb.c:1:1: error: no\nlast words\n";
    assert_eq!(
        explained_with(log, Some("package_b")),
        ["b.c:1:1: error: no"]
    );
    let lines = explained_with(log, None);
    assert_eq!(lines[0], "b.c:1:1: error: no");
    let silent = format!("{log}==> Starting package_c()...\n");
    assert_eq!(
        explained_with(&silent, Some("package_c")),
        ["b.c:1:1: error: no"]
    );
}
