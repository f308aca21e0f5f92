//! More logs as packagers see them: tools whose last error only says that something failed, and tools with a
//! wording of their own.

/// Tool, log of the failing function, and the first line of the explanation.
pub(super) const TRANSCRIPTS: &[(&str, &str, &str)] = &[
    (
        "ld, position independent",
        "/usr/bin/ld: main.o: relocation R_X86_64_32 against `.rodata' can not be used when making a PIE object; recompile with -fPIE\n/usr/bin/ld: failed to set dynamic section sizes: bad value\ncollect2: error: ld returned 1 exit status\nmake: *** [Makefile:2: x] Error 1\n",
        "/usr/bin/ld: main.o: relocation R_X86_64_32 against `.rodata' can not be used when making a PIE object; recompile with -fPIE",
    ),
    (
        "ld, without collect2",
        "/usr/bin/ld: x.o: relocation R_X86_64_32 against `.rodata' can not be used when making a shared object; recompile with -fPIC\n/usr/bin/ld: final link failed: bad value\n",
        "/usr/bin/ld: x.o: relocation R_X86_64_32 against `.rodata' can not be used when making a shared object; recompile with -fPIC",
    ),
    (
        "zig",
        "error: the following command failed with 1 compilation errors:\n/usr/bin/zig build-exe main.zig\nmain.zig:3:9: error: use of undeclared identifier 'y'\n    y;\n    ^\n",
        "main.zig:3:9: error: use of undeclared identifier 'y'",
    ),
    (
        "zig, the other way round",
        "main.zig:3:9: error: use of undeclared identifier 'y'\nerror: the following command failed with 1 compilation errors:\n",
        "main.zig:3:9: error: use of undeclared identifier 'y'",
    ),
    (
        "swift",
        "main.swift:3:5: error: cannot find 'y' in scope\n    y\n    ^\nerror: fatalError\n",
        "main.swift:3:5: error: cannot find 'y' in scope",
    ),
    (
        "build script of cargo",
        "   Compiling openssl-sys v0.9.103\nerror: failed to run custom build command for `openssl-sys v0.9.103`\n\nCaused by:\n  process didn't exit successfully: `/build/target/release/build/openssl-sys-0123456789abcdef/build-script-main` (exit status: 101)\n  --- stdout\n  cargo:rerun-if-env-changed=X86_64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR\n  X86_64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR unset\n  cargo:rerun-if-env-changed=OPENSSL_LIB_DIR\n  OPENSSL_LIB_DIR unset\n\n  --- stderr\n  thread 'main' panicked at /build/.cargo/registry/src/index.crates.io-6f17d22bba15001f/openssl-sys-0.9.103/build/find_normal.rs:190:5:\n\n\n  Could not find directory of OpenSSL installation, and this `-sys` crate cannot\n  proceed without this knowledge. If OpenSSL is installed and this crate had\n  trouble finding it,  you can set the `OPENSSL_DIR` environment variable for the\n  compilation process.\n\n  note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nwarning: build failed, waiting for other jobs to finish...\n",
        "error: failed to run custom build command for `openssl-sys v0.9.103`: Could not find directory of OpenSSL installation, and this `-sys` crate cannot proceed without this knowledge. If OpenSSL is installed and this crate had",
    ),
    (
        "compiler below a build script of cargo",
        "error: failed to run custom build command for `libz-sys v1.1.0`\n\nCaused by:\n  process didn't exit successfully: `/build/target/release/build/libz-sys-1/build-script-build` (exit status: 1)\n  --- stdout\n  TARGET = Some(\"x86_64-unknown-linux-gnu\")\n  src/smoke.c:1:10: fatal error: zlib.h: No such file or directory\n\n  --- stderr\n  error occurred: Command \"cc\" with args \"-c\" did not execute successfully\n",
        "error: failed to run custom build command for `libz-sys v1.1.0`: src/smoke.c:1:10: fatal error: zlib.h: No such file or directory",
    ),
    (
        "cabal",
        "Resolving dependencies...\nError: [Cabal-7107]\nCould not resolve dependencies:\n[__0] trying: x-0.1 (user goal)\n[__1] unknown package: foo (dependency of x)\n[__1] fail (backjumping, conflict set: foo, x)\n",
        "Error: [Cabal-7107] Could not resolve dependencies: [__0] trying: x-0.1 (user goal) [__1] unknown package: foo (dependency of x) [__1] fail (backjumping, conflict set: foo, x)",
    ),
    (
        "Setup.hs",
        "Configuring x-0.1...\nSetup: Encountered missing or private dependencies:\nfoo >=1.0 && <2\n\n",
        "Setup: Encountered missing or private dependencies: foo >=1.0 && <2",
    ),
    (
        "gradle, below a task",
        "FAILURE: Build failed with an exception.\n\n* What went wrong:\nExecution failed for task ':compileJava'.\n> Could not resolve all files for configuration ':compileClasspath'.\n   > Could not find org.foo:bar:1.0.\n\n* Try:\n> Run with --stacktrace option to get the stack trace.\n\nBUILD FAILED in 3s\n",
        "* What went wrong: Execution failed for task ':compileJava'. > Could not resolve all files for configuration ':compileClasspath'. > Could not find org.foo:bar:1.0.",
    ),
    (
        "Free Pascal",
        "Compiling x.pas\nx.pas(3,6) Fatal: Can't find unit foo used by x\nFatal: Compilation aborted\nError: /usr/bin/ppcx64 returned an error exitcode\n",
        "x.pas(3,6) Fatal: Can't find unit foo used by x",
    ),
    (
        "a2x",
        "xmllint: I/O error : failed to load external entity \"http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd\"\na2x: ERROR: \"xmllint\" --nonet --noout --valid \"/build/x.xml\" returned non-zero exit status 4\nmake: *** [Makefile:9: x.1] Error 1\n",
        "xmllint: I/O error : failed to load external entity \"http://www.oasis-open.org/docbook/xml/4.5/docbookx.dtd\"",
    ),
    (
        "asciidoctor below a2x",
        "asciidoctor: ERROR: x.adoc: line 3: include file not found: y.adoc\na2x: ERROR: \"asciidoctor\" x.adoc returned non-zero exit status 1\n",
        "asciidoctor: ERROR: x.adoc: line 3: include file not found: y.adoc",
    ),
    (
        "xsltproc",
        "I/O error : Attempt to load network entity http://docbook.sourceforge.net/x.xsl\nmake[1]: *** [Makefile:20: x.1] Error 4\n",
        "I/O error : Attempt to load network entity http://docbook.sourceforge.net/x.xsl",
    ),
    (
        "xmllint",
        "x.xml:3: parser error : Opening and ending tag mismatch: a line 2 and b\n<a></b>\n      ^\n",
        "x.xml:3: parser error : Opening and ending tag mismatch: a line 2 and b",
    ),
    (
        "tsc on a terminal",
        "src/x.ts:3:5 - error TS2304: Cannot find name 'y'.\n\n3     y\n      ~\n\nFound 1 error in src/x.ts:3\n",
        "src/x.ts:3:5 - error TS2304: Cannot find name 'y'.",
    ),
    (
        "webpack",
        "asset main.js 1 KiB\nERROR in ./src/index.js 3:0-20\nModule not found: Error: Can't resolve './x' in '/build/src'\n\nwebpack 5.90.0 compiled with 1 error in 300 ms\nerror Command failed with exit code 1.\n",
        "ERROR in ./src/index.js 3:0-20 Module not found: Error: Can't resolve './x' in '/build/src'",
    ),
    (
        "vite",
        "error during build:\nRollupError: Could not resolve \"./x\" from \"src/main.js\"\n    at error (file:///build/rollup.js:1:1)\n",
        "error during build: RollupError: Could not resolve \"./x\" from \"src/main.js\"",
    ),
    (
        "pnpm",
        "ERR_PNPM_NO_OFFLINE_TARBALL  A package is missing from the store\nELIFECYCLE  Command failed with exit code 1.\n",
        "ERR_PNPM_NO_OFFLINE_TARBALL  A package is missing from the store",
    ),
    (
        "sphinx",
        "Running Sphinx v7.2.6\n\nExtension error:\nCould not import extension furo (exception: No module named 'furo')\nmake: *** [Makefile:20: html] Error 2\n",
        "Extension error: Could not import extension furo (exception: No module named 'furo')",
    ),
    (
        "latex",
        "! Undefined control sequence.\nl.3 \\foo\n!  ==> Fatal error occurred, no output PDF file produced!\n",
        "! Undefined control sequence.",
    ),
    (
        "latex, a file",
        "! LaTeX Error: File `foo.sty' not found.\n\nl.4 \\begin\n! Emergency stop.\n",
        "! LaTeX Error: File `foo.sty' not found.",
    ),
    (
        "ocaml",
        "File \"x.ml\", line 3, characters 5-8:\n3 | let x = foo\n            ^^^\nError: Unbound value foo\nmake: *** [Makefile:2: x.cmo] Error 2\n",
        "Error: Unbound value foo",
    ),
    (
        "elixir, new",
        "    error: undefined variable \"y\"\n    └─ lib/x.ex:3:5: X.f/0\n\n== Compilation error in file lib/x.ex ==\n** (CompileError) lib/x.ex: cannot compile module X (errors have been logged)\n",
        "error: undefined variable \"y\"",
    ),
    (
        "erlang",
        "Compiling src/x.erl\nsrc/x.erl:3:5: function foo/0 undefined\n",
        "src/x.erl:3:5: function foo/0 undefined",
    ),
    (
        "rebar3",
        "===> Fetching foo\n===> Package not found in any repo: foo\n",
        "===> Package not found in any repo: foo",
    ),
    (
        "rspec",
        "Failures:\n\n  1) X adds\n     Failure/Error: expect(f).to eq 2\n\n       expected: 2\n            got: 1\n\n1 example, 1 failure\n",
        "Failure/Error: expect(f).to eq 2 expected: 2 got: 1",
    ),
    (
        "phpunit",
        "There was 1 failure:\n\n1) XTest::testY\nFailed asserting that 1 matches expected 2.\n\n/build/tests/XTest.php:9\n\nFAILURES!\nTests: 1, Assertions: 1, Failures: 1.\n",
        "Failed asserting that 1 matches expected 2.",
    ),
    (
        "makeinfo",
        "x.texi:3: unknown command `foo'\nmake: *** [Makefile:5: x.info] Error 1\n",
        "x.texi:3: unknown command `foo'",
    ),
    (
        "msgfmt",
        "po/de.po:12: end-of-line within string\nmsgfmt: found 1 fatal error\nmake: *** [Makefile:5: de.gmo] Error 1\n",
        "po/de.po:12: end-of-line within string",
    ),
    (
        "vala",
        "x.vala:3.5-3.9: error: The name `foo' does not exist in the context of `main'\nCompilation failed: 1 error(s), 0 warning(s)\n",
        "x.vala:3.5-3.9: error: The name `foo' does not exist in the context of `main'",
    ),
    (
        "rustdoc",
        "error: unresolved link to `X`\n --> src/lib.rs:1:5\nerror: could not document `x`\n",
        "error: unresolved link to `X`",
    ),
    (
        "dotnet",
        "/build/x.csproj : error NU1101: Unable to find package Foo. No packages exist with this id\n\nBuild FAILED.\n",
        "/build/x.csproj : error NU1101: Unable to find package Foo. No packages exist with this id",
    ),
    (
        "gnat",
        "x.adb:3:05: \"foo\" is undefined\ngnatmake: \"x.adb\" compilation error\n",
        "x.adb:3:05: \"foo\" is undefined",
    ),
    (
        "gprbuild",
        "x.adb:3:05: error: \"foo\" is undefined\ngprbuild: *** compilation phase failed\n",
        "x.adb:3:05: error: \"foo\" is undefined",
    ),
    (
        "gfortran",
        "x.f90:3:7:\n\n    3 |   use foo\n      |       1\nFatal Error: Cannot open module file 'foo.mod' for reading at (1): No such file or directory\ncompilation terminated.\n",
        "Fatal Error: Cannot open module file 'foo.mod' for reading at (1): No such file or directory",
    ),
    (
        "kotlin",
        "e: file:///build/src/X.kt:3:5 Unresolved reference: foo\nBUILD FAILED in 1s\n",
        "e: file:///build/src/X.kt:3:5 Unresolved reference: foo",
    ),
    (
        "waf",
        "Checking for program 'gcc' : /usr/bin/gcc\nChecking for 'foo' : not found\nThe configuration failed\n",
        "Checking for 'foo' : not found",
    ),
    (
        "scons",
        "x.c:3:5: error: 'y' undeclared\nscons: *** [x.o] Error 1\nscons: building terminated because of errors.\n",
        "x.c:3:5: error: 'y' undeclared",
    ),
    (
        "ant",
        "compile:\n    [javac] /build/X.java:3: error: cannot find symbol\n    [javac]     foo();\n\nBUILD FAILED\n",
        "[javac] /build/X.java:3: error: cannot find symbol",
    ),
    (
        "bazel",
        "ERROR: /build/BUILD:3:10: Compiling x.c failed: (Exit 1): gcc failed: error executing command\nx.c:1:10: fatal error: zlib.h: No such file or directory\ncompilation terminated.\nTarget //:x failed to build\nFAILED: Build did NOT complete successfully\n",
        "x.c:1:10: fatal error: zlib.h: No such file or directory",
    ),
    (
        "perl, a module",
        "Can't locate Foo.pm in @INC (you may need to install the Foo module) at Makefile.PL line 1.\nBEGIN failed--compilation aborted at Makefile.PL line 1.\n",
        "Can't locate Foo.pm in @INC (you may need to install the Foo module) at Makefile.PL line 1.",
    ),
    (
        "R",
        "ERROR: dependency 'foo' is not available for package 'x'\nExecution halted\n",
        "ERROR: dependency 'foo' is not available for package 'x'",
    ),
];
