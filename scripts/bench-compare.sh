#!/bin/sh
# Runs the Go benchmarks of two trees in turn and compares them with benchstat: of a
# revision, in a temporary worktree, and of the working tree. The trees take turns in each
# round, so that changes of the machine's speed affect both in the same way.
#
#   scripts/bench-compare.sh BASE      # a commit, tag or branch; "make bench-compare BASE=..." does the same
#
# Environment:
#   PKG        packages, as patterns of go list (./internal/...)
#   BENCH      benchmarks, as a pattern of -bench (.)
#   COUNT      rounds (6; benchstat needs so many for an interval)
#   BENCHTIME  of each benchmark in a round (200ms)
#   BENCHSTAT  the program (benchstat)
#
# If only one tree has a benchmark or a package, the table has it without a difference. If
# a benchmark does something else in the two trees, the comparison is meaningless. The
# script does not detect that.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
count=${COUNT:-6} benchtime=${BENCHTIME:-200ms} bench=${BENCH:-.}
worktree='' running=''

fail() {
	echo "bench-compare: $*" >&2
	exit 1
}

[ $# -eq 1 ] && [ -n "$1" ] || fail "the revision to compare with is missing: make bench-compare BASE=main"
revision=$(git -C "$root" rev-parse --verify --quiet "$1^{commit}") || fail "'$1' is not a revision of this repository"
[ "$count" -ge 1 ] 2>/dev/null || fail "COUNT is '$count', expected a number of 1 or more"
command -v "${BENCHSTAT:-benchstat}" >/dev/null || fail "benchstat is missing; make bench-compare builds it"

clean() {
	trap - EXIT
	[ -z "$running" ] || kill "$running" 2>/dev/null || true
	[ -z "$worktree" ] || git -C "$root" worktree remove --force "$worktree" || true
	rm -rf "$tmp"
}
tmp=$(mktemp -d)
trap clean EXIT
trap 'exit 130' HUP INT TERM
mkdir "$tmp/new" "$tmp/old"

worktree=$tmp/base # set before it exists, so that an interrupt removes an incomplete one too
git -C "$root" worktree add --quiet --detach "$worktree" "$revision"
ln -s "$root/.deps" "$worktree/.deps" # ONNX Runtime, which is not committed

# await COMMAND...: runs a command. Unlike a command in the foreground, it does not delay an
# interrupt.
await() {
	"$@" &
	running=$!
	wait "$running" && status=0 || status=$?
	running=''
	return "$status"
}

# program FOLDER PACKAGE: the path of a test program. With the suffix .test it looks for
# ONNX Runtime in the source tree.
program() { echo "$1/$(echo "$2" | tr / -).test"; }

# compile TREE INTO PACKAGE: compiles the tests of a package, if it has any.
compile() {
	cd "$1/$3" 2>/dev/null || return 0
	ls ./*_test.go >/dev/null 2>&1 || return 0
	await go test -c -o "$(program "$2" "$3")" .
}

# measure TREE PROGRAMS PACKAGE RESULTS: runs one round of a package.
measure() {
	[ -x "$(program "$2" "$3")" ] || return 0
	cd "$1/$3"
	await "$(program "$2" "$3")" -test.run '^$' -test.bench "$bench" -test.benchmem -test.benchtime "$benchtime" >"$tmp/out" 2>&1 ||
		{ cat "$tmp/out" >&2; fail "the benchmarks of $3 in $1 failed"; }
	cat "$tmp/out" >>"$4"
}

cd "$root"
# PKG is split at blanks, as for the go command.
# shellcheck disable=SC2086
packages=$(go list -f '{{.Dir}}' ${PKG:-./internal/...} | sed "s|^$root/||")
for package in $packages; do
	compile "$root" "$tmp/new" "$package" || fail "the tests of $package do not compile"
	compile "$worktree" "$tmp/old" "$package" || echo "bench-compare: the tests of $package do not compile at $1 and are left out there" >&2
done
touch "$tmp/old.txt" "$tmp/new.txt"
round=1
while [ "$round" -le "$count" ]; do
	echo "bench-compare: round $round of $count" >&2
	for package in $packages; do
		if [ $((round % 2)) -eq 1 ]; then
			measure "$worktree" "$tmp/old" "$package" "$tmp/old.txt"
			measure "$root" "$tmp/new" "$package" "$tmp/new.txt"
		else # the other tree goes first
			measure "$root" "$tmp/new" "$package" "$tmp/new.txt"
			measure "$worktree" "$tmp/old" "$package" "$tmp/old.txt"
		fi
	done
	round=$((round + 1))
done
grep -q '^Benchmark' "$tmp/new.txt" || fail "no benchmark of the working tree matches BENCH=$bench in PKG=${PKG:-./internal/...}"
cd "$tmp"
await "${BENCHSTAT:-benchstat}" "$(git -C "$root" rev-parse --short "$revision")=old.txt" working-tree=new.txt
