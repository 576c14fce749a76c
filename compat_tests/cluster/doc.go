// Package cluster starts real processes for the compat tests: NameServers and
// brokers (ours and Java's) and drivers, which are command-line programs around
// stock client libraries. Tests assert on what the drivers print.
//
// With COMPAT_PEER=java the functions that start "our" servers start Java
// 5.5.0 servers instead, which proves a test against the reference. With
// SKYLARK_COMPAT=off every test that needs a foreign toolchain is skipped.
//
// Every process is owned by the TB it was started with (a test or a Pool) and
// is gone when that TB ends. Jars, classes, built drivers and the C++ venv live
// in $SKYLARK_CACHE (default ~/.cache/skylark-compat), guarded by file locks so
// that test packages running side by side do not collide.
package cluster
